"""What a trace says, step by step, and where two traces part. Pure; must never call two unknown values the same truth.

A trace is what `Client.trace` gives. The steps are in the order in which a decision is made, so that the first one that
differs is where the two went different ways.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from healerd.model import AUTONOMOUS_FROM

__all__ = ["STEPS", "diff_traces", "trace_steps"]

Json = dict[str, Any]
Row = tuple[str, Any, str]
"""A name, a value, and what to remark about it."""

STEPS = ("signals", "rules", "policy", "gate", "people", "action", "outcome")
CLOSE = 1e-9
UNLIKE = ("pipeline", "window_end_at", "decided_at")
"""Rows that name a trace: they differ without deciding anything."""


def trace_steps(trace: Mapping[str, Any]) -> list[Json]:
    """Take a trace apart: for each step its title, and rows of a name, a value and a remark."""
    return [
        {
            "step": step,
            "title": title,
            "rows": [{"name": name, "value": value, "note": note} for name, value, note in rows],
        }
        for step, (title, rows) in ((step, _STEP[step](trace)) for step in STEPS)
    ]


def diff_traces(a: Mapping[str, Any], b: Mapping[str, Any]) -> Json:
    """Lay two traces side by side; `first` is the first step that differs, where their results do.

    A row that only one of them has is None in the other. The signals are the cause only where a rule, the policy or
    the gate saw them differ as well, so the search for `first` begins at what was made of them.
    """
    steps = []
    for one, other in zip(trace_steps(a), trace_steps(b), strict=True):
        rows = list(_side_by_side(one["rows"], other["rows"]))
        steps.append({"step": one["step"], "same": all(row["same"] for row in rows), "rows": rows})
    return {"a": a["decision"]["id"], "b": b["decision"]["id"], "steps": steps, "first": _first(a, b, steps)}


def _first(a: Mapping[str, Any], b: Mapping[str, Any], steps: Sequence[Json]) -> Json | None:
    result = ("chosen", "target", "level")
    if all(a["decision"][name] == b["decision"][name] for name in result):
        return None
    for step in steps:
        decisive = [row for row in step["rows"] if not row["same"] and row["decisive"]]
        if decisive:
            return {"step": step["step"], **{name: decisive[0][name] for name in ("name", "a", "b")}}
    return None


def _side_by_side(a: Sequence[Json], b: Sequence[Json]) -> Iterator[Json]:
    first, second = ({row["name"]: row for row in rows} for rows in (a, b))
    for name in dict.fromkeys((*first, *second)):
        one, other = first.get(name), second.get(name)
        x, y = (row["value"] if row else None for row in (one, other))
        notes = tuple(row["note"] if row else "" for row in (one, other))
        same = (one is None) == (other is None) and _same(x, y)
        yield {
            "name": name,
            "a": x,
            "b": y,
            "note_a": notes[0],
            "note_b": notes[1],
            "same": same,
            "ratio": _ratio(x, y),
            # A measured number is never quite the same twice: what counts is that it crossed a line.
            "decisive": not same and name not in UNLIKE and (not _measured(x, y) or notes[0] != notes[1]),
        }


def _measured(x: Any, y: Any) -> bool:
    return any(isinstance(each, float | int) and not isinstance(each, bool) for each in (x, y))


def _same(x: Any, y: Any) -> bool:
    if isinstance(x, float | int) and isinstance(y, float | int):
        return math.isclose(x, y, rel_tol=CLOSE, abs_tol=CLOSE)
    return bool(x == y)


def _ratio(x: Any, y: Any) -> float | None:
    numbers = all(isinstance(each, float | int) and not isinstance(each, bool) for each in (x, y))
    return float(y / x) if numbers and x and y / x > 0 else None


# steps ---------------------------------------------------------------------


def _signals(trace: Mapping[str, Any]) -> tuple[str, list[Row]]:
    told = trace["decision"]["trace"]
    measured = told.get("situation", {}).get("measurements", ())
    alarms = [one for one in measured if one.get("alarm", False)]
    rows = [(_called(one), one.get("value"), _remark(one)) for one in measured]
    rows += [(f"signal {name}", value, "") for name, value in sorted(told.get("signals", {}).items())]
    return f"{len(measured)} measured, {len(alarms)} alarm", rows


def _called(one: Mapping[str, Any]) -> str:
    return f"{one['name']} {one['subject']}" if one.get("subject") else str(one["name"])


def _remark(one: Mapping[str, Any]) -> str:
    alarm = one.get("alarm", False)
    return "ALARM" if alarm else ("unknown" if alarm is None else "")


def _rules(trace: Mapping[str, Any]) -> tuple[str, list[Row]]:
    told = trace["decision"]["trace"]
    rows: list[Row] = [("rule set", trace["decision"]["rules_id"], "")]
    for action, verdict in told.get("first_pass", {}).items():
        rows.append((action, verdict["level"], ""))
        rows += [(f"{action}: {one['rule']}", one["kind"], one.get("because", "")) for one in verdict["acting"]]
    rows += [(f"proposes {one['rule']}", one["action"], one.get("because", "")) for one in told.get("proposals", ())]
    return f"{len(told.get('proposals', ()))} proposed, {_permitted(told)} permitted", rows


def _permitted(told: Mapping[str, Any]) -> int:
    levels = ("allowed", "announced", "approval_needed")
    return sum(verdict["level"] in levels for verdict in told.get("first_pass", {}).values())


def _policy(trace: Mapping[str, Any]) -> tuple[str, list[Row]]:
    policy = trace["decision"]["trace"].get("policy")
    if not policy:
        return "not consulted", []
    rows: list[Row] = [("policy", policy["name"], policy["failure"]), ("outcomes learned", policy["events"], "")]
    for one in policy["estimates"]:
        rows.append((f"{one['action']} cost", one["cost_mean"], f"sd {one['cost_sd']:.3g}"))
        rows.append((f"{one['action']} P(best)", one["p_best"], ""))
        rows.append((f"{one['action']} P(cheaper than nothing)", one["p_cheaper_than_hold"], ""))
    return f"{policy['name']}, after {policy['events']} outcomes", rows


def _gate(trace: Mapping[str, Any]) -> tuple[str, list[Row]]:
    decision = trace["decision"]
    gate = decision["trace"].get("gate", {})
    confidence = decision["confidence"]
    passed = "unknown" if confidence is None else ("passes" if confidence >= AUTONOMOUS_FROM else "fails")
    rows: list[Row] = [
        ("rule's action", decision["rule_action"], decision["rule"] or ""),
        ("candidate", decision["candidate"], ""),
        (
            "P(cheaper than the rule's action)",
            decision["p_cheaper_than_rule"],
            "deviates" if gate.get("deviates") else "",
        ),
        ("confidence", confidence, passed),
        ("needed to deviate", gate.get("sure_enough"), ""),
        ("needed to act alone", AUTONOMOUS_FROM, ""),
    ]
    return f"{'-' if confidence is None else f'{confidence:.2f}'} against {AUTONOMOUS_FROM:.2f}: {passed}", rows


def _people(trace: Mapping[str, Any]) -> tuple[str, list[Row]]:
    decision = trace["decision"]
    rows: list[Row] = [("level", decision["level"], ""), ("author", decision["author"], "")]
    rows += [(f"approval of {need['role']}", need["rule"], need["otherwise"]) for need in decision["approvals"]]
    if decision["veto_within_s"] is not None:
        rows.append(("veto within (s)", decision["veto_within_s"], ""))
    rows.append(("on silence", decision["trace"].get("on_silence"), ""))
    return str(decision["level"]), rows


def _action(trace: Mapping[str, Any]) -> tuple[str, list[Row]]:
    decision = trace["decision"]
    rows: list[Row] = [("chosen", decision["chosen"], decision["reason"]), ("target", decision["target"], "")]
    rows += [(f"intent {n + 1}", one["state"], one["reason"]) for n, one in enumerate(trace["intents"])]
    return str(decision["chosen"]), rows


def _outcome(trace: Mapping[str, Any]) -> tuple[str, list[Row]]:
    rows: list[Row] = []
    for one in trace["outcomes"]:
        rows += [("result", one["result"], one["note"]), ("gain", one["gain"], f"n={one['n']}")]
    return str(trace["outcomes"][0]["result"]) if trace["outcomes"] else "-", rows


_STEP = {
    "signals": _signals,
    "rules": _rules,
    "policy": _policy,
    "gate": _gate,
    "people": _people,
    "action": _action,
    "outcome": _outcome,
}
