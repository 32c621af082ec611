"""Did what was predicted come true? Predicted against observed failure, by bin. Must never hide how few there were."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, stdtrit

from healerd.policy.advice import Estimate

__all__ = ["EDGES", "Bin", "interval_of", "proportion_interval", "reliability"]

EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The outcomes whose predicted P(failure) lay in [low, high): how many, the mean prediction, and what came."""

    low: float
    high: float
    n: int
    predicted: float
    failures: int
    observed: float
    observed_low: float
    observed_high: float


def reliability(pairs: Iterable[tuple[float, bool]]) -> tuple[Bin, ...]:
    """Sort (predicted P(failure), failed) into bins; those without an outcome are left out."""
    told = list(pairs)
    if not told:
        return ()
    places = np.clip(np.digitize([p for p, _ in told], EDGES) - 1, 0, len(EDGES) - 2)
    return tuple(_bin(number, [told[i] for i in np.flatnonzero(places == number)]) for number in sorted(set(places)))


def proportion_interval(failures: int, n: int) -> tuple[float, float]:
    """Give the 95% interval of a proportion (Jeffreys; Brown, Cai and DasGupta, 2001).

    >>> tuple(round(end, 3) for end in proportion_interval(3, 10))
    (0.093, 0.606)
    """
    tail = (1.0 - LEVEL) / 2.0
    low = 0.0 if failures == 0 else float(betaincinv(failures + 0.5, n - failures + 0.5, tail))
    high = 1.0 if failures == n else float(betaincinv(failures + 0.5, n - failures + 0.5, 1.0 - tail))
    return low, high


def interval_of(estimate: Estimate) -> tuple[float, float]:
    """Give the 95% interval of an action's posterior P(failure), within [0, 1]."""
    scale = estimate.p_failure_sd * ((estimate.df - 2.0) / estimate.df) ** 0.5
    half = float(stdtrit(estimate.df, (1.0 + LEVEL) / 2.0)) * scale
    return max(0.0, estimate.p_failure - half), min(1.0, estimate.p_failure + half)


def _bin(number: int, told: list[tuple[float, bool]]) -> Bin:
    failures = sum(failed for _, failed in told)
    low, high = proportion_interval(failures, len(told))
    return Bin(
        low=EDGES[number],
        high=EDGES[number + 1],
        n=len(told),
        predicted=sum(p for p, _ in told) / len(told),
        failures=failures,
        observed=failures / len(told),
        observed_low=low,
        observed_high=high,
    )
