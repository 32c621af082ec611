"""Why an action was not done: each reason is found, with its rule, and what would have changed it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from healerd.audit import canonical
from healerd.client.views import plain
from healerd.decision import Situation, Trace, decide, judge_step
from healerd.decision.why_not import WhyNot, why_not
from healerd.model import Quality, Stage
from tests.healerd.decision.numbers import unfounded
from tests.healerd.decision.situations import (
    HEALS,
    NOW,
    a_bar,
    a_calm_situation,
    a_line,
    a_pause,
    a_situation,
    an_intent,
    rules,
)
from tests.healerd.decision.strategies import rule_texts, situations


def asked(situation: Situation, action: str, text: str = "", *, kept: bool = True) -> WhyNot:
    decision = decide(situation, rules(text))
    stored = replace(decision, trace=json.loads(canonical(decision.trace)))
    return why_not(Trace(decision=stored), action, rules(text) if kept else None)


def stop(told: WhyNot, step: str) -> Any:
    return next(one for one in told.stops if one.step == step)


def test_a_healthy_pipeline_is_left_alone() -> None:
    """Without an incident that is the answer, before anything else."""
    assert asked(a_calm_situation(), "retrain").answer == "no incident was open: a healthy pipeline is left alone"


def test_what_no_rule_proposed_is_told_with_what_was_missing() -> None:
    """Each rule that could propose it is shown leaf by leaf, with the one comparison that kept it from asking."""
    told = asked(a_situation(quality=Quality.BAD), "retrain")
    assert stop(told, "proposed").passed is False
    assert 'if `data_quality == "good"` were true' in told.answer
    lines = "\n".join(stop(told, "proposed").lines)
    assert "default.learn_anew (healerd_rules/packs/default.heal:" in lines
    assert "`alarm(harm)` is true" in lines


def test_a_forbidding_rule_is_told_with_its_line_and_the_nearest_change() -> None:
    """The rule, its place, its numbers, and the smallest change of facts that would have permitted it."""
    told = asked(a_situation(), "retrain", "forbid busy: retrain when rows > 500")
    permitted = stop(told, "permitted")
    assert permitted.passed is False
    lines = "\n".join(permitted.lines)
    assert "forbid busy (test.heal:2)" in lines
    assert "`rows > 500` was true: value 600, threshold 500" in lines
    assert "by the rule files it would be announced if rows <= 500" in lines


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"log": (a_line(ended_at=NOW),)}, "not before 2026-05-07 12:30"),
        ({"pauses": (a_pause(),)}, "had paused churn"),
        ({"bars": (a_bar(action="retrain"),)}, "had objected to retrain"),
        ({"intents": (an_intent(id="int-7", action="rollback"),)}, "rollback `int-7`"),
        ({"on_hold": "the clock was set"}, "nothing could start: the clock was set"),
        ({"stage": Stage.OBSERVE}, "the stage was observe"),
    ],
)
def test_what_stood_in_the_way_is_named(changes: dict[str, Any], words: str) -> None:
    """A rest, a pause, a veto, an open intent, a clock and the stage are each said."""
    found = stop(asked(a_situation(**changes), "retrain"), "in the way")
    assert words in "\n".join((found.said, *found.lines))


def test_what_was_decided_is_said_to_have_been() -> None:
    """Asked about the action that was chosen, it answers with what came of it."""
    told = asked(a_situation(), "retrain")
    assert told.answer.startswith("it was decided: It needs 10 min")
    assert all(one.passed is not False for one in told.stops)


def test_without_the_rule_texts_it_says_that_it_does_not_know() -> None:
    """What would have been needed is unknown then, and nothing is guessed."""
    told = asked(a_situation(), "rollback", kept=False)
    assert "is unknown" in stop(told, "proposed").lines[0]


def test_a_step_is_asked_of_the_decision_that_judged_it() -> None:
    """An undo was judged by its own decision; another decision says that it judged none."""
    decision = judge_step(
        a_situation(pauses=(a_pause(pipeline="*"),)),
        rules(),
        step="undo",
        heal=an_intent(),
        target="v2",
        confidence=0.9,
    )
    told = why_not(Trace(decision=decision), "undo", rules())
    assert stop(told, "permitted").passed is False
    assert "healerd.stop_all" in "\n".join(stop(told, "permitted").lines)
    assert asked(a_situation(), "undo").answer == "no undo was called for: this decision judged none"


@given(situation=situations(), text=rule_texts())
@settings(max_examples=25, deadline=None)
def test_every_action_of_every_decision_has_an_answer(situation: Situation, text: str) -> None:
    """It is answered for each action, and the sentence holds no number that neither trace nor rules have."""
    decision = decide(situation, rules(text))
    record = [plain(decision), text]
    for action in HEALS:
        told = asked(situation, action, text)
        assert told.answer
        told_by_trace = why_not(Trace(decision=decision), action, None)
        assert unfounded("\n".join(one.said for one in told_by_trace.stops), record) == set()
        refused = [one for one in told.stops if one.passed is False]
        assert (decision.chosen != action) == bool(refused)
