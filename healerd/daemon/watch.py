"""Look at one closed window: profile it, count the labels that matured, measure. Must never decide, nor write.

What the window amounts to is read back from the segments, so that a tick that is done again after a crash sees the
same rows.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np

from healerd.columns import Predictions, is_missing, take
from healerd.daemon.estimating import estimates
from healerd.daemon.operating import look_at_operations
from healerd.daemon.pipeline import Pipeline
from healerd.daemon.references import Held, inputs_of
from healerd.daemon.rivals import rivals_of
from healerd.daemon.segment_watch import look_at_segments
from healerd.detectors import measure, resets, usual_error
from healerd.detectors.segments import VERDICT
from healerd.model import Cohort, Layer, Measurement, Quality, Window
from healerd.profiles import Profile, losses, profile

__all__ = ["STATE", "Watched", "cohorts_of", "matured_window", "watch"]

STATE = "detectors"
"""The name under which the detectors' state is saved."""
SEGMENTS = "segments"
"""The name within it under which the segments' state is saved, by segment."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Watched:
    """What one window amounted to. `cohorts` are those whose labels matured in it; `held` is None at first.

    `resets` names the detectors whose evidence began afresh in it, and why. `operations` is what is remembered of the
    metrics of operation; None where there are none.
    """

    window: Window
    rows: int
    profile: Profile | None
    cohorts: tuple[Cohort, ...]
    measurements: tuple[Measurement, ...]
    quality: Quality
    state: Mapping[str, Any]
    held: Held | None
    resets: Mapping[str, str] = field(default_factory=dict)
    operations: Mapping[str, Any] | None = None


def watch(pipeline: Pipeline, window: Window, held: Held | None, *, doubled: int) -> Watched:
    """Measure a window whose segments are on the manifest, and the metrics of operation that were read for it.

    A metric that nobody could read leaves the quality of the data unknown: nothing is then trained or promoted.
    """
    watched = _watch(pipeline, window, held, doubled=doubled)
    seen = look_at_operations(pipeline, window)
    if seen is None:
        return watched
    unsure = bool(seen.unknown) and watched.quality is Quality.GOOD
    others = tuple(
        _verdict(Quality.UNKNOWN, watched.rows) if unsure and one.name == VERDICT else one
        for one in watched.measurements
    )
    return replace(
        watched,
        measurements=(*others, *seen.measurements),
        quality=Quality.UNKNOWN if unsure else watched.quality,
        operations=seen.memory,
    )


def _watch(pipeline: Pipeline, window: Window, held: Held | None, *, doubled: int) -> Watched:
    rows = pipeline.rows(window.start_at, window.end_at, as_of=window.end_at)
    earlier = matured_window(window, label_horizon_s=pipeline.settings.label_horizon)
    matured = rows if earlier == window else pipeline.rows(earlier.start_at, earlier.end_at, as_of=window.end_at)
    cohorts = cohorts_of(pipeline, earlier, matured, mature_at=window.end_at)
    if held is None:
        return _unmeasured(window, rows, cohorts)
    rivals = rivals_of(pipeline, window, matured)
    counted = profile(inputs_of(rows), held.yardstick.reference.maps)
    saved = pipeline.store.state(pipeline.name, STATE)
    state = json.loads(saved) if saved else {}
    found = measure(
        window=window,
        profile=counted,
        yardstick=held.yardstick,
        reference=held.reference,
        cohorts=cohorts,
        rivals=rivals,
        stored=pipeline.stored(),
        settings=pipeline.detection,
        state=state,
        duplicates=doubled,
    )
    parts = look_at_segments(
        pipeline,
        window,
        held.segments,
        rows=rows,
        earlier=earlier,
        matured=matured,
        state=state.get(SEGMENTS, {}),
    )
    quality = Quality.BAD if parts.bad else found.quality
    estimated = estimates(pipeline, rows, cohorts, held.reference, held.calibrated)
    return Watched(
        window=window,
        rows=len(rows),
        profile=counted,
        cohorts=cohorts,
        measurements=(
            *found.measurements,
            *_limit(pipeline, held),
            _verdict(quality, len(rows)),
            *estimated,
            *parts.measurements,
        ),
        quality=quality,
        state={**found.state, SEGMENTS: parts.state} if parts.state else found.state,
        held=held,
        resets=resets(state, found.state),
    )


def matured_window(window: Window, *, label_horizon_s: float) -> Window:
    """Name the newest window whose labels have had their whole horizon by the end of this one."""
    length = window.end_at - window.start_at
    behind = -(-label_horizon_s // length.total_seconds())
    return Window(
        pipeline=window.pipeline,
        start_at=window.start_at - length * behind,
        end_at=window.end_at - length * behind,
    )


def cohorts_of(pipeline: Pipeline, earlier: Window, rows: Predictions, *, mature_at: datetime) -> tuple[Cohort, ...]:
    """Count the labels of a window's rows, by the version that predicted."""
    return tuple(_cohort(pipeline, earlier, mature_at, version, rows) for version in sorted(set(rows.version)))


def _cohort(pipeline: Pipeline, earlier: Window, mature_at: datetime, version: str, rows: Predictions) -> Cohort:
    own = take(rows, rows.version == version)
    labelled = take(own, ~is_missing(own.label))
    return Cohort(
        pipeline=pipeline.name,
        version=version,
        window_start_at=earlier.start_at,
        window_end_at=earlier.end_at,
        mature_at=mature_at,
        rows=len(own),
        labelled=len(labelled),
        loss_sum=float(np.nansum(losses(pipeline.loss, labelled.output, labelled.label))),
    )


def _verdict(quality: Quality, rows: int) -> Measurement:
    alarm = {Quality.GOOD: False, Quality.BAD: True, Quality.UNKNOWN: None}[quality]
    return Measurement(
        name=VERDICT, layer=Layer.QUALITY, value=None if alarm is None else float(alarm), n=rows, alarm=alarm
    )


def _limit(pipeline: Pipeline, held: Held) -> tuple[Measurement, ...]:
    """Show the error up to which a window of the active version counts as clean."""
    limit = usual_error(held.reference)
    if limit is None:
        return ()
    return (Measurement(name="error_limit", layer=Layer.HARM, value=limit, n=held.reference.error_rows),)


def _unmeasured(window: Window, rows: Predictions, cohorts: tuple[Cohort, ...]) -> Watched:
    return Watched(
        window=window,
        rows=len(rows),
        profile=None,
        cohorts=cohorts,
        measurements=(_verdict(Quality.UNKNOWN, len(rows)),),
        quality=Quality.UNKNOWN,
        state={},
        held=None,
    )
