"""Medians and other quantiles of few values, each with an interval that assumes no law, and shares with theirs.

Pure. Must never name an end of an interval that so few values cannot hold: it is None then, and the caller says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Quantile", "quantile", "share"]

LEVEL = 0.95
Z = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """A quantile of `n` values; infinite where it falls on a value that is not over. An end that is None is open."""

    value: float
    low: float | None
    high: float | None
    n: int


def quantile(values: Sequence[float], q: float) -> Quantile | None:
    """Give the `q`-quantile, x_(ceil(q n)), with its 95% interval of order statistics; None without values.

    The interval [x_(l), x_(u)] takes the largest l with P(B < l) <= 0.025 and the smallest u with P(B < u) >= 0.975,
    B binomial with n and q (David and Nagaraja, Order Statistics, 2003, section 7.1). Ranks outside 1..n leave an end
    open.

    >>> quantile([3.0, 1.0, 2.0], 0.5)
    Quantile(value=2.0, low=None, high=None, n=3)
    """
    ordered, n = sorted(values), len(values)
    if not n:
        return None
    low, high = 0, n + 1
    below = 0.0
    for rank in range(1, n + 1):
        below += math.exp(_log_chance(rank - 1, n, q))
        if below <= (1 - LEVEL) / 2:
            low = rank
        if below >= (1 + LEVEL) / 2:
            high = rank
            break
    return Quantile(
        value=ordered[min(n, max(1, math.ceil(q * n - 1e-9))) - 1],
        low=ordered[low - 1] if low >= 1 else None,
        high=ordered[high - 1] if high <= n else None,
        n=n,
    )


def share(count: int, n: int) -> tuple[float, float, float] | None:
    """Give a share with its 95% interval (Wilson, 1927); None of nothing.

    >>> [round(value, 3) for value in share(2, 10)]
    [0.2, 0.057, 0.51]
    """
    if not n:
        return None
    p, z2 = count / n, Z * Z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return p, max(0.0, middle - half), min(1.0, middle + half)


def _log_chance(k: int, n: int, q: float) -> float:
    """The logarithm of the probability that a binomial count is k."""
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return ways + k * math.log(q) + (n - k) * math.log1p(-q)
