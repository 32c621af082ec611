"""What each version is held against: its own held-out error, and the window its inputs are compared with (SAFETY S12).

Must never let rows that trained a version judge it, nor let references ratchet upward: a reference error is capped at
the first accepted one plus the tolerance.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import numpy as np

from healerd.actions.evidence import newest, window_starts
from healerd.columns import Column, Predictions, is_missing, take
from healerd.daemon.estimating import Calibrated, calibrated_from_bytes, calibrated_to_bytes, fit_calibration
from healerd.daemon.kept import Kept
from healerd.daemon.pipeline import Pipeline
from healerd.daemon.segmenting import (
    OUTPUT,
    HeldOut,
    Segmented,
    fit_segments,
    inputs_of,
    moved_to,
    profiled,
    segments_from_bytes,
    segments_to_bytes,
)
from healerd.detectors import Yardstick, make_yardstick, usual_error
from healerd.errors import Conflict
from healerd.model import DAEMON, Layer, Measurement, Quality, Reference, Version, VersionKind
from healerd.profiles import (
    losses,
    reference_from_bytes,
    reference_to_bytes,
    sd_max,
)
from healerd.segments.times import aware
from healerd.store import Reader, Transaction

__all__ = ["OUTPUT", "Held", "References", "inputs_of"]

KEPT_BYTES, PARTED_BYTES = 8 * 1024 * 1024, 64 * 1024 * 1024
"""Arrays that are kept of all pipelines, and of their segments: 11 features take 4 MB, and 4 ms to be made again."""
JUDGE_WINDOWS = 7
"""Newest windows a version never saw, on which its reference error is measured: one weekly cycle."""
WINDOWS_MAX = 10_000
"""Windows that one acceptance reads at most: seven months of half hours; each takes memory, also without rows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """What a version is held against, ready to measure with; `fresh` when it has still to be written down."""

    reference: Reference
    yardstick: Yardstick
    content: bytes = b""
    segments: Segmented | None = None
    calibrated: Calibrated | None = None

    @property
    def fresh(self) -> bool:
        """Whether the reference was made just now."""
        return bool(self.content)

    def write(self, tx: Transaction, *, actor: str = DAEMON) -> None:
        """Write a reference that was made just now."""
        if self.fresh:
            tx.save_state(self.reference.pipeline, f"reference {self.reference.id}", self.content, actor=actor)
            if self.segments is not None:
                name = f"segments {self.reference.id}"
                tx.save_state(self.reference.pipeline, name, segments_to_bytes(self.segments), actor=actor)
            if self.calibrated is not None:
                name = f"calibration {self.reference.id}"
                tx.save_state(self.reference.pipeline, name, calibrated_to_bytes(self.calibrated), actor=actor)
            tx.put(self.reference, actor=actor)


@dataclass(slots=True)
class References:
    """The references of all pipelines; what they are measured with is kept while there is room, else made again."""

    store: Reader
    _made: Kept[Yardstick] = field(default_factory=lambda: Kept(KEPT_BYTES))
    _parted: Kept[Segmented | None] = field(default_factory=lambda: Kept(PARTED_BYTES))
    _calibrated: Kept[Calibrated | None] = field(default_factory=lambda: Kept(KEPT_BYTES))

    def first(self, pipeline: Pipeline, version: Version, *, rows: Predictions, held_out: Predictions) -> Held:
        """Make the reference of a version from the rows it is compared with, and its outputs on held-out rows."""
        judged = _held_out(pipeline, held_out, held_out.output)
        return self._make(pipeline, version, rows, judged, at=version.created_at)

    def of(self, pipeline: Pipeline, version: str, now: datetime) -> Held | None:
        """Find what `version` is held against, or make it; None while nothing is known about this pipeline.

        A version that somebody else deployed is expected to be no worse than what it replaced.
        """
        known = self._newest(pipeline, version=version)
        if known is not None:
            return Held(
                reference=known,
                yardstick=self._yardstick(pipeline, known),
                segments=self._segments(pipeline, known),
                calibrated=self._calibration(pipeline, known),
            )
        made = self._judged(pipeline, version, now)
        if made is not None:
            return made
        last = self._newest(pipeline)
        if last is None:
            return None
        stand_in = replace(last, version=version)
        safe = self._is_fallback(pipeline, version)  # a safe model has no error to be held against
        stand_in = replace(stand_in, error_rows=0) if safe else stand_in
        parted = self._segments(pipeline, last)
        return Held(
            reference=stand_in,
            yardstick=self._yardstick(pipeline, last),
            segments=None if parted is None else moved_to(parted, version, judged=not safe),
        )

    def accepted(self, pipeline: Pipeline, version: str, now: datetime, *, since: datetime | None = None) -> Held:
        """Compare `version` from now on with the inputs of the newest good windows: a change that people expect.

        The windows are those from `since` on, else since the evidence of the inputs' alarm began, else the newest
        JUDGE_WINDOWS. Only the inputs move: the error that the version is held against stays what it was, so that
        no number of acceptances lets it err more (SAFETY S12). Raises Conflict when there is nothing to accept.
        """
        mark, last = self.store.watermark(pipeline.name), self.of(pipeline, version, now)
        if mark is None or last is None:
            raise Conflict(f"`{pipeline.name}` has no reference and no judged window yet: there is nothing to accept")
        start = since or _began(self.store.measurements(pipeline.name, mark))
        start = start or mark - timedelta(seconds=JUDGE_WINDOWS * pipeline.settings.window)
        earliest = mark - timedelta(seconds=WINDOWS_MAX * pipeline.settings.window)
        if since is not None and since < earliest:
            raise Conflict(
                f"since {since:%Y-%m-%d %H:%M} there were more than the {WINDOWS_MAX:,} windows that a reference is "
                f"made of: name a time after {earliest:%Y-%m-%d %H:%M}"
            )
        start = max(start, earliest)
        rows = pipeline.rows(min(start, mark), mark, as_of=now)
        rows, least = _rows_where(pipeline, rows, lambda q: q is Quality.GOOD), pipeline.settings.healing.rows_min
        if len(rows) < least:
            raise Conflict(
                f"{len(rows):,} rows of good windows since {start:%Y-%m-%d %H:%M}, a reference needs {least:,}: "
                "wait for more windows, or name an earlier time with `--since`"
            )
        compared = profiled(rows, pipeline.settings.window)
        reference = replace(
            last.reference,
            id=_name(pipeline, compared.id, version),
            version=version,
            at=now,
            rows=len(rows),
            start_at=aware(rows.at.min()),
            end_at=aware(rows.at.max()) + timedelta(microseconds=1),
        )
        if self.store.get(Reference, reference.id) is not None:
            raise Conflict(f"`{reference.id}` is a reference of `{pipeline.name}` already: nothing has changed since")
        return Held(
            reference=reference,
            yardstick=make_yardstick(compared, pipeline.detection),
            content=reference_to_bytes(compared),
            segments=fit_segments(
                pipeline, rows, whole=compared, reference=reference, held_out=None, before=last.segments
            ),
            calibrated=last.calibrated,
        )

    def _newest(self, pipeline: Pipeline, **filters: str) -> Reference | None:
        found = self.store.find(Reference, pipeline=pipeline.name, order="-seq", limit=1, **filters)
        return found[0] if found else None

    def _is_fallback(self, pipeline: Pipeline, version: str) -> bool:
        found = pipeline.version(version)
        return found is not None and found.kind is VersionKind.FALLBACK

    def _judged(self, pipeline: Pipeline, name: str, now: datetime) -> Held | None:
        """Judge a version on the newest rows it never saw; None when that cannot be."""
        version = pipeline.version(name)
        if version is None or pipeline.sight.away:
            return None
        if version.kind is VersionKind.FALLBACK or version.trained_from_at is None or version.trained_to_at is None:
            return None
        judge = newest(pipeline.world(now), windows=JUDGE_WINDOWS, since=version.trained_to_at).rows
        if len(judge) < pipeline.settings.healing.rows_min:
            return None
        output = pipeline.world(now).outputs([name], judge)[name]
        if output is None or is_missing(output).all():
            return None
        rows = pipeline.rows(version.trained_from_at, version.trained_to_at, as_of=now)
        usable = _rows_where(pipeline, rows, lambda q: q is not Quality.BAD)
        judged = _held_out(pipeline, judge, output)
        return self._make(pipeline, version, usable, judged, at=now) if len(usable) else None

    def _make(
        self, pipeline: Pipeline, version: Version, rows: Predictions, held_out: HeldOut, *, at: datetime
    ) -> Held:
        compared, error = profiled(rows, pipeline.settings.window), held_out.error(pipeline.settings.window)
        first = self.store.find(Reference, pipeline=pipeline.name, order="seq", limit=1)
        tolerance = pipeline.settings.detection.tolerance
        cap = first[0].error + tolerance if first else 1.0
        first_limit = usual_error(first[0]) if first else None
        reference = Reference(
            id=_name(pipeline, compared.id, version.name),
            pipeline=pipeline.name,
            version=version.name,
            at=at,
            error=min(error.error, cap),
            error_rows=error.rows,
            error_sd=min(error.sd, sd_max(error.error)),
            error_windows=max(error.windows, 1),
            capped_from=error.error if error.error > cap else None,
            limit_max=1.0 if first_limit is None else min(1.0, first_limit + 2 * tolerance),
            rows=len(rows),
            start_at=aware(rows.at.min()),
            end_at=aware(rows.at.max()) + timedelta(microseconds=1),
        )
        yardstick = self._made.put(reference.id, make_yardstick(compared, pipeline.detection))
        before = self._newest(pipeline)
        parted = fit_segments(
            pipeline,
            rows,
            whole=compared,
            reference=reference,
            held_out=held_out,
            before=None if before is None else self._segments(pipeline, before),
        )
        self._parted.put(reference.id, parted)
        calibrated = self._calibrated.put(reference.id, fit_calibration(pipeline, held_out, reference))
        return Held(
            reference=reference,
            yardstick=yardstick,
            content=reference_to_bytes(compared),
            segments=parted,
            calibrated=calibrated,
        )

    def _yardstick(self, pipeline: Pipeline, reference: Reference) -> Yardstick:
        def make() -> Yardstick:
            content = self.store.state(pipeline.name, f"reference {reference.id}")
            assert content is not None, "a reference and its profile are written together"
            return make_yardstick(reference_from_bytes(content), pipeline.detection)

        return self._made.get(reference.id, make)

    def _segments(self, pipeline: Pipeline, reference: Reference) -> Segmented | None:
        if not pipeline.settings.segments:
            return None

        def make() -> Segmented | None:
            content = self.store.state(pipeline.name, f"segments {reference.id}")
            found = segments_from_bytes(content, pipeline) if content else None
            same = found is not None and {one.column for one in found.by} == set(pipeline.settings.segments)
            return found if same else None

        return self._parted.get(reference.id, make)

    def _calibration(self, pipeline: Pipeline, reference: Reference) -> Calibrated | None:
        def make() -> Calibrated | None:
            content = self.store.state(pipeline.name, f"calibration {reference.id}")
            return calibrated_from_bytes(content) if content else None

        return self._calibrated.get(reference.id, make)


def _held_out(pipeline: Pipeline, rows: Predictions, output: Column) -> HeldOut:
    return HeldOut(rows=rows, output=output, losses=losses(pipeline.loss, output, rows.label))


def _name(pipeline: Pipeline, content: str, version: str) -> str:
    """Name a reference by what it holds: pipelines that are fed the same rows have one each."""
    return f"{sha256(f'{pipeline.name} {content}'.encode()).hexdigest()[:16]}-{version}"


def _began(measurements: Iterable[Measurement]) -> datetime | None:
    """When the evidence of the alarms of the inputs and scores that stand began; None without an alarm."""
    layers = (Layer.DRIFT, Layer.SCORE)
    standing = [one for one in measurements if one.layer in layers and one.alarm and one.subject is None]
    return min((one.since_at for one in standing if one.since_at is not None), default=None)


def _rows_where(pipeline: Pipeline, rows: Predictions, keep: Callable[[Quality], bool]) -> Predictions:
    """Leave out the rows of windows whose verdict is not to keep."""
    numbers = window_starts(rows.at, pipeline.settings.window)
    starts = {int(n): datetime.fromtimestamp(int(n) * pipeline.settings.window, tz=UTC) for n in np.unique(numbers)}
    kept = [n for n, start in starts.items() if keep(pipeline.quality(start))]
    return take(rows, np.isin(numbers, kept))
