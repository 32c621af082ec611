"""What each version is held against: its own held-out error, and the window its inputs are compared with (SAFETY S12).

Must never let rows that trained a version judge it, nor let references ratchet upward: a reference error is capped at
the first accepted one plus the tolerance.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import numpy as np

from healerd.actions.evidence import newest, window_starts
from healerd.columns import Column, Predictions, take
from healerd.daemon.pipeline import Pipeline
from healerd.detectors import Yardstick, make_yardstick, usual_error
from healerd.errors import ActionError, Conflict
from healerd.model import Layer, Measurement, Quality, Reference, Version, VersionKind
from healerd.profiles import (
    ErrorSummary,
    ReferenceProfile,
    fit,
    losses,
    make_reference,
    profile,
    reference_from_bytes,
    reference_to_bytes,
    sd_max,
    summarise,
)
from healerd.segments.times import aware
from healerd.store import Reader, Transaction

__all__ = ["OUTPUT", "Held", "References", "inputs_of"]

OUTPUT = "(output)"
"""The model's own output, profiled beside its inputs as a score."""
JUDGE_WINDOWS = 7
"""Newest windows a version never saw, on which its reference error is measured: one weekly cycle."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """What a version is held against, ready to measure with; `fresh` when it has still to be written down."""

    reference: Reference
    yardstick: Yardstick
    content: bytes = b""

    @property
    def fresh(self) -> bool:
        """Whether the reference was made just now."""
        return bool(self.content)

    def write(self, tx: Transaction, *, actor: str = "daemon") -> None:
        """Write a reference that was made just now."""
        if self.fresh:
            tx.save_state(self.reference.pipeline, f"reference {self.reference.id}", self.content, actor=actor)
            tx.put(self.reference, actor=actor)


@dataclass(slots=True)
class References:
    """The references of all pipelines, read once each."""

    store: Reader
    _made: dict[str, Yardstick] = field(default_factory=dict)

    def first(self, pipeline: Pipeline, version: Version, *, rows: Predictions, held_out: Predictions) -> Held:
        """Make the reference of a version from the rows it is compared with, and its outputs on held-out rows."""
        found = losses(pipeline.loss, held_out.output, held_out.label)
        error = summarise(found, window_starts(held_out.at, pipeline.settings.window))
        return self._make(pipeline, version, rows, error, at=version.created_at)

    def of(self, pipeline: Pipeline, version: str, now: datetime) -> Held | None:
        """Find what `version` is held against, or make it; None while nothing is known about this pipeline.

        A version that somebody else deployed is expected to be no worse than what it replaced.
        """
        known = self._newest(pipeline, version=version)
        if known is not None:
            return Held(reference=known, yardstick=self._yardstick(pipeline, known))
        made = self._judged(pipeline, version, now)
        if made is not None:
            return made
        last = self._newest(pipeline)
        if last is None:
            return None
        stand_in = replace(last, version=version)
        if self._is_fallback(pipeline, version):  # a safe model has no error to be held against
            stand_in = replace(stand_in, error_rows=0)
        return Held(reference=stand_in, yardstick=self._yardstick(pipeline, last))

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
        rows, least = (
            _good(pipeline, pipeline.rows(min(start, mark), mark, as_of=now)),
            pipeline.settings.healing.rows_min,
        )
        if len(rows) < least:
            raise Conflict(
                f"{len(rows):,} rows of good windows since {start:%Y-%m-%d %H:%M}, a reference needs {least:,}: "
                "wait for more windows, or name an earlier time with `--since`"
            )
        compared = _profiled(rows, pipeline.settings.window)
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
        )

    def _newest(self, pipeline: Pipeline, **filters: str) -> Reference | None:
        found = self.store.find(Reference, pipeline=pipeline.name, order="-at", limit=1, **filters)
        return found[0] if found else None

    def _is_fallback(self, pipeline: Pipeline, version: str) -> bool:
        try:
            return pipeline.registry.get(version).kind is VersionKind.FALLBACK
        except ActionError:
            return False

    def _judged(self, pipeline: Pipeline, name: str, now: datetime) -> Held | None:
        """Judge a version on the newest rows it never saw; None when that cannot be."""
        try:
            version = pipeline.registry.get(name)
        except ActionError:
            return None
        if version.kind is VersionKind.FALLBACK or version.trained_from_at is None or version.trained_to_at is None:
            return None
        judge = newest(pipeline.world(now), windows=JUDGE_WINDOWS, since=version.trained_to_at).rows
        if len(judge) < pipeline.settings.healing.rows_min:
            return None
        output = pipeline.world(now).outputs([name], judge)[name]
        if output is None:
            return None
        found = losses(pipeline.loss, output, judge.label)
        error = summarise(found, window_starts(judge.at, pipeline.settings.window))
        rows = pipeline.rows(version.trained_from_at, version.trained_to_at, as_of=now)
        trusted = _trusted(pipeline, rows)
        return self._make(pipeline, version, trusted, error, at=now) if len(trusted) else None

    def _make(
        self, pipeline: Pipeline, version: Version, rows: Predictions, error: ErrorSummary, *, at: datetime
    ) -> Held:
        compared = _profiled(rows, pipeline.settings.window)
        first = self.store.find(Reference, pipeline=pipeline.name, order="at", limit=1)
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
        yardstick = self._made[reference.id] = make_yardstick(compared, pipeline.detection)
        return Held(reference=reference, yardstick=yardstick, content=reference_to_bytes(compared))

    def _yardstick(self, pipeline: Pipeline, reference: Reference) -> Yardstick:
        if reference.id not in self._made:
            content = self.store.state(pipeline.name, f"reference {reference.id}")
            assert content is not None, "a reference and its profile are written together"
            self._made[reference.id] = make_yardstick(reference_from_bytes(content), pipeline.detection)
        return self._made[reference.id]


def inputs_of(rows: Predictions) -> Mapping[str, Column]:
    """Give the columns that are profiled: the features, and the model's output."""
    return {**rows.features, OUTPUT: rows.output}


def _profiled(rows: Predictions, window_s: float) -> ReferenceProfile:
    maps = fit(inputs_of(rows), scores=(OUTPUT,))
    numbers = window_starts(rows.at, window_s)
    windows = np.unique(numbers)
    each = [profile(inputs_of(take(rows, numbers == number)), maps) for number in windows]
    starts = [datetime.fromtimestamp(int(number) * window_s, tz=UTC) for number in windows]
    return make_reference(maps, each, starts=starts, window_s=window_s)


def _name(pipeline: Pipeline, content: str, version: str) -> str:
    """Name a reference by what it holds: pipelines that are fed the same rows have one each."""
    return f"{sha256(f'{pipeline.name} {content}'.encode()).hexdigest()[:16]}-{version}"


def _began(measurements: Iterable[Measurement]) -> datetime | None:
    """When the evidence of the alarms of the inputs and scores that stand began; None without an alarm."""
    layers = (Layer.DRIFT, Layer.SCORE)
    standing = [one for one in measurements if one.layer in layers and one.alarm and one.subject is None]
    return min((one.since_at for one in standing if one.since_at is not None), default=None)


def _good(pipeline: Pipeline, rows: Predictions) -> Predictions:
    numbers = window_starts(rows.at, pipeline.settings.window)
    starts = {int(n): datetime.fromtimestamp(int(n) * pipeline.settings.window, tz=UTC) for n in np.unique(numbers)}
    good = [n for n, start in starts.items() if pipeline.quality(start) is Quality.GOOD]
    return take(rows, np.isin(numbers, good))


def _trusted(pipeline: Pipeline, rows: Predictions) -> Predictions:
    numbers = window_starts(rows.at, pipeline.settings.window)
    starts = {int(n): datetime.fromtimestamp(int(n) * pipeline.settings.window, tz=UTC) for n in np.unique(numbers)}
    bad = [n for n, start in starts.items() if pipeline.quality(start) is Quality.BAD]
    return take(rows, ~np.isin(numbers, bad))
