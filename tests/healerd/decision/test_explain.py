"""What people are told about a decision, and that none of it is made up."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from healerd.audit import canonical
from healerd.decision import Situation, decide, judge_step, page, prompt, sentences
from healerd.model import HOLD, Decision, Stage
from healerd.policy import begin
from tests.healerd.decision.situations import (
    NOW,
    a_bar,
    a_calm_situation,
    a_line,
    a_situation,
    an_intent,
    costs,
    ready,
    rules,
)
from tests.healerd.decision.strategies import rule_texts, situations


def numbers_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w.-])\d+\.\d+(?![\w.-])", text))


def test_a_retraining_is_told():
    """Alarms, incident, choice, reason, confidence and what people may do, each in its sentence."""
    seen, decided, then = sentences(decide(a_situation(), rules()))
    assert seen.startswith("On `churn` alarms of harm stand")
    assert "incident inc-1: harm: the error is 25.0%, on the reference 10.0%." in seen
    assert decided.startswith("It would retrain, because rule default.learn_anew proposes retrain")
    assert "the probability that this costs less than doing nothing is 0.9" in decided
    assert then == "It needs 10 min in which a person may veto; on silence it runs."


def test_an_approval_is_told():
    """Every approval is named with its rule, and the default on silence is stated."""
    *_, then = sentences(decide(a_situation(stage=Stage.SUGGEST), rules()))
    assert "the approval of operators (base.stage_suggest)" in then
    assert "on silence it does not run" in then


def test_a_hold_is_told():
    """A hold says why, and when it is decided again."""
    _, decided, then = sentences(decide(a_calm_situation(), rules()))
    assert decided == "It holds, because no incident is open."
    assert then == "It is decided again at the next window."
    _, decided, then = sentences(decide(a_situation(log=(a_line(ended_at=NOW),)), rules()))
    assert "base.settle" in decided
    assert then == "It is decided again not before 2026-05-07 12:30."


def test_what_nobody_knows_is_said_to_be_unknown():
    """Without a confidence the sentence says so, and names no number."""
    _, decided, _ = sentences(decide(a_situation(learned=replace(a_situation().learned, beliefs=())), rules()))
    assert decided.endswith("how sure that is to help is unknown.")


@given(situation=situations(), text=rule_texts())
@settings(max_examples=80, deadline=None)
def test_no_sentence_states_what_the_decision_does_not_hold(situation: Situation, text: str):
    """Told from the stored record alone, the sentences are the same, and every number in them is in the record."""
    decision = decide(situation, rules(text))
    stored = replace(decision, trace=json.loads(canonical(decision.trace)))
    assert sentences(stored) == sentences(decision)
    held = numbers_in(json.dumps(stored.trace)) | numbers_in(decision.reason)
    held |= {f"{p:.2f}" for p in (decision.confidence, decision.p_cheaper_than_rule) if p is not None}
    assert numbers_in(" ".join(sentences(decision))) <= held


@given(situation=situations(), text=rule_texts())
@settings(max_examples=60, deadline=None)
def test_every_decision_has_a_page(situation: Situation, text: str):
    """The page names every option, the three sentences, and is plain text."""
    decision = decide(situation, rules(text))
    written = page(decision)
    assert all(sentence in written for sentence in sentences(decision))
    assert all(option.action in written for option in decision.options)


def test_the_page_shows_the_rules_that_act():
    """Each rule that acts on the choice stands there with its place."""
    written = page(decide(a_situation(), rules()))
    assert "require default.announce_heavy (healerd_rules/packs/default.heal:" in written
    assert "> retrain" in written
    assert "policy bayesian, after 0 outcomes" in written


@pytest.mark.parametrize("changes", [{}, {"stage": Stage.SUGGEST}])
def test_s9_a_prompt_states_what_why_and_the_default(changes: dict[str, Any]):
    """What would be done, why, and what happens on silence, in the words of the intent."""
    decision: Decision = decide(a_situation(**changes), rules())
    said = prompt(ready(decision, default=decision.trace["on_silence"]), decision, answers=())
    assert said.what == "retrain on `churn` from `v2`"
    assert "alarms of harm stand" in said.why
    assert said.default.startswith("If nobody answers")
    assert decision.trace["on_silence"] in said.default


@pytest.mark.parametrize(
    ("first", "by_now", "ends"),
    [
        (0.93, 0.41, "; by now that probability is 0.41."),
        (0.93, None, "; by now nobody knows how sure that is to help."),
        (None, 0.41, "; by now the probability that this costs less than doing nothing is 0.41."),
        (None, None, "It is asked anew: so."),
    ],
)
def test_s9_what_is_asked_anew_says_how_sure_it_is_by_now(first: float | None, by_now: float | None, ends: str):
    """The first decision's probability never stands alone, and none is spoken of that was not said."""
    decision = replace(decide(a_situation(), rules()), confidence=first)
    asked = replace(ready(decision), revision=1, confidence=by_now, reason="so")
    assert prompt(asked, decision, answers=()).why.endswith(ends)


def test_a_step_is_told():
    """A step says which heal it belongs to and how sure its own test is."""
    heal = an_intent(action="rollback")
    decision = judge_step(a_situation(), rules(), step="undo", heal=heal, target="v2", confidence=0.91)
    _, decided, then = sentences(decision)
    assert decided.startswith("It would undo to `v2`, because undo of rollback `int-1`")
    assert decided.endswith("the probability that it improves matters is 0.91.")
    assert then == "It may start now, without anybody's word."
    barred = judge_step(
        a_situation(bars=(a_bar(action="undo"),)), rules(), step="undo", heal=heal, target="v2", confidence=0.91
    )
    assert barred.chosen == HOLD
    assert "not during the sale" in sentences(barred)[1]


def test_the_page_says_what_a_new_fit_is_worth():
    """Expected loss and probability stand in words where they are known, and not at all where they are not."""
    decision = decide(a_situation(), rules())
    known = decision.trace["facts"]
    said = f"would spare {known['expected_loss']:.1f} in cost, and pays for itself with probability 1.00"
    assert f"a new fit {said}" in page(decision)
    assert "a new fit would spare" not in page(decide(a_situation(stake=None), rules()))


def test_why_it_is_unknown_how_sure_an_action_is_to_help_is_told():
    """Where nobody configured how often an action fails, its sentence names the missing key."""
    model = costs()
    actions = (one if one.action == HOLD else replace(one, failure=None) for one in model.actions)
    bare = replace(model, actions=tuple(actions))
    _, decided, _ = sentences(decide(a_situation(costs=bare, learned=begin(bare)), rules()))
    assert decided.endswith("is unknown, as nobody configured `failure` of retrain.")
