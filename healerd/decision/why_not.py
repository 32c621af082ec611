"""Why an action was not done: the line walked from the incident to what came of it, and where it stopped.

Must never name a reason that the trace, or the rule set it was decided under, does not give. What would have been
needed is told where the rules were asked, and is said to be unknown where their texts are not kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from healerd.decision.aftermath import Trace
from healerd.decision.guards import BUILT_IN
from healerd.decision.situation import from_json
from healerd.decision.telling import prose
from healerd.decision.view import inputs_of, look
from healerd.decision.words import because_of, number
from healerd.model import HOLD, OPEN_STATES, STEPS, Option
from healerd_rules import Asking, Explanation, RuleSet, asking, describe_leaf, explain
from healerd_rules.explanation import TRUTHS

__all__ = ["Stop", "WhyNot", "why_not"]

LOST = "what would have been needed is unknown: the texts of these rules are not kept, or load otherwise by now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One question on the way: `passed` None means that it was not asked, `lines` are what stands behind it."""

    step: str
    passed: bool | None
    said: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyNot:
    """The answer in one sentence, and the way that leads to it."""

    action: str
    pipeline: str
    decision_id: str
    answer: str
    stops: tuple[Stop, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What each question is answered from; `about` and `rules` are None where the rules cannot be asked again."""

    trace: Trace
    action: str
    option: Option | None
    rules: tuple[Asking, ...] | None
    about: Explanation | None

    @property
    def held(self) -> Mapping[str, Any]:
        return self.trace.decision.trace


def why_not(trace: Trace, action: str, ruleset: RuleSet | None) -> WhyNot:
    """Walk the line for one action of one decision; with its rule set, also say what would have changed it."""
    decision = trace.decision
    option = next((one for one in decision.options if one.action == action), None)
    rules, about = _ask(trace, action, option, ruleset)
    asked = _Asked(trace=trace, action=action, option=option, rules=rules, about=about)
    stops = tuple(_step_stops(asked) if action in STEPS else _stops(asked))
    barred = next((stop for stop in stops if stop.passed is False), None)
    if decision.chosen == action:
        answer = f"it was decided: {prose(trace)[2]}"
    else:
        answer = barred.said if barred else f"{decision.chosen} was decided: {decision.reason}"
    return WhyNot(action=action, pipeline=decision.pipeline, decision_id=decision.id, answer=answer, stops=stops)


def _ask(
    trace: Trace, action: str, option: Option | None, ruleset: RuleSet | None
) -> tuple[tuple[Asking, ...] | None, Explanation | None]:
    """Ask the rules again, as the first pass did; the confidence is that of the policy, where it had one."""
    if ruleset is None or action not in {known.name for known in ruleset.actions} or action in STEPS:
        return None, None
    situation = from_json(trace.decision.trace["situation"])
    inputs = inputs_of(situation, without=look(situation, ruleset).ignoring)
    sure = {action: option.confidence} if option is not None and option.confidence is not None else None
    return (
        asking(ruleset, inputs, situation.signals, action),
        explain(ruleset, inputs, situation.signals, action, sure),
    )


def _stops(asked: _Asked) -> Iterator[Stop]:
    yield _incident(asked)
    yield _proposed(asked)
    yield _permitted(asked)
    yield _in_the_way(asked)
    yield _policy(asked)
    yield _gate(asked)
    yield _decided(asked)


def _incident(asked: _Asked) -> Stop:
    incident = asked.held.get("incident")
    if not incident:
        return Stop(step="incident", passed=False, said="no incident was open: a healthy pipeline is left alone")
    if incident.get("closed_at"):
        return Stop(step="incident", passed=False, said=f"the incident was closed: {incident['closed_by']}")
    return Stop(step="incident", passed=True, said=f"incident {incident['id']} was open: {incident['reason']}")


def _proposed(asked: _Asked) -> Stop:
    action, wish = asked.action, asked.held.get("situation", {}).get("wish")
    if wish:
        own = wish["action"] == action
        said = f"`{wish['author']}` asked for {wish['action']}: {wish['reason']}"
        return Stop(step="proposed", passed=own, said=said)
    proposals = asked.held.get("proposals", ())
    own = [one for one in proposals if one["action"] == action]
    if own:
        said = f"rule {own[0]['rule']} proposed it, priority {own[0]['priority']}{because_of(own[0])}"
        return Stop(step="proposed", passed=True, said=said)
    if asked.rules is None:
        return Stop(step="proposed", passed=False, said=f"no rule proposed {action}", lines=(LOST,))
    if not asked.rules:
        return Stop(step="proposed", passed=False, said=f"no rule of this pipeline ever proposes {action}")
    lines = tuple(line for one in asked.rules for line in _would_ask(one))
    return Stop(step="proposed", passed=False, said=f"no rule proposed {action}{_nearly(asked.rules)}", lines=lines)


def _nearly(rules: Sequence[Asking]) -> str:
    """Name the first rule that a single comparison kept from asking."""
    flip = next((flip for one in rules for flip in one.flips), None)
    return "" if flip is None else f"; {flip.rule} would have, if `{flip.leaf.text}` were {TRUTHS[flip.needed]}"


def _would_ask(one: Asking) -> Iterator[str]:
    rule = one.rule
    yield f"{rule.rule} ({rule.path}:{rule.line}) did not ask: its condition was {TRUTHS[one.truth]}"
    yield from (f"  {describe_leaf(leaf)}" for leaf in rule.leaves)
    yield from (f"  would have asked, if `{flip.leaf.text}` were {TRUTHS[flip.needed]}" for flip in one.flips)


def _permitted(asked: _Asked) -> Stop:
    option = asked.option
    if option is None:
        return Stop(
            step="permitted", passed=False, said=f"{asked.action} was not weighed: the pipeline has no such action"
        )
    verdict = asked.held.get("first_pass", {}).get(asked.action, {})
    acting = [one for one in verdict.get("acting", ()) if one.get("enforcement") != "advisory"]
    lines = [line for one in acting for line in _acting(one)]
    if option.permitted:
        return Stop(step="permitted", passed=True, said=f"it was {option.level}", lines=tuple(lines))
    said = f"it was {option.level}: {option.why_not}" if option.why_not else f"it was {option.level}"
    return Stop(step="permitted", passed=False, said=said, lines=(*lines, *_nearest(asked, acting)))


def _acting(one: Mapping[str, Any]) -> Iterator[str]:
    place = f" ({one['path']}:{one['line']})" if one.get("path") else " (built in)"
    yield f"{one['kind']} {one['rule']}{place}{because_of(one)}"
    for leaf in one.get("leaves", ()):
        against = "" if leaf["threshold"] is None else f", threshold {leaf['threshold']}"
        yield f"  `{leaf['text']}` was {TRUTHS[leaf['truth']]}: value {number(leaf['value'])}{against}"


def _nearest(asked: _Asked, acting: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if asked.about is None:
        yield LOST
        return
    if asked.about.nearest is not None:
        yield f"by the rule files it {asked.about.nearest.prose()}"
    built_in = [one["rule"] for one in acting if str(one["rule"]).startswith(BUILT_IN)]
    if built_in:
        yield f"no change of facts lifts what is built in: {', '.join(built_in)}"


def _in_the_way(asked: _Asked) -> Stop:
    """What stood in the way that is no property of the data: an open intent, a rest, a pause, a veto, the stage."""
    decision = asked.trace.decision
    told = asked.held.get("situation", {})
    lines = [*_open(told), *_objections(told, asked.action)]
    verdict = asked.held.get("first_pass", {}).get(asked.action, {})
    if verdict.get("deferred_until"):
        lines.append(f"not before {str(verdict['deferred_until'])[:16].replace('T', ' ')}")
    if told.get("on_hold"):
        lines.append(f"nothing could start: {told['on_hold']}")
    if told.get("registry_away"):
        lines.append(f"the registry was away: {told['registry_away']}")
    said = "; ".join(lines) if lines else "nothing that was open, paused, vetoed or resting"
    return Stop(step="in the way", passed=None, said=said, lines=(f"the stage was {decision.stage.value}",))


def _open(told: Mapping[str, Any]) -> Iterator[str]:
    open_ = {state.value for state in OPEN_STATES}
    for one in told.get("intents", ()):
        if one["state"] in open_:
            yield f"{one['action']} `{one['id']}` was {one['state']}"


def _objections(told: Mapping[str, Any], action: str) -> Iterator[str]:
    for pause in told.get("pauses", ()):
        if not pause.get("ended_at"):
            yield f"`{pause['author']}` had paused {pause['pipeline']}: {pause['reason']}"
    for bar in told.get("bars", ()):
        if bar["action"] == action and not bar.get("lifted_at"):
            yield f"`{bar['author']}` had objected to {action}: {bar['reason']}"


def _policy(asked: _Asked) -> Stop:
    policy = asked.held.get("policy")
    if not policy or not policy.get("estimates"):
        failure = f": {policy['failure']}" if policy and policy.get("failure") else ""
        return Stop(step="policy", passed=None, said=f"it was not consulted, or had no answer{failure}")
    lines = tuple(
        f"{one['action']}: cost {number(one['cost_mean'])} +- {number(one['cost_sd'])}" for one in policy["estimates"]
    )
    return Stop(step="policy", passed=None, said=f"its candidate was {asked.trace.decision.candidate}", lines=lines)


def _gate(asked: _Asked) -> Stop:
    """Who had the say among what was permitted."""
    decision, gate = asked.trace.decision, asked.held.get("gate") or {}
    lines = list[str]()
    if decision.p_cheaper_than_rule is not None and gate.get("sure_enough") is not None:
        p, needed = decision.p_cheaper_than_rule, gate["sure_enough"]
        lines.append(f"P({decision.candidate} cheaper than {decision.rule_action}) {p:.2f}, needed {needed:.2f}")
    if gate.get("barred_by"):
        lines.append(f"{decision.candidate} was barred by: {gate['barred_by']}")
    if coin := gate.get("coin"):
        lines.append(f"a coin between {coin['policy']} and {coin['rule']} came up {coin['up']}")
    if asked.action == decision.rule_action:
        deviates = bool(gate.get("deviates"))
        said = f"the policy's {decision.candidate} took its place" if deviates else "it was the rules' action"
        return Stop(step="gate", passed=not deviates, said=said, lines=tuple(lines))
    if decision.rule_action == HOLD:
        said = "no rule asked for what is permitted, and the policy starts nothing by itself"
        return Stop(step="gate", passed=False, said=said, lines=tuple(lines))
    if asked.action == decision.candidate and not gate.get("deviates"):
        said = f"the rules' {decision.rule_action} stood: the candidate {asked.action} did not pass the gate"
        return Stop(step="gate", passed=False, said=said, lines=tuple(lines))
    said = f"the rules' action was {decision.rule_action}, the policy's {decision.candidate}"
    return Stop(step="gate", passed=None, said=said, lines=tuple(lines))


def _decided(asked: _Asked) -> Stop:
    decision, second = asked.trace.decision, asked.held.get("second_pass") or {}
    if decision.chosen == asked.action:
        return Stop(step="decided", passed=True, said=decision.reason)
    lines = tuple(line for one in second.get("acting", ()) for line in _acting(one))
    if second.get("action") == asked.action:
        return Stop(step="decided", passed=False, said=f"it was chosen and then held: {decision.reason}", lines=lines)
    said = f"it held: {decision.reason}" if decision.chosen == HOLD else f"{decision.chosen}: {decision.reason}"
    return Stop(step="decided", passed=False, said=said)


# steps ----------------------------------------------------------------------


def _step_stops(asked: _Asked) -> Iterator[Stop]:
    """A step is judged on its own: what its heal's guards said of it."""
    step, decision = asked.held.get("step"), asked.trace.decision
    if not step or step["step"] != asked.action:
        yield Stop(step="proposed", passed=False, said=f"no {asked.action} was called for: this decision judged none")
        return
    yield Stop(step="proposed", passed=True, said=f"{step['step']} of {step['heal_action']} `{step['heal_id']}`")
    lines = tuple(line for one in (asked.held.get("second_pass") or {}).get("acting", ()) for line in _acting(one))
    passed = decision.chosen == asked.action
    yield Stop(step="permitted", passed=passed, said=f"it was {decision.level}", lines=lines)
