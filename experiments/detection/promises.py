"""Run length at a short target, delay after a change, and the limits of both. Must never count what the cap cut off.

A run that is cut off counts as long as the cap, so that a mean at or above the target is a mean at or above it.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtr

from experiments.detection.looking import (
    A_DAY,
    DAILY,
    SETTINGS,
    SHIPPED,
    YEAR,
    Rows,
    Size,
    Table,
    a_reference,
    alike,
    draw,
    first_alarm,
    forever,
    known_law,
    look,
    seeded,
    taken_for_independent,
    watch,
    watch_labels,
    yardstick,
)
from healerd.detectors import State, error_limit
from healerd.model import Layer
from healerd.profiles import summarise

__all__ = ["delay", "few_windows", "limit", "run_length"]

TARGET = 100
SHIFTED, HEALTHY = 5, 6
"""Features that move, and healthy windows before they do."""


def run_length(size: Size, seed: int) -> Table:
    """Mean number of healthy windows before a false alarm at A = 100, each run cut off at the cap."""
    at = {layer: math.log(TARGET) for layer in Layer}
    rows, features = 100, 10
    exact = known_law(features)

    def known(rng: np.random.Generator, rho: float) -> Iterator[bool]:
        return watch(exact, forever(lambda: ndtr(draw(rng, rows, features, rho=rho))), at)

    def finite(rng: np.random.Generator, rho: float, windows: int) -> Iterator[bool]:
        held_against = yardstick(np.split(draw(rng, 2000, features, rho=rho), windows))
        return watch(held_against, forever(lambda: draw(rng, rows, features, rho=rho)), at)

    def labels(rng: np.random.Generator, held_out: int) -> Iterator[bool]:
        reference = a_reference(rng.binomial(held_out, 0.1) / held_out, held_out)
        return watch_labels(reference, forever(lambda: rng.binomial(200, 0.1 + SETTINGS.tolerance)), 200, at)

    def limit(rng: np.random.Generator) -> Iterator[bool]:
        reference = a_reference(0.1, 10_000)
        error = error_limit(reference, SETTINGS) or 1.0
        return watch_labels(reference, forever(lambda: rng.binomial(200, error)), 200, at)

    cases: dict[str, Callable[[np.random.Generator], Iterator[bool]]] = {
        "10 features, law known (no margin), independent": lambda rng: known(rng, 0.0),
        "10 features, law known (no margin), correlated by .9": lambda rng: known(rng, 0.9),
        "10 features, 2,000 reference rows in one window, independent": lambda rng: finite(rng, 0.0, 1),
        "10 features, 2,000 reference rows in 20 windows, independent": lambda rng: finite(rng, 0.0, 20),
        "10 features, 2,000 reference rows in 20 windows, correlated by .9": lambda rng: finite(rng, 0.9, 20),
        "200 labels, error exactly at the limit": limit,
        "200 labels, error of 500 held-out rows, truth above it by the tolerance": lambda rng: labels(rng, 500),
    }
    return [_length(name, case, size, seed + 1000 * k) for k, (name, case) in enumerate(cases.items())]


def _length(name: str, case: Callable[[np.random.Generator], Iterator[bool]], size: Size, seed: int) -> dict[str, Any]:
    found = [first_alarm(case(seeded(seed + run)), size.cap) for run in range(size.runs)]
    lengths = np.array([size.cap if one is None else one for one in found])
    return {
        "healthy windows": name,
        "target A": TARGET,
        "mean run length": f">= {lengths.mean():.0f}" if None in found else f"{lengths.mean():.0f}",
        "mean": float(lengths.mean()),
        "standard error": float(lengths.std() / math.sqrt(size.runs)),
        f"runs without an alarm in {size.cap}": f"{sum(one is None for one in found)} of {size.runs}",
    }


def delay(size: Size, seed: int) -> Table:
    """Windows from the change to the alarm: median, and the slowest nine in ten."""
    table = []
    for rows in (200, 1000):
        for shift in (0.25, 0.5, 1.0):
            what = f"{SHIFTED} of {size.features} features by {shift} sd, {rows} rows"
            row = {"change": what}
            for name, target, windows in DELAYS:
                found = [
                    _delay(seeded(seed + run), size, rows=rows, shift=shift, target=target, windows=windows)
                    for run in range(size.delays)
                ]
                row[name] = _quantiles(found)
            table.append(row)
    labels = {
        name: _quantiles([_label_delay(seeded(seed + run), target) for run in range(size.delays)])
        for name, target, windows in DELAYS
        if windows == 1
    }
    return [*table, {"change": "error 10% to 20%, 200 labels", **labels}]


DELAYS = (
    ("A = one year, reference of one window", YEAR, 1),
    ("shipped budget, reference of one window", SHIPPED, 1),
    ("shipped budget, reference of 50 windows", SHIPPED, 50),
)


def _delay(
    rng: np.random.Generator, size: Size, *, rows: int, shift: float, target: Mapping[Layer, float], windows: int
) -> int | None:
    held_against = yardstick(np.split(draw(rng, 10_000, size.features), windows))
    moved = np.where(np.arange(size.features) < SHIFTED, shift, 0.0)
    state: State = {}
    for k in range(HEALTHY):
        _, state = look(held_against, draw(rng, rows, size.features), state, k, target)
    changed = forever(lambda: draw(rng, rows, size.features) + moved)
    return first_alarm(watch(held_against, changed, target, state), 100)


def _label_delay(rng: np.random.Generator, target: Mapping[Layer, float]) -> int | None:
    reference, k = a_reference(rng.binomial(10_000, 0.1) / 10_000, 10_000), iter(range(10**6))
    wrong = forever(lambda: rng.binomial(200, 0.1 if next(k) < HEALTHY else 0.2))
    found = first_alarm(watch_labels(reference, wrong, 200, target), 100)
    return None if found is None else found - HEALTHY


def _quantiles(found: Sequence[int | None]) -> str:
    known = np.array([math.inf if one is None else one for one in found])
    return f"{np.median(known):g} (90%: {np.quantile(known, 0.9, method='higher'):g})"


def limit(size: Size, seed: int) -> Table:
    """Alarms a day on healthy data that breaks the assumptions, without and with the guard.

    The guard is the variance between the reference's windows (phi): a reference in one window has none.
    """
    cases: dict[str, Callable[[np.random.Generator, int], Rows]] = {
        "rows independent": lambda rng, k: draw(rng, 200, size.features),
        "AR(1) of .5 within windows": lambda rng, k: alike(rng, 200, size.features, phi=0.5),
        "daily cycle of .2 sd": lambda rng, k: draw(rng, 200, size.features) + 0.2 * math.sin(2 * math.pi * k / A_DAY),
        "daily cycle of 1 sd": lambda rng, k: draw(rng, 200, size.features) + math.sin(2 * math.pi * k / A_DAY),
        "trend of .02 sd a day": lambda rng, k: draw(rng, 200, size.features) + 0.02 * k / A_DAY,
    }
    table = [_limit(name, case, size, seed) for name, case in cases.items()]
    return [*table, _label_limit(size, seed)]


UNEVEN = 0.05 * 2 * math.sqrt(math.pi)
"""Standard deviation between days, in those of a row, that moves the mean rank of a normal by .05."""


def few_windows(size: Size, seed: int) -> Table:
    """Share of runs with a false alarm within a year of days that differ as the few of the reference do.

    One feature, 1,000 rows a day, the mean rank of a day off by .05 (standard deviation); the promise is .10. Beside
    it the same reference with the margin of independent rows, which the mean of few windows is not.
    """
    return [_few(learnt, size, seed + 1000 * learnt) for learnt in (2, 3, 5, 7, 14, 30)]


def _few(learnt: int, size: Size, seed: int) -> dict[str, Any]:
    alarmed: dict[str, list[bool]] = {"rows taken for independent": [], "healerd": []}
    for run in range(size.runs):
        rng = seeded(seed + run)
        found = yardstick([_day(rng) for _ in range(learnt)])
        days = [_day(rng) for _ in range(365)]
        for name, held_against in zip(alarmed, (taken_for_independent(found), found), strict=True):
            alarmed[name].append(any(watch(held_against, iter(days), DAILY)))
    return {"windows of the reference": learnt, **{name: float(np.mean(each)) for name, each in alarmed.items()}}


def _day(rng: np.random.Generator) -> Rows:
    return rng.normal(rng.normal(0.0, UNEVEN), 1.0, (1000, 1))


LEARNT = 2 * A_DAY
"""Windows of a reference: two days."""


def _limit(name: str, case: Callable[[np.random.Generator, int], Rows], size: Size, seed: int) -> dict[str, Any]:
    watched = size.days * A_DAY
    without: list[list[bool]] = []
    guarded: list[list[bool]] = []
    for run in range(size.references):
        rng = seeded(seed + run)
        reference = [case(rng, k) for k in range(LEARNT)]
        windows = [case(rng, k) for k in range(LEARNT, LEARNT + watched)]
        without.append(list(watch(yardstick([np.concatenate(reference)]), iter(windows), SHIPPED)))
        guarded.append(list(watch(yardstick(reference), iter(windows), SHIPPED)))
    return {"healthy data": f"{size.features} features, 200 rows, {name}", **_compared(without, guarded)}


def _label_limit(size: Size, seed: int) -> dict[str, Any]:
    """The error of a healthy window differs from day to day by .04 beyond chance; 400 labels a window."""
    labels, sd, learnt, watched = 400, 0.04, 20, size.days * A_DAY
    spread = 0.1 * 0.9 / sd**2 - 1
    without: list[list[bool]] = []
    guarded: list[list[bool]] = []
    for run in range(size.references):
        rng = seeded(seed + run)
        losses = np.concatenate([rng.random(labels) < one for one in rng.beta(0.1 * spread, 0.9 * spread, learnt)])
        told = summarise(losses.astype(float), np.repeat(np.arange(learnt), labels))
        counts = [int(rng.binomial(labels, rng.beta(0.1 * spread, 0.9 * spread))) for _ in range(watched)]
        for found, between in ((without, 0.0), (guarded, told.sd)):
            reference = a_reference(told.error, told.rows, sd=between, windows=told.windows)
            found.append(list(watch_labels(reference, iter(counts), labels, SHIPPED)))
    return {"healthy data": f"{labels} labels, error differs between windows by {sd}", **_compared(without, guarded)}


def _compared(without: Sequence[Sequence[bool]], guarded: Sequence[Sequence[bool]]) -> dict[str, Any]:
    both = {"without the guard": without, "with it": guarded}
    days = sum(len(run) for run in without) / A_DAY
    alarms = {f"alarms a day {name}": begun(runs) / days for name, runs in both.items()}
    stood = {f"windows in alarm {name}": float(np.mean(np.concatenate(runs))) for name, runs in both.items()}
    return {"days": days, **alarms, **stood}


def begun(runs: Sequence[Sequence[bool]]) -> int:
    """How many alarms were raised; one that stands is one."""
    return sum(int(np.sum(np.diff([False, *run], prepend=False) & np.array([False, *run]))) for run in runs)
