"""Profiles and detectors against a loop of `scipy.stats.ks_2samp`, and one window's measurement in milliseconds.

Both sides are given the reference beforehand: ours counted, scipy's sorted. Each claim is the median of interleaved
repetitions in one process and one thread, so that a busy machine slows both.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median

import numpy as np
from scipy.stats import ks_2samp

from healerd.columns import Column
from healerd.detectors import DetectionSettings, Yardstick, make_yardstick, measure
from healerd.model import Reference, Window
from healerd.profiles import Maps, fit, ks, make_reference, profile
from healerd.profiles.counts import Tally

REPETITIONS = 5
START = datetime(2025, 1, 1, tzinfo=UTC)


def main() -> bool:
    """Print one JSON line a claim; True if all held."""
    rows = [
        _ks_against_scipy(features=50, reference_rows=10_000, window_rows=10_000, at_least=10.0),
        _ks_against_scipy(features=50, reference_rows=100_000, window_rows=10_000, at_least=40.0),
        _ks_against_scipy(features=20, reference_rows=1_000_000, window_rows=100_000, at_least=200.0),
        _ks_against("np.sort of the window alone", np.sort, features=50, window_rows=10_000, at_least=1.0),
        _ks_against("np.sort of the window alone", np.sort, features=20, window_rows=100_000, at_least=1.0),
        _ks_against("multiply and np.bincount of the window alone", _counted_plainly, features=20, window_rows=100_000),
        _measure_one_window(features=20, window_rows=1000, at_most_ms=10.0),
    ]
    for row in rows:
        print(json.dumps(row))
    return all(row["held"] is not False for row in rows)


def _ks_against_scipy(
    *, features: int, reference_rows: int, window_rows: int, at_least: float
) -> dict[str, str | float | bool]:
    reference, window = _normal(1, features, reference_rows), _normal(2, features, window_rows)
    presorted = {name: np.sort(column) for name, column in reference.items()}
    maps = fit(reference)
    upto = {name: np.cumsum(one.cells) for name, one in profile(reference, maps).features.items()}
    _ks_by_cells(window, maps, upto)
    ours, theirs = _interleaved(
        lambda: _ks_by_cells(window, maps, upto),
        lambda: [ks_2samp(presorted[name], window[name], method="asymp").statistic for name in window],
    )
    return {
        "bench": f"profile and KS of {features} features, {reference_rows} reference rows, {window_rows} rows",
        "peer": "scipy.stats.ks_2samp in a loop, reference presorted",
        "ms": round(1000 * ours, 2),
        "peer_ms": round(1000 * theirs, 2),
        "ratio": round(theirs / ours, 1),
        "at_least": at_least,
        "held": theirs / ours >= at_least,
    }


def _ks_against(
    peer: str, alone: Callable[[Column], object], *, features: int, window_rows: int, at_least: float | None = None
) -> dict[str, str | float | bool | None]:
    """Sorting the window is what any exact distance begins with, and plain counting what any table does."""
    window = _normal(2, features, window_rows)
    maps = fit(_normal(1, features, window_rows))
    upto = {name: np.cumsum(one.cells) for name, one in profile(window, maps).features.items()}
    ours, theirs = _interleaved(
        lambda: _ks_by_cells(window, maps, upto),
        lambda: [alone(column) for column in window.values()],
        repetitions=5 * REPETITIONS,
    )
    return {
        "bench": f"profile and KS of {features} features, {window_rows} rows",
        "peer": peer,
        "ms": round(1000 * ours, 2),
        "peer_ms": round(1000 * theirs, 2),
        "ratio": round(theirs / ours, 2),
        "at_least": at_least,
        "held": None if at_least is None else theirs / ours >= at_least,
    }


def _counted_plainly(column: Column) -> object:
    return np.bincount((column * 700.0 + 4096.0).astype(np.intp), minlength=8192)


def _ks_by_cells(window: dict[str, Column], maps: Maps, upto: dict[str, Tally]) -> list[float]:
    counted = profile(window, maps).features
    return [ks(upto[name], one.cells.cumsum()) for name, one in counted.items()]


def _measure_one_window(*, features: int, window_rows: int, at_most_ms: float) -> dict[str, str | float | bool]:
    settings = DetectionSettings(window_s=1800.0)
    columns = _normal(3, features, 10_000)
    maps = fit(columns)
    parts = [{name: column[k::10] for name, column in columns.items()} for k in range(10)]
    yardstick = make_yardstick(make_reference(maps, [profile(part, maps) for part in parts]), settings)
    window = _normal(4, features, window_rows)
    spent, _ = _interleaved(lambda: _measure(window, yardstick, settings), lambda: None, repetitions=50)
    return {
        "bench": f"profile and measure a window of {window_rows} rows x {features} features, every detector",
        "ms": round(1000 * spent, 2),
        "at_most_ms": at_most_ms,
        "held": 1000 * spent <= at_most_ms,
    }


def _measure(rows: dict[str, Column], yardstick: Yardstick, settings: DetectionSettings) -> None:
    measure(
        window=Window(pipeline="bench", start_at=START, end_at=START + timedelta(minutes=30)),
        profile=profile(rows, yardstick.reference.maps),
        yardstick=yardstick,
        reference=REFERENCE,
        cohorts=(),
        settings=settings,
        state={},
    )


REFERENCE = Reference(
    id="bench",
    pipeline="bench",
    version="v1",
    at=START,
    error=0.1,
    error_rows=1000,
    rows=10_000,
    start_at=START,
    end_at=START + timedelta(days=1),
)


def _normal(seed: int, features: int, rows: int) -> dict[str, Column]:
    rng = np.random.Generator(np.random.Philox(seed))
    return {f"x{k}": rng.normal(size=rows) for k in range(features)}


def _interleaved(
    one: Callable[[], object], other: Callable[[], object], *, repetitions: int = REPETITIONS
) -> tuple[float, float]:
    """Median CPU seconds of two things done in turn."""
    pairs = [(_seconds(one), _seconds(other)) for _ in range(repetitions)]
    return median(a for a, _ in pairs), median(b for _, b in pairs)


def _seconds(thing: Callable[[], object]) -> float:
    before = time.process_time()
    thing()
    return time.process_time() - before
