"""Metrics of operation in a window: read, kept, and looked at point by point. Must never open an incident: they warn.

Points are read when a window is taken in, and kept, so that a tick that is done again after a crash sees the same ones.
What each metric was like is remembered (`Series`), and a metric that was out of reach is caught up with later: the
points missed teach what is usual, and raise no alarm any more.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any

from healerd.daemon.pipeline import Pipeline
from healerd.detectors.series import Series, SeriesPoint, SeriesSettings
from healerd.errors import SourceError
from healerd.model import Layer, Measurement, Window
from healerd.operations_settings import POINTS_MAX, OperationsSettings

__all__ = ["MEMORY", "OPERATIONS", "POINTS", "OperationsSeen", "look_at_operations", "read_operations"]

log = logging.getLogger("healerd")

POINTS, MEMORY = "operations points", "operations memory"
"""The names under which the newest window's points, and what is remembered of each metric, are saved."""
OPERATIONS, OPERATION = "operations", "operation"
ASSUMPTIONS = (
    "each point is ranked among those before it; no rate of false alarms is promised, and none of the budget is spent",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsSeen:
    """What the metrics amounted to in a window: measurements, why some are unknown, and what is remembered."""

    measurements: tuple[Measurement, ...]
    unknown: tuple[str, ...]
    memory: Mapping[str, Any]


def read_operations(pipeline: Pipeline, window: Window) -> Mapping[str, Any] | None:
    """Ask for each metric's points since the last that is remembered; None where no metrics are configured.

    What cannot be read is kept with its reason: a metric that is away holds no window up.
    """
    settings, source = pipeline.settings.operations, pipeline.metrics
    if settings is None or source is None:
        return None
    memory = _saved(pipeline, MEMORY)
    points: dict[str, Sequence[Any]] = {}
    failed: dict[str, str] = {}
    for name, query in settings.queries.items():
        start = _since(memory.get(name, {}), window, settings)
        try:
            points[name] = source.points(query, start, window.end_at)
        except SourceError as error:
            log.warning("`%s`: metric `%s`: %s", pipeline.name, name, error)
            failed[name] = str(error)
    return {"window_end_at": window.end_at.isoformat(), "points": points, "failed": failed}


def look_at_operations(pipeline: Pipeline, window: Window) -> OperationsSeen | None:
    """Score the points that were read for the window; None where no metrics are configured."""
    settings = pipeline.settings.operations
    if settings is None:
        return None
    read, memory = _saved(pipeline, POINTS), _saved(pipeline, MEMORY)
    if read.get("window_end_at") != window.end_at.isoformat():
        read = {"points": {}, "failed": dict.fromkeys(settings.queries, "it was not read for this window")}
    kept: dict[str, Any] = {}
    told: list[Measurement] = []
    unknown: list[str] = []
    for name in settings.queries:
        before, points = memory.get(name, {}), read["points"].get(name, ())
        series, seen = _look(before, points, settings)
        own = [
            (at, value, point) for at, value, point in seen if at >= window.start_at.timestamp() and value is not None
        ]
        if not own:
            unknown.append(f"metric `{name}` is unknown: {read['failed'].get(name, 'the query gives nothing')}")
        told.append(_told(name, own, unknown[-1] if not own else None))
        # The memory stands where the metric was last seen, so that what was missed is asked for again.
        kept[name] = {"to_s": seen[-1][0], "series": series.to_json()} if seen else before
    return OperationsSeen(measurements=(_whole(told), *told), unknown=tuple(unknown), memory=kept)


def _saved(pipeline: Pipeline, name: str) -> dict[str, Any]:
    saved = pipeline.store.state(pipeline.name, name)
    return json.loads(saved) if saved else {}


def _since(before: Mapping[str, Any], window: Window, settings: OperationsSettings) -> datetime:
    """From the step after the last point on, as far back as a query may reach; the window's start at first."""
    if "to_s" not in before:
        return window.start_at
    reach = window.end_at - timedelta(seconds=settings.step * min(settings.history, POINTS_MAX - 1))
    after = datetime.fromtimestamp(before["to_s"] + settings.step, tz=UTC)
    return min(window.start_at, max(after, reach))


def _look(
    before: Mapping[str, Any], points: Sequence[Any], settings: OperationsSettings
) -> tuple[Series, list[tuple[float, float | None, SeriesPoint]]]:
    """Score the points that are newer than what is remembered, and remember them."""
    wanted = SeriesSettings(history=settings.history, refractory=settings.refractory, threshold=settings.threshold)
    series = _series(before, wanted)
    fresh = [(at, value) for at, value in points if at > before.get("to_s", float("-inf"))]
    return series, [(at, value, series.look(at, value)) for at, value in fresh]


def _series(before: Mapping[str, Any], wanted: SeriesSettings) -> Series:
    """Go on from what is remembered; anew where the settings have changed, or the memory cannot be read."""
    try:
        series = Series.from_json(before["series"])
    except (KeyError, ValueError, AssertionError):
        return Series(wanted)
    return series if series.settings == wanted else Series(wanted)


def _told(name: str, own: Sequence[tuple[float, float | None, SeriesPoint]], unknown: str | None) -> Measurement:
    alarms = [at for at, _, point in own if point.alarm]
    return Measurement(
        name=OPERATION,
        layer=Layer.OPERATIONS,
        subject=name,
        value=fmean(value for _, value, _ in own if value is not None) if own else None,
        n=len(own),
        effect=max((point.score for _, _, point in own), default=None),
        since_at=datetime.fromtimestamp(alarms[0], tz=UTC) if alarms else None,
        assumptions=ASSUMPTIONS if unknown is None else (unknown,),
        alarm=None if unknown is not None else bool(alarms),
    )


def _whole(told: Sequence[Measurement]) -> Measurement:
    """One for all: an alarm where a metric has one, unknown where one is unknown and none has."""
    known = [one.alarm for one in told]
    return Measurement(
        name=OPERATIONS,
        layer=Layer.OPERATIONS,
        value=max((one.effect for one in told if one.effect is not None), default=None),
        n=sum(one.n for one in told),
        since_at=min((one.since_at for one in told if one.since_at is not None), default=None),
        assumptions=ASSUMPTIONS,
        alarm=True if any(known) else None if None in known else False,
    )
