"""The look that answers why an action was not done. Must never answer for a decision that was not recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from healerd.client.aftermath import trace_of
from healerd.client.asked import Asked
from healerd.client.reproduce import kept_rules
from healerd.client.views import Json, Reader, decision_named, did_you_mean, plain, require_pipeline
from healerd.decision.erasure import is_erased
from healerd.decision.why_not import why_not as walk
from healerd.errors import ConfigError, NotFound
from healerd.model import ACTIONS_THAT_HEAL, HOLD, STEPS, Decision

__all__ = ["why_not"]

SEARCHED_MAX = 500
"""Newest decisions among which one that judged the action is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedBrief:
    """Which actions a decision judged."""

    id: str
    window_end_at: datetime | None = None
    trace: "JudgedTrace"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedTrace:
    """The part of a trace that names what was judged."""

    first_pass: Mapping[str, Any] = field(default_factory=dict)
    step: Mapping[str, Any] | None = None


def why_not(reader: Reader, names: Sequence[str], at: datetime, asked: Asked) -> Json:
    """The look at why `action` was not done by the decision `id`, or by the newest that judged it on `pipeline`.

    Raises NotFound for what is not known, ConfigError when neither says which decision is meant.
    """
    action = asked.get("action", "")
    decision = _decision(reader, names, asked, action)
    if is_erased(decision):
        raise NotFound(f"what decision `{decision.id}` stood on was erased from the record: nobody can tell any more")
    known = sorted({option.action for option in decision.options} | {*ACTIONS_THAT_HEAL, *STEPS})
    if action == HOLD or action not in known:
        raise NotFound(f"no action `{action}` to ask about; {did_you_mean(action, [n for n in known if n != HOLD])}")
    told = walk(trace_of(reader, decision), action, kept_rules(reader, decision.rules_id))
    return {"schema": 1, "at": plain(decision.at), **plain(told)}


def _decision(reader: Reader, names: Sequence[str], asked: Asked, action: str) -> Decision:
    if "id" in asked:
        return decision_named(reader, asked["id"])
    name = asked.get("pipeline") or (names[0] if len(names) == 1 else "")
    if not name:
        raise ConfigError(f"which pipeline? name one of {', '.join(names) or 'none yet'}, or a decision")
    require_pipeline(name, names)
    page, _ = reader.page(Decision, as_type=JudgedBrief, limit=SEARCHED_MAX, pipeline=name)
    judged = next((brief.id for _, brief in page if _judged(brief, action)), page[0][1].id if page else None)
    found = reader.get(Decision, judged) if judged else None
    if found is None:
        raise NotFound(f"no decision about `{name}` is recorded yet")
    return found


def _judged(brief: JudgedBrief, action: str) -> bool:
    if action in STEPS:
        return brief.trace.step is not None and brief.trace.step.get("step") == action
    return bool(brief.trace.first_pass) and brief.window_end_at is not None
