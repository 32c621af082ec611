"""The core from end to end: a made stream, real rules, policy, store and registry, a manual clock."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from healerd.actions.evidence import newest
from healerd.audit import stamp
from healerd.clock import ManualClock
from healerd.columns import Predictions
from healerd.decision import replay
from healerd.errors import ConfigError, Conflict, RulesError, StoreError
from healerd.model import (
    AnswerKind,
    Bar,
    Decision,
    Incident,
    Intent,
    IntentState,
    Layer,
    Outcome,
    Pause,
    Quality,
    Result,
    Stage,
)
from tests.healerd.daemon.loop import NAME, ROLES, RULES, Loop, Source

S = IntentState
Make = Callable[..., Loop]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Builds loops, and closes their cores at the end."""
    made: list[Loop] = []

    def build(**changes) -> Loop:
        made.append(Loop(tmp_path / str(len(made)), **changes))
        return made[-1]

    yield build
    for loop in made:
        loop.core.close()


@pytest.fixture
def loop(make: Make) -> Loop:
    return make()


def ill(loop: Loop) -> Intent:
    """Play until a retraining is asked for: good windows, then turned ones."""
    loop.play(3)
    for _ in range(4):
        loop.play(turned=True)
        if loop.intents(action="retrain"):
            return loop.intent("retrain")
    raise AssertionError("nothing was asked")


def heal(loop: Loop, windows: int = 6) -> None:
    """Play the turned stream with everything approved."""
    loop.play(3)
    for _ in range(windows):
        loop.play(turned=True)
        while loop.approve():
            loop.wait()


# The line from end to end.


def test_a_turned_relation_is_noticed_asked_about_retrained_promoted_and_verified(loop: Loop) -> None:
    """In suggest a person approves each step, and the model that learned the new relation ends up serving."""
    heal(loop)
    retrain, promote = loop.intents(action="retrain")[0], loop.intents(action="promote")[0]
    assert (retrain.state, promote.state) == (S.VERIFIED, S.VERIFIED)
    assert (retrain.approved_by, promote.approved_by) == (("ada",), ("ada",))
    assert loop.active == retrain.result["version"]
    assert loop.core.store.get(Outcome, retrain.id).result is Result.HEALED


def test_s6_the_incident_of_a_healed_pipeline_closes_after_clean_windows(loop: Loop) -> None:
    """The harm that opened it is over, and nothing is chosen any more."""
    heal(loop, windows=9)
    (incident,) = loop.core.store.find(Incident)
    assert incident.closed_at is not None
    assert loop.decision().reason == "no incident is open"


def test_s6_a_healthy_stream_is_left_alone(loop: Loop) -> None:
    """Windows like the reference open no incident and ask nobody."""
    loop.play(10)
    assert loop.core.store.find(Incident) == ()
    assert loop.intents() == ()
    assert loop.active == "first"


def test_every_decision_of_a_run_can_be_replayed(loop: Loop) -> None:
    """The trace of each decision, also of steps and wishes, leads to the same decision again."""
    heal(loop)
    loop.core.propose(NAME, "rollback", to="first", author="ada", roles=ROLES, reason="to see")
    decisions = loop.core.store.find(Decision)
    assert {each.chosen for each in decisions} >= {"hold", "retrain", "promote"}
    for decision in decisions:
        assert replay(decision, loop.core._rules.of(NAME)) == decision


def test_the_same_stream_gives_the_same_decisions(make: Make) -> None:
    """Two runs decide alike, bit for bit."""
    runs = [make(), make()]
    for run in runs:
        heal(run, windows=4)
    one, two = (repr(run.core.store.find(Decision)).replace(str(run.folder), "") for run in runs)
    assert one == two


def test_the_audit_log_of_a_run_holds(loop: Loop) -> None:
    """Nothing was written beside the log."""
    heal(loop, windows=4)
    assert loop.core.store.verify().problem is None


@pytest.mark.parametrize("at", [3, 5])
def test_a_restart_between_windows_changes_no_decision(make: Make, at: int) -> None:
    """A run that is stopped and started again chooses the same, and serves the same version in the end."""
    whole, broken = make(), make()
    for run in (whole, broken):
        for number in range(7):
            if run is broken and number == at:
                run.reopen()
            run.play(turned=number >= 2)
            while run.approve():
                run.wait()
    chosen = [[(d.window_end_at, d.chosen, d.level) for d in run.core.store.find(Decision)] for run in (whole, broken)]
    assert chosen[0] == chosen[1]
    assert whole.active == broken.active != "first"


@pytest.mark.parametrize("write", range(1, 4))
def test_a_crash_between_any_two_writes_of_a_tick_changes_no_decision(make: Make, write: int) -> None:
    """Whatever a tick had committed when it died, the next start ends the window as if nothing had happened."""
    whole, broken = make(), make()
    for run in (whole, broken):
        run.play(3)
        run.play(turned=True)
    whole.play(turned=True)
    broken.serve(turned=True)
    transaction, count = broken.core.store.transaction, 0

    class Died(BaseException):
        pass

    def dying():
        nonlocal count
        count += 1
        if count == write:
            raise Died
        return transaction()

    broken.core.store.transaction = dying
    try:
        broken.run()
    except Died:
        broken.reopen()
        broken.run()
    else:
        broken.core.store.transaction = transaction
    last = [[(d.window_end_at, d.chosen) for d in run.core.store.find(Decision)] for run in (whole, broken)]
    assert last[0] == last[1]
    assert len(broken.intents(action="retrain")) == len(whole.intents(action="retrain")) == 1
    rows = [run.core.store.rows(NAME, run.clock.now() - timedelta(hours=5), run.clock.now()) for run in (whole, broken)]
    assert list(rows[0].ids) == list(rows[1].ids)


# People.


def test_s8_a_veto_wins_and_is_remembered(loop: Loop) -> None:
    """What was vetoed never runs, and is not asked for again while its incident is open."""
    intent = ill(loop)
    loop.answer(AnswerKind.VETO, intent)
    for _ in range(4):
        loop.play(turned=True)
    assert [each.state for each in loop.intents(action="retrain")] == [S.VETOED]
    assert loop.active == "first"
    assert "objected" in loop.decision().reason


def test_s8_a_veto_after_the_approval_wins_until_the_effect_begins(loop: Loop) -> None:
    """Ready is not begun: a veto that comes then is no conflict."""
    intent = ill(loop)
    loop.approve()
    vetoed = loop.answer(AnswerKind.VETO, loop.core.store.get(Intent, intent.id))
    loop.wait()
    assert vetoed.state is S.VETOED
    assert loop.core.pipelines[NAME].registry.names() == ("first",) or loop.active == "first"


def test_s9_silence_never_approves(loop: Loop) -> None:
    """In suggest nothing runs because nobody answered."""
    ill(loop)
    for _ in range(16):
        loop.play(turned=True)
    assert loop.intents(action="retrain")[0].state is S.EXPIRED
    assert all(intent.executed_at is None for intent in loop.intents())


def test_s9_in_live_an_announced_heal_runs_when_nobody_objects(loop: Loop) -> None:
    """The stated default applies once people had their time."""
    loop.trust()
    intent = ill(loop)
    assert (intent.state, intent.default) == (S.ANNOUNCED, "it runs")
    loop.wait()
    assert loop.core.store.get(Intent, intent.id).executed_at is not None


def test_s9_without_a_look_an_announced_heal_does_not_run(loop: Loop) -> None:
    """Nobody was there, so nobody was silent."""
    loop.trust()
    loop.play(3)
    loop.play(3, turned=True, look=False)
    loop.clock.advance(7200)
    loop.run(look=False)
    assert loop.intent("retrain").state is S.ANNOUNCED


def test_s9_a_daemon_that_slept_begins_the_window_anew(make: Make) -> None:
    """A machine that was suspended for most of a veto window took that time from people: it is given back."""
    loop = make(table=True)
    loop.trust()
    intent = ill(loop)
    assert intent.state is S.ANNOUNCED
    loop.clock.advance(11 * 60)
    loop.run()
    assert loop.core.store.get(Intent, intent.id).state is S.ANNOUNCED


def test_s9_s16_a_clock_set_back_does_not_keep_a_channel_open(loop: Loop) -> None:
    """A look is as old as the time that has passed since, whatever the wall clock says."""
    loop.play()
    loop.core.channel_opened("ada")
    loop.clock.advance(7200)
    loop.clock.jump(-86400)
    assert not loop.core._channel_open()


def test_s5_a_demotion_after_the_clock_was_set_back_counts(loop: Loop) -> None:
    """What a person said last counts, not what bears the later time."""
    loop.play()
    loop.trust()
    loop.clock.jump(-7200)
    loop.core.set_stage(NAME, Stage.OBSERVE, author="ada", roles=ROLES, reason="stop that")
    loop.clock.advance(3600)
    loop.play(2, turned=True)
    assert loop.decision().stage is Stage.OBSERVE


def test_s6_an_incident_after_the_clock_was_set_back_is_seen(loop: Loop) -> None:
    """An open incident is found even when an older, closed one bears the later time."""
    loop.play(2)
    later = loop.clock.now() + timedelta(hours=5)
    with loop.core.store.transaction() as tx:
        tx.put(
            Incident(
                id="old",
                pipeline=NAME,
                opened_at=later,
                kind=Layer.HARM,
                severity=3,
                reason="harm",
                opened_by="alarm",
                closed_at=later,
                closed_by="3 clean windows",
            )
        )
    first = loop.core.propose(NAME, "fallback", to=None, author="ada", roles=ROLES, reason="be safe")
    loop.clock.advance(1)
    second = loop.core.propose(NAME, "fallback", to=None, author="ada", roles=ROLES, reason="be safer")
    assert (first.chosen, second.incident_id) == ("fallback", first.incident_id)


# What people ask for themselves.


def test_s17_a_wish_on_a_healthy_pipeline_runs_once_it_is_approved(loop: Loop) -> None:
    """A person's rollback to the version they named is asked, approved, rechecked and done, with its author."""
    loop.add("second", 1.0, activate=False)
    loop.play(2)
    decision = loop.core.propose(NAME, "rollback", to="second", author="ada", roles=ROLES, reason="bad feeling")
    assert (decision.chosen, decision.author, decision.level) == ("rollback", "ada", "approval needed")
    loop.approve()
    loop.run()
    assert loop.intent("rollback").state is S.VERIFYING, loop.intent("rollback").reason
    assert loop.active == "second"


def test_s17_a_wish_that_waits_over_a_window_still_aims_at_what_was_named(loop: Loop) -> None:
    """Windows are judged without the wish; its recheck knows the version all the same."""
    loop.add("second", 1.0, activate=False)
    loop.play(2)
    loop.core.propose(NAME, "rollback", to="second", author="ada", roles=ROLES, reason="bad feeling")
    loop.play()
    loop.approve()
    loop.run()
    assert loop.active == "second"


def test_s17_a_wish_is_under_the_same_guards(loop: Loop) -> None:
    """Under a pause, for a version that is not there, or beside another intent, the answer is hold with its reason."""
    loop.play(2)
    missing = loop.core.propose(NAME, "rollback", to="nosuch", author="ada", roles=ROLES, reason="try")
    assert (missing.chosen, "nosuch" in missing.reason) == ("hold", True)
    loop.core.pause(NAME, author="bob", reason="audit")
    paused = loop.core.propose(NAME, "fallback", to=None, author="ada", roles=ROLES, reason="try")
    assert (paused.chosen, "paused" in paused.reason) == ("hold", True)
    assert loop.intents() == ()


def test_s8_a_wish_does_not_lift_a_veto(loop: Loop) -> None:
    """A bar stands against people too: they lift it, they do not walk round it by asking."""
    loop.add("second", 1.0, activate=False)
    loop.play(2)
    loop.core.propose(NAME, "rollback", to="second", author="ada", roles=ROLES, reason="bad feeling")
    loop.answer(AnswerKind.VETO, loop.intent("rollback"), author="bob")
    again = loop.core.propose(NAME, "rollback", to="second", author="ada", roles=ROLES, reason="still bad")
    assert (again.chosen, "bob" in again.reason) == ("hold", True)


def test_s8_a_wish_makes_nothing_graver(loop: Loop) -> None:
    """A veto of something slight is not got round by the severity that a wish gives its own incident."""
    loop.add("second", 1.0, activate=False)
    loop.play(2)
    with loop.core.store.transaction() as tx:
        tx.put(
            Bar(
                id="b",
                pipeline=NAME,
                action="rollback",
                incident_id="old",
                author="bob",
                reason="leave it",
                since_at=loop.clock.now(),
                severity=1,
            )
        )
    again = loop.core.propose(NAME, "rollback", to="second", author="ada", roles=ROLES, reason="bad feeling")
    assert (again.chosen, again.level) == ("hold", "forbidden")


def test_a_wish_needs_a_judged_window(loop: Loop) -> None:
    """Before the first window nothing is known, and the message says to wait."""
    with pytest.raises(ConfigError, match="not judged a window"):
        loop.core.propose(NAME, "rollback", to="first", author="ada", roles=ROLES, reason="try")


# The recheck.


def ready(loop: Loop) -> Intent:
    """A retraining that is approved and whose veto window is over at the next step."""
    intent = ill(loop)
    loop.approve()
    return intent


def test_s7_a_question_asked_anew_is_answered_once(loop: Loop) -> None:
    """After the data turned bad, a fallback is asked anew; one more approval, on the new facts, lets it run."""
    loop.play(3)
    loop.core.propose(NAME, "fallback", to=None, author="ada", roles=ROLES, reason="be safe")
    loop.approve()
    loop.play(broken=True)
    asked = loop.intent("fallback")
    assert (asked.state, asked.revision) == (S.AWAITING_APPROVAL, 1)
    assert "data quality `good` is now `bad`" in asked.reason
    loop.approve()
    loop.run()
    assert loop.intent("fallback").executed_at is not None, loop.intent("fallback").reason


def test_s7_a_reload_reaches_what_waits(loop: Loop) -> None:
    """A rule that forbids by now withdraws what was approved before."""
    ready(loop)
    (loop.folder / "flights.heal").write_text(RULES + '\nforbid freeze: retrain\n  because "a freeze"\n')
    loop.core.reload_rules()
    loop.wait()
    assert loop.intent("retrain").state is S.WITHDRAWN
    assert "a freeze" in loop.intent("retrain").reason


def test_rules_that_do_not_compile_change_nothing(loop: Loop) -> None:
    """A broken reload leaves the old set in force."""
    before = loop.core._rules.of(NAME).id
    (loop.folder / "flights.heal").write_text("forbid ever")
    with pytest.raises(RulesError):
        loop.core.reload_rules()
    assert loop.core._rules.of(NAME).id == before


def test_s7_rules_that_cannot_be_written_down_are_not_in_force(loop: Loop) -> None:
    """Without room for its record a reload leaves the old set in force; with room the new one is, its text kept."""
    store, before = loop.core.store, loop.core._rules.of(NAME).id
    (loop.folder / "flights.heal").write_text(RULES.replace("priority 50", f"priority 51 # {'x' * 100_000}"))
    (pages,) = store._writer.execute("PRAGMA page_count").fetchone()
    store._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="full"):
        loop.core.reload_rules()
    assert loop.core._rules.of(NAME).id == before
    store._writer.execute("PRAGMA max_page_count = 1000000")
    loop.core.reload_rules()
    assert loop.core._rules.of(NAME).id != before
    assert store.state("*", f"rules {loop.core._rules.of(NAME).id}") is not None


def test_s16_nothing_starts_while_the_source_is_down(loop: Loop) -> None:
    """What was approved waits for the newest closed window, and starts when that has been judged."""
    ready(loop)
    loop.source.down = True
    loop.serve(turned=True)
    loop.run()
    waiting = loop.intent("retrain")
    assert (waiting.executed_at, waiting.state) == (None, S.READY)
    assert "not been judged" in waiting.reason
    assert loop.core.pipelines[NAME].world(loop.clock.now()).quality is Quality.UNKNOWN
    loop.source.down = False
    loop.run()
    assert loop.intent("retrain").executed_at is not None


def test_s16_a_wish_is_not_decided_on_old_facts(loop: Loop) -> None:
    """While a later window is closed and not judged, a wish holds."""
    loop.play(2)
    loop.source.down = True
    loop.serve()
    loop.run()
    held = loop.core.propose(NAME, "fallback", to=None, author="ada", roles=ROLES, reason="be safe")
    assert (held.chosen, "later window" in held.reason) == ("hold", True)


def test_s16_of_a_backlog_only_the_newest_window_may_lead_to_an_action(loop: Loop) -> None:
    """After downtime every window is judged in turn, and only the last one asks."""
    loop.trust()
    loop.play(3)
    for _ in range(5):
        loop.serve(turned=True)
    loop.run()
    asked = [d for d in loop.core.store.find(Decision) if d.chosen != "hold"]
    assert [d.window_end_at for d in asked] == [loop.clock.now()]


# Brakes.


class Slow(Source):
    """A source that takes its time."""

    def __init__(self, clock: ManualClock, takes_s: float = 10.0) -> None:
        super().__init__()
        self._clock, self.takes_s = clock, takes_s

    def fetch(self, start_at: datetime, end_at: datetime) -> Predictions:
        self._clock.advance(self.takes_s)
        return super().fetch(start_at, end_at)


def test_a_backlog_is_worked_off_over_several_runs(loop: Loop) -> None:
    """A run ends after its time though windows are left, so that intents move; the next ones go on, in order."""
    loop.core.close()
    loop.source = Slow(loop.clock)
    loop.open()
    for _ in range(8):
        loop.serve()
    assert [len(loop.core.run_due()) for _ in range(5)] == [2, 2, 2, 2, 0]
    ends = [decision.window_end_at for decision in loop.core.store.find(Decision, order="seq")]
    assert len(ends) == 8
    assert ends == sorted(ends)


def test_one_pipeline_that_is_behind_has_the_time_of_those_that_are_not(make: Make) -> None:
    """What the others do not need of a run is not lost, wherever in the configuration they stand."""
    other = '\n[pipeline.{}]\nwindow = "1000d"\n[pipeline.{}.source]\nkind = "memory"\n'
    loop = make(more="".join(other.format(name, name) for name in ("trains", "ships", "trams")))
    loop.core.close()
    loop.source = Slow(loop.clock)
    loop.open()
    for _ in range(4):
        loop.serve()
    assert [len(loop.core.run_due()) for _ in range(3)] == [2, 2, 0]


def test_s9_a_veto_window_runs_out_while_a_backlog_is_worked_off(make: Make) -> None:
    """A daemon that is busy with old windows runs all the while: nobody's time begins anew for that."""
    loop = make(table=True, daemon="unattended = true", rules=RULES.replace("within 10m", "within 2m"))
    loop.core.close()
    loop.source = Slow(loop.clock, takes_s=0.0)
    loop.open()
    loop.trust()
    intent = ill(loop)
    for _ in range(24):
        loop.serve(turned=True)
    loop.source.takes_s = 8.0
    for _ in range(5):
        loop.clock.advance(5.0 - loop.clock.now().timestamp() % 5.0)
        loop.core.run_due()
    assert loop.core.store.watermark(NAME) < loop.clock.now() - timedelta(seconds=loop.window_s)
    assert loop.core.store.get(Intent, intent.id).state is S.READY


def test_s15_the_stop_file_holds_what_is_ready(loop: Loop) -> None:
    """While the file is there nothing starts; when it goes, what waits goes on."""
    ready(loop)
    (loop.core.config.state / "STOP").write_text("smoke")
    loop.wait()
    assert loop.intent("retrain").executed_at is None


@pytest.mark.parametrize("there", [True, False])
def test_s15_stop_all_is_recorded_though_the_file_cannot_be_written(loop: Loop, there: bool) -> None:
    """A file that somebody else wrote, or that does not fit on the disk, keeps nobody from stopping everything."""
    stop = loop.core.config.state / "STOP"
    if there:
        stop.mkdir()  # which root cannot write either
    else:
        stop.symlink_to(loop.core.config.state / "nowhere" / "STOP")
    loop.core.stop_all(author="ada", reason="smoke")
    assert [pause.author for pause in loop.core.store.find(Pause, pipeline="*", ended_at=None)] == ["ada"]


def test_s15_stop_all_and_resume(loop: Loop) -> None:
    """Everything stops by record and by file, and resuming ends both."""
    loop.play()
    loop.core.stop_all(author="ada", reason="smoke")
    assert (loop.core.config.state / "STOP").exists()
    loop.core.resume("*", author="ada", reason="it was toast")
    assert not (loop.core.config.state / "STOP").exists()
    assert loop.core.store.find(Pause, ended_at=None) == ()


# Time.


def test_s16_a_hold_after_a_clock_jump_survives_a_restart(loop: Loop) -> None:
    """A restart does not end the wait for a full window."""
    loop.play(2)
    loop.clock.jump(1200)
    loop.core.clock_jumped(1200)
    loop.reopen()
    assert "clock was set" in loop.core._moment(NAME).on_hold


def test_s16_a_clock_set_forwards_does_not_shorten_a_cooldown(make: Make) -> None:
    """Half a day's rest is time that passes, not what the wall clock says: after a longer jump it still lasts."""
    loop = make(rules=RULES + "\ncooldown rest: any action 12h per pipeline\n")
    loop.add("second", 1.0, activate=False)
    loop.play(2)
    loop.core.propose(NAME, "rollback", to="second", author="ada", roles=ROLES, reason="bad feeling")
    loop.approve()
    loop.run()
    assert loop.active == "second"
    loop.play(3)
    loop.clock.jump(13 * 3600)
    loop.core.clock_jumped(13 * 3600)
    loop.play(4)
    held = loop.core.propose(NAME, "rollback", to="first", author="ada", roles=ROLES, reason="go back")
    assert (held.chosen, held.level) == ("hold", "deferred"), held.reason


# The world fails.


def test_s13_bad_data_bars_the_retraining(loop: Loop) -> None:
    """A feature that is gone turns the verdict, and nothing is trained."""
    loop.trust()
    loop.play(3)
    loop.play(3, turned=True, broken=True)
    assert loop.decision().trace["facts"]["data_quality"] == "bad"
    assert loop.intents(action="retrain") == ()


def test_empty_windows_hold(loop: Loop) -> None:
    """Windows without rows are judged as unknown, from the very first on, and nothing is guessed."""
    loop.play(2, rows=0)
    loop.play()
    loop.play(2, rows=0)
    decisions = loop.core.store.find(Decision)
    assert len(decisions) == 5
    assert loop.core.store.leaves(kind="tick failed") == ()
    assert [d.trace["facts"]["data_quality"] for d in decisions] == [None, None, "good", None, None]


def test_looking_again_for_late_rows_is_no_irregularity(make: Make) -> None:
    """Rows that were taken in before, and are read again because some may be late, are not told as repeated."""
    loop = make(late_s=7200)
    loop.play(4)
    assert loop.core.store.leaves(kind="irregular rows") == ()


def test_an_unreadable_registry_holds_one_pipeline_and_is_tried_again(loop: Loop) -> None:
    """Nobody can tell which version serves: the window waits, it is said once, and judged when the file is mended."""
    loop.play(2)
    file = loop.core.pipelines[NAME].registry.folder / "active.json"
    whole = file.read_text()
    loop.serve()
    file.write_text("{")
    loop.run()
    loop.run()
    assert len(loop.core.store.leaves(kind="registry failed")) == 1
    assert len(loop.core.store.find(Decision)) == 2
    file.write_text(whole)
    loop.run()
    assert len(loop.core.store.find(Decision)) == 3


def test_a_pipeline_that_is_no_longer_configured_waits(loop: Loop) -> None:
    """What it has open does not stop the daemon, does not run, and says why."""
    ready(loop)
    loop.open_without_pipelines()
    for _ in range(16):
        loop.clock.advance(50)
        loop.run()
    assert "not configured" in loop.intent("retrain").reason
    assert loop.intent("retrain").executed_at is None


def test_a_tick_that_failed_leaves_its_window_unknown(loop: Loop) -> None:
    """A bug after the verdict does not let the window count as good."""
    loop.play(2)
    loop.serve()
    held = loop.core._rules._sets.pop(NAME)
    loop.run()
    loop.core._rules._sets[NAME] = held
    assert len(loop.core.store.leaves(kind="tick failed")) == 1
    assert loop.core.pipelines[NAME].quality(loop.clock.now() - timedelta(hours=1)) is Quality.UNKNOWN


def test_s7_a_version_deployed_by_a_stranger_ends_what_would_replace_another(loop: Loop) -> None:
    """The approved heal aimed at a version that serves no more: it is withdrawn, and the move is seen."""
    loop.add("second", 1.0, activate=False)
    ready(loop)
    file = loop.core.pipelines[NAME].registry.folder / "active.json"
    alias = json.loads(file.read_text())
    file.write_text(json.dumps({**alias, "version": "second"}))
    loop.wait()
    assert loop.intent("retrain").state is S.WITHDRAWN
    loop.play(turned=True)
    assert loop.decision().trace["facts"]["alias_moved"] is True


@pytest.mark.parametrize(("window_s", "horizon_s"), [(5000, 0), (3600, 3600), (3600, 5400)])
def test_any_window_and_horizon_notice_the_harm(make: Make, window_s: int, horizon_s: int) -> None:
    """Windows that do not divide a day, and horizons that are no multiple of them, are judged alike."""
    loop = make(window_s=window_s, horizon_s=horizon_s)
    loop.play(2)
    loop.play(6, turned=True)
    assert loop.intents(action="retrain")
    marks = [d.window_end_at.timestamp() % window_s for d in loop.core.store.find(Decision)]
    assert set(marks) == {0.0}


@pytest.mark.parametrize("played", [7, 8])
def test_windows_of_another_length_are_judged_and_give_evidence(make: Make, played: int) -> None:
    """Wherever the last window of the old length ended, those of the new one are counted from 1970, as all are."""
    loop = make(window_s=1800)
    loop.play(played)
    mark = loop.core.store.watermark(NAME)
    loop.window_s = 3600
    loop.reopen()
    loop.play(4)
    assert loop.core.store.watermark(NAME).timestamp() % 3600 == 0
    assert len(newest(loop.core.pipelines[NAME].world(loop.clock.now()), windows=3).windows) == 3
    moved = [leaf.record["from"] for leaf in loop.core.store.leaves(kind="windows moved")]
    assert moved == ([stamp(mark)] if played % 2 else [])
    assert loop.core.store.verify().problem is None


def test_two_approvals_at_one_moment_are_two_answers(loop: Loop) -> None:
    """Two people may answer at the same moment."""
    intent = ill(loop)
    loop.answer(AnswerKind.APPROVE, intent, author="ada")
    after = loop.answer(AnswerKind.APPROVE, loop.core.store.get(Intent, intent.id), author="bob")
    assert after.approved_by == ("ada", "bob")


def test_a_late_veto_says_what_can_still_be_done(loop: Loop) -> None:
    """After the effect a veto is a conflict."""
    ready(loop)
    loop.wait()
    with pytest.raises(Conflict, match="too late"):
        loop.answer(AnswerKind.VETO, loop.intent("retrain"))


def test_evidence_that_begins_afresh_after_a_heal_is_in_the_audit_log(loop: Loop) -> None:
    """When another version serves, a leaf says which evidence was let go, why, and what is in force instead."""
    heal(loop)
    loop.play(2, turned=True)
    leaves = [leaf.record for leaf in loop.core.store.leaves(kind="evidence reset")]
    versions = [each["version"] for each in leaves]
    assert loop.active in versions
    first = leaves[versions.index(loop.active)]
    assert {"harm", "drift"} <= set(first["reset"])
    assert first["reset"]["harm"] == "another version serves, or it is held against another error"


def test_without_a_change_no_evidence_is_let_go(loop: Loop) -> None:
    """Healthy windows leave no such leaf."""
    loop.play(4)
    assert loop.core.store.leaves(kind="evidence reset") == ()
