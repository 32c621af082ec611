"""What a proposal would come to, in words: its plan, the verdict, and what would be done. Must never ask for it.

The daemon rehearses (`healerd propose --dry-run`); here its answer becomes lines.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from healerd.client.words import duration
from healerd.model import ACTIONS_THAT_HEAL, HOLD
from healerd_tui.inert import show

__all__ = ["actions_of", "plan_lines", "rows_of"]

Line = tuple[tuple[str, str], ...]


def actions_of(view: Mapping[str, Any]) -> tuple[str, ...]:
    """List the actions that a pipeline has; those that every pipeline has where its daemon does not say."""
    return tuple(str(each) for each in view.get("actions") or ()) or tuple(ACTIONS_THAT_HEAL)


def rows_of(actions: Sequence[str], *, cells: int) -> tuple[tuple[str, ...], ...]:
    """Put names into rows of at most so many cells, each with a cell on either side and two behind."""
    rows: list[list[str]] = [[]]
    for action in actions:
        used = sum(len(show(each)) + 4 for each in rows[-1])
        if rows[-1] and used + len(show(action)) + 4 > cells:
            rows.append([])
        rows[-1].append(action)
    return tuple(tuple(row) for row in rows)


def plan_lines(told: Mapping[str, Any], *, cells: int) -> tuple[Line, ...]:
    """Write a rehearsal: what would be done to which version, and who would be asked; or why it would be held."""
    plan = told.get("plan")
    lines: list[tuple[str, str, str]] = []
    if plan is None:
        lines.append(("plan", str(told.get("refusal") or "none"), "watch"))
    else:
        lines.append(("plan", str(plan.get("note") or "as the action says"), ""))
        where = f"{plan.get('current') or 'none'} to {plan.get('target') or 'a version that it makes'}"
        lines += [("moves", where, "")] if plan.get("current") else []
    if told.get("would") == HOLD:
        lines.append(("would", f"hold: {told.get('why')}", "watch"))
    else:
        lines.append(("would", f"{told.get('would')}, {told.get('verdict')}{_asks(told)}", ""))
    return tuple(((f"{label:<6}", "label"), (show(words)[: cells - 6], role)) for label, words, role in lines)


def _asks(told: Mapping[str, Any]) -> str:
    approvals = ", ".join(str(each) for each in told.get("approvals") or ())
    veto_s = told.get("veto_within_s")
    by = f"; asks {approvals}" if approvals else ""
    return by + (f"; may be vetoed for {duration(float(veto_s))}" if veto_s else "")
