"""Whether an expectation of a test came true, and if not, what came out instead and why.

It never changes what is judged, and says nothing that was not evaluated.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from healerd_rules import core
from healerd_rules.core import Core
from healerd_rules.evaluation import Evaluation, Moment, acting_of, applies
from healerd_rules.explanation import TRUTHS, describe, describe_leaf, describe_rule, explain
from healerd_rules.inputs import Inputs, SignalState, Truth
from healerd_rules.program import PROPOSING, NotifyTerms, RuleSet
from healerd_rules.quantities import show
from healerd_rules.script import Expected
from healerd_rules.verdicts import Leaf, Verdict
from healerd_rules.walk import Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One moment of a test: what the rules may know, what they remember, and what they say."""

    ruleset: RuleSet
    inputs: Inputs
    state: SignalState
    confidence: float | None
    answer: Evaluation

    def sure(self) -> dict[str, float | None]:
        """The confidence of every action: tests give one for all."""
        return {action.name: self.confidence for action in self.ruleset.actions}


def came_true(expected: Expected, scene: Scene) -> bool:
    """Whether what is expected is so."""
    match expected.kind:
        case "signal" | "unknown":
            truth = signal_truth(expected, scene)
            wanted: Truth = None if expected.kind == "unknown" else not expected.negated
            return (truth is not wanted) if expected.kind == "unknown" and expected.negated else truth is wanted
        case "proposed":
            by = {one.rule for one in scene.answer.proposals if one.action == expected.name}
            found = bool(by) and set(expected.by) <= by and _ranks(expected, scene)
            return found is not expected.negated
        case "notify":
            by = {one.rule for one in scene.answer.notifications if one.channel == expected.name}
            return (bool(by) and set(expected.by) <= by) is not expected.negated
        case _:
            return _verdict_is(expected, scene) is not expected.negated


def _ranks(expected: Expected, scene: Scene) -> bool:
    """Whether the best proposal of the action stands before the best of the other, which is proposed as well."""
    actions = [one.action for one in scene.answer.proposals]
    other = expected.before
    return other is None or (other in actions and actions.index(expected.name) < actions.index(other))


def signal_truth(expected: Expected, scene: Scene) -> Truth:
    """How a signal reads: patiently, as it is displayed."""
    assert expected.node is not None, "an expectation about a signal has one"
    return Walk(scene.inputs, scene.state.patient, patient=True).truth(expected.node)


def _verdict_is(expected: Expected, scene: Scene) -> bool:
    verdict = scene.answer.verdicts[expected.name]
    if verdict.level.name.lower() != expected.level:
        return False
    by = {acting.rule for acting in verdict.acting}
    if not set(expected.by) <= by:
        told = explain(scene.ruleset, scene.inputs, scene.state, expected.name, scene.sure())
        by |= {permit.rule for permit, holds in told.permits if holds}
    return set(expected.by) <= by and _consent_is(expected, verdict)


def _consent_is(expected: Expected, verdict: Verdict) -> bool:
    """A role among the approvals; the shortest deadline, or the veto window of what is only announced."""
    roles = {approval.role for approval in verdict.approvals}
    within_s = verdict.veto_within_s if expected.level == "announced" else verdict.approval_within_s
    return (
        (expected.role is None or expected.role in roles)
        and (expected.within_s is None or within_s == expected.within_s)
        and (expected.otherwise is None or (bool(roles) and verdict.otherwise == expected.otherwise))
    )


# what came out -------------------------------------------------------------


def outcome(expected: Expected, scene: Scene) -> str:
    """What came out instead, in one line."""
    match expected.kind:
        case "signal" | "unknown":
            return f"`{expected.name}` is {TRUTHS[signal_truth(expected, scene)]}"
        case "proposed":
            proposals = scene.answer.proposals
            found = ", ".join(f"{one.action} by {one.rule}" for one in proposals) or "nothing"
            return f"proposed: {found}"
        case "notify":
            found = ", ".join(f'"{one.channel}" by {one.rule}' for one in scene.answer.notifications) or "nobody"
            return f"notified: {found}"
        case _:
            return f"{expected.name} is {describe(scene.answer.verdicts[expected.name])}"


def reasons(expected: Expected, scene: Scene) -> tuple[str, ...]:
    """Why it came out so, leaf by leaf."""
    match expected.kind:
        case "signal" | "unknown":
            assert expected.node is not None
            return tuple(f"  {line}" for line in _signal_lines(expected.node, scene))
        case "proposed":
            return tuple(_rule_lines(expected, scene, PROPOSING))
        case "notify":
            return tuple(_rule_lines(expected, scene, ("notify",)))
        case _:
            told = explain(scene.ruleset, scene.inputs, scene.state, expected.name, scene.sure())
            return tuple(told.prose().splitlines()[1:])


def _rule_lines(expected: Expected, scene: Scene, kinds: tuple[str, ...]) -> Iterator[str]:
    """The rules that could have asked, and how their conditions came out."""
    moment = Moment(scene.ruleset, scene.inputs, scene.state)
    for rule in scene.ruleset.compiled:
        about = expected.name in (rule.actions or ()) or (
            isinstance(rule.terms, NotifyTerms) and rule.terms.channel == expected.name
        )
        if rule.kind not in kinds or not about:
            continue
        if not applies(rule, scene.inputs):
            yield from describe_rule(acting_of(rule, ()), f"is not about pipeline `{scene.inputs.pipeline}`")
            continue
        weighed = moment.weigh(rule, None)
        yield from describe_rule(acting_of(rule, weighed.leaves), "acts" if weighed.acts else "does not act")


def _signal_lines(node: Core, scene: Scene) -> Iterator[str]:
    """The comparisons inside a signal; what is remembered, and how what it counts came out in this window."""
    if isinstance(node, core.Named):
        yield from _signal_lines(node.body, scene)
    elif isinstance(node, core.Remembered):
        yield _remembered(node, scene)
        for part in node.inputs:
            for line in _signal_lines(part, scene):
                yield f"  now: {line.removeprefix('  now: ')}"
    else:
        walk = Walk(scene.inputs, scene.state.patient, patient=True)
        walk.truth(node)
        yield from (describe_leaf(leaf) for leaf in walk.leaves)


def _remembered(node: core.Remembered, scene: Scene) -> str:
    walk = Walk(scene.inputs, scene.state.patient, patient=True)
    leaf = Leaf(text=node.text, truth=walk.truth(node), unit=node.type.value)
    memory = scene.state.patient.get(node.key)
    counts = node.kind in ("for", "once", "m_of_n")
    past = () if memory is None or not counts else memory.past
    told = ", ".join(show(value, "bool") for value in past)
    return describe_leaf(leaf) + (f": the newest windows were {told}" if told else "")
