"""The line from a situation to a decision, on situations that say one thing each."""

from dataclasses import replace
from datetime import timedelta

import pytest

from healerd.decision import SURE_ENOUGH, Target, decide, sentences
from healerd.model import AUTONOMOUS_FROM, HOLD, IntentState, Layer, Quality, Stage
from healerd.policy import Event, learn_all
from tests.healerd.decision.situations import (
    HEALS,
    HOUR,
    NOW,
    a_calm_situation,
    a_line,
    a_situation,
    an_incident,
    an_intent,
    costs,
    harm,
    rules,
)


def learned(action: str, *, failed: bool, count: int = 40):
    """What the policy knows after `count` outcomes of an action in the usual context."""
    model = costs()
    context = (1.0, *(0.0 for _ in model.features[1:]))
    return learn_all(
        model,
        (Event(number=n, at=NOW, action=action, context=context, failed=failed, cost=1.0) for n in range(1, count + 1)),
    )


def test_harm_on_good_data_is_answered_by_a_retraining_that_is_announced():
    """The shipped rules, live and sure enough: the rule's action, with its veto window."""
    decision = decide(a_situation(), rules())
    assert (decision.chosen, decision.level) == ("retrain", "announced")
    assert decision.rule == "default.learn_anew"
    assert decision.veto_within_s == 600.0
    assert decision.confidence is not None
    assert decision.confidence >= AUTONOMOUS_FROM


def test_every_action_is_listed_with_why_not():
    """Each option but the chosen one says why it was not chosen; the chosen one does not."""
    decision = decide(a_situation(), rules())
    assert [option.action for option in decision.options] == [HOLD, *sorted(HEALS)]
    assert {option.action for option in decision.options if not option.why_not} == {decision.chosen}


def test_s6_without_an_incident_the_answer_is_hold():
    """A healthy pipeline is left alone, whatever the policy has learned."""
    decision = decide(a_calm_situation(learned=learned("rollback", failed=False)), rules())
    assert decision.chosen == HOLD
    assert decision.reason == "no incident is open"


def test_an_incident_that_was_just_closed_holds():
    """The tick that closes an incident says so."""
    closed = an_incident(closed_at=NOW, closed_by="3 clean windows")
    decision = decide(a_calm_situation(incident=closed), rules())
    assert decision.reason == "the incident is closed: 3 clean windows"


def test_the_rules_action_is_the_best_permitted_proposal():
    """When the first proposal is barred, the next one stands."""
    barred = rules('propose back: rollback when rows > 0 priority 95\nforbid no: rollback because "not today"\n')
    decision = decide(a_situation(), barred)
    assert decision.rule_action == "retrain"
    assert next(o for o in decision.options if o.action == "rollback").why_not == "not today (no)"


def test_what_bars_a_proposal_is_the_reason_to_hold():
    """A cooldown defers the only proposal: the decision holds, and says until when."""
    recent = a_line(ended_at=NOW - timedelta(minutes=10))
    decision = decide(a_situation(log=(recent,)), rules())
    assert (decision.chosen, decision.level) == (HOLD, "deferred")
    assert decision.deferred_until == NOW + timedelta(minutes=20)
    assert "base.settle" in decision.reason


def test_a_sure_policy_replaces_the_rules_action():
    """After many failures of the rule's action and successes of another, the gate opens."""
    model = costs()
    context = (1.0, *(0.0 for _ in model.features[1:]))
    events = [
        Event(number=n, at=NOW, action=("retrain", "rollback")[n % 2], context=context, failed=n % 2 == 0, cost=1.0)
        for n in range(1, 61)
    ]
    decision = decide(a_situation(learned=learn_all(model, events)), rules())
    assert decision.rule_action == "retrain"
    assert decision.chosen == decision.candidate == "rollback"
    assert decision.p_cheaper_than_rule is not None
    assert decision.p_cheaper_than_rule >= SURE_ENOUGH
    assert "cheaper than retrain, which the rules propose" in decision.reason


def test_an_unsure_policy_does_not():
    """With the configured beliefs alone the candidate differs, and the rule's action stands."""
    decision = decide(a_situation(), rules())
    assert decision.candidate == "rollback"
    assert decision.p_cheaper_than_rule is not None
    assert decision.p_cheaper_than_rule < SURE_ENOUGH
    assert decision.chosen == decision.rule_action == "retrain"


def test_the_policy_may_prefer_to_hold():
    """When the rule's action has only ever failed and cost much, waiting is the cheaper."""
    model = costs()
    context = (1.0, *(0.0 for _ in model.features[1:]))
    events = [Event(number=n, at=NOW, action="retrain", context=context, failed=True, cost=900.0) for n in range(1, 61)]
    only = (Target(action="retrain"),)
    decision = decide(a_situation(learned=learn_all(model, events), targets=only), rules())
    assert decision.chosen == HOLD
    assert decision.reason.startswith("holding is cheaper than retrain, with probability")


def test_s2_a_policy_that_fails_leaves_the_rules_and_asks():
    """Without an answer of the policy the rule's action stands, its confidence is unknown, and a person decides."""
    broken = replace(a_situation().learned, beliefs=())
    decision = decide(a_situation(learned=broken), rules())
    assert (decision.chosen, decision.confidence) == ("retrain", None)
    assert decision.level == "approval needed"
    assert decision.trace["policy"]["failure"]


def test_s2_without_a_configured_prior_a_person_is_asked():
    """Nobody said how often a retraining fails: it is the rule's choice, and it asks."""
    decision = decide(a_situation(costs=costs(retrain=None)), rules())
    assert (decision.chosen, decision.confidence) == ("retrain", None)
    assert decision.level == "approval needed"
    assert "base.confidence_gate" in {need.rule for need in decision.approvals}


def test_s5_observe_forbids_and_suggest_asks():
    """The same situation holds in observe, asks in suggest, and is announced live."""
    said = {stage: decide(a_situation(stage=stage), rules()) for stage in Stage}
    assert said[Stage.OBSERVE].chosen == HOLD
    assert said[Stage.SUGGEST].level == "approval needed"
    assert {need.rule for need in said[Stage.SUGGEST].approvals} >= {"base.stage_suggest"}
    assert said[Stage.LIVE].level == "announced"


@pytest.mark.parametrize("quality", [Quality.BAD, Quality.UNKNOWN])
def test_s13_no_retraining_on_data_that_is_not_known_to_be_good(quality: Quality):
    """Bad or unknown data forbids retraining."""
    decision = decide(a_situation(quality=quality), rules("propose early: retrain when rows > 0 priority 99"))
    assert decision.chosen != "retrain"
    option = next(option for option in decision.options if option.action == "retrain")
    assert option.level == "forbidden"


def test_s10_a_waiting_intent_of_less_severity_gives_way():
    """A more severe incident is decided on as if the waiting intent were gone, and says that it is withdrawn."""
    waiting = an_intent(action="fallback", severity=2)
    situation = a_situation(intents=(waiting,), log=(a_line(intent_id="int-1", action="fallback", ended_at=None),))
    decision = decide(situation, rules())
    assert decision.chosen == "retrain"
    assert [each["intent"] for each in decision.trace["withdraws"]] == ["int-1"]


def test_s10_a_waiting_intent_as_severe_bars():
    """At the same severity what waits already goes first."""
    waiting = an_intent(action="fallback", severity=4)
    situation = a_situation(intents=(waiting,), log=(a_line(intent_id="int-1", action="fallback", ended_at=None),))
    decision = decide(situation, rules())
    assert (decision.chosen, decision.level) == (HOLD, "deferred")
    assert decision.trace["withdraws"] == []


def test_s10_what_is_no_longer_permitted_does_not_bar():
    """A retraining that waits for a person while the data has turned bad stands in nobody's way."""
    waiting = an_intent(state=IntentState.AWAITING_APPROVAL)
    situation = a_situation(
        quality=Quality.BAD,
        intents=(waiting,),
        log=(a_line(intent_id="int-1", action="retrain", ended_at=None),),
        incident=an_incident(kind=Layer.QUALITY),
    )
    decision = decide(situation, rules("propose safe: fallback when rows > 0 priority 99"))
    assert decision.chosen == "fallback"
    assert decision.trace["withdraws"][0]["because"] == "retrain is no longer permitted"


def test_s4_what_nobody_knows_to_be_forbidden_still_bars():
    """Unknown data forbids the retraining that waits, and yet does not clear the way for another action."""
    situation = a_situation(
        quality=Quality.UNKNOWN,
        intents=(an_intent(),),
        log=(a_line(intent_id="int-1", action="retrain", ended_at=None),),
    )
    decision = decide(situation, rules("propose back: rollback when alarm(harm) priority 99"))
    assert (decision.chosen, decision.level) == (HOLD, "deferred")


def test_the_same_action_is_not_proposed_twice():
    """What already waits for the same action is left to its recheck."""
    waiting = an_intent(severity=3)
    situation = a_situation(intents=(waiting,), log=(a_line(intent_id="int-1", action="retrain", ended_at=None),))
    decision = decide(situation, rules())
    assert decision.chosen == HOLD
    assert decision.reason == "retrain `int-1` is announced already"


def test_no_labels_this_window_makes_no_choice_surer():
    """What is unknown is read both ways, and the least sure reading counts."""
    seen = decide(a_situation(), rules())
    blind = decide(a_situation(measurements=(harm(error=None),)), rules())
    assert seen.confidence is not None
    assert blind.confidence is not None
    assert blind.confidence <= seen.confidence
    assert blind.trace["policy"]["corners"] == 4


def test_a_decision_is_told_in_three_sentences():
    """What was seen, what was decided and why, and what follows; each sentence ends."""
    for situation in (a_situation(), a_calm_situation(), a_situation(stage=Stage.SUGGEST)):
        told = sentences(decide(situation, rules()))
        assert len(told) == 3
        assert all(sentence.endswith(".") for sentence in told)


def test_a_proposal_out_of_scope_of_time_changes_nothing():
    """An intent that ended hours ago and a heal long past are not in the way."""
    old = an_intent(state=IntentState.EXPIRED, ended_at=NOW - 7 * HOUR)
    decision = decide(a_situation(intents=(old,), log=(a_line(),)), rules())
    assert decision.chosen == "retrain"
