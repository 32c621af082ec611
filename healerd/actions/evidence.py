"""Labelled rows that may train or judge, and versions compared on the same rows. Must never use a biased sample.

A window's rows count as evidence when all of them are labelled, or when its labels have had their time and enough
came: before that, which rows are labelled may depend on how wrong they were (SAFETY S12).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from healerd.actions.world import World
from healerd.columns import Column, Predictions, is_missing, kind_of, take, window_starts
from healerd.detectors.paired import Gain, paired_gain
from healerd.model import VersionKind
from healerd.profiles.losses import Loss, losses, parse_loss

__all__ = [
    "ROWS_MAX",
    "Evidence",
    "best_stored",
    "compare",
    "error_of",
    "gains_against",
    "models_that_never_saw",
    "newest",
    "newest_windows",
    "served_error",
    "since",
    "thin",
    "window_starts",
]

ROWS_MAX = 20_000
"""Rows on which versions are compared; more are thinned evenly. The error of a share is then below .4 points."""
VERSIONS_MAX = 60
LOOKS_BACK = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Labelled rows of whole windows, oldest first; `windows` are the starts of the windows they come from."""

    rows: Predictions
    windows: tuple[datetime, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def before(self, at: datetime) -> Predictions:
        """Keep the rows predicted before `at`."""
        return take(self.rows, self.rows.at < _stamp(at))

    def since(self, at: datetime) -> Predictions:
        """Keep the rows predicted at or after `at`."""
        return take(self.rows, self.rows.at >= _stamp(at))


def newest(world: World, *, windows: int, since: datetime | None = None) -> Evidence:
    """Gather the newest `windows` windows of evidence with trusted data, from `since` on if given.

    Windows without rows or without enough labels do not count, so it looks further back when it must, up to a limit.
    """
    window_s, horizon_s = world.settings.window, world.settings.label_horizon
    found = Evidence(rows=world.rows(world.now, world.now), windows=())
    for times in range(1, LOOKS_BACK + 1):
        start = world.now - timedelta(seconds=horizon_s + window_s * (windows * times + 1))
        found = _evidence(world, max(start, since) if since else start, trusted_only=True)
        if len(found.windows) >= windows or (since and start <= since):
            break
    return _only(found, found.windows[-windows:], window_s=window_s)


def since(world: World, at: datetime, *, trusted_only: bool = False) -> Evidence:
    """Gather all evidence on windows that began at or after `at`; by default good data or bad."""
    return _evidence(world, at, trusted_only=trusted_only)


def compare(world: World, rows: Predictions, *, new: Column | None, old: Column, level: float | None = None) -> Gain:
    """Compare two outputs for the same rows: the gain is the old one's loss minus the new one's.

    A new one that is missing as a whole (None) is wrong on every row. Rows of one window count as alike.
    """
    loss = parse_loss(world.settings.loss)
    return paired_gain(
        _losses(loss, new, rows.label),
        _losses(loss, old, rows.label),
        level=level or world.settings.healing.level,
        groups=window_starts(rows.at, world.settings.window),
    )


def gains_against(world: World, rows: Predictions, names: Sequence[str], *, against: str) -> dict[str, Gain]:
    """Let versions predict the same rows, and compare each with the version `against`.

    Where that one raises, it is wrong (SAFETY S11) but for what it has served. Where nothing is known of it, it is held
    to what it has served, which is no reason to replace it (S4): empty where that are fewer rows than judge anything.
    """
    rows = thin(rows, ROWS_MAX)
    wanted = [name for name in dict.fromkeys(names) if name != against][:VERSIONS_MAX]
    outputs = world.outputs([against, *wanted], rows)
    old, own = outputs[against], rows.version == against
    if old is None:
        rows = take(rows, own)
        if len(rows) < world.settings.healing.rows_min:
            return {}
        outputs = {name: None if output is None else output[own] for name, output in outputs.items()}
        old = rows.output
    else:
        old = np.where(own & is_missing(old), rows.output, old)
    return {name: compare(world, rows, new=outputs[name], old=old) for name in wanted}


def error_of(world: World, rows: Predictions, name: str) -> float | None:
    """Measure a version's error on n labelled rows, n > 0, in shadow; None when nothing is known of it."""
    rows = thin(rows, ROWS_MAX)
    output = world.outputs([name], rows)[name]
    found = _losses(parse_loss(world.settings.loss), output, rows.label)
    return None if output is None or np.isnan(found).all() else float(np.nanmean(found))


def served_error(world: World, rows: Predictions) -> float:
    """Measure the error of what was served, on n labelled rows, n > 0."""
    return float(np.mean(_losses(parse_loss(world.settings.loss), rows.output, rows.label)))


def best_stored(world: World, rows: Predictions, names: Sequence[str], *, against: str) -> tuple[str, Gain] | None:
    """Find the version whose gain on `against` is surest (largest lower bound); None when there is none."""
    gains = gains_against(world, rows, names, against=against)
    return max(gains.items(), key=lambda item: (item[1].low, item[1].mean), default=None)


def models_that_never_saw(world: World, rows: Predictions) -> list[str]:
    """List the stored models that trained on none of these rows, the newest first; n rows, n > 0.

    Of a version that others made nobody knows what it saw: all that there was when it was made, to be safe.
    """
    first = rows.at.min()
    stored = (version for version in world.registry.versions() if version.kind is VersionKind.MODEL)
    return [each.name for each in stored if _stamp(each.trained_to_at or each.created_at) <= first]


def newest_windows(world: World, count: int) -> tuple[datetime, ...]:
    """Give the starts of the newest closed windows, the newest first, whether or not they hold rows."""
    over = int(world.now.timestamp() // world.settings.window)
    return tuple(_start_of(over - back, world.settings.window) for back in range(1, count + 1))


def thin(rows: Predictions, most: int) -> Predictions:
    """Keep at most `most` rows, evenly spread over time."""
    if len(rows) <= most:
        return rows
    return take(rows, np.linspace(0, len(rows) - 1, most).astype(np.intp))


def _evidence(world: World, start: datetime, *, trusted_only: bool) -> Evidence:
    rows = world.rows(start, world.now)
    window_s = world.settings.window
    numbers = window_starts(rows.at, window_s)
    labelled = ~is_missing(rows.label)
    keep = [
        number
        for number in np.unique(numbers)
        if _counts(world, number, labelled[numbers == number], first_at=start)
        and (not trusted_only or world.trusted(_start_of(number, window_s)))
    ]
    kept = take(rows, labelled & np.isin(numbers, keep))
    ordered = take(kept, np.argsort(kept.at, kind="stable"))
    return Evidence(rows=ordered, windows=tuple(_start_of(number, window_s) for number in keep))


def _counts(world: World, number: int, labelled: npt.NDArray[np.bool_], *, first_at: datetime) -> bool:
    """Tell whether a window lies whole in what was read, is over, and is labelled well enough to be believed."""
    start = _start_of(number, world.settings.window)
    end = start + timedelta(seconds=world.settings.window)
    if start < first_at or end > world.now:
        return False
    mature = world.now >= end + timedelta(seconds=world.settings.label_horizon)
    share = float(labelled.mean())
    return share == 1.0 or (mature and share >= world.settings.detection.label_coverage)


def _only(found: Evidence, windows: tuple[datetime, ...], *, window_s: float) -> Evidence:
    numbers = [int(window_starts(np.array([_stamp(at)]), window_s)[0]) for at in windows]
    rows = take(found.rows, np.isin(window_starts(found.rows.at, window_s), numbers))
    return Evidence(rows=rows, windows=windows)


def _losses(loss: Loss, output: Column | None, label: Column) -> Column:
    if output is None or kind_of(output) != kind_of(label):
        return np.where(is_missing(label), np.nan, 1.0)
    return losses(loss, output, label)


def _start_of(number: int, window_s: float) -> datetime:
    return datetime.fromtimestamp(number * window_s, UTC)


def _stamp(at: datetime) -> np.datetime64:
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")
