"""Silence, approvals and vetoes: only people's time counts, and nothing but a person's word or its lack consents."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from healerd.daemon.answers import take_answer
from healerd.daemon.rulings import Go, Ruling
from healerd.daemon.starting import start
from healerd.errors import NotAllowed, NotFound, StoreError
from healerd.model import AnswerKind, ApprovalNeed, Bar, IntentState
from tests.healerd.daemon.bench import START, Bench

S = IntentState


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Two windows in which the active version was wrong."""
    made = Bench(tmp_path).with_versions()
    made.close_windows(2, label=1.0)
    yield made
    made.store.close()


def announced(bench: Bench, **changes) -> None:
    bench.propose("rollback", **{"state": S.ANNOUNCED, "veto_within_s": 600.0, **changes})
    bench.step()


def pass_time(bench: Bench, seconds: float, *, channel_open: bool = True) -> None:
    bench.clock.advance(seconds)
    bench.step(channel_open=channel_open)


def needs(*roles: str, within_s: float | None = None, at=START, otherwise: str = "deny") -> tuple[ApprovalNeed, ...]:
    deadline = None if within_s is None else at + timedelta(seconds=within_s)
    return tuple(ApprovalNeed(role=role, deadline_at=deadline, otherwise=otherwise, rule="r") for role in roles)


def test_s9_silence_runs_after_the_whole_window(bench: Bench) -> None:
    """With a channel open all the time, the intent starts when its window is over, and not a moment before."""
    announced(bench)
    pass_time(bench, 599)
    assert bench.intent().state is S.ANNOUNCED
    assert bench.intent().deadline_at == bench.intent().counted_at + timedelta(seconds=600)
    pass_time(bench, 1)
    assert bench.registry.active == "one"
    assert bench.intent().countdown_s == 600.0


def test_s9_a_closed_channel_starts_the_window_anew(bench: Bench) -> None:
    """Time in which nobody could answer does not count, nor does the time before it."""
    announced(bench)
    pass_time(bench, 599)
    pass_time(bench, 600, channel_open=False)
    assert bench.intent().counted_at is None
    pass_time(bench, 1)
    pass_time(bench, 599)
    assert bench.registry.active == "zero"
    pass_time(bench, 1)
    assert bench.registry.active == "one"


def test_s9_a_restart_starts_the_window_anew(bench: Bench) -> None:
    """After a restart the whole window runs again, however much of it had passed before."""
    announced(bench)
    pass_time(bench, 599)
    bench.reopen()
    pass_time(bench, 100)
    pass_time(bench, 599)
    assert bench.registry.active == "zero"
    assert "the daemon started" in bench.intent().reason
    pass_time(bench, 1)
    assert bench.registry.active == "one"


def test_s9_a_daemon_that_hung_starts_the_window_anew(bench: Bench) -> None:
    """A gap between steps in which the daemon answered nobody is downtime."""
    announced(bench, veto_within_s=9000.0)
    pass_time(bench, 7201)
    pass_time(bench, 7000)
    assert bench.registry.active == "zero"
    assert "did not run" in bench.intent().reason
    pass_time(bench, 2000)
    assert bench.registry.active == "one"


@pytest.mark.parametrize("state", [S.ANNOUNCED, S.AWAITING_APPROVAL])
def test_s9_with_no_channel_the_intent_expires_after_a_day(bench: Bench, state: IntentState) -> None:
    """What nobody could have answered for a whole day ends without an effect."""
    bench.propose("rollback", state=state, veto_within_s=600.0, approvals=needs("sre"))
    bench.step(channel_open=False)
    for _ in range(23):
        pass_time(bench, 3600, channel_open=False)
    assert bench.intent().state is state
    pass_time(bench, 3600, channel_open=False)
    assert bench.intent().state is S.EXPIRED
    assert bench.registry.active == "zero"


@pytest.mark.parametrize("breaks", ["restart", "pause", "jump"])
@pytest.mark.parametrize("approval", [False, True])
def test_s16_a_question_older_than_a_day_lives_on_after_a_break(bench: Bench, breaks: str, approval: bool) -> None:
    """However long it stood, a break leaves people a day in which it can be told to them again."""
    by = needs("sre", within_s=144 * 3600.0, at=bench.clock.now()) if approval else ()
    state = S.AWAITING_APPROVAL if approval else S.ANNOUNCED
    announced(bench, state=state, approvals=by, veto_within_s=None if approval else 48 * 3600.0)
    for _ in range(30):
        pass_time(bench, 3600)
    match breaks:
        case "restart":
            bench.reopen()
        case "pause":
            bench.clock.advance(30 * 3600.0)
        case "jump":
            bench.clock.jump(25 * 3600.0)
    bench.step(channel_open=False)
    assert bench.intent().state is state
    assert bench.intent().reason.startswith("veto window begins anew") != approval
    for _ in range(23):
        pass_time(bench, 3600, channel_open=False)
    assert bench.intent().state is state
    pass_time(bench, 3600, channel_open=False)
    assert bench.intent().state is S.EXPIRED


def test_s9_what_is_asked_anew_is_not_over_before_it_was_told(bench: Bench) -> None:
    """A revision of an intent that is days old has a day in which it can be told."""
    announced(bench)
    stop = bench.folder / "STOP"
    stop.touch()
    for _ in range(30):
        pass_time(bench, 3600)
    assert bench.intent().state is S.READY
    bench.guards.recheck_says = lambda _: Ruling(go=Go.ASK, veto_within_s=600.0, reason="more severe")
    stop.unlink()
    bench.step(channel_open=False)
    bench.step(channel_open=False)
    assert (bench.intent().state, bench.intent().revision) == (S.ANNOUNCED, 1)


def test_s9_a_break_counts_for_what_a_failed_step_did_not_come_to(bench: Bench) -> None:
    """Where the first step after a pause fails early, the windows of all others begin anew all the same."""
    bench.propose("rollback", name="h0", incident="i0")
    stop = bench.folder / "STOP"
    stop.touch()
    announced(bench)
    pass_time(bench, 500)

    def fail(_: object) -> Ruling:
        raise StoreError("the disk is full")

    bench.guards.recheck_says = fail
    stop.unlink()
    with pytest.raises(StoreError):
        pass_time(bench, 7201)
    stop.touch()
    bench.step()
    assert bench.intent().counted_at == bench.clock.now()


@pytest.mark.parametrize("seconds", [-7200.0, -60.0, 3.0, 7200.0])
def test_s16_a_clock_jump_never_shortens_a_veto_window(bench: Bench, seconds: float) -> None:
    """Whatever the wall clock is set to, people have their whole window from then on."""
    announced(bench)
    pass_time(bench, 599)
    bench.clock.jump(seconds)
    bench.step()
    pass_time(bench, 599)
    assert bench.registry.active == "zero"
    pass_time(bench, 1)
    assert bench.registry.active == "one"


def test_s16_a_reboot_never_turns_a_question_into_consent(bench: Bench) -> None:
    """After a reboot, with the boot clock at zero, the window runs from its beginning."""
    announced(bench)
    pass_time(bench, 599)
    bench.clock.reboot("next")
    pass_time(bench, 30)
    pass_time(bench, 599)
    assert bench.registry.active == "zero"
    pass_time(bench, 1)
    assert bench.registry.active == "one"


def test_s16_a_clock_set_forwards_never_shortens_an_approvals_deadline(bench: Bench) -> None:
    """An hour to approve stays an hour when the clock is set a day ahead."""
    bench.propose("rollback", state=S.AWAITING_APPROVAL, approvals=needs("sre", within_s=3600, at=bench.clock.now()))
    bench.step()
    bench.clock.jump(86400)
    bench.step()
    pass_time(bench, 3599)
    assert bench.intent().state is S.AWAITING_APPROVAL
    pass_time(bench, 1)
    assert bench.intent().state is S.EXPIRED


def test_s3_each_approval_is_needed_and_the_veto_window_beside_them(bench: Bench) -> None:
    """Two roles and a veto window: two of the three are not enough."""
    announced(bench, state=S.AWAITING_APPROVAL, approvals=needs("sre", "owner"))
    take_answer(bench.store, bench.answer(AnswerKind.APPROVE, roles=("sre",)))
    pass_time(bench, 700)
    assert bench.registry.active == "zero"
    take_answer(bench.store, bench.answer(AnswerKind.APPROVE, roles=("owner",)))
    bench.step()
    assert bench.registry.active == "one"


def test_s3_approvals_do_not_shorten_the_veto_window(bench: Bench) -> None:
    """With every approval given, somebody else may still veto until the window is over."""
    announced(bench, state=S.AWAITING_APPROVAL, approvals=needs("sre"))
    take_answer(bench.store, bench.answer(AnswerKind.APPROVE, roles=("sre",)))
    pass_time(bench, 599)
    assert bench.registry.active == "zero"


@pytest.mark.parametrize("otherwise", ["deny", "defer"])
def test_s3_silence_never_passes_an_approval(bench: Bench, otherwise: str) -> None:
    """The earliest deadline of a missing approval ends the intent; it is not a denial, so it leaves no bar."""
    at = bench.clock.now()
    both = (*needs("sre", within_s=9000, at=at), *needs("owner", within_s=3600, at=at, otherwise=otherwise))
    announced(bench, state=S.AWAITING_APPROVAL, approvals=both)
    pass_time(bench, 3600)
    assert bench.intent().state is S.EXPIRED
    assert bench.intent().reason == f"no approval from `owner` in time; {otherwise}"
    assert bench.store.find(Bar) == ()


def test_s17_an_approval_counts_only_from_a_role_that_was_asked(bench: Bench) -> None:
    """Whoever does not hold the role approves nothing, whatever they claim to be."""
    announced(bench, state=S.AWAITING_APPROVAL, approvals=needs("sre"))
    with pytest.raises(NotAllowed, match="`sre`"):
        take_answer(bench.store, bench.answer(AnswerKind.APPROVE, roles=("viewer", "operator")))
    pass_time(bench, 700)
    assert bench.intent().state is S.AWAITING_APPROVAL


@pytest.mark.parametrize("kind", [AnswerKind.VETO, AnswerKind.DENY])
@pytest.mark.parametrize("state", [S.ANNOUNCED, S.AWAITING_APPROVAL, S.READY])
def test_s8_a_veto_before_the_effect_always_wins(bench: Bench, kind: AnswerKind, state: IntentState) -> None:
    """In whatever state an intent waits, a person's no ends it for good."""
    bench.propose("rollback", state=state, veto_within_s=600.0)
    take_answer(bench.store, bench.answer(kind))
    pass_time(bench, 700)
    pass_time(bench, 700)
    assert bench.intent().state is S.VETOED
    assert bench.registry.active == "zero"
    assert len(bench.store.find(Bar)) == 1


def test_s8_a_veto_wins_against_a_recheck_that_is_under_way(bench: Bench) -> None:
    """A veto recorded while the executor looks at an older state makes its compare-and-set fail."""
    bench.propose("rollback")
    stale = bench.intent()
    take_answer(bench.store, bench.answer(AnswerKind.VETO))
    assert start(bench.reach, stale, bench.clock.now()).state is S.VETOED
    assert bench.registry.active == "zero"


def test_s7_what_is_asked_again_gets_its_whole_window(bench: Bench) -> None:
    """A stricter recheck at the end of a window opens a new one, counted from zero."""
    announced(bench)
    longer = Ruling(go=Go.ASK, veto_within_s=1200.0, reason="more severe")
    bench.guards.recheck_says = lambda intent: Ruling(go=Go.RUN) if intent.revision else longer
    pass_time(bench, 600)
    assert (bench.intent().state, bench.intent().revision) == (S.ANNOUNCED, 1)
    pass_time(bench, 1199)
    assert bench.registry.active == "zero"
    pass_time(bench, 1)
    assert bench.registry.active == "one"


def test_an_answer_to_nothing_is_not_found(bench: Bench) -> None:
    """An unknown intent is named, with the verb that lists them."""
    announced(bench)
    answer = bench.answer(AnswerKind.VETO)
    with pytest.raises(NotFound, match="healerd inbox"):
        take_answer(bench.store, type(answer)(**{**fields(answer), "intent_id": "nope"}))


def fields(record) -> dict:
    return {name: getattr(record, name) for name in type(record).__dataclass_fields__}
