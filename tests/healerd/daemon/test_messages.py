"""Messages to people: told once, not in the quiet unless it presses, and accepted only when a channel took them."""

import importlib.util
import re
from collections.abc import Callable, Iterator, Set
from concurrent.futures import wait
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from healerd.client.channels import apprise_senders, read_addresses
from healerd.clock import ManualClock
from healerd.daemon.answers import take_answer
from healerd.daemon.executor import Move
from healerd.daemon.messages import AT_ONCE_MAX, Message, Outbox, about, question, rendered, trouble
from healerd.daemon.recording import MemoryStore
from healerd.daemon.rulings import Go, Ruling
from healerd.daemon.telling import AGAIN_S, Teller
from healerd.errors import ConfigError
from healerd.listen_settings import NotifySettings
from healerd.model import AnswerKind, ApprovalNeed, Intent, IntentState
from healerd.store import Reader
from tests.healerd.daemon.bench import HOUR, START, Bench
from tests.healerd.daemon.test_app import NOON
from tests.served import a_decision, an_intent

NIGHT = NOON.replace(hour=23)
QUIET = NotifySettings(quiet="22:00-07:00")


def a_question(**changed: Any) -> Message:
    return Message(**{"key": "k", "kind": "asks", "what": "retrain asks", "text": "why", **changed})


def test_a_question_is_told_with_how_to_answer() -> None:
    """A question is a message with the verb that shows it and what silence means."""
    intent = an_intent(deadline_at=NOON + timedelta(minutes=10))
    asks = question(intent)
    assert "healerd review act-1" in asks.text
    assert "on silence: it runs" in asks.text
    assert (asks.kind, asks.silence_at) == ("asks", intent.deadline_at)


def test_what_needs_a_person_is_told_with_how_to_resolve_it() -> None:
    """Where nobody can tell whether it took effect, the message says how to say so; silence decides nothing there."""
    asks = question(an_intent(state=IntentState.NEEDS_PERSON, reason="nobody can tell", deadline_at=NOON))
    assert (asks.kind, asks.what, asks.silence_at) == ("asks", "retrain on churn needs a person", None)
    assert asks.text.startswith("nobody can tell\n")
    assert "healerd resolve act-1 --took-effect, or --no-effect" in asks.text
    assert "silence" not in asks.text


def test_a_decision_to_act_tells_its_incident() -> None:
    """A decision that opened an incident tells of it; a hold tells nothing."""
    assert [each.kind for each in about([a_decision(), a_decision(chosen="hold")])] == ["incident"]


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (IntentState.EXECUTING, "acts"),
        (IntentState.FAILED, "failed"),
        (IntentState.UNDONE, "failed"),
        (IntentState.VERIFIED, None),
    ],
)
def test_moves_are_told_by_what_they_mean(state: IntentState, kind: str | None) -> None:
    """What began or failed is told as that; what went well is not."""
    found = list(about([Move(was=IntentState.READY, intent=an_intent(state=state))]))
    assert [each.kind for each in found] == ([kind] if kind else [])


def test_the_same_is_told_once_until_its_time() -> None:
    """A message with the same key is not told again before `repeat` has passed, and then it is."""
    box = Outbox(NotifySettings())
    for _ in range(3):
        box.add(a_question(), NOON)
    assert len(box.take(NOON)) == 1
    box.add(a_question(), NOON + timedelta(hours=5))
    assert box.take(NOON + timedelta(hours=5)) == ()
    box.add(a_question(), NOON + timedelta(hours=7))
    assert len(box.take(NOON + timedelta(hours=7))) == 1


def test_s16_a_clock_set_back_mutes_nothing() -> None:
    """What was told by a clock that was ahead is told again when it is back, and then counts as told."""
    box = Outbox(NotifySettings())
    for at in (NOON + timedelta(days=1), NOON):
        for expected in (1, 0):
            box.add(trouble("the disk is full"), at)
            assert len(box.take(at)) == expected


def test_kinds_that_nobody_wants_are_not_told() -> None:
    """Only the configured kinds are kept."""
    box = Outbox(NotifySettings(kinds=["failed"]))
    box.add(a_question(), NOON)
    assert box.take(NOON) == ()


@pytest.mark.parametrize(("at", "quiet"), [(22, True), (23, True), (6, True), (7, False), (12, False)])
def test_quiet_hours_span_midnight(at: int, quiet: bool) -> None:
    """From ten to seven is one night."""
    assert (Outbox(QUIET).quiet_until(NOON.replace(hour=at)) is not None) == quiet


def test_the_quiet_is_in_its_time_zone() -> None:
    """Ten at night in Berlin is eight in UTC in summer."""
    box = Outbox(NotifySettings(quiet="22:00-07:00", zone="Europe/Berlin"))
    assert box.quiet_until(NOON.replace(hour=20)) is not None
    assert box.quiet_until(NOON.replace(hour=19)) is None


def test_the_quiet_is_kept_and_ends() -> None:
    """In the quiet a question without haste waits; after it, it is told."""
    box = Outbox(QUIET)
    box.add(a_question(), NIGHT)
    assert box.take(NIGHT) == ()
    assert len(box.take(NIGHT + timedelta(hours=8))) == 1


def test_what_presses_breaks_the_quiet_unless_told_not_to() -> None:
    """A question that silence would answer before the quiet ends goes out, as does the daemon's own trouble."""
    for settings, broken in ((QUIET, 2), (NotifySettings(quiet="22:00-07:00", urgent=False), 0)):
        box = Outbox(settings)
        box.add(a_question(silence_at=NIGHT + timedelta(hours=1)), NIGHT)
        box.add(a_question(key="late", silence_at=NIGHT + timedelta(hours=12)), NIGHT)
        box.add(trouble("the disk is full"), NIGHT)
        assert len(box.take(NIGHT)) == broken


def test_a_storm_is_one_message_more() -> None:
    """Beyond a limit messages are counted instead of sent."""
    box = Outbox(NotifySettings())
    for number in range(100):
        box.add(trouble(f"trouble {number}"), NOON)
    sent = box.take(NOON)
    assert len(sent) == AT_ONCE_MAX + 1
    assert "80 more" in sent[-1].text
    assert box.take(NOON) == ()


def test_s9_in_a_storm_every_question_is_named() -> None:
    """Whatever else is told, each question that counts as asked stands in a message with how to answer it."""
    box = Outbox(NotifySettings())
    for number in range(30):
        box.add(trouble(f"trouble {number}"), NOON)
        box.add(question(an_intent(id=f"act-{number}")), NOON)
    sent = box.take(NOON)
    assert len(sent) == AT_ONCE_MAX + 2
    for each in sent:
        assert re.findall(r"healerd review ([\w-]+)", each.text) == [name for name, _ in each.asks]
        assert each.text.count("on silence: it runs") == len(each.asks)
    assert len({one for each in sent for one in each.asks}) == 30


def test_what_was_told_together_and_refused_is_told_again() -> None:
    """Of two storms that a channel refused nothing is lost, and what was answered meanwhile is not told."""
    box = Outbox(NotifySettings())
    every = [question(an_intent(id=f"act-{number}")) for number in range(60)]
    for storm in (every[:30], every[30:]):
        for each in storm:
            box.add(each, NOON)
        for each in box.take(NOON):
            box.put_back(each)
    box.drop_answered({each.key for each in every[:-1]})
    assert {one for each in box.take(NOON) for one in each.asks} == {(f"act-{number}", 3) for number in range(59)}


def test_templates_are_filled_in_and_harmless() -> None:
    """Names are filled in; what is no name stays; values are never templates themselves."""
    settings = NotifySettings(title="[$host] $what $nonsense", body="$pipeline: $text")
    message = a_question(pipeline="churn", what="retrain\nasks", text="costs $what")
    assert rendered(message, settings, host="h") == ("[h] retrain asks $nonsense", "churn: costs $what")


class Channel:
    """A channel that takes or refuses messages as it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.takes = True

    def __call__(self, title: str, body: str) -> bool:
        self.sent.append((title, body))
        return self.takes


def sent(teller: Teller) -> None:
    """Wait until nothing is being sent."""
    wait([each._sending for each in teller._channels if each._sending is not None])


def a_record(*intents: Intent) -> MemoryStore:
    store = MemoryStore(ManualClock(NOON))
    for intent in intents:
        store.put(intent)
    return store


def tick(teller: Teller, record: Reader, at: datetime, boot_s: float) -> Set[tuple[str, int]]:
    reached = teller.step([], record, at=at, boot_s=boot_s)
    sent(teller)
    return reached


def test_a_question_counts_as_asked_only_once_a_channel_took_it() -> None:
    """A refusal is no acceptance and is tried again after a while; an acceptance is told at the next tick."""
    channel = Channel()
    teller = Teller(NotifySettings(), senders=[channel])
    channel.takes = False
    record = a_record(an_intent())
    assert not tick(teller, record, NOON, 0.0)
    assert not tick(teller, record, NOON, 5.0)
    assert len(channel.sent) == 1, "nothing is tried again at once"
    channel.takes = True
    assert not tick(teller, record, NOON, 6.0 + AGAIN_S)
    assert len(channel.sent) == 2
    assert tick(teller, record, NOON, 70.0) == {("act-1", 3)}
    assert tick(teller, record, NOON, 75.0) == {("act-1", 3)}
    assert len(channel.sent) == 2, "what was told is not told again so soon"
    teller.close()


def test_a_dead_channel_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """A question that one channel took counts, goes to that one once, and again to the one that refused it."""
    good, dead = Channel(), Channel()
    dead.takes = False
    teller = Teller(NotifySettings(), senders=[good, dead])
    record = a_record(an_intent())
    reached = [tick(teller, record, NOON, float(second)) for second in range(0, 601, 5)]
    assert reached[1] == reached[-1] == {("act-1", 3)}
    assert (len(good.sent), len(dead.sent)) == (1, 10)
    assert caplog.text.count("address 2 of `notify.urls_file` takes no message") == 1
    teller.close()


def test_an_answered_question_is_not_asked_any_more() -> None:
    """What was vetoed during the quiet is not told in the morning."""
    channel = Channel()
    teller = Teller(QUIET, senders=[channel])
    waits = an_intent()
    record = a_record(waits)
    tick(teller, record, NIGHT, 0.0)
    record.put(replace(waits, state=IntentState.VETOED), instead_of=waits, actor="ann")
    tick(teller, record, NIGHT + timedelta(hours=9), 10.0)
    teller.close()
    assert channel.sent == []


def test_a_tick_that_failed_tells_no_question_that_may_be_answered() -> None:
    """What a failing tick tells is its trouble; a question that stands is told by the next one that ends well."""
    channel = Channel()
    teller = Teller(QUIET, senders=[channel])
    waits, stands = an_intent(), an_intent(id="act-2", key="k2")
    record = a_record(waits, stands)
    tick(teller, record, NIGHT, 0.0)
    record.put(replace(waits, state=IntentState.VETOED), instead_of=waits, actor="ann")
    teller.trouble("the disk is full", at=NIGHT + timedelta(hours=9), boot_s=10.0)
    sent(teller)
    assert [body.partition("\n")[0] for _, body in channel.sent] == ["the disk is full"]
    for second in (20.0, 30.0):
        tick(teller, record, NIGHT + timedelta(hours=9), second)
    teller.close()
    assert len(channel.sent) == 2
    assert "healerd review act-2" in channel.sent[-1][1]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path).with_versions()
    yield made
    made.store.close()


def live(bench: Bench, teller: Teller, *, steps: int, of_s: float = 60.0) -> None:
    """Let time pass as a daemon does, while nobody looks."""
    for _ in range(steps):
        told = bench.executor.step(channel_open=False)
        now = bench.clock.read()
        bench.executor.reached = teller.step(told, bench.store, at=now.at, boot_s=now.boot_s)
        sent(teller)
        bench.clock.advance(of_s)


def announce(bench: Bench, minutes: float) -> None:
    bench.close_windows(2, label=1.0)
    bench.propose("rollback", state=IntentState.ANNOUNCED, veto_within_s=minutes * 60.0)


@pytest.mark.parametrize("minutes", [10, 30, 90])
def test_s9_a_question_that_a_channel_took_counts_for_its_whole_window(bench: Bench, minutes: int) -> None:
    """However long a window is, it runs out once a channel took the question, and not before; without one never."""
    announce(bench, minutes)
    channel = Channel()
    channel.takes = False
    teller = Teller(NotifySettings(), senders=[channel])
    live(bench, teller, steps=minutes + 5)
    assert bench.intent().counted_at is None
    channel.takes = True
    live(bench, teller, steps=minutes)
    assert bench.intent().state is IntentState.ANNOUNCED
    live(bench, teller, steps=5)
    assert bench.registry.active == "one"
    teller.close()


def test_s9_what_was_told_counts_for_its_own_question_alone(bench: Bench) -> None:
    """A question of another revision has to be told itself before its window counts."""
    announce(bench, 10)
    bench.step(channel_open=False)
    bench.executor.reached = {("h1", bench.intent().revision + 1), ("h2", bench.intent().revision)}
    bench.step(channel_open=False)
    assert bench.intent().counted_at is None
    bench.executor.reached = {("h1", bench.intent().revision)}
    bench.step(channel_open=False)
    assert bench.intent().counted_at == bench.clock.now()


def test_s9_after_a_pause_no_deadline_is_named_before_people_are_told_again(bench: Bench) -> None:
    """In the first step after a pause nobody counts as told: whether they were is said after it."""
    announce(bench, 30)
    teller = Teller(NotifySettings(), senders=[Channel()])
    live(bench, teller, steps=5)
    assert bench.intent().deadline_at is not None
    bench.clock.advance(7500.0)
    live(bench, teller, steps=1)
    assert (bench.intent().deadline_at, bench.intent().counted_at) == (None, None)
    assert "did not run" in bench.intent().reason
    live(bench, teller, steps=2)
    assert bench.intent().deadline_at == bench.intent().counted_at + timedelta(minutes=30)
    teller.close()


def test_s9_after_a_long_pause_people_are_told_again(bench: Bench) -> None:
    """What was told before the daemon hung or restarted counts no more: its whole window follows a new message."""
    announce(bench, 30)
    channel = Channel()
    teller = Teller(NotifySettings(), senders=[channel])
    live(bench, teller, steps=20)
    bench.clock.advance(7500.0)
    live(bench, teller, steps=30)
    assert len(channel.sent) == 2
    assert bench.intent().state is IntentState.ANNOUNCED
    bench.reopen()
    teller.close()
    teller = Teller(NotifySettings(), senders=[channel])
    live(bench, teller, steps=30)
    assert len(channel.sent) == 3
    assert bench.intent().state is IntentState.ANNOUNCED
    live(bench, teller, steps=5)
    assert bench.registry.active == "one"
    teller.close()


@pytest.mark.parametrize("restart", [False, True])
def test_s9_once_all_have_approved_it_is_told_that_silence_runs_it(bench: Bench, restart: bool) -> None:
    """Before what was approved runs, people have read that it does, and what they read last was not the contrary."""
    bench.close_windows(2, label=1.0)
    by = ApprovalNeed(role="approver", deadline_at=bench.clock.now() + HOUR * 12, otherwise="defer", rule="r")
    waits = {"state": IntentState.AWAITING_APPROVAL, "approvals": (by,), "default": "it does not run"}
    bench.propose("rollback", veto_within_s=600.0, **waits)
    channel = Channel()
    teller = Teller(NotifySettings(), senders=[channel])
    live(bench, teller, steps=3)
    assert "on silence: it does not run" in channel.sent[-1][1]
    take_answer(bench.store, bench.answer(AnswerKind.APPROVE))
    if restart:
        bench.reopen()
        teller.close()
        teller = Teller(NotifySettings(), senders=[channel])
    live(bench, teller, steps=2)
    assert (len(channel.sent), bench.registry.active) == (2, "zero")
    assert "on silence: it runs" in channel.sent[-1][1]
    live(bench, teller, steps=15)
    assert bench.registry.active == "one"
    teller.close()


def test_s9_a_window_that_nobody_knows_of_begins_after_the_quiet(bench: Bench) -> None:
    """In the quiet an announced action is not told and does not run; its whole window follows the message after it."""
    announce(bench, 20)
    channel = Channel()
    teller = Teller(NotifySettings(quiet="00:00-07:00"), senders=[channel])
    live(bench, teller, steps=30, of_s=600.0)
    assert (bench.clock.now() == START + HOUR * 7, channel.sent) == (True, [])
    assert bench.intent().counted_at is None
    live(bench, teller, steps=2, of_s=600.0)
    assert (len(channel.sent), bench.registry.active) == (1, "zero")
    live(bench, teller, steps=3, of_s=600.0)
    assert bench.registry.active == "one"
    teller.close()


def test_a_window_that_counts_breaks_the_quiet(bench: Bench) -> None:
    """Where somebody looked, silence would decide in the quiet: that is told in it, while it can be stopped."""
    announce(bench, 20)
    channel = Channel()
    teller = Teller(NotifySettings(quiet="00:00-07:00"), senders=[channel])
    bench.step(channel_open=True)
    tick(teller, bench.store, bench.clock.now(), bench.clock.read().boot_s)
    assert len(channel.sent) == 1
    teller.close()


@pytest.mark.parametrize("approval", [False, True])
def test_a_promotion_is_asked_though_nobody_looks(bench: Bench, approval: bool) -> None:
    """A step that is announced, or needs approval, is told as any other question while no channel is open."""
    channel = Channel()
    by = ApprovalNeed(role="operators", deadline_at=bench.clock.now() + HOUR * 12, otherwise="defer", rule="r")
    asks = Ruling(go=Go.ASK, approvals=(by,) if approval else (), veto_within_s=600.0, default="it runs")
    bench.guards.step_says = lambda _plan, _confidence: asks
    bench.close_window(label=0.0)
    bench.close_windows(5, label=1.0)
    bench.propose("retrain")
    teller = Teller(NotifySettings(), senders=[channel], pause_s=7200.0)
    for _ in range(5):
        told = bench.executor.step(channel_open=False)
        teller.step(told, bench.store, at=bench.clock.now(), boot_s=bench.clock.read().boot_s)
        bench.close_window(label=1.0)
    teller.close()
    assert [title for title, _ in channel.sent] == ["healerd: promote on flights asks"]


def test_the_heartbeat_beats_with_the_ticks() -> None:
    """An address is fetched once an interval while ticks end well, and never without one."""
    fetched: list[str] = []

    def beat(url: str) -> bool:
        fetched.append(url)
        return True

    settings = NotifySettings(heartbeat_url="https://example.org/beat")
    for chosen, expected in ((settings, 3), (NotifySettings(), 0)):
        fetched.clear()
        teller = Teller(chosen, beat=beat)
        for second in range(0, 121, 5):
            tick(teller, a_record(), NOON, float(second))
            while teller._beating is not None and not teller._beating.done():
                pass
        teller.close()
        assert len(fetched) == expected


@pytest.fixture
def addresses(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str, mode: int = 0o600) -> Path:
        file = tmp_path / "urls"
        file.write_text(text)
        file.chmod(mode)
        return file

    return write


def test_addresses_are_kept_from_others(addresses: Callable[..., Path], tmp_path: Path) -> None:
    """A file that everybody may read, holds nothing or is not there is refused; comments are left out."""
    assert read_addresses(addresses("# ops\nmailto://a\n\n")) == ("mailto://a",)
    with pytest.raises(ConfigError, match="chmod o=") as refused:
        read_addresses(addresses("mailto://secret", 0o644))
    assert "secret" not in str(refused.value)
    with pytest.raises(ConfigError, match="names no channel"):
        read_addresses(addresses("# none\n"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_addresses(tmp_path / "none")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the library's own, on older Pythons
def test_real_channels_are_known_by_apprise(addresses: Callable[..., Path]) -> None:
    """With Apprise, an address that it does not know is refused by its number and never repeated."""
    pytest.importorskip("apprise", reason="the extra `notify` is not installed")
    apprise_senders(addresses("json://localhost:9\n"))
    with pytest.raises(ConfigError, match="address 2") as refused:
        apprise_senders(addresses("json://localhost:9\nnonsense://secret\n"))
    assert "secret" not in str(refused.value)


@pytest.mark.skipif(importlib.util.find_spec("apprise") is not None, reason="Apprise is installed")
def test_without_apprise_the_extra_is_named(addresses: Callable[..., Path]) -> None:
    """Where Apprise is missing the error says what to install."""
    with pytest.raises(ConfigError, match=r"healerd\[notify\]"):
        apprise_senders(addresses("json://localhost\n"))
