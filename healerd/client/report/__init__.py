"""The operator's and the manager's report, computed from the log alone. See the README for what each figure means.

Must never hold a figure that was typed in, nor a number where the log does not know.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from healerd.client.report.figures import figures
from healerd.client.report.gather import Asked, Episode, Gathered, Progress, gather, pruned_before, whole_part
from healerd.client.stored import known_pipelines
from healerd.client.views import Json, Reader, plain, require_pipeline

__all__ = ["Asked", "Progress", "report_view"]

INCIDENTS_MAX = 1000
"""Incidents that are listed one by one, the newest; the figures count them all."""


def report_view(reader: Reader, asked: Asked, *, at: datetime, progress: Progress | None = None) -> Json:
    """Make the report as plain JSON values: an infinite figure is `"not over"`. Raises NotFound for a pipeline.

    What was pruned is left out unless it was asked for: `pruned_before` says where the whole record begins.
    """
    names = known_pipelines(reader)
    if asked.pipeline is not None:
        require_pipeline(asked.pipeline, names)
    pruned = pruned_before(reader)
    asked = whole_part(asked, pruned)
    found = gather(reader, asked, names, progress, pruned=pruned)
    leaves, head = reader.head()
    return {
        "schema": 1,
        "at": plain(at),
        "since": plain(asked.since or found.first_at),
        "until": plain(asked.until or found.last_at),
        "pruned_before": plain(pruned),
        "pipelines": list(found.pipelines),
        "log": {"leaves": leaves, "head": head},
        "figures": [_figure(asdict(each)) for each in figures(found, at)],
        "incidents": [_incident(each, found) for each in list(found.episodes.values())[-INCIDENTS_MAX:]],
        "days": [{"day": day, **asdict(counts)} for day, counts in sorted(found.days.items())],
        "acts": [_act(found, each) for each in found.intents if found.intents[each].effect_at is not None],
    }


def _figure(told: Mapping[str, Any]) -> Json:
    """JSON has no infinity: a quantile that falls on what is not over says so in its place."""
    return {
        name: "not over" if isinstance(value, float) and math.isinf(value) else plain(value)
        for name, value in told.items()
    }


def _incident(one: Episode, found: Gathered) -> Json:
    incident = one.incident
    heals = [each for each in found.intents.values() if each.incident_id == incident.id and each.parent_id is None]
    return {
        "id": incident.id,
        "pipeline": incident.pipeline,
        "kind": incident.kind.value,
        "severity": incident.severity,
        "onset_at": plain(one.onset_at),
        "opened_at": plain(incident.opened_at),
        "closed_at": plain(incident.closed_at),
        "opened_by": incident.opened_by,
        "closed_by": incident.closed_by,
        "reason": incident.reason,
        "windows": one.windows,
        "heals": [{"action": each.action, "state": each.state.value, "trace": each.decision_id} for each in heals],
        "trace": one.opened_by or one.newest,
    }


def _act(found: Gathered, intent_id: str) -> Json:
    intent, outcome = found.intents[intent_id], found.outcomes.get(intent_id)
    return {
        "at": plain(intent.effect_at),
        "pipeline": intent.pipeline,
        "action": intent.action,
        "result": outcome.result.value if outcome else None,
        "trace": intent.decision_id,
    }
