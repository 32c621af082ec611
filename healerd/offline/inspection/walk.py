"""Walk through a file's windows in order: every detector, one budget, one memory. Must never look at a later window."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain, groupby

import numpy as np
import numpy.typing as npt

from healerd.columns import Column, is_missing
from healerd.detectors import DetectionSettings, Measured, State, Yardstick, make_yardstick, measure, quality
from healerd.detectors.estimates import Estimate, error_posterior, estimate_error
from healerd.detectors.paired import Gain, paired_gain
from healerd.errors import ConfigError
from healerd.model import Cohort, Layer, Measurement, Quality, Reference, Rival, Window
from healerd.offline.inspection.reference import Fitted
from healerd.offline.inspection.rows import Stretch, Table, taken
from healerd.profiles import Maps, Profile, profile, sd_max
from healerd.profiles.losses import Losses
from healerd.workers import ALONE, Crew, carry_out

__all__ = ["FILE", "Alarm", "Judged", "Looked", "Sign", "Walk", "estimate_of", "judged", "reference_of", "walk"]

FILE = "file"
"""The name under which a file is a pipeline, and its model a version."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TASK_ROWS = 50_000
"""Rows that a worker is sent at once: of 20 numbers 8 MB, which take longer to count than to send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """One layer at one window: whether its alarm stands (None: unknown), its evidence, since when, and who alone."""

    alarm: bool | None
    log_evidence: float | None
    log_limit: float
    since_at: datetime | None
    subjects: tuple[str, ...]
    foremost: str | None = None
    """The feature with the most evidence, whether or not it is enough alone."""
    tries: int = 1
    """Checks of which the evidence is the best: a bound by chance counts each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one window amounted to.

    `effects` is the shift of each input's mean rank; `estimate` the error by the scores, `posterior` that by the
    labels there are. `empty` windows without rows came before it.
    """

    name: str
    start_at: datetime
    end_at: datetime
    rows: int
    empty: int
    labelled: int
    error: float | None
    quality: Quality
    reasons: tuple[str, ...]
    signs: Mapping[Layer, Sign]
    effects: Mapping[str, float | None]
    estimate: Estimate | None
    posterior: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A layer's alarm from window `first` to window `last`; it stands when it had not ended by the file's end.

    `by_chance` bounds the probability that a file so long has so much evidence while nothing changed. `subjects` are
    the features whose own evidence was enough, else the one with the most.
    """

    layer: Layer
    first: int
    last: int
    stands: bool
    since_at: datetime
    by_chance: float
    subjects: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Walk:
    """The whole walk: windows, alarms, what the newest window's detectors said, and how stored versions would do."""

    windows: tuple[Looked, ...]
    alarms: tuple[Alarm, ...]
    newest: tuple[Measurement, ...]
    gains: Mapping[str, Gain]
    yardstick: Yardstick


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """What a file's rows are judged by: losses of the model and of its rivals, the limit, the settings."""

    fitted: Fitted
    losses: Losses | None
    rivals: Mapping[str, Losses]
    limit: float | None
    settings: DetectionSettings


def reference_of(fitted: Fitted) -> Reference:
    """What the detectors hold the file's errors against."""
    error, whole = fitted.error, fitted.profile
    return Reference(
        id=whole.id[:16],
        pipeline=FILE,
        version=FILE,
        at=fitted.start_at or EPOCH,
        error=0.0 if error is None else error.error,
        error_rows=0 if error is None else error.rows,
        error_sd=0.0 if error is None else min(error.sd, sd_max(error.error)),
        error_windows=1 if error is None else max(error.windows, 1),
        rows=whole.whole.rows,
        start_at=fitted.start_at or EPOCH,
        end_at=fitted.end_at or EPOCH,
    )


def judged(table: Table, fitted: Fitted, settings: DetectionSettings, rivals: Sequence[str] = ()) -> Judged:
    """Make ready what rows are judged by. Raises ConfigError when rivals cannot be compared."""
    losses = None if fitted.loss is None else table.losses(fitted.loss)
    if rivals and (losses is None or fitted.loss is None):
        raise ConfigError("`--rival` compares errors: name `--label` and `--prediction` too, in both files")
    each = {name: table.losses(fitted.loss, table.others[name]) for name in rivals} if fitted.loss else {}
    limit = None if fitted.error is None else min(1.0, fitted.error.error + settings.tolerance)
    known = {name: found for name, found in each.items() if found is not None}
    return Judged(fitted=fitted, losses=losses, rivals=known, limit=limit, settings=settings)


def walk(table: Table, windows: Sequence[Stretch], by: Judged, crew: Crew = ALONE) -> Walk:
    """Run every detector on every window, in order; a crew counts the windows beforehand."""
    yardstick, reference = make_yardstick(by.fitted.profile, by.settings), reference_of(by.fitted)
    state: State = {}
    looked: list[Looked] = []
    told: tuple[Measurement, ...] = ()
    for stretch, counted in zip(windows, _profiles(table, windows, by.fitted.profile.maps, crew), strict=True):
        rows = stretch.rows
        measured = measure(
            window=Window(pipeline=FILE, start_at=stretch.start_at, end_at=stretch.end_at),
            profile=counted,
            yardstick=yardstick,
            reference=reference,
            cohorts=() if by.losses is None else (_cohort(stretch, by.losses[rows]),),
            rivals=_rivals(by, rows),
            stored=tuple(by.rivals),
            settings=by.settings,
            state=state,
            duplicates=_duplicates(table.ids, rows),
        )
        state = measured.state
        measured = _forgiven(measured, by.settings) if stretch in (windows[0], windows[-1]) else measured
        told = measured.measurements
        looked.append(_looked(stretch, measured, table, by))
    gains = {name: paired_gain(each, by.losses) for name, each in by.rivals.items() if by.losses is not None}
    alarms = tuple(alarm for layer in Layer for alarm in _alarms(layer, looked))
    return Walk(windows=tuple(looked), alarms=alarms, newest=told, gains=gains, yardstick=yardstick)


def _profiles(table: Table, windows: Sequence[Stretch], maps: Maps, crew: Crew) -> Iterator[Profile]:
    """Count the rows of each window; some windows together are one worker's task."""
    per_task = max(1, TASK_ROWS * len(windows) // max(1, table.rows))
    tasks = (
        [taken(table.inputs, stretch.rows) for stretch in windows[first : first + per_task]]
        for first in range(0, len(windows), per_task)
    )
    return chain.from_iterable(carry_out(partial(_counted, maps=maps), tasks, crew))


def _counted(windows: Sequence[Mapping[str, Column]], *, maps: Maps) -> list[Profile]:
    return [profile(columns, maps) for columns in windows]


def _forgiven(measured: Measured, settings: DetectionSettings) -> Measured:
    """The file may begin or end within its first and its last window: how many rows they have says nothing."""
    told = tuple(replace(one, alarm=None) if one.name == "rows" else one for one in measured.measurements)
    verdict, reasons = quality(told, rows_min=settings.rows_min)
    return measured._replace(measurements=told, quality=verdict, reasons=reasons)


def _cohort(stretch: Stretch, losses: Losses) -> Cohort:
    return Cohort(
        pipeline=FILE,
        version=FILE,
        window_start_at=stretch.start_at,
        window_end_at=stretch.end_at,
        mature_at=stretch.end_at,
        rows=len(losses),
        labelled=int(np.count_nonzero(~np.isnan(losses))),
        loss_sum=float(np.nansum(losses)),
    )


def _rivals(by: Judged, rows: npt.NDArray[np.intp]) -> list[Rival]:
    """Each stored version beside the model, on the rows with a label."""
    if by.losses is None:
        return []
    told = []
    for name, each in by.rivals.items():
        gain = by.losses[rows] - each[rows]
        better, worse = int(np.count_nonzero(gain > 0)), int(np.count_nonzero(gain < 0))
        known = int(np.count_nonzero(~np.isnan(gain)))
        told.append(Rival(version=name, against=FILE, rows=known, better=better, worse=worse))
    return told


def _duplicates(ids: Column | None, rows: npt.NDArray[np.intp]) -> int | None:
    if ids is None:
        return None
    known = [value for value, lost in zip(ids[rows].tolist(), is_missing(ids[rows]), strict=True) if not lost]
    return len(known) - len(set(known))


def _looked(stretch: Stretch, measured: Measured, table: Table, by: Judged) -> Looked:
    rows, told = stretch.rows, measured.measurements
    found = None if by.losses is None else by.losses[rows]
    labelled = 0 if found is None else int(np.count_nonzero(~np.isnan(found)))
    wrong = 0.0 if found is None else float(np.nansum(found))
    return Looked(
        name=stretch.name,
        start_at=stretch.start_at,
        end_at=stretch.end_at,
        rows=len(rows),
        empty=stretch.empty,
        labelled=labelled,
        error=wrong / labelled if labelled else None,
        quality=measured.quality,
        reasons=measured.reasons,
        signs={layer: sign for layer in Layer if (sign := _sign(layer, told)) is not None},
        effects={
            one.subject: None if one.value is None else one.value - 0.5
            for one in told
            if one.subject is not None and one.name == one.layer.value
        },
        estimate=estimate_of(table, rows, by),
        posterior=None if not labelled else error_posterior(wrong, labelled, limit=by.limit, sd=_sd(by.fitted)),
    )


def estimate_of(table: Table, rows: npt.NDArray[np.intp], by: Judged, *, windows: int = 1) -> Estimate | None:
    """Estimate the error of these rows by their scores; None where scores mean nothing yet."""
    if by.fitted.calibration is None or table.score is None:
        return None
    output = None if table.output is None else table.output[rows]
    return estimate_error(by.fitted.calibration, table.score[rows], output=output, limit=by.limit, windows=windows)


def _sd(fitted: Fitted) -> float:
    return reference_of(fitted).error_sd


def _sign(layer: Layer, told: Sequence[Measurement]) -> Sign | None:
    """A layer's sign is its measurement without a subject; that of quality is the worst of its checks."""
    own = [one for one in told if one.layer is layer and one.log_limit is not None]
    if not own:
        return None
    alone = tuple(sorted({one.subject for one in own if one.alarm and one.subject is not None}))
    if layer is Layer.QUALITY:
        whole = max(own, key=lambda one: (one.log_evidence or 0.0) - (one.log_limit or 0.0))
        alarm = any(one.alarm for one in own) if any(one.alarm is not None for one in own) else None
    else:
        whole = next(one for one in own if one.subject is None)
        alarm = whole.alarm
    assert whole.log_limit is not None
    return Sign(
        alarm=alarm,
        log_evidence=whole.log_evidence,
        log_limit=whole.log_limit,
        since_at=whole.since_at,
        subjects=alone,
        foremost=_foremost(own),
        tries=len(own) if layer is Layer.QUALITY else 1,
    )


def _foremost(own: Sequence[Measurement]) -> str | None:
    each = [one for one in own if one.subject is not None]
    return max(each, key=lambda one: one.log_evidence or 0.0).subject if each else None


def _alarms(layer: Layer, looked: Sequence[Looked]) -> Iterator[Alarm]:
    """The stretches of windows in which a layer's alarm stood; one that is unknown for a while is not over."""
    signs = [(k, one.signs[layer]) for k, one in enumerate(looked) if layer in one.signs]
    known = [(k, sign) for k, sign in signs if sign.alarm is not None]
    for stood, group in groupby(known, key=lambda pair: bool(pair[1].alarm)):
        if not stood:
            continue
        spell = list(group)
        (first, opening), (last, _) = spell[0], spell[-1]
        alone = {name for _, sign in spell for name in sign.subjects}
        evidence = max(sign.log_evidence or 0.0 for _, sign in spell)
        yield Alarm(
            layer=layer,
            first=first,
            last=last,
            stands=last == known[-1][0],
            since_at=opening.since_at or looked[first].start_at,
            by_chance=min(1.0, opening.tries * len(looked) * math.exp(-max(evidence, 0.0))),
            subjects=tuple(sorted(alone)) or tuple(filter(None, [opening.foremost])),
            reasons=looked[first].reasons if layer is Layer.QUALITY else (),
        )
