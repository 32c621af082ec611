"""The built-in guards, one by one, through the whole line."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.decision import Situation, Target, bar_stands, decide, logged, rejected_at
from healerd.decision.guards import BUILT_IN, HEAL_GUARDS, Asked, guard
from healerd.model import HOLD, OPEN_STATES, Decision, IntentState, Layer, Option
from healerd_rules import Level
from tests.healerd.decision.situations import (
    HEALS,
    HOUR,
    NOW,
    a_bar,
    a_line,
    a_pause,
    a_situation,
    an_incident,
    an_intent,
    drift,
    harm,
    rules,
)

MINUTE = timedelta(minutes=1)


def option(decision: Decision, action: str) -> Option:
    return next(option for option in decision.options if option.action == action)


def level_of(situation: Situation, action: str = "retrain") -> tuple[str, set[str]]:
    """What the line says of an action, and which built-in guards act."""
    found = option(decide(situation, rules()), action)
    return found.level, {name.removeprefix(BUILT_IN) for name in found.by if name.startswith(BUILT_IN)}


@pytest.mark.parametrize(
    ("changes", "level", "by"),
    [
        ({"pauses": (a_pause(),)}, "forbidden", "pause"),
        ({"pauses": (a_pause(pipeline="*"),)}, "forbidden", "stop_all"),
        ({"on_hold": "the clock was set by +3600 s"}, "deferred", "on_hold"),
        ({"newest": False}, "forbidden", "late_window"),
        ({"incident": None}, "forbidden", "no_incident"),
        ({"targets": ()}, "forbidden", "no_target"),
        ({"targets": (Target(action="retrain", refusal="too few rows"),)}, "forbidden", "no_target"),
        ({"targets": (Target(action="retrain", observable=False),)}, "approval needed", "not_observable"),
        ({"rejected_at": (NOW - MINUTE,)}, "deferred", "rejected_candidates"),
        ({"bars": (a_bar(),)}, "forbidden", "veto_memory"),
    ],
)
def test_each_guard_says_its_name(changes: dict[str, Any], level: str, by: str):
    """The verdict carries the guard that acts, with a reason that a person can read."""
    situation = a_situation(**changes)
    assert level_of(situation) == (level, {by})
    if level != "approval needed":
        assert f"{BUILT_IN}{by}" in option(decide(situation, rules()), "retrain").why_not


@pytest.mark.parametrize("changes", [{"pauses": (a_pause(ended_at=NOW),)}, {"pauses": (a_pause(pipeline="fraud"),)}])
def test_s15_only_a_standing_pause_of_this_pipeline_counts(changes: dict[str, Any]):
    """A pause that has ended, or of another pipeline, stops nothing here."""
    assert level_of(a_situation(**changes)) == ("announced", set())


def test_s14_what_cannot_be_observed_asks_each_time():
    """However sure the policy is, an action that nobody can observe is approved by a person."""
    decision = decide(a_situation(targets=(Target(action="retrain", observable=False),)), rules())
    assert decision.chosen == "retrain"
    assert f"{BUILT_IN}not_observable" in {need.rule for need in decision.approvals}


# S6: warnings --------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Layer.DRIFT, Layer.SCORE])
def test_s6_a_warning_alone_permits_only_what_a_rule_proposes(kind: Layer):
    """With covariate or score alarms the policy has nothing to choose from, unless a rule proposes it."""
    situation = a_situation(
        incident=an_incident(kind=kind, severity=1), measurements=(harm(alarm=False, error=0.1), drift(alarm=True))
    )
    assert decide(situation, rules()).chosen == HOLD
    asked = decide(situation, rules("propose anyway: rollback when alarm(drift)"))
    assert asked.chosen == "rollback"
    assert {found.action for found in asked.options if found.permitted} == {HOLD, "rollback"}


# S8: veto memory -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "stands"),
    [
        ({}, True),
        ({"lifted_at": NOW}, False),
        ({"since_at": NOW - 23 * HOUR, "incident_id": "inc-0"}, True),
        ({"since_at": NOW - 24 * HOUR, "incident_id": "inc-0"}, False),
        ({"since_at": NOW - 24 * HOUR}, True),
        ({"since_at": NOW - 7 * 24 * HOUR + MINUTE}, True),
        ({"since_at": NOW - 7 * 24 * HOUR}, False),
        ({"since_at": NOW - 24 * HOUR, "incident_id": None}, True),
    ],
)
def test_s8_how_long_a_veto_is_remembered(changes: dict[str, Any], stands: bool):
    """At least 24 h, then until its incident closes, at most 7 days; not once it is lifted."""
    assert bar_stands(a_bar(**changes), a_situation()) is stands


def test_s8_a_vetoed_action_does_not_come_back_at_the_next_tick():
    """The barred action is not proposed again; another may be."""
    for minutes in (0, 30, 600, 1439):
        situation = a_situation(now=NOW + minutes * MINUTE, bars=(a_bar(since_at=NOW),))
        assert decide(situation, rules()).chosen != "retrain"


@pytest.mark.parametrize(
    "bar",
    [
        a_bar(severity=3),
        a_bar(incident_id="inc-0"),
    ],
)
def test_s8_what_is_graver_may_ask_despite_the_bar(bar: Any):
    """A more severe alarm, or harm of a new incident, asks by approval only."""
    assert level_of(a_situation(bars=(bar,))) == ("approval needed", {"veto_memory"})


def test_s8_a_bar_counts_for_its_action_and_pipeline():
    """A veto of one action bars no other, nor the same one elsewhere."""
    assert level_of(a_situation(bars=(a_bar(action="rollback"),))) == ("announced", set())
    assert level_of(a_situation(bars=(a_bar(pipeline="fraud"),))) == ("announced", set())


def test_s8_what_nobody_answered_is_asked_again_after_six_hours():
    """Silence defers for 6 h, from the end of the last question, and is no denial."""
    for ago, level in ((5 * HOUR, "deferred"), (6 * HOUR, "announced")):
        expired = an_intent(state=IntentState.EXPIRED, ended_at=NOW - ago)
        assert level_of(a_situation(intents=(expired,)))[0] == level


# S10: one thing at a time ----------------------------------------------------------

STATES_IN_THE_WAY = OPEN_STATES - {IntentState.CONFIRMED, IntentState.VERIFYING}


@pytest.mark.parametrize("state", sorted(IntentState))
def test_s10_an_open_intent_bars_every_heal(state: IntentState):
    """While an intent is open, on this pipeline or on one that shares its alias, no heal starts."""
    for pipeline in ("churn", "fraud"):
        other = an_intent(action="fallback", state=state, pipeline=pipeline)
        level, by = level_of(a_situation(intents=(other,)))
        assert ("open_intent" in by) is (state in STATES_IN_THE_WAY)
        assert (level == "deferred") is (state in STATES_IN_THE_WAY)


def test_s10_a_verification_bars_no_heal_for_harm_but_a_candidate_bars_the_next_one():
    """What is in effect does not bar a heal for harm or bad data; without them, it does."""
    serving = an_intent(action="rollback", state=IntentState.VERIFYING)
    judged = an_intent(action="retrain", state=IntentState.CONFIRMED)
    assert level_of(a_situation(intents=(serving,)))[0] == "announced"
    assert level_of(a_situation(intents=(judged,)))[0] == "deferred"
    assert level_of(a_situation(intents=(judged,)), "rollback")[0] == "allowed"
    warned = a_situation(intents=(serving,), incident=an_incident(kind=Layer.DRIFT))
    assert "open_intent" in level_of(warned)[1]


def test_s10_the_cooldown_runs_from_the_end_of_the_last_step():
    """Half an hour after the last effect, heal or step; a log line in the future counts as now."""
    for ended_at, level in (
        (NOW - 29 * MINUTE, "deferred"),
        (NOW - 30 * MINUTE, "announced"),
        (NOW + HOUR, "deferred"),
    ):
        step = a_line(action="undo", started_at=NOW - 2 * HOUR, ended_at=ended_at)
        assert level_of(a_situation(log=(step,)))[0] == level


@given(
    ended=st.lists(st.integers(-120, 10_000), max_size=4),
    action=st.sampled_from([*HEALS, "promote", "undo", "return"]),
)
@settings(max_examples=60, deadline=None)
def test_s10_two_heals_never_start_within_the_cooldown(ended: list[int], action: str):
    """Whatever ended when, nothing is chosen less than 30 minutes after the newest end."""
    lines = tuple(
        a_line(intent_id=f"log-{n}", action=action, started_at=NOW - 9 * 24 * HOUR, ended_at=NOW - minutes * MINUTE)
        for n, minutes in enumerate(ended)
    )
    decision = decide(a_situation(log=lines), rules())
    if ended and min(ended) < 30:
        assert decision.chosen == HOLD


# rejected candidates ----------------------------------------------------------------


@pytest.mark.parametrize(("count", "windows"), [(1, 1), (2, 2), (3, 4), (4, 8), (9, 32)])
def test_each_rejected_candidate_doubles_the_wait(count: int, windows: int):
    """One window after the first rejection of an incident, then two, four, at most 32."""
    rejections = tuple(NOW - n * HOUR for n in range(count))
    asked = Asked(situation=a_situation(rejected_at=rejections), action="retrain")
    verdict = guard(HEAL_GUARDS, asked)
    assert verdict.level is Level.DEFERRED
    assert verdict.deferred_until == NOW + windows * 30 * MINUTE
    other = Asked(situation=a_situation(rejected_at=rejections), action="rollback")
    assert guard(HEAL_GUARDS, other).level is Level.ALLOWED


def test_a_rejected_correction_is_followed_by_a_wait_of_its_own():
    """Corrections that were refused in this incident hold up the next one, and no retraining."""
    refused = an_intent(action="recalibrate", state=IntentState.REFUSED, effect_at=NOW - HOUR, ended_at=NOW)
    targets = (Target(action="recalibrate"), Target(action="retrain"))
    situation = a_situation(intents=(refused,), targets=targets)
    verdict = guard(HEAL_GUARDS, Asked(situation=situation, action="recalibrate"))
    assert (verdict.level, verdict.deferred_until) == (Level.DEFERRED, NOW + 30 * MINUTE)
    assert guard(HEAL_GUARDS, Asked(situation=situation, action="retrain")).level is Level.ALLOWED


# the log ------------------------------------------------------------------------------


def test_s10_the_log_holds_what_began_or_stands_open():
    """What ended before it began is not in the log; an effect ends its line, verification does not."""
    vetoed = an_intent(state=IntentState.VETOED, ended_at=NOW)
    waiting = an_intent(state=IntentState.AWAITING_APPROVAL)
    running = an_intent(state=IntentState.EXECUTING, executed_at=NOW - MINUTE)
    unsure = an_intent(state=IntentState.NEEDS_PERSON, executed_at=NOW - MINUTE)
    serving = an_intent(state=IntentState.VERIFYING, executed_at=NOW - HOUR, effect_at=NOW - MINUTE)
    failed = an_intent(state=IntentState.FAILED, executed_at=NOW - HOUR, ended_at=NOW - MINUTE)
    assert logged(vetoed) is None
    ends = [logged(intent) for intent in (waiting, running, unsure, serving, failed)]
    assert [line and line.ended_at for line in ends] == [None, None, None, NOW - MINUTE, NOW - MINUTE]
    assert ends[0] is not None
    assert ends[0].started_at == waiting.created_at


def test_rejections_are_counted_by_incident():
    """Only candidates that were fitted and refused in this incident count."""
    refused = {"state": IntentState.REFUSED, "effect_at": NOW - HOUR, "ended_at": NOW}
    intents = (
        an_intent(**refused),
        an_intent(**{**refused, "effect_at": None}),
        an_intent(**refused, incident_id="inc-0"),
        an_intent(**refused, action="rollback"),
        an_intent(state=IntentState.VERIFIED, effect_at=NOW, ended_at=NOW),
    )
    assert rejected_at(intents, "inc-1") == (NOW,)
