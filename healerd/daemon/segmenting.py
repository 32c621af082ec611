"""What each segment of a pipeline is held against: made with the reference of the whole, and kept beside it.

Must never let the error of a segment ratchet upward: it is capped at the first that was accepted for it plus the
tolerance, whatever references came between (SAFETY S12).
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from healerd.actions.evidence import window_starts
from healerd.columns import Column, Predictions, take
from healerd.daemon.pipeline import Pipeline
from healerd.detectors import DetectionSettings, make_yardstick, usual_error
from healerd.detectors.segments import SegmentYardstick, share_of
from healerd.model import Reference
from healerd.profiles import (
    ErrorSummary,
    Maps,
    ReferenceProfile,
    fit,
    make_reference,
    profile,
    reference_from_bytes,
    reference_to_bytes,
    sd_max,
    slim,
    summarise,
)
from healerd.profiles.losses import Losses
from healerd.profiles.segments import ROWS_MIN, Segmentation, segment_codes, segmentation
from healerd.segments.manifest import SCORE

__all__ = [
    "OUTPUT",
    "HeldOut",
    "Segmented",
    "fit_segments",
    "inputs_of",
    "moved_to",
    "profiled",
    "segments_from_bytes",
    "segments_to_bytes",
    "settings_of",
]

OUTPUT = "(output)"
"""The model's own output, profiled beside its inputs as a score, and so is how sure it was."""
CAPS_MAX = 1000
"""Segments whose first error is remembered, over all references."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldOut:
    """Labelled rows that did not train a version, with what it answers to them, and how wrong that is."""

    rows: Predictions
    output: Column
    losses: Losses

    def error(self, window_s: float, which: npt.NDArray[np.bool_] | slice = slice(None)) -> ErrorSummary:
        """Summarise the losses of some of the rows."""
        return summarise(self.losses[which], window_starts(self.rows.at[which], window_s))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmented:
    """How rows are parted, and what each part is held against; `caps` holds the first error and limit of each name."""

    by: tuple[Segmentation, ...]
    each: tuple[SegmentYardstick, ...]
    caps: Mapping[str, tuple[float, float]]


def inputs_of(rows: Predictions) -> Mapping[str, Column]:
    """Give the columns that are profiled: the features, the model's output, and how sure it was where it says so."""
    scored = {} if rows.score is None else {SCORE: rows.score}
    return {**rows.features, OUTPUT: rows.output, **scored}


def profiled(
    rows: Predictions, window_s: float, *, maps: Maps | None = None, windows: npt.NDArray[np.int64] | None = None
) -> ReferenceProfile:
    """Make a reference of rows; a part of them is seen through the `maps` and in the `windows` of the whole."""
    maps = maps or fit(inputs_of(rows), scores=(OUTPUT, *(() if rows.score is None else (SCORE,))))
    numbers = window_starts(rows.at, window_s)
    windows = np.unique(numbers) if windows is None else windows
    # Four weeks of half hours are over a thousand windows, and laid out in full each takes 70 kB a column.
    each = [slim(profile(inputs_of(take(rows, numbers == number)), maps)) for number in windows]
    starts = [datetime.fromtimestamp(int(number) * window_s, tz=UTC) for number in windows]
    return make_reference(maps, each, starts=starts, window_s=window_s)


def fit_segments(
    pipeline: Pipeline,
    rows: Predictions,
    *,
    whole: ReferenceProfile,
    reference: Reference,
    held_out: HeldOut | None,
    before: Segmented | None,
) -> Segmented | None:
    """Fit what each segment is held against, from the rows of the reference; None where none are configured.

    Without `held_out` rows the errors are those of `before`.
    """
    names = [name for name in pipeline.settings.segments if name in rows.features]
    if not names:
        return None
    by = tuple(segmentation(name, rows.features[name]) for name in names)
    caps, window_s = dict(before.caps) if before else {}, pipeline.settings.window
    windows = np.unique(window_starts(rows.at, window_s))
    settings = settings_of(pipeline, by)
    each = []
    for one in by:
        codes = segment_codes(one, rows.features[one.column], len(rows))
        for code, name in enumerate(one.names):
            own = take(rows, codes == code)
            fitted = profiled(own, window_s, maps=whole.maps, windows=windows) if len(own) >= ROWS_MIN else None
            error = _error_of(one, code, held_out, window_s)
            held = (
                _kept(name, reference, len(own), before)
                if error is None
                else _judged(name, reference, len(own), error, caps, tolerance=pipeline.settings.detection.tolerance)
            )
            yardstick = None if fitted is None else make_yardstick(fitted, settings)
            each.append(SegmentYardstick(name=name, reference=held, yardstick=yardstick))
    return Segmented(by=by, each=tuple(each), caps=dict(list(caps.items())[-CAPS_MAX:]))


def settings_of(pipeline: Pipeline, by: tuple[Segmentation, ...]) -> DetectionSettings:
    """The segments' part of the budget, split evenly: `pipeline.detection` holds the half that the whole keeps."""
    return share_of(pipeline.detection, 1 / max(1, sum(len(one.names) for one in by)))


def moved_to(segmented: Segmented, version: str, *, judged: bool) -> Segmented:
    """The same for another version; without an error of its own where it is not to be `judged` by one."""

    def move(one: SegmentYardstick) -> SegmentYardstick:
        held = replace(one.reference, version=version)
        return replace(one, reference=held if judged else replace(held, error_rows=0))

    return replace(segmented, each=tuple(map(move, segmented.each)))


def _error_of(by: Segmentation, code: int, held_out: HeldOut | None, window_s: float) -> ErrorSummary | None:
    if held_out is None:
        return None
    codes = segment_codes(by, held_out.rows.features.get(by.column), len(held_out.rows))
    return held_out.error(window_s, codes == code)


def _judged(
    name: str,
    whole: Reference,
    rows: int,
    error: ErrorSummary,
    caps: dict[str, tuple[float, float]],
    *,
    tolerance: float,
) -> Reference:
    """The segment's own error, capped at its first; the first one sets the cap."""
    cap, limit_max = caps.get(name, (1.0, 1.0))
    held = replace(
        whole,
        id=f"{whole.id}/{name}",
        rows=rows,
        error=min(error.error, cap),
        error_rows=error.rows,
        error_sd=min(error.sd, sd_max(error.error)),
        error_windows=max(error.windows, 1),
        capped_from=error.error if error.error > cap else None,
        limit_max=limit_max,
    )
    first = usual_error(held)
    if name not in caps and first is not None:
        caps[name] = (min(1.0, held.error + tolerance), min(1.0, first + 2 * tolerance))
    return held


def _kept(name: str, whole: Reference, rows: int, before: Segmented | None) -> Reference:
    """The error that the segment was held against before; unknown where it had none."""
    old = next((one.reference for one in before.each if one.name == name), None) if before else None
    kept = ("error", "error_rows", "error_sd", "error_windows", "capped_from", "limit_max")
    errors: dict[str, Any] = {field: getattr(old, field) for field in kept} if old else {"error_rows": 0}
    return replace(whole, id=f"{whole.id}/{name}", rows=rows, **errors)


def segments_to_bytes(segmented: Segmented) -> bytes:
    """Write what `segments_from_bytes` reads: JSON, with the profiles as compressed counts."""
    tree = {
        "by": [msgspec.to_builtins(one) for one in segmented.by],
        "caps": {name: list(cap) for name, cap in segmented.caps.items()},
        "each": [
            {
                "name": one.name,
                "reference": msgspec.to_builtins(one.reference, builtin_types=()),
                "profile": b64encode(reference_to_bytes(one.yardstick.reference)).decode() if one.yardstick else None,
            }
            for one in segmented.each
        ],
    }
    return json.dumps(tree, separators=(",", ":"), sort_keys=True).encode()


def segments_from_bytes(written: bytes, pipeline: Pipeline) -> Segmented:
    """Read what was written, ready to measure with. Raises ValueError when it is not that."""
    try:
        tree = json.loads(written)
        by = tuple(msgspec.convert(one, Segmentation) for one in tree["by"])
        settings = settings_of(pipeline, by)
        each = tuple(_yardstick_from(one, settings) for one in tree["each"])
        caps = {name: (float(error), float(limit)) for name, (error, limit) in tree["caps"].items()}
    except (KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
        raise ValueError(f"these bytes are not segments: {error}") from error
    return Segmented(by=by, each=each, caps=caps)


def _yardstick_from(tree: Mapping[str, Any], settings: DetectionSettings) -> SegmentYardstick:
    fitted = None if tree["profile"] is None else reference_from_bytes(b64decode(tree["profile"]))
    return SegmentYardstick(
        name=tree["name"],
        reference=msgspec.convert(tree["reference"], Reference),
        yardstick=None if fitted is None else make_yardstick(fitted, settings),
    )
