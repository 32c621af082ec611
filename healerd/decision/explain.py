"""A decision for people: three sentences, a page, JSON and the words of a prompt, all read from the decision.

Must never state what the decision and its trace do not hold.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from healerd.decision.diagnosis import Diagnosis, diagnosis_said
from healerd.decision.erasure import held, is_erased
from healerd.decision.segments import measurements_of, segment_said, segments_told
from healerd.decision.words import number, when
from healerd.model import HOLD, Answer, Decision, Intent, Option
from healerd.policy import BARS
from healerd.silence import is_agreed, missing, silence_at
from healerd_rules.explanation import TRUTHS

__all__ = ["Prompt", "diagnosis_of", "page", "prompt", "sentences"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a person is asked: what would be done, why, and what happens if nobody answers."""

    what: str
    why: str
    default: str


def sentences(decision: Decision) -> tuple[str, str, str]:
    """Say what was seen, what was decided and why, and what happens next; one sentence each.

    Of what was erased from the record it says that it was erased.
    """
    return _seen(decision), _decided(decision), _next(decision)


def page(decision: Decision) -> str:
    """Write a decision as a page of text: the three sentences, every option, and the numbers behind them."""
    return "\n".join(_page(decision)) + "\n"


def prompt(intent: Intent, decision: Decision, *, answers: Collection[Answer]) -> Prompt:
    """Word the question that an intent puts to people, after the `answers` to it so far."""
    change = f" from `{intent.current}`" if intent.current else ""
    target = f" to `{intent.target}`" if intent.target else ""
    return Prompt(
        what=f"{intent.action} on `{intent.pipeline}`{change}{target}",
        why=f"{_seen(decision)} {_decided(decision)}{_anew(intent, decision)}",
        default=_default(intent, answers),
    )


# sentences -----------------------------------------------------------------


def _seen(decision: Decision) -> str:
    if is_erased(decision):
        return f"What was seen on `{decision.pipeline}` was erased from the record."
    incident, trace = decision.trace.get("incident"), decision.trace
    standing = sorted(name for name, alarm in trace.get("alarms", {}).items() if alarm)
    unknown = sorted(name for name, alarm in trace.get("alarms", {}).items() if alarm is None)
    alarms = f"alarms of {_list(standing)} stand" if standing else "no alarm stands"
    blind = f", {_list(unknown)} unknown" if unknown else ""
    if incident is None:
        return f"On `{decision.pipeline}` {alarms}{blind}."
    return f"On `{decision.pipeline}` {alarms}{blind}; incident {incident['id']}: {incident['reason']}."


def _decided(decision: Decision) -> str:
    if decision.chosen == HOLD:
        return f"It holds, because {held(decision.reason)}."
    target = f" to `{decision.target}`" if decision.target else ""
    does = {"rollback": "roll back", "fallback": "fall back"}.get(decision.chosen, decision.chosen)
    return f"It would {does}{target}, because {held(decision.reason)}; {_sureness(decision)}."


def _anew(intent: Intent, decision: Decision) -> str:
    """Say why what was decided is asked once more, and how sure it is by now."""
    if not intent.revision:
        return ""
    return f" It is asked anew: {held(intent.reason)}{_sure_by_now(intent, decision)}."


def _sure_by_now(intent: Intent, decision: Decision) -> str:
    if intent.confidence is None:
        return "" if decision.confidence is None else "; by now nobody knows how sure that is to help"
    probability = "that probability" if decision.confidence is not None else f"the probability that {_than(decision)}"
    return f"; by now {probability} is {intent.confidence:.2f}"


def _sureness(decision: Decision) -> str:
    if decision.confidence is None:
        option = next((each for each in decision.options if each.action == decision.chosen), None)
        unsaid = option is not None and option.cost_mean is not None and option.confidence is None
        why = (
            f", as nobody configured `failure` of {decision.chosen}" if unsaid and "step" not in decision.trace else ""
        )
        return f"how sure that is to help is unknown{why}"
    return f"the probability that {_than(decision)} is {decision.confidence:.2f}"


def _than(decision: Decision) -> str:
    return "it improves matters" if "step" in decision.trace else "this costs less than doing nothing"


def _next(decision: Decision) -> str:
    if decision.chosen == HOLD:
        until = f" not before {when(decision.deferred_until)}" if decision.deferred_until else " at the next window"
        return f"It is decided again{until}."
    needs = [f"the approval of {need.role} ({need.rule})" for need in decision.approvals]
    if decision.veto_within_s is not None:
        needs.append(f"{_duration(decision.veto_within_s)} in which a person may veto")
    if not needs:
        return "It may start now, without anybody's word."
    silence = decision.trace.get("on_silence")
    return f"It needs {_list(needs)}" + (f"; on silence {silence}." if silence else ".")


def _default(intent: Intent, answers: Collection[Answer]) -> str:
    by_when = _by_when(intent, answers)
    if is_agreed(intent, answers):
        return f"Everybody who was asked has said yes: unless somebody vetoes it{by_when}, it runs."
    return f"If nobody answers{by_when}, {intent.default}."


def _by_when(intent: Intent, answers: Collection[Answer]) -> str:
    at = silence_at(intent, answers)
    if at is not None:
        return f" by {when(at)}"
    if intent.veto_within_s is not None and not missing(intent, answers):
        return f" within {_duration(intent.veto_within_s)} of having been able to"
    return ""


# page ----------------------------------------------------------------------


def _page(decision: Decision) -> Iterator[str]:
    start_at, end_at = decision.window_start_at, decision.window_end_at
    window = f"{when(start_at)} to {when(end_at)}" if start_at and end_at else "-"
    yield f"decision {decision.id} on {decision.pipeline} at {when(decision.at)}"
    yield f"window {window}, stage {decision.stage.value}, rules {decision.rules_id[:12]}, by {decision.author}"
    yield ""
    yield from sentences(decision)
    yield ""
    yield "options"
    yield from (_option_line(option, chosen=decision.chosen) for option in decision.options)
    yield from _diagnosis_lines(decision.trace)
    yield from _segment_lines(decision.trace)
    yield from _estimate_lines(decision.trace.get("facts", {}))
    yield from _payback(decision.trace.get("facts", {}))
    yield from _numbers("facts", decision.trace.get("facts", {}))
    yield from _numbers("context", decision.trace.get("context", {}))
    policy = decision.trace.get("policy")
    if policy:
        yield f"policy {policy['name']}, after {policy['events']} outcomes, state {policy['state'][:12]}"
        if policy["failure"]:
            yield f"  no answer: {policy['failure']}"
    yield from _gate_lines(decision)
    yield from _verdict_lines(decision.trace.get("second_pass") or {})
    yield from (f"withdraws {each['intent']}: {each['because']}" for each in decision.trace.get("withdraws", ()) or ())


def diagnosis_of(trace: Mapping[str, Any]) -> tuple[str, ...]:
    """Tell the diagnosis that a trace holds, a sentence a line; empty where it holds none."""
    held = trace.get("situation", {}).get("diagnosis")
    return diagnosis_said(msgspec.convert(held, Diagnosis)) if held else ()


def _diagnosis_lines(trace: Mapping[str, Any]) -> Iterator[str]:
    told = diagnosis_of(trace)
    if told:
        yield "diagnosis, for people: no verdict hangs on it"
    yield from (f"  {line}" for line in told)


def _segment_lines(trace: Mapping[str, Any]) -> Iterator[str]:
    """One line a segment, those with an alarm first."""
    told = segments_told(measurements_of(trace))
    if told:
        yield "segments"
    yield from (f"  {segment_said(one)}" for one in told)


def _estimate_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """The estimates of the error, said to be such."""
    value, low, high = (facts.get(f"estimated_error{end}") for end in ("", "_low", "_high"))
    if value is not None and low is not None and high is not None:
        chance = facts.get("p_estimated_error_high")
        above = "" if chance is None else f", P(above the limit) {chance:.2f}"
        yield (
            f"estimated error {value:.1%} (95% between {low:.1%} and {high:.1%}{above}): an estimate without labels, "
            "blind to concept shift; it is no harm, and raises no alarm"
        )
    chance = facts.get("p_error_above_limit")
    if chance is not None:
        yield f"P(error above the limit) {chance:.2f}, an estimate by the labels there are"


def _gate_lines(decision: Decision) -> Iterator[str]:
    """Say what kept the policy's candidate from taking the place of the rule's action, or what coin was tossed."""
    gate = decision.trace.get("gate") or {}
    if barred_by := gate.get("barred_by"):
        instead = f"{decision.candidate} in the place of {decision.rule_action}"
        yield f"  {instead} is barred by the {barred_by}: {BARS[barred_by]}"
    if ledger := gate.get("ledger"):
        yield f"  ledger with it: {ledger['mean']:+.1f} +- {ledger['sd']:.1f}, upper end {ledger['upper']:+.1f}"
    if tossed := gate.get("coin"):
        yield f"  coin between {tossed['policy']} (policy) and {tossed['rule']} (rules): {tossed['up']}"


def _payback(facts: Mapping[str, Any]) -> Iterator[str]:
    """Say what a new fit is worth, where it is known; a decision of an older version does not hold it."""
    loss, p_pays = facts.get("expected_loss"), facts.get("p_retrain_pays")
    if loss is not None and p_pays is not None:
        yield f"a new fit would spare {loss:.1f} in cost, and pays for itself with probability {p_pays:.2f}"


def _option_line(option: Option, *, chosen: str) -> str:
    mark = ">" if option.action == chosen else " "
    cost = "" if option.cost_mean is None else f"  cost {option.cost_mean:.1f} +- {option.cost_sd or 0.0:.1f}"
    sure = "" if option.confidence is None else f"  P(cheaper than nothing) {option.confidence:.2f}"
    why = f"  {held(option.why_not)}" if option.why_not else ""
    return f"{mark} {option.action:<9} {option.level:<15}{cost}{sure}{why}"


def _numbers(title: str, numbers: Mapping[str, Any]) -> Iterator[str]:
    flat = [f"{name} {number(value)}" for name, value in sorted(numbers.items()) if not isinstance(value, Mapping)]
    if flat:
        yield f"{title}: {', '.join(flat)}"


def _verdict_lines(verdict: Mapping[str, Any]) -> Iterator[str]:
    for acting in verdict.get("acting", ()):
        place = f" ({acting['path']}:{acting['line']})" if acting["path"] else ""
        yield f"{acting['kind']} {acting['rule']}{place}: {acting['because']}"
        yield from (
            f"    {leaf['text']}: {TRUTHS[leaf['truth']]}, value {number(leaf['value'])}" for leaf in acting["leaves"]
        )


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min" if minutes and not rest else f"{seconds:.0f} s"
