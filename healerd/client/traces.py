"""Decisions as people browse them: pages, newest first, and one whole. Must never leave out a recorded reason."""

from collections.abc import Sequence
from datetime import datetime

from healerd.client.asked import Asked, choices, number, whole
from healerd.client.briefs import DecisionBrief
from healerd.client.views import Json, Reader, decision_line, require_pipeline, trace_view
from healerd.model import Decision

__all__ = ["trace", "traces"]


def traces(reader: Reader, names: Sequence[str], at: datetime, asked: Asked) -> Json:
    """The look at a page of decisions; `action` and `level` may name several, parted by commas. Raises NotFound."""
    filters: dict[str, object] = {}
    if "pipeline" in asked:
        require_pipeline(asked["pipeline"], names)
        filters["pipeline"] = asked["pipeline"]
    filters |= {field: wanted for each, field in FIELDS.items() if (wanted := choices(asked, each))}
    found, older = reader.page(
        Decision,
        as_type=DecisionBrief,
        before=whole(asked, "before"),
        after=whole(asked, "after"),
        limit=number(asked, "limit", usual=50, most=1000),
        text=asked.get("text"),
        **filters,
    )
    return {
        "schema": 1,
        "traces": [{**decision_line(decision), "seq": seq} for seq, decision in found],
        "before": older,
        "after": found[0][0] if found else None,
    }


FIELDS = {"action": "chosen", "level": "level", "incident": "incident_id"}


def trace(reader: Reader, names: Sequence[str], at: datetime, asked: Asked) -> Json:
    """The look at one decision. Raises NotFound."""
    return trace_view(reader, asked["id"])
