"""What the experiments look with: laws to draw from, and the shipped detectors run window by window.

Must never compute what a detector computes: it hands over columns or counts, and takes the measurement.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from healerd.detectors import DetectionSettings, Observation, State, Yardstick, limits, make_yardstick
from healerd.detectors.drift import detect_drift
from healerd.detectors.harm import detect_harm
from healerd.model import Cohort, Layer, Reference, Window
from healerd.profiles import fit, make_reference, profile

__all__ = [
    "A_DAY",
    "DAILY",
    "FULL",
    "QUICK",
    "SETTINGS",
    "SHIPPED",
    "YEAR",
    "Rows",
    "Size",
    "Table",
    "a_cohort",
    "a_reference",
    "alike",
    "at_labels",
    "draw",
    "first_alarm",
    "forever",
    "known_law",
    "look",
    "seeded",
    "taken_for_independent",
    "watch",
    "watch_labels",
    "without_margin",
    "yardstick",
]

Rows = npt.NDArray[np.float64]
"""Rows x features of one window."""
Table = list[dict[str, Any]]

SETTINGS = DetectionSettings(window_s=1800.0)
SHIPPED = limits(SETTINGS.false_alarms_per_year, SETTINGS.window_s, SETTINGS.weights)
DAILY = limits(SETTINGS.false_alarms_per_year, 86_400.0, SETTINGS.weights)
"""The shipped budget for windows of a day."""
YEAR = {layer: math.log(365.25 * 48) for layer in Layer}
"""A year of half hours as every layer's target: the whole budget spent on one layer."""
A_DAY = 48
START = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is run.

    `runs` of each run length up to `cap` windows, `delays` of each change, `references` fresh references with `days`
    of healthy windows each, `label_days` of labels.
    """

    runs: int
    cap: int
    delays: int
    references: int
    days: int
    features: int
    label_runs: int
    label_days: int


FULL = Size(runs=100, cap=400, delays=25, references=6, days=10, features=50, label_runs=10, label_days=14)
QUICK = Size(runs=6, cap=150, delays=2, references=1, days=1, features=20, label_runs=2, label_days=2)


def seeded(seed: int) -> np.random.Generator:
    """A generator of its own for each run."""
    return np.random.Generator(np.random.Philox(seed))


def draw(rng: np.random.Generator, rows: int, features: int, *, rho: float = 0.0) -> Rows:
    """Standard normal rows whose features are correlated with each other by rho."""
    own = rng.normal(size=(rows, features))
    return own if rho == 0 else math.sqrt(1 - rho) * own + math.sqrt(rho) * rng.normal(size=(rows, 1))


def alike(rng: np.random.Generator, rows: int, features: int, *, phi: float) -> Rows:
    """Standard normal rows, each correlated with the one before it by phi: AR(1) within the window."""
    noise = rng.normal(size=(rows, features))
    noise[1:] *= math.sqrt(1 - phi**2)
    return np.asarray(lfilter([1.0], [1.0, -phi], noise, axis=0))


def columns(rows: Rows) -> dict[str, Rows]:
    """One column a feature."""
    return {f"x{k}": column for k, column in enumerate(np.ascontiguousarray(rows.T))}


def yardstick(windows: Sequence[Rows]) -> Yardstick:
    """The reference that these windows make, in order of time."""
    maps = fit(columns(np.concatenate(windows)))
    return make_yardstick(make_reference(maps, [profile(columns(one), maps) for one in windows]), SETTINGS)


def known_law(features: int) -> Yardstick:
    """A reference that is the law itself, uniform on [0, 1]: equal counts in all cells, and so no margin."""
    grid = (np.arange(819_200) + 0.5) / 819_200
    found = yardstick([np.tile(grid[:, None], (1, features))])
    return without_margin(found)


def without_margin(found: Yardstick) -> Yardstick:
    """The same reference taken for the law itself, as if it had no error of its own."""
    return replace(found, features=tuple(replace(one, margin=0.0) for one in found.features))


def taken_for_independent(found: Yardstick) -> Yardstick:
    """The same reference with the margin of as many independent rows, as if its windows did not differ."""
    margin = math.sqrt(math.log(2 * len(found.features) * SETTINGS.references_per_year / SETTINGS.delta) / 2)
    return replace(found, features=tuple(replace(one, margin=margin / math.sqrt(one.n)) for one in found.features))


def look(
    held_against: Yardstick, rows: Rows, state: State, k: int, log_limits: Mapping[Layer, float]
) -> tuple[bool, State]:
    """Let the shipped drift detector look at window k: whether its alarm stands, and what it keeps."""
    seen = _observe(held_against, rows, k, log_limits)
    found, after = detect_drift(seen, state)
    return bool(found[0].alarm), after


def a_cohort(k: int, *, wrong: int, labels: int) -> Cohort:
    """The labels of window k, all of them there."""
    start, end = _span(k)
    return Cohort(
        pipeline="p",
        version="v1",
        window_start_at=start,
        window_end_at=end,
        mature_at=end,
        rows=labels,
        labelled=labels,
        loss_sum=float(wrong),
    )


def _observe(held_against: Yardstick, rows: Rows, k: int, log_limits: Mapping[Layer, float]) -> Observation:
    start, end = _span(k)
    return Observation(
        window=Window(pipeline="p", start_at=start, end_at=end),
        profile=profile(columns(rows), held_against.reference.maps),
        yardstick=held_against,
        reference=REFERENCE,
        cohorts=(),
        rivals=(),
        stored=frozenset(),
        duplicates=None,
        settings=SETTINGS,
        log_limits=log_limits,
    )


def _span(k: int) -> tuple[datetime, datetime]:
    return START + timedelta(minutes=30 * k), START + timedelta(minutes=30 * (k + 1))


def a_reference(error: float, rows: int, *, sd: float = 0.0, windows: int = 1) -> Reference:
    """A version whose error on so many held-out rows was this."""
    return Reference(
        id="r",
        pipeline="p",
        version="v1",
        at=START,
        error=error,
        error_rows=rows,
        error_sd=sd,
        error_windows=windows,
        rows=rows,
        start_at=START - timedelta(days=1),
        end_at=START,
    )


REFERENCE = a_reference(0.1, 10_000)
NOTHING_SEEN = np.zeros((1, 1))
NOTHING = yardstick([NOTHING_SEEN])


def first_alarm(looks: Iterator[bool], cap: int) -> int | None:
    """The number of the first look with an alarm, from 1; None if there is none within the cap."""
    return next((n for n, (alarm, _) in enumerate(zip(looks, range(cap), strict=False), 1) if alarm), None)


def watch(
    held_against: Yardstick, windows: Iterator[Rows], log_limits: Mapping[Layer, float], state: State | None = None
) -> Iterator[bool]:
    """Whether the drift alarm stands, window by window."""
    state = state or {}
    for k, rows in enumerate(windows):
        alarm, state = look(held_against, rows, state, k, log_limits)
        yield alarm


def watch_labels(
    reference: Reference, counts: Iterator[int], labels: int, log_limits: Mapping[Layer, float]
) -> Iterator[bool]:
    """Whether the harm alarm stands, cohort by cohort."""
    state: State = {}
    for k, wrong in enumerate(counts):
        seen = at_labels(reference, log_limits, a_cohort(k, wrong=wrong, labels=labels))
        found, state = detect_harm(seen, state)
        yield bool(found[0].alarm)


def at_labels(reference: Reference, log_limits: Mapping[Layer, float], *cohorts: Cohort) -> Observation:
    """An observation of nothing but labels."""
    return replace(_observe(NOTHING, NOTHING_SEEN, 0, log_limits), reference=reference, cohorts=cohorts)


def forever(make: Callable[[], Any]) -> Iterator[Any]:
    """What `make` makes, again and again."""
    while True:
        yield make()
