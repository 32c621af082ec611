"""What a window hands on to the next one, and how it is found."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from healerd.daemon.rowcache import WINDOW_ROWS, RowCache
from healerd.daemon.rulebook import read_rules
from healerd.daemon.situations import carried_on, newest_decision, situation_of
from healerd.decision import replay
from healerd.model import Decision, IntentState, Outcome, Result
from healerd.store import Reader
from tests.healerd.daemon.loop import HOUR_S, NAME, RULES, START, Loop
from tests.healerd.store.records import an_intent
from tests.healerd.store.steps import steps

DAY = timedelta(days=1)
GAINS = ("gain", "gain_low", "gain_high", "p_better")


def test_a_window_hands_on_what_its_whole_decision_says(tmp_path: Path) -> None:
    """The rules' memory, the diagnosis and the rules that proposed are those of the newest judged window."""
    loop = Loop(tmp_path)
    loop.play(2)
    loop.play(4, turned=True)
    handed, newest = carried_on(loop.core.store, NAME), newest_decision(loop.core.store, NAME)
    assert newest == max(loop.core.store.find(Decision), key=lambda each: each.window_end_at)
    seen = situation_of(newest)
    assert (handed.signals, handed.diagnosis) == (seen.signals, seen.diagnosis)
    assert handed.standing == tuple(each["rule"] for each in newest.trace["proposals"])
    assert handed.standing
    loop.core.close()


def test_the_newest_decision_is_found_after_a_tick_that_a_bug_ended(tmp_path: Path) -> None:
    """A window that was passed over without a decision leaves the one before it as the newest."""
    loop = Loop(tmp_path)
    loop.play(2)
    newest = newest_decision(loop.core.store, NAME)
    with loop.core.store.transaction() as tx:
        tx.set_watermark(NAME, loop.clock.now() + timedelta(hours=1))
    assert newest_decision(loop.core.store, NAME) == newest
    assert carried_on(loop.core.store, NAME).signals == situation_of(newest).signals
    loop.core.close()


def test_what_an_erased_decision_stood_on_is_not_known(tmp_path: Path) -> None:
    """A decision without its situation has none, and is no error: its memory begins anew."""
    loop = Loop(tmp_path)
    loop.play(1)
    assert situation_of(loop.decision()) is not None
    assert situation_of(replace(loop.decision(), trace={})) is None
    loop.core.close()


def test_rows_that_are_kept_have_a_bound(tmp_path: Path) -> None:
    """A cache keeps no more rows than it may, the newest ones, and answers for the others all the same."""
    loop = Loop(tmp_path)
    loop.play(4)
    pipeline, store = loop.core.pipelines[NAME], loop.core.store
    one = len(pipeline.rows(START, START + timedelta(hours=1), as_of=loop.clock.now()))
    cache, asked = RowCache(3600, rows_max=2 * (one + WINDOW_ROWS)), []

    def read(start, end):
        asked.append(start)
        return store.rows(NAME, start, end, as_of=loop.clock.now())

    def rows(hour: int):
        start = START + timedelta(hours=hour)
        return cache.rows(start, start + timedelta(hours=1), as_of=loop.clock.now(), read=read)

    assert [len(rows(hour)) for hour in (0, 1, 2)] == [one] * 3
    rows(2)
    assert len(asked) == 3
    rows(0)
    assert len(asked) == 4
    loop.core.close()


def test_no_step_reads_through_all_intents_there_ever_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a window and the executor ask of intents and outcomes is found by an index, however long the record is."""
    asked: dict[str, str] = {}

    def query(self: Reader, sql: str, values: list[object]) -> list[object]:
        connection = self._connection()
        if ('FROM "intent"' in sql or 'FROM "outcome"' in sql) and sql not in asked:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()
            asked[sql] = "; ".join(step[-1] for step in plan)
        return connection.execute(sql, values).fetchall()

    loop = Loop(tmp_path)
    heal(loop, NAME)
    monkeypatch.setattr(Reader, "_query", query)
    loop.play(2)
    loop.core.close()
    assert len(asked) >= 5
    assert [sql for sql, plan in asked.items() if "SCAN" in plan] == []


def test_a_window_costs_the_database_no_more_after_a_long_life(tmp_path: Path) -> None:
    """What SQLite's machine does in a quiet window, and to check one, is no more after many windows than after some."""
    loop = Loop(tmp_path)
    connection = loop.core.store._connection()
    loop.play(20)
    judged, checked = steps(connection, lambda: loop.play(5)) / 5, steps(connection, loop.core.store.verify) / 25
    loop.play(120)
    assert steps(connection, lambda: loop.play(5)) / 5 < 1.1 * judged
    assert steps(connection, loop.core.store.verify) / 150 < 1.1 * checked
    loop.core.close()


def test_a_window_costs_the_database_no_more_beside_a_fleet(tmp_path: Path) -> None:
    """What SQLite's machine does in a quiet window of a pipeline is the same, whatever other pipelines did lately."""
    loop = Loop(tmp_path)
    connection = loop.core.store._connection()
    heal(loop, NAME)
    loop.play(3)
    alone = steps(connection, lambda: loop.play(4))
    for number in range(30):
        heal(loop, f"other-{number}", 10)
    assert steps(connection, lambda: loop.play(4)) < 1.1 * alone
    loop.core.close()


def test_a_decision_keeps_of_other_pipelines_what_its_rules_count(tmp_path: Path) -> None:
    """With a limit over the fleet, the lines that it counts; without one, none: a trace does not grow with the fleet.
    Each decision replays."""
    log = {}
    for name, more in {"own": "", "fleet": "limit blast: rollback at most 10% of pipelines per 6h\n"}.items():
        loop = Loop(tmp_path / name, rules=RULES + more)
        heal(loop, NAME, 3)
        loop.play(2)
        heal(loop, "near", 3)
        loop.clock.advance(5 * HOUR_S)
        heal(loop, "far", 3)
        loop.play(2)
        ruleset = read_rules((tmp_path / name / "flights.heal",)).ruleset
        assert all(replay(each, ruleset) == each for each in loop.core.store.find(Decision))
        log[name] = [line["pipeline"] for line in loop.decision().trace["situation"]["log"]]
        loop.core.close()
    assert log == {"own": [NAME] * 3, "fleet": [NAME] * 3 + ["far"]}


LONG = """
limit rate: retrain at most 1 per 60d per pipeline
limit money: retrain at most $0.15 per 60d per pipeline
cooldown rest: retrain 60d per pipeline after rollback
cooldown windows: retrain 1440 windows per pipeline
forbid young: retrain when age(rollback) < 60d
forbid very_young: retrain when age(fallback) < 300d
action retrain cost $0.1
"""
PERIODS = {"rate": 60, "money": 60, "rest": 60, "windows": 60, "young": 60, "very_young": 300}


@pytest.mark.parametrize("share", [0.9, 1.1])
def test_a_rule_counts_what_happened_in_the_whole_of_its_period(tmp_path: Path, share: float) -> None:
    """A limit, a cooldown and an age see what ended nine tenths of their period ago, and not what ended before it."""
    loop = Loop(tmp_path, rules=RULES + LONG)
    began = loop.clock.now()
    for number, (action, days) in enumerate((("fallback", 300), ("rollback", 60), ("retrain", 60))):
        ended(loop, action, number, created_at=began - days * share * DAY, at=began - days * share * DAY)
    loop.play(1)
    acting = {each["rule"] for each in loop.decision().trace["first_pass"]["retrain"]["acting"]}
    assert acting & PERIODS.keys() == (PERIODS.keys() if share < 1 else set())
    ruleset = read_rules((tmp_path / "flights.heal",)).ruleset
    assert all(replay(each, ruleset) == each for each in loop.core.store.find(Decision))
    loop.core.close()


def test_an_age_is_known_however_many_questions_went_unanswered_since(tmp_path: Path) -> None:
    """What ran last is found behind any number of intents that never ran."""
    loop = Loop(tmp_path, rules=RULES + "forbid young: retrain when age(fallback) < 60d\n")
    began = loop.clock.now()
    ended(loop, "fallback", 0, created_at=began - 40 * DAY, at=began - 40 * DAY)
    with loop.core.store.transaction() as tx:
        for number in range(101):
            times = dict.fromkeys(("created_at", "ended_at"), began - number * DAY / 4)
            asked = {"id": f"asked-{number}", "key": f"asked-{number}", "pipeline": NAME, "action": "fallback"}
            tx.put(an_intent(**asked, state=IntentState.EXPIRED, **times))
    loop.play(1)
    acting = {each["rule"] for each in loop.decision().trace["first_pass"]["retrain"]["acting"]}
    loop.core.close()
    assert "young" in acting


def test_what_was_made_long_ago_and_ended_just_now_counts(tmp_path: Path) -> None:
    """The rest after a heal runs from its end, however long its question waited for an answer."""
    loop = Loop(tmp_path)
    now = loop.clock.now()
    ended(loop, "retrain", 0, created_at=now - 32 * DAY, at=now + timedelta(minutes=50))
    loop.play(1)
    acting = {each["rule"] for each in loop.decision().trace["first_pass"]["retrain"]["acting"]}
    assert "base.settle" in acting
    loop.core.close()


BUDGET = "limit money: retrain at most ${most} per 24h per pipeline\n"


@pytest.mark.parametrize(
    ("rules", "before", "holds"),
    [
        ("action retrain cost $40\n" + BUDGET.format(most=100), 2, True),
        ("action retrain cost $40\n" + BUDGET.format(most=100), 1, False),
        (BUDGET.format(most=0.25), 2, True),
        (BUDGET.format(most=0.25), 1, False),
    ],
)
def test_money_is_counted_by_one_price(tmp_path: Path, rules: str, before: int, holds: bool) -> None:
    """What was spent and what would be spent are counted by the file's price, or by the configuration's without one."""
    loop = Loop(tmp_path, rules=RULES + rules)
    for number in range(before):
        at = loop.clock.now() - timedelta(hours=2 + number)
        ended(loop, "retrain", number, created_at=at, at=at)
    loop.play(1)
    acting = {each["rule"] for each in loop.decision().trace["first_pass"]["retrain"]["acting"]}
    assert ("money" in acting) == holds
    ruleset = read_rules((tmp_path / "flights.heal",)).ruleset
    assert all(replay(each, ruleset) == each for each in loop.core.store.find(Decision))
    loop.core.close()


def test_an_endless_age_that_is_remembered_stays_endless(tmp_path: Path) -> None:
    """What never ran was never young, in any window; each decision replays."""
    loop = Loop(tmp_path, rules=RULES + "forbid young: retrain when min(age(rollback), 3h) < 1h\n")
    loop.play(3)
    ruleset = read_rules((tmp_path / "flights.heal",)).ruleset
    for decision in loop.core.store.find(Decision):
        assert "young" not in {each["rule"] for each in decision.trace["first_pass"]["retrain"]["acting"]}
        assert replay(decision, ruleset) == decision
    loop.core.close()


def test_what_waits_for_a_persons_word_was_not_done(tmp_path: Path) -> None:
    """`did` is true of what was started in the incident: not of a question that nobody has answered yet."""
    loop = Loop(tmp_path, rules=RULES + "signal trained = did(retrain)\n")
    loop.play(2)
    loop.play(3, turned=True)
    assert loop.intent("retrain").state is IntentState.AWAITING_APPROVAL
    assert loop.decision().trace["signals"]["trained"] is False
    assert loop.approve() == 1
    loop.wait()
    loop.play(1, turned=True)
    assert loop.intent("retrain").executed_at is not None
    assert loop.decision().trace["signals"]["trained"] is True
    ruleset = read_rules((tmp_path / "flights.heal",)).ruleset
    assert all(replay(each, ruleset) == each for each in loop.core.store.find(Decision))
    loop.core.close()


def ended(loop: Loop, action: str, number: int, *, created_at: datetime, at: datetime) -> None:
    """Have a heal of the pipeline on record that was made at one time and done at another."""
    times = {"created_at": created_at, **dict.fromkeys(("executed_at", "effect_at", "ended_at"), at)}
    name = f"{action}-{number}"
    with loop.core.store.transaction() as tx:
        tx.put(an_intent(id=name, key=name, pipeline=NAME, action=action, state=IntentState.VERIFIED, **times))


def heal(loop: Loop, pipeline: str, count: int = 1) -> None:
    """Have a pipeline's heals on record that are over by now, by turns a retraining, a rollback and a recalibration."""
    now = loop.clock.now()
    with loop.core.store.transaction() as tx:
        for number in range(count):
            name, action = f"{pipeline}-{number}", ("retrain", "rollback", "recalibrate")[number % 3]
            times = dict.fromkeys(("created_at", "executed_at", "effect_at", "ended_at"), now)
            tx.put(an_intent(id=name, key=name, pipeline=pipeline, action=action, state=IntentState.VERIFIED, **times))
            tx.put(Outcome(intent_id=name, at=now, result=Result.HEALED, n=0, paired=False, **dict.fromkeys(GAINS)))
