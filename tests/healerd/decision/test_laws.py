"""The laws of the line, on whatever situations and rules Hypothesis can think of, with the real rules engine."""

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.audit import canonical
from healerd.decision import (
    SURE_ENOUGH,
    Situation,
    Wish,
    decide,
    from_json,
    inputs_of,
    replay,
    sentences,
    to_json,
)
from healerd.decision.choice import choose
from healerd.decision.guards import HEAL_GUARDS, Asked, guard
from healerd.decision.view import look
from healerd.model import AUTONOMOUS_FROM, HOLD, Quality, Stage
from healerd_rules import Level, at_least_as_strict, evaluate, join
from tests.healerd.decision.situations import HEALS, a_pause, rules
from tests.healerd.decision.strategies import GUARDS, PROPOSALS, guard_texts, rule_texts, situations, texts

PERMITTED = ("allowed", "announced", "approval needed")
AUTONOMOUS = ("allowed", "announced")
many = settings(max_examples=120, deadline=None)


def autonomous(decision) -> bool:
    return decision.chosen != HOLD and decision.level in AUTONOMOUS


@given(situation=situations(), text=rule_texts())
@many
def test_nothing_outside_the_permitted_is_chosen(situation: Situation, text: str):
    """What is chosen is hold, or an action that both passes and every built-in guard leave open."""
    ruleset = rules(text)
    decision = decide(situation, ruleset)
    if decision.chosen == HOLD:
        return
    view = look(situation, ruleset)
    option = next(option for option in decision.options if option.action == decision.chosen)
    assert decision.chosen in view.permitted
    assert option.permitted
    assert decision.level in PERMITTED
    assert decision.chosen in HEALS


@given(situation=situations(), guards=guard_texts, more=texts(PROPOSALS), action=st.sampled_from(HEALS))
@many
def test_forbid_beats_permit_through_the_whole_line(
    situation: Situation, guards: tuple[str, ...], more: tuple[str, ...], action: str
):
    """With a forbid on an action it is never chosen, whoever permits or proposes it."""
    ruleset = rules("\n".join((*guards, *more, f"forbid no_{action}: {action}", f"permit yes_{action}: {action}")))
    assert decide(situation, ruleset).chosen != action


@given(situation=situations(), text=rule_texts())
@many
def test_s2_no_autonomous_action_below_80_percent_or_unknown(situation: Situation, text: str):
    """Whatever runs without a person's word is at least 80% sure to be cheaper than nothing."""
    ruleset = rules(text)
    decision = decide(situation, ruleset)
    if autonomous(decision):
        assert decision.confidence is not None
        assert decision.confidence >= AUTONOMOUS_FROM


@given(situation=situations(wish=None), text=rule_texts())
@many
def test_the_candidate_replaces_the_rules_action_only_from_95_percent_on(situation: Situation, text: str):
    """The choice is the rule's action, or the candidate with P(cheaper than the rule's action) >= 0.95."""
    ruleset = rules(text)
    choice = choose(look(situation, ruleset))
    if choice.chosen != choice.rule_action:
        assert choice.chosen == choice.candidate
        assert choice.p_cheaper_than_rule is not None
        assert choice.p_cheaper_than_rule >= SURE_ENOUGH


@given(situation=situations(wish=None), text=rule_texts())
@many
def test_where_no_rule_asks_the_policy_starts_nothing(situation: Situation, text: str):
    """Rules say when, the policy says which: without a permitted proposal the answer is hold."""
    choice = choose(look(situation, rules(text)))
    if choice.rule_action == HOLD:
        assert choice.chosen == HOLD


@given(situation=situations(policy="rules only", wish=None), text=rule_texts())
@many
def test_rules_alone_are_never_overridden(situation: Situation, text: str):
    """Under the policy `rules only` the choice is the rule's action."""
    ruleset = rules(text)
    choice = choose(look(situation, ruleset))
    assert choice.chosen == choice.rule_action


@given(situation=situations(), text=rule_texts(), confidence=st.one_of(st.none(), st.floats(0, 1)))
@many
def test_s1_the_second_pass_is_never_looser_than_the_first(situation: Situation, text: str, confidence: float | None):
    """With any confidence known, or unknown, each verdict is at least as strict as with it free."""
    ruleset = rules(text)
    view = look(situation, ruleset)
    inputs = inputs_of(situation, without=view.ignoring)
    second = evaluate(ruleset, inputs, situation.signals, confidence=dict.fromkeys(HEALS, confidence))
    for action in HEALS:
        assert at_least_as_strict(join(second.verdicts[action], view.verdicts[action]), view.verdicts[action])
        assert at_least_as_strict(second.verdicts[action], view.first.verdicts[action])


@given(situation=situations(), base=guard_texts, extra=st.sampled_from(GUARDS))
@many
def test_s3_adding_a_guard_never_enlarges_what_may_run(situation: Situation, base: tuple[str, ...], extra: str):
    """One more forbid, require, cooldown or limit leaves a subset of the permitted, each verdict as strict or more."""
    fewer = look(situation, rules("\n".join(base)))
    more = look(situation, rules("\n".join(dict.fromkeys((*base, extra)))))
    assert set(more.permitted) <= set(fewer.permitted)
    assert all(at_least_as_strict(more.verdicts[action], fewer.verdicts[action]) for action in HEALS)


def hidden(situation: Situation, what: set[str]) -> Situation:
    """The same situation with some of its data gone."""
    changes = {
        "rows": None,
        "measurements": (),
        "reference": None,
        "active": None,
        "stored_gain": None,
        "p_stored_better": None,
        "alias_moved": None,
        "quality": Quality.UNKNOWN,
    }
    return replace(situation, **{name: changes[name] for name in what})


fields = st.sets(
    st.sampled_from(["rows", "measurements", "reference", "active", "stored_gain", "alias_moved", "quality"]),
    min_size=1,
)


@given(situation=situations(wish=None), text=rule_texts(), what=fields)
@settings(max_examples=200, deadline=None)
def test_s4_hiding_data_never_loosens(situation: Situation, text: str, what: set[str]):
    """Without some of its data a situation's verdicts are as strict or stricter, and no action becomes autonomous."""
    ruleset = rules(text)
    full, blind = look(situation, ruleset), look(hidden(situation, what), ruleset)
    for action in HEALS:
        assert at_least_as_strict(blind.verdicts[action], full.verdicts[action])
    decision = decide(hidden(situation, what), ruleset)
    if autonomous(decision):
        wished = choose(full).counsel
        assert wished is not None
        sure = wished.confidence(decision.chosen)
        assert sure is not None
        assert sure >= AUTONOMOUS_FROM


@given(situation=situations(), text=rule_texts())
@many
def test_s5_stages_only_restrict(situation: Situation, text: str):
    """In observe nothing is chosen, in suggest nothing is autonomous, and live permits what suggest does."""
    ruleset = rules(text)
    at = {stage: decide(replace(situation, stage=stage), ruleset) for stage in Stage}
    assert at[Stage.OBSERVE].chosen == HOLD
    assert not autonomous(at[Stage.SUGGEST])
    suggest, live = (look(replace(situation, stage=stage), ruleset) for stage in (Stage.SUGGEST, Stage.LIVE))
    assert set(suggest.permitted) <= set(live.permitted)


@given(situation=situations(), text=rule_texts())
@many
def test_s6_a_healthy_pipeline_is_left_alone(situation: Situation, text: str):
    """Without an open incident the answer is hold."""
    ruleset = rules(text)
    assert decide(replace(situation, incident=None), ruleset).chosen == HOLD


@given(situation=situations(), text=rule_texts())
@many
def test_s15_under_stop_all_and_pause_nothing_is_chosen(situation: Situation, text: str):
    """The brakes win over everything."""
    ruleset = rules(text)
    for pipeline in ("*", situation.pipeline):
        assert decide(replace(situation, pauses=(a_pause(pipeline=pipeline),)), ruleset).chosen == HOLD


@given(situation=situations(newest=False), text=rule_texts())
@many
def test_s16_a_late_window_leads_to_nothing(situation: Situation, text: str):
    """Of a backlog only the newest window may act."""
    ruleset = rules(text)
    assert decide(situation, ruleset).chosen == HOLD


@given(situation=situations(), text=rule_texts())
@many
def test_the_same_inputs_give_the_same_decision(situation: Situation, text: str):
    """Nothing but situation and rules counts."""
    ruleset = rules(text)
    assert decide(situation, ruleset) == decide(replace(situation), ruleset)


@given(situation=situations(), text=rule_texts())
@many
def test_a_replayed_trace_gives_the_recorded_decision(situation: Situation, text: str):
    """After the audit log's own form of JSON and back, the trace leads to the same decision, field by field."""
    ruleset = rules(text)
    decision = decide(situation, ruleset)
    stored = replace(decision, trace=json.loads(canonical(decision.trace)))
    assert replay(stored, ruleset) == stored
    assert replay(decision, ruleset) == decision


@given(situation=situations())
@many
def test_a_situation_survives_json(situation: Situation):
    """Reading what was written gives the same situation."""
    assert from_json(json.loads(canonical(to_json(situation)))) == situation


@given(situation=situations(), text=rule_texts())
@many
def test_a_decision_can_always_be_told(situation: Situation, text: str):
    """Each decision has a reason, three sentences, and a why-not for every action that was not chosen."""
    ruleset = rules(text)
    decision = decide(situation, ruleset)
    assert decision.reason
    assert all(sentence for sentence in sentences(decision))
    for option in decision.options:
        assert bool(option.why_not) != (option.action == decision.chosen)


@given(situation=situations(), action=st.sampled_from(HEALS))
@many
def test_the_built_in_guards_only_restrict(situation: Situation, action: str):
    """Leaving a built-in guard out never makes the verdict stricter, and their order does not matter."""
    asked = Asked(situation=situation, action=action)
    whole = guard(HEAL_GUARDS, asked)
    assert guard(HEAL_GUARDS[::-1], asked) == whole
    for left_out in HEAL_GUARDS:
        fewer = guard(tuple(each for each in HEAL_GUARDS if each is not left_out), asked)
        assert at_least_as_strict(whole, fewer)


@given(situation=situations(), text=rule_texts(), action=st.sampled_from(HEALS))
@many
def test_s17_a_person_is_under_the_same_guards(situation: Situation, text: str, action: str):
    """A wish never makes an action permitted that its guards forbid or defer, except that it counts as a proposal."""
    ruleset = rules(text)
    wished = replace(situation, wish=Wish(action=action, author="ada", reason="try it"))
    decision = decide(wished, ruleset)
    assert decision.chosen in (HOLD, action)
    asked = Asked(situation=situation, action=action, proposed=True, ignoring=look(situation, ruleset).ignoring)
    if guard(HEAL_GUARDS, asked).level > Level.APPROVAL_NEEDED:
        assert decision.chosen == HOLD
    if decision.chosen != HOLD:
        assert decision.author == "ada"
        assert not autonomous(decision) or (decision.confidence or 0.0) >= AUTONOMOUS_FROM
