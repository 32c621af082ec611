"""One intent as the question that it puts to people: every number they need to answer, as plain JSON values.

Pure. Must never soften a number, nor show a pass where the record has none: what the decision did not weigh is None.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from healerd.client.asked import Asked
from healerd.client.firing import sources_of
from healerd.client.views import Json, Reader, intent_view, plain
from healerd.client.words import Z_80
from healerd.decision.explain import diagnosis_of
from healerd.decision.segments import measurements_of, segment_said, segments_told
from healerd.model import (
    ANSWERABLE,
    AUTONOMOUS_FROM,
    DAEMON,
    HOLD,
    STEPS,
    Answer,
    Decision,
    Intent,
    Outcome,
    Result,
)
from healerd.silence import giver, on_silence, silence_at

__all__ = ["intent", "review_view"]

PAST_MAX = 500
"""Newest intents that count as past experience."""
EFFECTS: Mapping[str, str] = {"forbid": "block", "limit": "defer", "cooldown": "defer", "permit": "pass"}
"""Kind of a rule that acts -> what it does to the action; `require` asks or announces."""
GUARDS = ("permit", "forbid", "require", "cooldown", "limit")
DAY_S = 86400.0


def intent(reader: Reader, names: Sequence[str], at: datetime, asked: Asked) -> Json:
    """The look at one intent. Raises NotFound."""
    view = intent_view(reader, asked["id"])
    found = reader.get(Intent, asked["id"])
    decision = reader.get(Decision, found.decision_id) if found else None
    question = review_view(reader, found, decision, at=at) if found and decision else None
    return {**view, "now": plain(at), "review": question, "reviewing": []}


def review_view(reader: Reader, found: Intent, decision: Decision, *, at: datetime) -> Json:
    """The question in numbers: what else could be done, what the rules say, what stands behind it, who said what.

    What would be done, and what else could be, is of the decision that chose it; evidence and rules of what is asked
    anew are those of the newest decision by then, as its confidence, severity and approvals are.
    """
    basis = (reader.get(Decision, found.asked_on_id) if found.asked_on_id else None) or decision
    trace, answers = basis.trace, reader.find(Answer, intent_id=found.id)
    return {
        "evidence_revision": found.revision,
        "evidence_hash": _hash(found, basis),
        **_clock(found, basis, answers, at),
        "confidence": found.confidence,
        "gate": AUTONOMOUS_FROM,
        "stage": basis.stage.value,
        "consulted": _consulted(decision),
        "decided_by": _decided_by(found, decision),
        "alternatives": list(_alternatives(reader, found, decision)),
        "rules": list(_rules(reader, found, basis)),
        "evidence": list(_evidence(trace)),
        "diagnosis": list(diagnosis_of(trace)),
        "segments": [segment_said(one) for one in segments_told(measurements_of(trace)) if one.alarms],
        "approvals": [{**plain(need), "given_by": giver(need, found, answers)} for need in found.approvals],
        "blast": _blast(found, trace),
        "answered": [_answered(answer, at) for answer in reversed(answers)],
    }


def _hash(found: Intent, decision: Decision) -> str:
    """What was seen, in one number: the decision, and what of the intent makes a new revision."""
    seen = [decision.id, found.action, found.target, found.severity, found.revision]
    return hashlib.sha256(repr((plain(decision), seen)).encode()).hexdigest()


def _clock(found: Intent, decision: Decision, answers: Sequence[Answer], at: datetime) -> Json:
    """When silence decides, and what."""
    deadline = silence_at(found, answers) if found.state in ANSWERABLE else None
    acting = _verdict(found, decision).get("acting", ())
    places = {one["rule"]: f"{one['path']}:{one['line']}" for one in acting if one.get("path")}
    by = next((need.rule for need in found.approvals), None) or next(
        (one["rule"] for one in acting if one["kind"] == "require"), None
    )
    return {
        "deadline_at": plain(deadline),
        "seconds_left": max(0.0, (deadline - at).total_seconds()) if deadline else None,
        "veto_within_s": found.veto_within_s if found.state in ANSWERABLE else None,
        "counting": found.counted_at is not None and found.state in ANSWERABLE,
        "on_silence": on_silence(found, answers),
        "silence_by": None if by is None else f"{by} ({places[by]})" if by in places else by,
    }


def _consulted(decision: Decision) -> bool:
    policy = decision.trace.get("policy") or {}
    return bool(policy) and not policy.get("failure")


def _decided_by(found: Intent, decision: Decision) -> str:
    if decision.author != DAEMON:
        return decision.author
    if found.action in STEPS:
        return f"the heal `{found.parent_id}`"
    return f"rule {decision.rule}" if decision.rule and decision.chosen == decision.rule_action else "the policy"


def _answered(answer: Answer, at: datetime) -> Json:
    return {
        "kind": answer.kind.value,
        "author": answer.author,
        "reason": answer.reason,
        "revision": answer.revision,
        "at": plain(answer.at),
        "seconds_ago": max(0.0, (at - answer.at).total_seconds()),
    }


# alternatives --------------------------------------------------------------


def _alternatives(reader: Reader, found: Intent, decision: Decision) -> Iterator[Json]:
    """Every action that the decision weighed; the interval is that of a normal law with the posterior's two moments."""
    estimates = {one["action"]: one for one in (decision.trace.get("policy") or {}).get("estimates", ())}
    past = _past(reader, found)
    for option in decision.options:
        mean, sd = option.cost_mean, option.cost_sd or 0.0
        yield {
            "action": option.action,
            "target": option.target,
            "chosen": option.action == decision.chosen,
            "level": option.level,
            "permitted": option.permitted,
            "cost": mean,
            "cost_low": None if mean is None else max(0.0, mean - Z_80 * sd),
            "cost_high": None if mean is None else mean + Z_80 * sd,
            "p_better": option.confidence,
            "p_best": estimates.get(option.action, {}).get("p_best"),
            "p_failure": option.p_failure,
            "past": past.get(option.action),
            "why_not": option.why_not,
        }


def _past(reader: Reader, found: Intent) -> dict[str, Json]:
    """How the actions came out on this pipeline before: a step's outcome counts for its heal."""
    intents = {one.id: one for one in reader.find(Intent, order="-seq", limit=PAST_MAX, pipeline=found.pipeline)}
    past: dict[str, Json] = {}
    for intent_id, outcome in reader.get_each(Outcome, list(intents)).items():
        parent = intents.get(intents[intent_id].parent_id or "")
        action = (parent or intents[intent_id]).action
        if action == HOLD or outcome.result is Result.UNKNOWN or outcome.at >= found.created_at:
            continue
        counted = past.setdefault(action, {"healed": 0, "of": 0})
        counted["of"] += 1
        counted["healed"] += outcome.result is Result.HEALED
    return past


# rules and evidence --------------------------------------------------------


def _rules(reader: Reader, found: Intent, decision: Decision) -> Iterator[Json]:
    """What each rule says on this action: first those that act, then those in force that let it pass."""
    verdict = _verdict(found, decision)
    asking = {approval["rule"] for approval in verdict.get("approvals", ())}
    acting = verdict.get("acting", ())
    for one in acting:
        yield {**_place(one), "effect": _effect(one, asking), "leaves": one.get("leaves", [])}
    told = {one["rule"] for one in acting}
    for rule in sources_of(reader, decision.rules_id)["rules"]:
        covers = found.action in rule["actions"] and rule["kind"] in GUARDS
        if covers and rule["name"] not in told:
            yield {**_place({**rule, "rule": rule["name"]}), "effect": "pass", "leaves": []}


def _verdict(found: Intent, decision: Decision) -> Mapping[str, Any]:
    """What the rules said on this action: of what a newer decision did not choose there is no second pass."""
    second = decision.trace.get("second_pass") if decision.chosen == found.action else None
    return second or decision.trace.get("first_pass", {}).get(found.action) or {}


def _place(one: Mapping[str, Any]) -> Json:
    return {name: one.get(name) for name in ("rule", "kind", "path", "line", "because")}


def _effect(one: Mapping[str, Any], asking: set[str]) -> str:
    if one.get("enforcement") == "advisory":
        return "advise"
    if one["kind"] == "require":
        return "ask" if one["rule"] in asking else "announce"
    return EFFECTS.get(one["kind"], "pass")


def _evidence(trace: Mapping[str, Any]) -> Iterator[Json]:
    """What was measured on the window, what alarms first, then what has gathered the most evidence."""
    fields = ("name", "subject", "layer", "value", "effect", "n", "p_value", "log_evidence", "log_limit", "since_at")
    measured = trace.get("situation", {}).get("measurements", ())
    ranked = sorted(measured, key=lambda one: (not one.get("alarm", False), -(one.get("log_evidence") or -1e9)))
    for one in ranked:
        yield {**{name: one.get(name) for name in fields}, "alarm": one.get("alarm", False)}


def _blast(found: Intent, trace: Mapping[str, Any]) -> Json:
    """Whom it reaches. Each pipeline has an alias of its own; who consumes its answers is not known to healerd."""
    situation = trace.get("situation", {})
    rows, window_s = situation.get("rows"), situation.get("window_s")
    back = f"undo to `{found.current}`" if found.current and found.action != "fallback" else None
    reversible = "return to the model" if found.action == "fallback" else back
    return {
        "pipelines": sorted({found.pipeline, *(one.get("pipeline") for one in situation.get("intents", ()))}),
        "rows_per_window": rows,
        "rows_per_day": rows * DAY_S / window_s if rows is not None and window_s else None,
        "reversible": reversible,
        "level": "low" if reversible else "high",
    }
