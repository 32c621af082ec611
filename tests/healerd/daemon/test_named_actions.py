"""Actions that an owner has named, and the brakes on every action: pauses, stop-all, windows, limits, dry runs."""

import logging
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from healerd.actions import InlineWorker
from healerd.client.backtest.lessons import History
from healerd.clock import ManualClock
from healerd.config import parse_config
from healerd.daemon.core import Core
from healerd.decision import from_json
from healerd.errors import ConfigError
from healerd.model import Decision, Incident, Intent, IntentState, Outcome, Result, Stage
from healerd.sources import MemorySource
from tests.healerd.daemon.loop import NAME, ROLES, ROWS, START, Loop, Sign

S = IntentState
Make = Callable[..., Loop]

TELL = """
import "base"
metric error_rate: ratio
action page risk 0
permit mine: page
signal wrong = (error_rate > 0.3) for 2 windows
propose tell: page
  when wrong and not did(page)
  priority 60 severity high
  because "one answer in three is wrong"
"""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Loop] = []

    def build(**changes) -> Loop:
        made.append(Loop(tmp_path / str(len(made)), **changes))
        return made[-1]

    yield build
    for loop in made:
        loop.core.close()


def a_table(name: str = "page", **keys: object) -> str:
    told = "\n".join(
        f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in keys.items()
    )
    return f"\n[pipeline.flights.actions.{name}]\n{told}\n"


def a_script(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def live(loop: Loop) -> Loop:
    loop.core.set_stage(NAME, Stage.LIVE, author="ada", roles=ROLES, reason="it is a test")
    return loop


def ill(loop: Loop, windows: int = 4) -> Loop:
    loop.play(3)
    loop.play(windows, turned=True)
    return loop


def test_a_notification_is_sent_once_an_incident_by_a_rule(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """A rule that proposes a named notification sends it without asking where the stage allows it, and once."""
    with caplog.at_level(logging.WARNING, logger="healerd"):
        loop = ill(live(make(rules=TELL, more=a_table(kind="notify", message="call ann"))), windows=6)
    said = [record.getMessage() for record in caplog.records if "call ann" in record.getMessage()]
    (sent,) = loop.intents(action="page")
    assert (
        said == ["`flights`: page: call ann: rule rules.tell proposes page: one answer in three is wrong"]
        or len(said) == 1
    )
    assert (sent.state, sent.approved_by) == (S.INCONCLUSIVE, ())
    assert loop.core.store.get(Outcome, sent.id).result is Result.UNKNOWN
    assert loop.core.store.find(Incident)[0].closed_at is None, "a message heals nothing"


def test_a_named_action_is_a_lesson_in_its_order_for_a_backtest_as_well(make: Make) -> None:
    """The outcome of a named action has its place among the events, and a backtest learns as the daemon did."""
    loop = ill(live(make(rules=TELL, more=a_table(kind="notify", message="call ann"))), windows=6)
    situation = from_json(loop.decision().trace["situation"])
    assert situation.learned.events == 1
    history = History(loop.core.store, NAME, [prior.action for prior in situation.costs.actions])
    assert history.learned(situation, situation.costs) == situation.learned
    assert history.account(situation, situation.costs) == situation.account


def test_a_command_is_run_with_its_key_and_seen_to_have_worked(make: Make, tmp_path: Path) -> None:
    """A run that can be observed acts by itself in live; the command gets the key and what it is about."""
    note = tmp_path / "note"
    told = "os.environ[n] for n in ('HEALERD_KEY', 'HEALERD_PIPELINE', 'HEALERD_ACTION')"
    do = a_script(f"import os; open({str(note)!r}, 'a').write(' '.join({told}) + '\\n')")
    seen = a_script(f"import os, sys; sys.exit(0 if os.path.exists({str(note)!r}) else 1)")
    loop = ill(live(make(rules=TELL, more=a_table(kind="run", command=do, observe=seen, failure=0.05, cost=0.0))))
    (done,) = loop.intents(action="page")
    assert (done.state, done.approved_by) == (S.INCONCLUSIVE, ())
    assert note.read_text().split() == [done.key, NAME, "page"]


def test_s7_a_reload_that_drops_an_action_withdraws_what_waits_for_it(make: Make) -> None:
    """An intent whose action the rules no longer know is withdrawn at its recheck; the daemon goes on."""
    loop = ill(make(rules=TELL, more=a_table(kind="notify", message="call ann")))
    assert loop.intent("page").state is S.AWAITING_APPROVAL
    without = TELL.split("action page", maxsplit=1)[0] + "signal wrong = (error_rate > 0.3) for 2 windows\n"
    (loop.folder / "flights.heal").write_text(without, encoding="utf-8")
    loop.core.reload_rules()
    loop.approve()
    loop.run()
    withdrawn = loop.intent("page")
    assert withdrawn.state is S.WITHDRAWN
    assert "the rules know no action `page`" in withdrawn.reason


def test_s14_what_cannot_be_observed_asks_a_person_each_time(make: Make, tmp_path: Path) -> None:
    """Without `observe` a run waits for approval, also in live; approved, it runs once."""
    note = tmp_path / "note"
    do = a_script(f"open({str(note)!r}, 'a').write('x')")
    loop = ill(live(make(rules=TELL, more=a_table(kind="run", command=do, failure=0.05, cost=0.0))))
    asked = loop.intent("page")
    assert (asked.state, note.exists()) == (S.AWAITING_APPROVAL, False)
    loop.approve()
    loop.run()
    assert (loop.intent("page").state, note.read_text()) == (S.INCONCLUSIVE, "x")


@pytest.mark.parametrize(
    ("code", "observe", "state"),
    [
        ("raise SystemExit(3)", None, S.FAILED),
        ("import os; os.kill(os.getpid(), 9)", None, S.NEEDS_PERSON),
        ("raise SystemExit(3)", "raise SystemExit(0)", S.INCONCLUSIVE),
        ("raise SystemExit(3)", "raise SystemExit(1)", S.FAILED),
        ("raise SystemExit(3)", "raise SystemExit(9)", S.NEEDS_PERSON),
    ],
)
def test_s14_what_nobody_can_tell_waits_for_a_person(make: Make, code: str, observe: str | None, state) -> None:
    """A run that fails has failed only where that is sure; what it says beside its effect does not count."""
    more = {} if observe is None else {"observe": a_script(observe)}
    loop = ill(live(make(rules=TELL, more=a_table(kind="run", command=a_script(code), failure=0.05, cost=0.0, **more))))
    loop.approve()
    loop.run()
    found = loop.intent("page")
    assert (found.state, bool(found.reason)) == (state, True)


def test_a_name_must_be_known_to_the_rules_and_the_configuration(make: Make) -> None:
    """A person who proposes what no configuration or no rule file names is told which of the two is missing."""
    loop = ill(make(more=a_table(kind="notify")))
    with pytest.raises(ConfigError, match="no action `ring` to propose; there are retrain, rollback, fallback, page"):
        loop.core.propose(NAME, "ring", to=None, author="ada", roles=ROLES, reason="to see")
    held = loop.core.propose(NAME, "page", to=None, author="ada", roles=ROLES, reason="to see")
    assert (held.chosen, "write `action page` into a rule file" in held.reason) == ("hold", True)


# Brakes.


@pytest.mark.parametrize("action", ["page", "retrain", "fallback", "recalibrate"])
def test_s15_stop_all_and_pause_hold_every_action(make: Make, tmp_path: Path, action: str) -> None:
    """Under a pause nothing is decided, and under the file STOP a ready intent does not start, whatever its action."""
    note = tmp_path / "note"
    do = a_script(f"open({str(note)!r}, 'a').write('x')")
    rules = TELL + "action recalibrate risk 1 undo undo\npermit mend: recalibrate\n"
    more = a_table(kind="run", command=do, observe=a_script("raise SystemExit(1)")) + a_table("recalibrate")
    loop = make(rules=rules.replace("priority 60", "priority 1"), more=more)
    loop.play(3)
    loop.play(2, turned=True)
    loop.core.pause(NAME, author="ann", reason="campaign")
    held = loop.core.propose(NAME, action, to=None, author="ada", roles=ROLES, reason="to see")
    assert (held.chosen, "paused" in held.reason) == ("hold", True)
    loop.clock.advance(1)
    loop.core.resume(NAME, author="ann", reason="over")
    loop.core.stop_all(author="ann", reason="stop")
    held = loop.core.propose(NAME, action, to=None, author="ada", roles=ROLES, reason="to see")
    assert (held.chosen, "stopped everything" in held.reason) == ("hold", True)
    loop.play(2, turned=True)
    assert (note.exists(), loop.active) == (False, "first")


def test_a_dry_run_shows_the_plan_and_changes_nothing(make: Make) -> None:
    """What would be decided is shown with its plan and verdict; no record, version or move is made."""
    loop = make(more=a_table("recalibrate") + a_table(kind="notify"))
    loop.play(3)
    loop.play(3, turned=True)
    loop.add("other", -1.0, activate=False)
    registry, head = loop.core.pipelines[NAME].registry, loop.core.store.head()
    before = (registry.names(), registry.alias(), loop.intents(), loop.core.store.find(Decision))
    for action, to, plan in (
        ("rollback", "other", {"target": "other", "current": "first", "note": ""}),
        ("fallback", None, {"target": None, "current": "first"}),
        ("retrain", None, {"target": None, "current": "first"}),
        ("page", None, {"target": None, "current": None, "note": "a line in the log"}),
    ):
        told = loop.core.rehearse(NAME, action, to=to, author="ada", reason="to see")
        assert told["plan"].items() >= plan.items(), told
        assert told["verdict"]
    refused = loop.core.rehearse(NAME, "rollback", to="nowhere", author="ada", reason="to see")
    assert (refused["plan"], "no version `nowhere`" in refused["refusal"]) == (None, True)
    assert (registry.names(), registry.alias(), loop.intents(), loop.core.store.find(Decision)) == before
    assert loop.core.store.head() == head


def test_a_dry_run_says_what_the_real_one_then_does(make: Make) -> None:
    """The verdict of a dry run is that of the same proposal made at the same moment."""
    loop = make()
    loop.play(3)
    told = loop.core.rehearse(NAME, "fallback", to=None, author="ada", reason="to see")
    made = loop.core.propose(NAME, "fallback", to=None, author="ada", roles=ROLES, reason="to see")
    assert (told["would"], told["verdict"]) == (made.chosen, made.level) == ("fallback", "approval needed")


QUIET = """
calendar open_hours = mon..sun {hours} tz "UTC"
forbid quiet: any action
  unless now in open_hours
  because "maintenance: nobody touches anything"
"""


def test_a_maintenance_window_of_the_rules_holds_every_action(make: Make) -> None:
    """Outside the hours that a rule file opens nothing acts, not even a message; inside them the same thing does."""
    for hours, states in (("00:00..23:59", [S.INCONCLUSIVE]), ("23:00..23:30", [])):
        rules = TELL + QUIET.format(hours=hours)
        loop = ill(live(make(rules=rules, more=a_table(kind="notify"))))
        assert [each.state for each in loop.intents(action="page")] == states
        if not states:
            assert "maintenance" in loop.decision().reason


def test_s10_a_fleet_limit_holds_over_many_pipelines(tmp_path: Path) -> None:
    """`limit ... per 1h` over the fleet counts the heals of every pipeline: the second one waits for the first."""
    loop = Fleet(tmp_path)
    try:
        loop.fall_ill()
        started = loop.core.store.find(Intent, action="page")
        assert [each.state for each in started] == [S.INCONCLUSIVE]
        held = {each.pipeline: each.reason for each in loop.newest() if each.pipeline != started[0].pipeline}
        assert {name: "blast" in why for name, why in held.items()} == dict.fromkeys(held, True), held
        loop.serve(4)
        assert len(loop.core.store.find(Intent, action="page")) == 2, "three hours later the next one may"
    finally:
        loop.core.close()


class Fleet:
    """Three pipelines on one core that all fall ill at once, each served by a model that is wrong."""

    names = ("north", "south", "west")

    def __init__(self, folder: Path) -> None:
        self.loops: list[Loop] = []
        config = "[daemon]\nstate = 'state'\nunattended = true\n" + "".join(self._table(name) for name in self.names)
        (folder / "fleet.heal").write_text(
            TELL + 'limit blast: any action at most 1 per 3h\n  because "blast radius"\n'
        )

        self.clock = ManualClock(START)
        self.sources = {name: MemorySource() for name in self.names}
        settings = parse_config(config, path=folder / "healerd.toml")
        self.core = Core.open(settings, self.clock, sources=self.sources, worker=InlineWorker(), start_at=START)
        self.number = 0
        for name in self.names:
            self._begin(name)
            self.core.set_stage(name, Stage.LIVE, author="ada", roles=ROLES, reason="it is a test")

    @staticmethod
    def _table(name: str) -> str:
        return (
            f"\n[pipeline.{name}]\nwindow = 3600\nlabel_horizon = 0\nrules = ['fleet.heal']\n"
            f"source = {{ kind = 'memory' }}\ntrusted = ['tests.healerd.daemon.loop.Sign']\n"
            f"actions = {{ page = {{ kind = 'notify' }} }}\n"
        )

    def _begin(self, name: str) -> None:

        rows = Loop._rows(self, START - timedelta(days=4), 40 * ROWS, seed=0, turned=False, version="first", sign=1.0)
        self.core.add_version(
            name,
            Sign(1.0),
            name="first",
            rows=rows,
            held_out=rows,
            trained_from_at=START - timedelta(days=9),
            trained_to_at=START - timedelta(days=4),
        )

    @property
    def window_end(self):
        return self.clock.now() + timedelta(hours=1)

    @property
    def window_s(self) -> int:
        return 3600

    @property
    def seed(self) -> int:
        return 1

    def fall_ill(self) -> None:
        self.serve(3, turned=False)
        self.serve(3)

    def serve(self, windows: int, *, turned: bool = True) -> None:
        for _ in range(windows):
            self.number += 1
            for name in self.names:
                rows = Loop._rows(
                    self, self.clock.now(), 240, seed=self.number, turned=turned, version="first", model=Sign(1.0)
                )
                self.sources[name].push(rows)
            self.clock.advance(3600)
            self.core.channel_opened("ada")
            self.core.run_due()
            self.core.settle()

    def newest(self) -> tuple[Decision, ...]:
        return tuple(self.core.store.find(Decision, order="-seq", limit=len(self.names)))
