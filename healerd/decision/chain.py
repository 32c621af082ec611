"""The causal chain of a trace, from what was measured to what came of it, as links; and the diagram drawn from them.

Must never hold a link's line that the trace does not: a link about which nothing is recorded says so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from healerd.decision.aftermath import Deed, Trace, states_of
from healerd.decision.erasure import held, is_erased
from healerd.decision.telling import answer_said, move_said, outcome_said
from healerd.decision.words import because_of, number, when
from healerd.model import HOLD

__all__ = ["Link", "chain", "diagram"]

SHOWN_MAX = 8
"""Lines of measurements that a link shows: those that alarm come first."""
NAME_CELLS = 13
"""Room for the longest name of a link."""
LEAST_CELLS = 40
CELLS = 74
"""Fits a terminal of 80 columns with a frame around it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link of the chain: its name, and what the trace holds about it, a fact a line."""

    step: str
    lines: tuple[str, ...]


def chain(trace: Trace) -> tuple[Link, ...]:
    """Take a trace apart in the order of causes: each link follows from those before it.

    Of a trace that was erased nothing is known before the decision itself.
    """
    gone = is_erased(trace.decision)
    before = tuple(
        Link(step=name, lines=("erased from the record",) if gone and told is not _decision else tuple(told(trace)))
        for name, told in BEFORE.items()
    )
    return (*before, *(Link(step=name, lines=tuple(told(trace.deeds))) for name, told in AFTER.items()))


def diagram(trace: Trace, *, cells: int = CELLS, ascii_only: bool = True) -> str:
    """Draw the chain, no line wider than `cells`; with `ascii_only` every other sign is a question mark."""
    down = "v" if ascii_only else "▼"
    lines = list[str]()
    for link in chain(trace):
        if lines:
            lines.append(f"{'':>{NAME_CELLS}} {down}")
        lines += _drawn(link, cells)
    text = "\n".join(lines) + "\n"
    return text.encode("ascii", "replace").decode("ascii") if ascii_only else text


def _drawn(link: Link, cells: int) -> Iterator[str]:
    room = max(LEAST_CELLS, cells) - NAME_CELLS - 1
    told = [part for line in link.lines for part in _folded(line, room)]
    for place, part in enumerate(told):
        yield f"{link.step.upper() if place == 0 else '':<{NAME_CELLS}} {part}"


def _folded(line: str, room: int) -> list[str]:
    """Break a line that is too long; what follows is set in by two more cells than the line."""
    indent = len(line) - len(line.lstrip())
    # An id with hyphens stays in one piece, so that it can be copied.
    return wrap(line, room, subsequent_indent=" " * (indent + 2), break_on_hyphens=False) or [""]


# before the decision --------------------------------------------------------


def _measurements(trace: Trace) -> Iterator[str]:
    measured = trace.decision.trace.get("situation", {}).get("measurements", ())
    alarms = [one for one in measured if one.get("alarm", False)]
    unknown = [one for one in measured if one.get("alarm", False) is None]
    yield f"{len(measured)} measured, {len(alarms)} in alarm, {len(unknown)} unknown"
    shown = sorted(alarms, key=lambda one: -(one.get("log_evidence") or 0.0))[:SHOWN_MAX]
    yield from (_measured(one) for one in shown)
    if len(alarms) > len(shown):
        yield "and others, in the record"


def _measured(one: Mapping[str, Any]) -> str:
    about = f" of `{one['subject']}`" if one.get("subject") else ""
    since = f", since {str(one['since_at'])[:16].replace('T', ' ')}" if one.get("since_at") else ""
    evidence = ""
    if one.get("log_evidence") is not None and one.get("log_limit") is not None:
        evidence = f", log evidence {number(one['log_evidence'])}, line {number(one['log_limit'])}"
    return f"{one['name']}{about} {number(one.get('value'))} (n={one['n']}){evidence}{since}"


def _alarms(trace: Trace) -> Iterator[str]:
    seen = trace.decision.trace.get("alarms", {})
    for word, state in (("stands", True), ("clear", False), ("unknown", None)):
        names = sorted(name for name, alarm in seen.items() if alarm is state)
        if names:
            yield f"{word}: {', '.join(names)}"
    if not seen:
        yield "none recorded"


def _incident(trace: Trace) -> Iterator[str]:
    incident = trace.decision.trace.get("incident")
    if not incident:
        yield "none is open"
        return
    # A trace of an older version may hold less of its incident: what is missing is left out.
    since = f", opened {str(incident['opened_at'])[:16].replace('T', ' ')}" if incident.get("opened_at") else ""
    severity = f", severity {incident['severity']}" if "severity" in incident else ""
    yield f"{incident['id']}: {incident.get('kind', 'of no recorded kind')}{severity}{since}"
    by = f"by {incident['opened_by']}: " if incident.get("opened_by") else ""
    yield f"{by}{incident['reason']}"
    if incident.get("closed_at"):
        yield f"closed: {incident['closed_by']}"


def _rules(trace: Trace) -> Iterator[str]:
    held = trace.decision.trace
    step, wish = held.get("step"), held.get("situation", {}).get("wish")
    if step:
        yield f"{step['step']} is a step of {step['heal_action']} `{step['heal_id']}`"
    elif wish:
        yield f"`{wish['author']}` asks for {wish['action']}: {wish['reason']}"
    for one in held.get("proposals", ()):
        yield f"{one['rule']} proposes {one['action']}, priority {one['priority']}{because_of(one)}"
    if not held.get("proposals") and not step and not wish:
        yield "no rule proposes anything"


def _verdicts(trace: Trace) -> Iterator[str]:
    for option in trace.decision.options:
        if option.action == HOLD:
            continue
        yield f"{option.action}: {option.level}"
        verdict = trace.decision.trace.get("first_pass", {}).get(option.action, {})
        yield from (f"  {_acting(one)}" for one in verdict.get("acting", ()))
    if not any(option.action != HOLD for option in trace.decision.options):
        yield "none recorded"


def _acting(one: Mapping[str, Any]) -> str:
    place = f" ({one['path']}:{one['line']})" if one.get("path") else ""
    advises = " (advice)" if one.get("enforcement") == "advisory" else ""
    return f"{one['kind']} {one['rule']}{advises}{place}{because_of(one)}"


def _policy(trace: Trace) -> Iterator[str]:
    decision, policy = trace.decision, trace.decision.trace.get("policy")
    if not policy:
        yield "not consulted"
        return
    yield f"{policy['name']}, after {policy['events']} outcomes"
    if policy.get("failure"):
        yield f"no answer: {policy['failure']}"
    for one in policy.get("estimates", ()):
        yield f"{one['action']}: cost {number(one['cost_mean'])} +- {number(one['cost_sd'])}{_sure(one)}"
    if policy.get("estimates"):
        yield f"its candidate: {decision.candidate}"


def _sure(one: Mapping[str, Any]) -> str:
    p = one.get("p_cheaper_than_hold")
    return "" if p is None or one["action"] == HOLD else f", P(cheaper than nothing) {p:.2f}"


def _gates(trace: Trace) -> Iterator[str]:
    decision, gate = trace.decision, trace.decision.trace.get("gate") or {}
    sure = gate.get("sure_enough")
    p = decision.p_cheaper_than_rule
    if p is not None and sure is not None and decision.candidate != decision.rule_action:
        stands = "deviates" if gate.get("deviates") else f"the rules' {decision.rule_action} stands"
        against = f"P({decision.candidate} cheaper than {decision.rule_action}) {p:.2f}, needed {sure:.2f}"
        yield f"deviation: {against}: {stands}"
    if gate.get("barred_by"):
        yield f"barred by: {gate['barred_by']}"
    if ledger := gate.get("ledger"):
        yield f"ledger with it: {number(ledger['mean'])} +- {number(ledger['sd'])}, upper {number(ledger['upper'])}"
    if coin := gate.get("coin"):
        yield f"coin between {coin['policy']} (policy) and {coin['rule']} (rules): {coin['up']}"
    yield from _autonomy(trace)
    second = decision.trace.get("second_pass") or {}
    yield from (_acting(one) for one in second.get("acting", ()))


def _autonomy(trace: Trace) -> Iterator[str]:
    decision = trace.decision
    if decision.chosen == HOLD:
        yield "nothing asks to run"
    elif decision.confidence is None:
        yield "confidence unknown: it cannot run without a person"
    else:
        yield f"confidence {decision.confidence:.2f}"


def _decision(trace: Trace) -> Iterator[str]:
    decision = trace.decision
    to = f" to `{decision.target}`" if decision.target else ""
    yield f"{decision.chosen}{to}, {decision.level}: {held(decision.reason)}"
    if decision.deferred_until is not None:
        yield f"not before {when(decision.deferred_until)}"
    if decision.trace.get("on_silence"):
        yield f"on silence {decision.trace['on_silence']}"


# after the decision ---------------------------------------------------------


def _intents(deeds: Sequence[Deed]) -> Iterator[str]:
    for deed in deeds:
        to = f" to `{deed.intent.target}`" if deed.intent.target else ""
        yield f"`{deed.intent.id}`: {deed.intent.action}{to} is {deed.intent.state.value}"
        yield from (f"  {when(move.at)} {move_said(move)}" for move in states_of(deed))
        yield from (f"  {answer_said(answer)}" for answer in deed.answers)
    if not deeds:
        yield "none"


def _effects(deeds: Sequence[Deed]) -> Iterator[str]:
    told = [line for deed in _with_steps(deeds) for line in _effect(deed)]
    yield from told or ["none"]


def _effect(deed: Deed) -> Iterator[str]:
    intent = deed.intent
    if intent.effect_at is not None:
        change = f" from `{intent.current}`" if intent.current else ""
        to = f" to `{intent.target}`" if intent.target else ""
        yield f"{intent.action}{change}{to} took effect {when(intent.effect_at)}"
    elif intent.executed_at is not None:
        yield f"{intent.action} was started {when(intent.executed_at)}: no effect is recorded"


def _verifications(deeds: Sequence[Deed]) -> Iterator[str]:
    judged = [deed for deed in _with_steps(deeds) if deed.outcome is not None]
    for deed in judged:
        assert deed.outcome is not None, "filtered above"
        yield f"{deed.intent.action} `{deed.intent.id}` {outcome_said(deed.outcome)}"
    if not judged:
        yield "no verdict is recorded" if any(deed.intent.effect_at for deed in deeds) else "none"


def _undos(deeds: Sequence[Deed]) -> Iterator[str]:
    found = [step for deed in deeds for step in deed.steps if step.intent.action in ("undo", "return")]
    for step in found:
        yield f"{step.intent.action} `{step.intent.id}` is {step.intent.state.value}"
        yield from (f"  {when(move.at)} {move_said(move)}" for move in states_of(step))
    if not found:
        yield "none"


def _with_steps(deeds: Sequence[Deed]) -> Iterator[Deed]:
    for deed in deeds:
        yield deed
        yield from deed.steps


BEFORE: Mapping[str, Callable[[Trace], Iterator[str]]] = {
    "measurements": _measurements,
    "alarms": _alarms,
    "incident": _incident,
    "rules": _rules,
    "verdicts": _verdicts,
    "policy": _policy,
    "gates": _gates,
    "decision": _decision,
}
AFTER: Mapping[str, Callable[[Sequence[Deed]], Iterator[str]]] = {
    "intent": _intents,
    "effect": _effects,
    "verification": _verifications,
    "undo": _undos,
}
