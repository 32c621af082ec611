"""One pipeline's windows in the order of time, and what happened in between. Must never join what a gap parts.

A window's error is that of its own labels, which mature later; what a tick judged at the window's end is beside it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from healerd.client.asked import Asked, number, whole
from healerd.client.briefs import Named
from healerd.client.views import Json, Reader, plain, require_pipeline
from healerd.client.words import say_outcome
from healerd.model import (
    STEPS,
    Cohort,
    Decision,
    Incident,
    Intent,
    IntentState,
    Outcome,
    Pause,
    StageChange,
    Version,
)
from healerd.store import Range

__all__ = ["timeline"]

LAYERS: Mapping[str, str] = {
    "error": "harm",
    "regret": "regret",
    "data_quality": "quality",
    "drift": "drift",
    "score": "score",
    "operations": "operations",
}
"""What is measured on whole windows and may alarm, with the layer it stands for."""
MEASURED = (*LAYERS, "error_limit", "rows")
ENDED = {IntentState.VETOED: "veto", IntentState.FAILED: "failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TickBrief:
    """What a tick knew of its window."""

    rows: int | None = None
    quality: str | None = None
    active: Named | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TickTrace:
    """The part of a trace that a chart shows."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    situation: TickBrief = field(default_factory=TickBrief)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowBrief:
    """The decision of one window, as a chart needs it."""

    id: str
    window_start_at: datetime | None
    window_end_at: datetime | None
    trace: TickTrace = field(default_factory=TickTrace)


def timeline(reader: Reader, names: Sequence[str], at: datetime, asked: Asked) -> Json:
    """The look at a pipeline's windows, oldest first; a window that is not there was not judged. Raises NotFound."""
    name, limit = asked["name"], number(asked, "windows", usual=200, most=1000)
    require_pipeline(name, names)
    rows, older = reader.page(Decision, as_type=WindowBrief, before=whole(asked, "before"), limit=limit, pipeline=name)
    ticks = {one.window_end_at: one for _, one in rows if one.window_end_at and one.window_start_at}
    ends = sorted(ticks)
    view = {"schema": 1, "pipeline": name, "before": older, "window_s": None, "windows": [], "marks": []}
    if not ends:
        return view
    first, last = ticks[ends[0]].window_start_at or ends[0], ends[-1]
    newest = whole(asked, "before") is None
    marks = [mark for mark in _marks(reader, name, first) if newest or mark["at"] < plain(last)]
    return {
        **view,
        "window_s": (last - (ticks[last].window_start_at or last)).total_seconds(),
        "windows": list(_windows(reader, name, ticks, first)),
        "marks": sorted(marks, key=lambda mark: str(mark["at"])),
    }


def _windows(reader: Reader, name: str, ticks: Mapping[datetime, WindowBrief], first: datetime) -> Iterator[Json]:
    last = max(ticks)
    values = reader.values_of(name, MEASURED, start_at=first, end_at=last)
    span = Range(first, last + timedelta(microseconds=1))
    cohorts = {(one.window_end_at, one.version): one for one in reader.find(Cohort, pipeline=name, window_end_at=span)}
    by_end = {each: {_time(end): value for end, value in found.items()} for each, found in values.items()}
    for end_at, tick in sorted(ticks.items()):
        situation = tick.trace.situation
        version = situation.active.name if situation.active else None
        own = [one for (end, _), one in cohorts.items() if end == end_at]
        measured = {each: by_end.get(each, {}).get(end_at, (None, None)) for each in MEASURED}
        labelled = sum(one.labelled for one in own)
        yield {
            "start_at": plain(tick.window_start_at),
            "end_at": plain(end_at),
            "decision_id": tick.id,
            "version": version,
            "rows": situation.rows,
            "labelled": labelled if own else None,
            "error": sum(one.loss_sum for one in own) / labelled if labelled else None,
            "judged_error": measured["error"][0],
            "reference_error": tick.trace.facts.get("reference_error"),
            "error_limit": measured["error_limit"][0],
            "drift": measured["drift"][0],
            "score": measured["score"][0],
            "quality": situation.quality,
            "alarms": [layer for each, layer in LAYERS.items() if measured[each][1]],
        }


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


# marks ---------------------------------------------------------------------


def _marks(reader: Reader, name: str, since: datetime) -> Iterator[Json]:
    """What a chart marks from `since` on: incidents, heals and their steps, and what people did."""
    span = Range(since)
    for incident in reader.find(Incident, pipeline=name):
        if incident.opened_at >= since:
            yield _mark(incident.opened_at, "incident", incident.reason, incident.id, "incident")
        if incident.closed_at is not None and incident.closed_at >= since:
            yield _mark(incident.closed_at, "closed", f"incident closed: {incident.closed_by}", incident.id, "incident")
    intents = [one for one in reader.find(Intent, pipeline=name) if (one.ended_at or since) >= since]
    outcomes = reader.get_each(Outcome, [intent.id for intent in intents])
    for intent in intents:
        yield from _intent_marks(intent, outcomes.get(intent.id), since)
    for change in reader.find(StageChange, pipeline=name, at=span):
        yield _mark(change.at, "stage", f"stage {change.stage} by {change.author}: {change.reason}", name, "pipeline")
    for pause in reader.find(Pause, pipeline=name, since_at=span):
        yield _mark(pause.since_at, "pause", f"paused by {pause.author}: {pause.reason}", name, "pipeline")
    for version in reader.find(Version, pipeline=name, created_at=span):
        yield _mark(version.created_at, "version", f"version {version.name} stored", version.name, "version")


def _intent_marks(intent: Intent, outcome: Outcome | None, since: datetime) -> Iterator[Json]:
    target = f" to {intent.target}" if intent.target else ""
    if intent.effect_at is not None and intent.effect_at >= since:
        kind = intent.action if intent.action in STEPS else "heal"
        said = f"; {say_outcome(plain(outcome))}" if outcome else ""
        yield _mark(intent.effect_at, kind, f"{intent.action}{target}{said}", intent.id, "intent")
    elif intent.ended_at is not None and intent.state in ENDED:
        said = f"{intent.action}{target} {intent.state.value}: {intent.reason}"
        yield _mark(intent.ended_at, ENDED[intent.state], said, intent.id, "intent")


def _mark(at: datetime, kind: str, text: str, id_: str, table: str) -> Json:
    return {"at": plain(at), "kind": kind, "text": text, "id": id_, "table": table}
