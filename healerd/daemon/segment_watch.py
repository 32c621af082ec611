"""Look at each segment of one closed window: what it measured, and whose data is bad. Must never decide, nor write.

The evidence of a segment is kept under its name; a segment that the reference does not know any more is forgotten.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from healerd.columns import Predictions, take
from healerd.daemon.pipeline import Pipeline
from healerd.daemon.segmenting import Segmented, inputs_of, settings_of
from healerd.detectors import DetectionSettings, State, measure
from healerd.detectors.segments import (
    DETECTORS_OF_SEGMENTS,
    SegmentYardstick,
    told_of_segment,
    unmeasured_segment,
)
from healerd.model import Cohort, Measurement, Quality, Window
from healerd.profiles import losses, profile
from healerd.profiles.losses import Losses
from healerd.profiles.segments import ROWS_MIN, segment_codes

__all__ = ["NOTHING", "SegmentsSeen", "look_at_segments"]

NO_REFERENCE = (
    "no reference by segment yet: it is made with the next reference, of a new version or by `healerd reference accept`"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentsSeen:
    """What the segments amounted to in one window: measurements, whose data is bad and why, and what is kept."""

    measurements: tuple[Measurement, ...] = ()
    bad: tuple[str, ...] = ()
    state: Mapping[str, State] = field(default_factory=dict)


NOTHING = SegmentsSeen()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matured:
    """The rows by the active version whose labels matured in this window, with their losses."""

    window: Window
    rows: Predictions
    losses: Losses


def look_at_segments(
    pipeline: Pipeline,
    window: Window,
    segmented: Segmented | None,
    *,
    rows: Predictions,
    earlier: Window,
    matured: Predictions,
    state: Mapping[str, State],
) -> SegmentsSeen:
    """Measure every segment, once: `rows` are the window's, `matured` those of `earlier`, whose labels are due."""
    if not pipeline.settings.segments:
        return NOTHING
    if segmented is None:
        told = tuple(unmeasured_segment(name, len(rows), NO_REFERENCE) for name in pipeline.settings.segments)
        return SegmentsSeen(measurements=told, state=state)
    due = _matured(pipeline, segmented, earlier, matured)
    settings, held = settings_of(pipeline, segmented.by), {one.name: one for one in segmented.each}
    measurements: list[Measurement] = []
    bad: list[str] = []
    kept: dict[str, State] = {}
    for one in segmented.by:
        codes, due_codes = (segment_codes(one, part.features.get(one.column), len(part)) for part in (rows, due.rows))
        for code, name in enumerate(one.names):
            seen = _look(
                held[name],
                window,
                take(rows, codes == code),
                _cohort(pipeline, held[name], due, due_codes == code, window),
                settings=settings,
                state=state.get(name, {}),
            )
            measurements += seen.measurements
            bad += seen.bad
            kept.update(seen.state)
    return SegmentsSeen(measurements=tuple(measurements), bad=tuple(bad), state=kept)


def _look(
    held: SegmentYardstick,
    window: Window,
    rows: Predictions,
    cohort: Cohort,
    *,
    settings: DetectionSettings,
    state: State,
) -> SegmentsSeen:
    if held.yardstick is None:
        said = f"too few rows in the reference: {held.reference.rows} of {ROWS_MIN}"
        return SegmentsSeen(measurements=(unmeasured_segment(held.name, len(rows), said),))
    found = measure(
        window=window,
        profile=profile(inputs_of(rows), held.yardstick.reference.maps),
        yardstick=held.yardstick,
        reference=held.reference,
        cohorts=(cohort,) if cohort.rows else (),
        settings=settings,
        state=state,
        detectors=DETECTORS_OF_SEGMENTS,
    )
    told = told_of_segment(held.name, found.measurements, found.quality, len(rows), rows_min=settings.rows_min)
    bad = found.reasons if found.quality is Quality.BAD else ()
    return SegmentsSeen(
        measurements=tuple(told),
        bad=tuple(f"in {held.name}: {reason}" for reason in bad),
        state={held.name: found.state},
    )


def _matured(pipeline: Pipeline, segmented: Segmented, earlier: Window, rows: Predictions) -> Matured:
    version = segmented.each[0].reference.version if segmented.each else ""
    own = take(rows, rows.version == version)
    return Matured(window=earlier, rows=own, losses=losses(pipeline.loss, own.output, own.label))


def _cohort(
    pipeline: Pipeline, held: SegmentYardstick, due: Matured, which: npt.NDArray[np.bool_], window: Window
) -> Cohort:
    found = due.losses[which]
    labelled = int(np.count_nonzero(~np.isnan(found)))
    return Cohort(
        pipeline=pipeline.name,
        version=held.reference.version,
        window_start_at=due.window.start_at,
        window_end_at=due.window.end_at,
        mature_at=window.end_at,
        rows=len(found),
        labelled=labelled,
        loss_sum=float(np.nansum(found)),
    )
