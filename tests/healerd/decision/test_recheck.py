"""The guards asked again in the moment of starting (SAFETY S7), and steps judged by their heal (S2, S5, S10)."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings

from healerd.audit import canonical
from healerd.decision import Recheck, Situation, Target, Wish, decide, judge_step, recheck, replay
from healerd.model import HOLD, Decision, Intent, IntentState, Layer, Quality, Stage
from tests.healerd.decision.situations import (
    HOUR,
    NOW,
    a_bar,
    a_line,
    a_pause,
    a_situation,
    a_version,
    an_incident,
    an_intent,
    drift,
    harm,
    ready,
    rules,
)
from tests.healerd.decision.strategies import rule_texts, situations

MINUTE = timedelta(minutes=1)


def again(
    text: str = "", *, first: Situation | None = None, intent: dict[str, Any] | None = None, **now: Any
) -> Recheck:
    """Decide, let everybody agree, and recheck ten minutes later in a situation with something changed."""
    before = first or a_situation()
    decided = decide(before, rules())
    assert decided.chosen != HOLD
    ready_now = ready(decided, **(intent or {}))
    later = replace(
        before, now=before.now + 10 * MINUTE, intents=(ready_now,), log=(a_line(intent_id="int-1", ended_at=None),)
    )
    return recheck(replace(later, **now), ready_now, rules(text), decided=decided)


def test_s7_what_has_not_changed_may_start():
    """The same facts, rules and stage let the announced intent run."""
    found = again()
    assert (found.answer, found.changed) == ("run", ())


def test_s7_an_approved_intent_may_start():
    """In suggest, what was approved for each rule that asks may run; without the approval it may not."""
    assert again(first=a_situation(stage=Stage.SUGGEST)).answer == "run"
    unanswered = again(first=a_situation(stage=Stage.SUGGEST), intent={"approved_by": ()})
    assert unanswered.answer == "ask"


def test_s7_fresh_numbers_alone_are_no_new_revision():
    """Another error, another count of rows: the same question."""
    found = again(rows=640, measurements=(harm(error=0.27), drift()))
    assert (found.answer, found.changed) == ("run", ())


@pytest.mark.parametrize(
    ("changes", "answer", "why"),
    [
        ({"stage": Stage.SUGGEST}, "ask", "base.stage_suggest"),
        ({"stage": Stage.OBSERVE}, "refuse", "base.stage_observe"),
        ({"pauses": (a_pause(),)}, "refuse", "paused"),
        ({"pauses": (a_pause(pipeline="*"),)}, "refuse", "stopped everything"),
        ({"quality": Quality.BAD}, "refuse", "data quality `good` is now `bad`"),
        ({"quality": Quality.UNKNOWN}, "refuse", "data quality `good` is now `unknown`"),
        ({"incident": None}, "refuse", "no incident"),
        ({"incident": an_incident(severity=3)}, "ask", "severity 4 is now 3"),
        ({"active": a_version(name="v9")}, "refuse", "`v9` serves, no longer `v2`"),
        ({"active": None}, "refuse", "no longer `v2`"),
        ({"targets": ()}, "refuse", "no such action"),
        ({"targets": (Target(action="retrain", version="v7"),)}, "refuse", "target `None` is now `v7`"),
        ({"targets": (Target(action="retrain", observable=False),)}, "ask", "nobody could tell"),
        ({"log": (a_line(ended_at=NOW),)}, "wait", "base.settle"),
        ({"intents": (an_intent(id="int-2", state=IntentState.EXECUTING),)}, "wait", "int-2"),
        ({"bars": (a_bar(),)}, "refuse", "not during the sale"),
        ({"on_hold": "the clock was set"}, "wait", "the clock was set"),
        ({"newest": False}, "refuse", "later window"),
    ],
)
def test_s7_anything_stricter_does_not_start(changes: dict[str, Any], answer: str, why: str):
    """What has become stricter, or another question, asks, waits or is refused, and says why."""
    found = again(**changes)
    assert found.answer == answer
    assert why in found.why


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("forbid late: retrain", "refuse"),
        ('require two: retrain approval from "owners"', "ask"),
        ("require longer: retrain veto within 1h", "ask"),
        ("require shorter: retrain veto within 1m", "run"),
        ("cooldown rest: retrain 9h after rollback", "wait"),
    ],
)
def test_s7_a_rule_reload_reaches_what_waits(text: str, answer: str):
    """A rule that was added since counts for an intent that is ready."""
    found = again(text, log=(a_line(),))
    assert found.answer == answer


def test_s7_what_is_asked_again_carries_the_new_terms():
    """The answer holds the approvals and the default under which it is asked anew."""
    found = again(stage=Stage.SUGGEST)
    assert "operators" in {need.role for need in found.approvals}
    assert found.default.startswith("it does not run")


def test_s17_what_a_person_asked_for_is_rechecked_as_such():
    """A manual heal under a warning alone is still the person's proposal when it starts."""
    wish = Wish(action="rollback", author="ada", reason="the sale starts")
    first = a_situation(
        wish=wish,
        incident=an_incident(kind=Layer.SCORE, severity=2, opened_by="ada"),
        measurements=(harm(alarm=False),),
    )
    assert decide(first, rules()).author == "ada"
    assert again(first=first).answer == "run"


@given(situation=situations(newest=True, on_hold="", pauses=(), incident=an_incident()), text=rule_texts())
@settings(max_examples=60, deadline=None)
def test_s7_a_recheck_at_once_agrees_with_the_decision(situation: Situation, text: str):
    """Nothing has changed: what was chosen may start once people have agreed; so no decision is refused out of hand."""
    ruleset = rules(text)
    decision = decide(situation, ruleset)
    assume(decision.chosen != HOLD)
    current = situation.active.name if situation.active else None
    intent = ready(decision, current=current)
    withdrawn = {each["intent"] for each in decision.trace["withdraws"]}
    left = tuple(each for each in situation.intents if each.id not in withdrawn)
    found = recheck(replace(situation, intents=(*left, intent)), intent, ruleset, decided=decision)
    assert found.answer == "run", found.why


# steps -----------------------------------------------------------------------------

HEAL = an_intent(
    id="heal-1", action="retrain", state=IntentState.VERIFYING, executed_at=NOW - HOUR, effect_at=NOW - HOUR
)
ROLLBACK = replace(HEAL, action="rollback")
FALLBACK = replace(HEAL, action="fallback")
JUST_NOW = (a_line(intent_id="heal-1", heal_id="heal-1", action="retrain", ended_at=NOW - MINUTE),)


def step(name: str, heal: Intent, confidence: float | None = 0.95, text: str = "", **changes: Any) -> Decision:
    situation = a_situation(intents=(heal,), log=JUST_NOW, **changes)
    return judge_step(situation, rules(text), step=name, heal=heal, target="v3", confidence=confidence)


def test_s10_steps_are_exempt_from_the_cooldown_and_limits():
    """A minute after the heal's effect, promote, undo and return may run, whatever cooldown or limit bars heals."""
    strict = "limit one: any action at most 1 per 7d\ncooldown long: any action 7d"
    assert step("promote", HEAL, text=strict).level == "announced"
    assert step("undo", ROLLBACK, text=strict).level == "allowed"
    assert step("return", FALLBACK, text=strict).level == "allowed"


@pytest.mark.parametrize(("name", "heal"), [("promote", HEAL), ("undo", ROLLBACK), ("return", FALLBACK)])
@pytest.mark.parametrize("confidence", [None, 0.0, 0.5, 0.79])
def test_s2_a_step_below_80_percent_or_unknown_asks(name: str, heal: Intent, confidence: float | None):
    """The probability that the step improves matters is its confidence, under the same gate."""
    decision = step(name, heal, confidence)
    assert decision.level == "approval needed"
    assert decision.confidence == confidence


def test_s5_promote_is_judged_by_its_own_guards():
    """Stages, data quality and rules on promote count for a promotion."""
    assert step("promote", HEAL, stage=Stage.SUGGEST).level == "approval needed"
    assert step("promote", HEAL, stage=Stage.OBSERVE).chosen == HOLD
    assert step("promote", HEAL, quality=Quality.UNKNOWN).chosen == HOLD
    assert step("promote", HEAL, text="forbid no: promote").chosen == HOLD
    assert step("promote", HEAL, bars=(a_bar(action="promote"),)).chosen == HOLD


def test_s5_undo_and_return_are_judged_by_their_heals_guards():
    """What forbids the heal forbids the way back, what forbids promotion does not; approvals of the heal count."""
    for name, heal in (("undo", ROLLBACK), ("return", FALLBACK)):
        assert step(name, heal, text="forbid no: promote").level == "allowed"
        assert step(name, heal, text=f"forbid no: {heal.action}").chosen == HOLD
        asked = step(name, heal, text=f'require yes: {heal.action} approval from "owners"')
        assert [need.role for need in asked.approvals] == ["owners"]
        soft = f"@enforce(soft)\ncooldown rest: {heal.action} 7d after retrain"
        assert step(name, heal, text=soft).level == "allowed"


def test_the_undo_of_a_promotion_is_judged_as_that_of_its_retraining():
    """A promotion is a step of a retraining, and its way back is judged by retrain's guards."""
    promotion = replace(HEAL, id="heal-1-promote", action="promote", parent_id="heal-1")
    assert step("undo", promotion, text="forbid no: promote").level == "announced"
    assert step("undo", promotion, text="forbid no: retrain").chosen == HOLD


def test_s5_in_observe_and_s15_under_pause_the_way_back_asks():
    """Observe and a pause do not trap a pipeline in a heal that did harm; stop-all stops everything."""
    for name, heal in (("undo", ROLLBACK), ("return", FALLBACK)):
        assert step(name, heal, stage=Stage.OBSERVE).level == "approval needed"
        assert step(name, heal, pauses=(a_pause(),)).level == "approval needed"
        assert step(name, heal, pauses=(a_pause(pipeline="*"),)).chosen == HOLD
    assert step("promote", HEAL, pauses=(a_pause(),)).chosen == HOLD


def test_the_way_back_needs_no_open_incident():
    """An incident that has closed meanwhile does not keep a harmful heal in place."""
    assert step("undo", ROLLBACK, incident=None).level == "allowed"
    assert step("promote", HEAL, incident=None).chosen == HOLD


def test_s10_one_undo_a_heal_and_a_second_return_asks():
    """A heal is undone once; going back from a safe model twice within a day asks."""
    undone = (a_line(intent_id="u-1", heal_id="heal-1", action="undo"),)
    back = (a_line(intent_id="r-1", heal_id="heal-0", action="return", started_at=NOW - 23 * HOUR),)
    long_ago = (a_line(intent_id="r-1", heal_id="heal-0", action="return", started_at=NOW - 25 * HOUR),)

    def judged(name: str, heal: Intent, log: Any) -> str:
        situation = a_situation(log=log)
        return judge_step(situation, rules(), step=name, heal=heal, target="v1", confidence=0.99).level

    assert judged("undo", ROLLBACK, undone) == "forbidden"
    assert judged("undo", replace(ROLLBACK, id="heal-2"), undone) == "allowed"
    assert judged("return", FALLBACK, back) == "approval needed"
    assert judged("return", FALLBACK, long_ago) == "allowed"


def test_s7_a_step_is_rechecked_as_a_step():
    """The recheck of an undo uses the heal's guards and the step's own confidence, and does not count itself."""
    decided = step("undo", ROLLBACK)
    intent = ready(decided, id="u-1", parent_id="heal-1", target="v3")
    situation = a_situation(
        intents=(ROLLBACK, intent),
        log=(*JUST_NOW, a_line(intent_id="u-1", heal_id="heal-1", action="undo", ended_at=None)),
    )
    assert recheck(situation, intent, rules(), decided=decided, heal=ROLLBACK).answer == "run"
    barred = recheck(situation, intent, rules("forbid no: rollback"), decided=decided, heal=ROLLBACK)
    assert barred.answer == "refuse"
    unsure = recheck(situation, replace(intent, confidence=0.5), rules(), decided=decided, heal=ROLLBACK)
    assert unsure.answer == "ask"


@pytest.mark.parametrize(("name", "heal"), [("promote", HEAL), ("undo", ROLLBACK), ("return", FALLBACK)])
def test_a_replayed_step_gives_the_recorded_decision(name: str, heal: Intent):
    """Steps are recorded and replayed like any decision."""
    decision = step(name, heal, 0.9, stage=Stage.SUGGEST)
    stored = replace(decision, trace=json.loads(canonical(decision.trace)))
    assert replay(stored, rules()) == stored


def test_a_replay_under_other_rules_is_refused():
    """A decision is only replayed with the rules it stands on."""
    decision = decide(a_situation(), rules())
    with pytest.raises(ValueError, match="stands on rules"):
        replay(decision, rules("forbid no: retrain"))


def test_a_trace_that_is_no_situation_is_refused():
    """A trace that somebody has changed is named, not guessed at."""
    decision = decide(a_situation(), rules())
    broken = replace(decision, trace={**decision.trace, "situation": {"id": 1}})
    with pytest.raises(ValueError, match="not a situation"):
        replay(broken, rules())
