"""From a file and a reference to everything the report says. Must never print, nor say more than was found."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from healerd.columns import Column, kind_of
from healerd.detectors import DetectionSettings, promise
from healerd.detectors.course import Course, course
from healerd.detectors.diagnosis import Change, FeatureChange, diagnose, shift_kind
from healerd.detectors.estimates import Estimate, calibrate, error_posterior, estimate_error
from healerd.detectors.segments import share_of
from healerd.errors import ConfigError, SourceError
from healerd.model import Layer
from healerd.offline.inspection.joint import Joint, absolute_error_guess, tell_apart
from healerd.offline.inspection.options import Columns, InspectOptions
from healerd.offline.inspection.reference import Fitted, fit_table, is_fitted, read_fitted
from healerd.offline.inspection.rows import Cut, Stretch, Table, cut_of, part_of, stretches, table_of, taken
from healerd.offline.inspection.walk import Alarm, Judged, Looked, Walk, estimate_of, judged, reference_of, walk
from healerd.profiles import ks, profile
from healerd.profiles.maps import is_absent
from healerd.profiles.seasons import season_said
from healerd.segments.times import aware
from healerd.sources import Flaw, survey
from healerd.workers import ALONE, Crew, carry_out

__all__ = ["Earlier", "Focus", "Inspection", "Segment", "inspect"]

SEGMENTS_MAX = 20
SEGMENT_ROWS_MIN = 200
"""Rows of a value in the reference from which it can be looked at alone."""
WHOLE_SHARE = 0.5
"""What of the false-alarm budget stays with the whole file when segments are looked at too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """The windows that are told in full: from `first` to `last`, and why these."""

    first: int
    last: int
    why: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """How near the focus is to another reference: the mean KS distance over the features that both know."""

    name: str
    distance: float
    distance_now: float
    features: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One value of the segment column: its rows, its alarms, its most changed feature, and its error in the focus."""

    value: str
    rows: int
    alarms: tuple[Alarm, ...]
    feature: FeatureChange | None
    error: Estimate | None
    error_usual: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inspection:
    """All that was found in a file."""

    options: InspectOptions
    rows: int
    columns: int
    from_at: str | None
    to_at: str | None
    sha256: str
    flaws: tuple[Flaw, ...]
    notes: tuple[str, ...]
    lost: tuple[str, ...]
    new: tuple[str, ...]
    fitted: Fitted
    walk: Walk
    focus: Focus
    change: Change
    course: Course | None
    features: tuple[FeatureChange, ...]
    joint: Joint | None
    estimate: Estimate | None
    absolute: tuple[Estimate, float] | None
    posterior: Estimate | None
    earlier: tuple[Earlier, ...]
    segments: tuple[Segment, ...]
    promise: str

    @property
    def windows(self) -> tuple[Looked, ...]:
        """The windows in order."""
        return self.walk.windows

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """All alarms, the gravest layer first."""
        return self.walk.alarms

    def named(self, at: datetime | None) -> str | None:
        """The window that a time lies in, or the first after it."""
        if at is None:
            return None
        return next((one.name for one in self.windows if one.end_at > at), self.windows[-1].name)

    @property
    def stands(self) -> bool:
        """Whether an alarm stands at the end of the file, in the whole or in a segment."""
        return any(
            one.stands for one in (*self.alarms, *(each for segment in self.segments for each in segment.alarms))
        )


def inspect(options: InspectOptions, crew: Crew = ALONE) -> Inspection:
    """Read, walk, and diagnose what alarmed; a crew counts windows and walks segments. Raises HealerdError."""
    names = options.columns
    fitted, usual = _reference(options)
    found = survey(
        options.file,
        kinds=fitted.kinds(names.label),
        time=names.time,
        label=names.label if fitted.label_kind is not None else None,
        label_time=names.label_time,
        ignored=names.ignored,
        now=options.now,
    )
    if fitted.label_kind is not None and names.label not in found.columns:
        names = replace(names, label=None)  # what is to be judged has no labels yet
    table = table_of(found, names, others=options.rivals)
    if not set(table.inputs) & set(fitted.profile.maps.features):
        known = ", ".join(map("`{}`".format, fitted.profile.maps.features))
        raise SourceError(
            f"`{options.file}` has no column of the reference, which knows {known}: compare like with like"
        )
    cut = cut_of(
        timed=table.at is not None, window_s=options.window_s, window_rows=options.window_rows, default=fitted.cut
    )
    share = 1.0 if options.segment is None else WHOLE_SHARE
    settings = _settings(options, cut.seconds, share)
    windows = stretches(table, cut)
    by = judged(table, fitted, settings, options.rivals)
    walked = walk(table, windows, by, crew)
    focus = _focus(walked, windows)
    rows = _rows(windows, focus)
    counted = profile(taken(table.inputs, rows), fitted.profile.maps)
    features = diagnose(walked.yardstick, counted, walked.newest)
    segments, skipped = _segments(options, table, usual, cut, crew=crew)
    whole = settings if options.segment is None else _settings(options, cut.seconds, 1.0)
    return Inspection(
        options=options,
        rows=table.rows,
        columns=len(found.columns),
        from_at=None if table.at is None else aware(table.at[0]).isoformat(),
        to_at=None if table.at is None else aware(table.at[-1]).isoformat(),
        sha256=found.sha256,
        flaws=table.flaws,
        notes=(*_notes(table, found.left_out, fitted, names, usual), *skipped),
        lost=counted.lost,
        new=counted.new,
        fitted=fitted,
        walk=walked,
        focus=focus,
        change=_change(walked),
        course=_course(walked, features),
        features=features,
        joint=_joint(usual, table, rows) if _alarmed(walked, (Layer.DRIFT, Layer.SCORE, Layer.HARM)) else None,
        estimate=estimate_of(table, rows, by, windows=focus.last - focus.first + 1),
        absolute=_absolute(usual, table, rows),
        posterior=_posterior(by, rows, focus),
        earlier=_earlier(options.earlier, fitted, taken(table.features(), rows)),
        segments=segments,
        promise=promise(whole),
    )


def _settings(options: InspectOptions, window_s: float, share: float) -> DetectionSettings:
    whole = DetectionSettings(window_s=window_s, false_alarms_per_year=options.false_alarms_per_year)
    return share_of(whole, share)


def _reference(options: InspectOptions) -> tuple[Fitted, Table | None]:
    """A fitted reference as it is; of a table, its rows too."""
    if is_fitted(options.reference):
        return read_fitted(options.reference), None
    names = options.columns
    found = survey(options.reference, time=names.time, label_time=names.label_time, ignored=names.ignored)
    rivals = tuple(name for name in options.rivals if name in found.columns)
    table = table_of(found, names, others=rivals)
    cut = cut_of(timed=table.at is not None, window_s=options.window_s, window_rows=options.window_rows, default=None)
    fitted = fit_table(table, cut, loss=options.loss, label=names.label, source=options.reference.name)
    return fitted, table


def _rows(windows: Sequence[Stretch], focus: Focus) -> npt.NDArray[np.intp]:
    return np.concatenate([one.rows for one in windows[focus.first : focus.last + 1]])


def _alarmed(walked: Walk, layers: Sequence[Layer]) -> list[Alarm]:
    """The alarms of these layers that stand; without one, the last that stood."""
    own = [one for one in walked.alarms if one.layer in layers]
    return [one for one in own if one.stands] or ([max(own, key=lambda one: one.last)] if own else [])


def _focus(walked: Walk, windows: Sequence[Stretch]) -> Focus:
    """The windows since the evidence of the alarms began; without an alarm, all of them."""
    found = _alarmed(walked, [layer for layer in Layer if layer is not Layer.QUALITY]) or _alarmed(
        walked, [Layer.QUALITY]
    )
    if not found:
        return Focus(
            first=0, last=len(windows) - 1, why="all windows: no alarm", rows=sum(len(one.rows) for one in windows)
        )
    since = min(one.since_at for one in found)
    first = next(k for k, one in enumerate(windows) if one.end_at > since)
    last = max(one.last for one in found)
    layers = " and ".join(sorted({one.layer.value for one in found}))
    rows = sum(len(one.rows) for one in windows[first : last + 1])
    return Focus(first=first, last=last, why=f"since the evidence for the alarm of {layers} began", rows=rows)


def _change(walked: Walk) -> Change:
    """What kind of change the alarms show, taken over the file."""

    def stood(layer: Layer) -> bool | None:
        if any(one.layer is layer for one in walked.alarms):
            return True
        known = [one.signs[layer].alarm for one in walked.windows if layer in one.signs]
        return False if any(each is not None for each in known) else None

    return shift_kind(harm=stood(Layer.HARM), drift=stood(Layer.DRIFT))


def _course(walked: Walk, features: Sequence[FeatureChange]) -> Course | None:
    """The course of the error if it alarmed, else of the input with the most evidence; None without an alarm."""
    if any(one.layer is Layer.HARM for one in walked.alarms):
        return course([one.error for one in walked.windows])
    if not any(one.layer in (Layer.DRIFT, Layer.SCORE) for one in walked.alarms):
        return None
    foremost = max(features, key=lambda one: abs(one.effect or 0.0)).name
    return course([one.effects.get(foremost) for one in walked.windows])


def _joint(usual: Table | None, table: Table, rows: npt.NDArray[np.intp]) -> Joint | None:
    return None if usual is None else tell_apart(usual.features(), taken(table.features(), rows))


def _absolute(usual: Table | None, table: Table, rows: npt.NDArray[np.intp]) -> tuple[Estimate, float] | None:
    """The estimated mean absolute error of the focus, and that of the reference; of quantities, with both at hand."""
    if usual is None or usual.output is None or usual.label is None or table.output is None:
        return None
    if any(kind_of(one) != "numeric" for one in (usual.output, usual.label, table.output)):
        return None
    if bool(np.isin(usual.label[np.isfinite(usual.label)], (0, 1)).all()):
        return None
    off = np.abs(usual.output - usual.label)
    guessed = absolute_error_guess(usual.inputs, off, taken(table.inputs, rows))
    if guessed is None:
        return None
    known, found = guessed
    calibration = calibrate(known, off)
    estimate = None if calibration is None else estimate_error(calibration, found)
    if estimate is None:
        return None
    return replace(estimate, name="estimated_absolute_error"), float(np.nanmean(off))


def _posterior(by: Judged, rows: npt.NDArray[np.intp], focus: Focus) -> Estimate | None:
    if by.losses is None:
        return None
    own = by.losses[rows]
    labelled = int(np.count_nonzero(~np.isnan(own)))
    sd = reference_of(by.fitted).error_sd
    windows = focus.last - focus.first + 1
    return (
        error_posterior(float(np.nansum(own)), labelled, limit=by.limit, sd=sd, windows=windows) if labelled else None
    )


def _earlier(paths: Sequence[Path], fitted: Fitted, columns: Mapping[str, Column]) -> tuple[Earlier, ...]:
    """How near the focus is to each earlier reference, beside the present one; the nearest first."""
    told = []
    for path in paths:
        other = read_fitted(path)
        names = [
            name for name in other.profile.maps.features if name in fitted.profile.maps.features and name in columns
        ]
        if names:
            there, here = (_distance(one, columns, names) for one in (other, fitted))
            told.append(Earlier(name=path.name, distance=there, distance_now=here, features=len(names)))
    return tuple(sorted(told, key=lambda one: (one.distance, one.name)))


def _distance(fitted: Fitted, columns: Mapping[str, Column], names: Sequence[str]) -> float:
    counted = profile({name: columns[name] for name in names}, fitted.profile.maps)
    whole = fitted.profile.whole.features
    each = [ks(np.cumsum(whole[name].cells), np.cumsum(counted.features[name].cells)) for name in names]
    return float(np.mean(each))


def _segments(
    options: InspectOptions, table: Table, usual: Table | None, cut: Cut, *, crew: Crew
) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """Look at each common value of the segment column alone, the worst first; and what could not be looked at."""
    name = options.segment
    if name is None:
        return (), ()
    if usual is None:
        return (), ("segments need the reference's rows: name a table as the reference, not a fitted one",)
    if name not in table.inputs or name not in usual.inputs:
        raise ConfigError(
            f"there is no column `{name}` among the features of both files: name another with `--segment`"
        )
    usually = Counter(value for value in usual.inputs[name].tolist() if not is_absent(value))
    common = [value for value, rows in usually.most_common() if rows >= SEGMENT_ROWS_MIN]
    values, beyond = common[:SEGMENTS_MAX], common[SEGMENTS_MAX:]
    settings = _settings(options, cut.seconds, (1 - WHOLE_SHARE) / max(len(values), 1))
    tasks = ((value, part_of(table, name, value), part_of(usual, name, value)) for value in values)
    told = list(carry_out(partial(_segment, cut=cut, options=options, by=settings), tasks, crew))
    counts = Counter(table.inputs[name].tolist())
    more = sum(counts[value] for value in beyond)
    few = table.rows - sum(one.rows for one in told) - more
    notes = (
        (few, f"have a value of `{name}` with fewer than {SEGMENT_ROWS_MIN} reference rows"),
        (more, f"have a value of `{name}` beyond its {SEGMENTS_MAX} commonest, which alone are looked at"),
    )
    return tuple(sorted(told, key=_badness)), tuple(f"segments: {rows:,} rows {said}" for rows, said in notes if rows)


def _badness(one: Segment) -> tuple[bool, int, float, float, str]:
    """Those with an alarm that stands first, by the gravity of the layer, then by how far errors and inputs moved."""
    standing = [each for each in one.alarms if each.stands]
    gravest = min((list(Layer).index(each.layer) for each in standing), default=len(Layer))
    more = 0.0 if one.error is None or one.error_usual is None else one.error.value - one.error_usual
    return not standing, gravest, -more, -(0.0 if one.feature is None else one.feature.ks or 0.0), one.value


def _segment(task: tuple[object, Table, Table], *, cut: Cut, options: InspectOptions, by: DetectionSettings) -> Segment:
    value, table, usual = task
    fitted = fit_table(usual, cut, loss=options.loss, label=options.columns.label, source=options.reference.name)
    if not table.rows:
        return Segment(value=str(value), rows=0, alarms=(), feature=None, error=None, error_usual=_error_of(fitted))
    windows, rules = stretches(table, cut), judged(table, fitted, by)
    walked = walk(table, windows, rules)
    focus = _focus(walked, windows)
    rows = _rows(windows, focus)
    counted = profile(taken(table.inputs, rows), fitted.profile.maps)
    features = diagnose(walked.yardstick, counted, walked.newest)
    return Segment(
        value=str(value),
        rows=table.rows,
        alarms=walked.alarms,
        feature=features[0] if features else None,
        error=_posterior(rules, rows, focus),
        error_usual=_error_of(fitted),
    )


def _error_of(fitted: Fitted) -> float | None:
    return None if fitted.error is None else fitted.error.error


def _notes(
    table: Table, left_out: Mapping[str, str], fitted: Fitted, names: Columns, usual: Table | None
) -> tuple[str, ...]:
    """What the reader must know to read the rest rightly."""
    told = [*table.notes, *(f"column `{name}` was left out: {why}" for name, why in left_out.items())]
    if fitted.profile.windows == 1:
        told.append("the reference is a single window: what is usual from window to window is unknown, cycles alarm")
    if fitted.profile.seasons is not None:
        held = ", ".join(f"`{name}` ({season_said(one)})" for name, one in fitted.profile.seasons.features.items())
        told.append(f"alarms hold these features against the same time in the reference, as they follow it: {held}")
    if names.label is None:
        told.append("no labels: whether the model errs more is not measured; name them with `--label`")
    elif table.output is None:
        told.append("labels without predictions: name them with `--prediction`, or the error is not measured")
    elif fitted.error is None:
        told.append("the reference has no labels: harm cannot be measured against it")
    if names.score is not None and fitted.calibration is None:
        told.append("scores say nothing of the error: they are calibrated on at least 50 labelled reference rows")
    if usual is None:
        told.append("the reference holds no rows: features are not compared jointly; a table as the reference would do")
    if names.id is None:
        told.append("duplicated rows were not counted: name what tells rows apart with `--id`")
    return tuple(told)
