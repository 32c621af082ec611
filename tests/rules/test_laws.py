"""The laws of the language, on generated rule sets and facts, against the oracle."""

import dataclasses
import datetime as dt
import functools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from healerd_rules import (
    Inputs,
    Level,
    RuleSet,
    Schema,
    SignalState,
    Verdict,
    advance,
    at_least_as_strict,
    evaluate,
    join,
    load_text,
)
from healerd_rules import (
    render as show,
)
from healerd_rules.verdicts import Acting, Approval
from tests.rules import oracle
from tests.rules.oracle import ACTIONS, Rule, World

law = settings(max_examples=80, deadline=None, derandomize=True)


def load(rules: list[Rule]) -> RuleSet:
    loaded = load_text(oracle.render(rules), name="generated.heal", schema=Schema())
    assert loaded.ruleset is not None, show(loaded.diagnostics, loaded.sources)
    return loaded.ruleset


def given_to(world: World, **changes: Any) -> Inputs:
    return Inputs(
        pipeline="p",
        now=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        window_s=1800,
        stage=world.stage,
        incident=world.incident,
        facts=world.facts,
        **changes,
    )


def second_pass(ruleset: RuleSet, world: World) -> dict[str, Verdict]:
    confidence = dict.fromkeys(ACTIONS, world.confidence)
    return dict(evaluate(ruleset, given_to(world), SignalState(), confidence=confidence).verdicts)


def first_pass(ruleset: RuleSet, world: World) -> dict[str, Verdict]:
    return dict(evaluate(ruleset, given_to(world), SignalState(), confidence=None).verdicts)


def bare(verdict: Verdict) -> oracle.Answer:
    hours = None if verdict.veto_within_s is None else verdict.veto_within_s / 3600
    approvals = {
        (a.rule, a.role, None if a.within_s is None else round(a.within_s / 3600), a.otherwise)
        for a in verdict.approvals
    }
    return oracle.Answer(int(verdict.level), hours, frozenset(approvals))


def hide(world: World, data: st.DataObject) -> World:
    """Some of what is known, hidden."""
    facts = {}
    for name, value in world.facts.items():
        if isinstance(value, dict):
            facts[name] = {m: None if data.draw(st.booleans()) else v for m, v in value.items()}
        else:
            facts[name] = None if data.draw(st.booleans()) else value
    whole = {"stage", "incident", "confidence"}
    gone = {name: None for name in sorted(whole) if data.draw(st.booleans())}
    return dataclasses.replace(world, facts=facts, **gone)


@law
@given(oracle.rule_sets(), oracle.worlds)
def test_the_evaluator_agrees_with_the_oracle(rules: list[Rule], world: World) -> None:
    """The evaluator and the slow oracle give the same verdict on any rules and facts."""
    verdicts = second_pass(load(rules), world)
    for action in ACTIONS:
        assert bare(verdicts[action]) == oracle.judge(rules, world, action)


@law
@given(oracle.rule_sets(), oracle.worlds)
def test_s1_the_first_pass_agrees_with_the_oracle(rules: list[Rule], world: World) -> None:
    """With confidence free, every guard is as lenient as its kindest confidence makes it."""
    verdicts = first_pass(load(rules), world)
    for action in ACTIONS:
        assert int(verdicts[action].level) == oracle.first_pass_level(rules, world, action)


@law
@given(oracle.rule_sets(), oracle.worlds)
def test_s1_the_second_pass_is_never_looser_than_the_first(rules: list[Rule], world: World) -> None:
    """Knowing the confidence, or knowing that it is unknown, can only make a verdict stricter."""
    ruleset = load(rules)
    free, sure = first_pass(ruleset, world), second_pass(ruleset, world)
    assert all(at_least_as_strict(sure[action], free[action]) for action in ACTIONS)


@law
@given(oracle.rule_sets(), oracle.worlds)
def test_s2_nothing_is_autonomous_below_the_gate(rules: list[Rule], world: World) -> None:
    """Whatever a file says, no action runs by itself with confidence under 80% or unknown."""
    unsure = world.confidence is None or world.confidence < 0.8
    assert not unsure or not any(verdict.autonomous for verdict in second_pass(load(rules), world).values())


@law
@given(oracle.rule_sets(), oracle.guards(("forbid", "approval", "veto")), oracle.worlds)
def test_s3_another_guard_never_loosens(rules: list[Rule], extra: Rule, world: World) -> None:
    """Adding a forbid or a require makes no verdict looser."""
    more = [*rules, dataclasses.replace(extra, name="extra")]
    before, after = second_pass(load(rules), world), second_pass(load(more), world)
    assert all(at_least_as_strict(after[action], before[action]) for action in ACTIONS)


@law
@given(oracle.rule_sets(), oracle.worlds, st.data())
def test_s4_hiding_data_never_loosens(rules: list[Rule], world: World, data: st.DataObject) -> None:
    """With anything hidden a verdict is at least as strict as with it known."""
    ruleset = load(rules)
    known, less = second_pass(ruleset, world), second_pass(ruleset, hide(world, data))
    assert all(at_least_as_strict(less[action], known[action]) for action in ACTIONS)


@law
@given(oracle.rule_sets(), oracle.worlds)
def test_forbid_beats_permit(rules: list[Rule], world: World) -> None:
    """However many permits hold, one forbid forbids."""
    forbid = Rule("no", "forbid", (), None, "", ("ops", None, "deny"))
    permit = Rule("yes", "permit", (), None, "", ("ops", None, "deny"))
    verdicts = second_pass(load([permit, *rules, forbid]), world)
    assert all(verdicts[action].level is Level.FORBIDDEN for action in ACTIONS)


@law
@given(oracle.rule_sets(), oracle.worlds, st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(rules: list[Rule], world: World, chance: Any) -> None:
    """Rules in another order, and each said again, give the same verdicts."""
    again = [*rules, *(dataclasses.replace(rule, name=f"{rule.name}_again") for rule in rules)]
    chance.shuffle(again)
    once, twice = second_pass(load(rules), world), second_pass(load(again), world)
    for action in ACTIONS:
        said = {approval[1:] for approval in bare(twice[action]).approvals}
        assert twice[action].level == once[action].level
        assert twice[action].veto_within_s == once[action].veto_within_s
        assert said == {approval[1:] for approval in bare(once[action]).approvals}


# memory ----------------------------------------------------------------------

TEMPORAL = {
    "for": "(alpha > 50% for 3 windows)",
    "once": "(alpha > 50% within last 2 windows)",
    "m of n": "(alpha > 50% for 2 of last 3 windows)",
    "since": "((alpha > 50%) since (beta > 50%))",
    "signal": "held",
    "avg": "avg(alpha, 2 windows) > 50%",
    "drop": "drop(alpha, 1 windows) > 0pp",
    "nested": "((alpha > 50% for 2 windows) within last 2 windows)",
}
HELD = "signal held = alpha > 50% for 2 windows clears when beta > 50%\n"
HOW = {
    "permit": "permit p: mend when {}",
    "forbid": "permit p: mend\nforbid f: mend when {}",
    "unless": "permit p: mend\nforbid f: mend unless {}",
}
either = st.sampled_from([0.1, 0.9])
windows = st.lists(st.tuples(either, either, st.booleans(), st.booleans()), min_size=3, max_size=6)


@functools.cache
def remembering(which: str, how: str) -> RuleSet:
    text = oracle.HEADER + HELD + HOW[how].format(TEMPORAL[which])
    ruleset = load_text(text, name="t.heal", schema=Schema()).ruleset
    assert ruleset is not None
    return ruleset


@settings(law, max_examples=600)
@given(st.sampled_from(sorted(TEMPORAL)), st.sampled_from(sorted(HOW)), windows)
def test_s4_hiding_the_past_never_loosens(which: str, how: str, history: list[tuple[float, float, bool, bool]]) -> None:
    """A window without data in the past counts against acting too, in every temporal operator."""
    ruleset = remembering(which, how)
    known: list[dict[str, Any]] = [{"data_quality": "good", "alpha": a, "beta": b} for a, b, _, _ in history]
    hidden: list[dict[str, Any]] = [
        {**facts, "alpha": None if no_a else facts["alpha"], "beta": None if no_b else facts["beta"]}
        for facts, (_, _, no_a, no_b) in zip(known, history, strict=True)
    ]
    verdicts = []
    for past in (known, hidden):
        state = SignalState()
        for facts in past:
            world = given_to(World(facts))
            state = advance(ruleset, world, state)
        verdicts.append(evaluate(ruleset, world, state, confidence={"mend": 0.9}).verdicts["mend"])
    assert at_least_as_strict(verdicts[1], verdicts[0])


histories = st.lists(oracle.facts, min_size=1, max_size=6)


@law
@given(histories)
def test_a_patient_signal_counts_the_known_windows(history: list[dict[str, Any]]) -> None:
    """Leaving out the windows without data gives the same counters; in such a window a signal reads unknown."""
    text = (
        oracle.HEADER + "signal three = alpha > 50% for 3 windows\nsignal two = alpha > 50% for 2 of last 3 windows\n"
    )
    ruleset = load_text(text, name="t.heal", schema=Schema()).ruleset
    assert ruleset is not None
    state = SignalState()
    known: list[bool] = []
    for facts in history:
        world = given_to(World(facts))
        state = advance(ruleset, world, state)
        signals = evaluate(ruleset, world, state, confidence=None).signals
        if facts["alpha"] is None:
            assert signals == {"three": None, "two": None}
        else:
            known.append(facts["alpha"] > 0.5)
            assert signals == {"three": len(known) >= 3 and all(known[-3:]), "two": sum(known[-3:]) >= 2}


# verdicts --------------------------------------------------------------------

approvals = st.builds(
    Approval,
    role=st.sampled_from(["a", "b"]),
    within_s=st.none() | st.sampled_from([1.0, 2.0]),
    otherwise=st.sampled_from(["deny", "defer"]),
    rule=st.sampled_from(["x", "y"]),
)
verdicts = st.builds(
    Verdict,
    level=st.sampled_from(Level),
    veto_within_s=st.none() | st.sampled_from([60.0, 600.0]),
    approvals=st.lists(approvals, max_size=2).map(tuple),
    deferred_until=st.none() | st.sampled_from([dt.datetime(2026, 1, d, tzinfo=dt.UTC) for d in (1, 2)]),
    acting=st.lists(st.builds(Acting, rule=st.sampled_from("xyz"), kind=st.just("forbid")), max_size=2).map(tuple),
)


@law
@given(verdicts, verdicts, verdicts)
def test_s3_join_is_a_semilattice(a: Verdict, b: Verdict, c: Verdict) -> None:
    """Joining verdicts is commutative, associative and idempotent, and never looser than its parts."""
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    assert join(join(a, a), a) == join(a, a)
    assert at_least_as_strict(join(a, b), join(a, a))


def test_s3_the_strictest_terms_count() -> None:
    """The longest veto window, the earliest approval deadline and `deny` over `defer` survive a join."""
    short = Approval(role="a", within_s=60.0, otherwise="defer", rule="x")
    long = Approval(role="b", within_s=600.0, otherwise="deny", rule="y")
    joined = join(Verdict(veto_within_s=60.0, approvals=(short,)), Verdict(veto_within_s=600.0, approvals=(long,)))
    assert (joined.veto_within_s, joined.approval_within_s, joined.otherwise) == (600.0, 60.0, "deny")
    assert joined.approvals == (short, long)
