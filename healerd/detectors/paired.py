"""Is one version better than another on the same rows: a posterior of the paired difference of 0/1 losses.

Must never compare unpaired rows, nor use a random number: the same losses give the same answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaincc, betaincinv, ndtri, stdtrit

from healerd.profiles.losses import Losses

__all__ = ["Gain", "p_error_high", "paired_gain"]

JEFFREYS = 0.5
"""Prior rows in each of the three cells (better, worse, no difference): Jeffreys' for a trinomial."""
ALIKE, PRIOR_WINDOWS = 0.05, 4
"""How alike the rows of one window are as a rule (intraclass correlation), and how many windows that rule is worth."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(128)
"""Gauss-Legendre nodes; 64 would do to 1e-4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """By how much the new version errs less: a share of rows, above 0 is better; [low, high] holds it at the level.

    `n` rows had a label; `inflation` is the design effect by which they were counted as fewer.
    """

    mean: float
    low: float
    high: float
    p_better: float
    n: int
    inflation: float = 1.0


def paired_gain(
    loss_new: Losses, loss_old: Losses, *, level: float = 0.90, groups: npt.NDArray[Any] | None = None
) -> Gain:
    """Compare two versions' 0/1 losses on the same rows; rows with an unknown loss are left out.

    With b rows better, c worse and the rest equal, (p_b, p_c, p_0) ~ Dirichlet(b + 1/2, c + 1/2, rest + 1/2). The gain
    p_b - p_c = q (2 r - 1), where q ~ Beta is the share of rows that differ and r ~ Beta, independent of it, the better
    ones among these. So P(gain > 0) = P(r > 1/2) exactly, and quantiles need one quadrature over q. Valid for any n:
    without a difference the interval is about +-2/n, without rows nearly [-1, 1].

    `groups` gives each row's window: rows of one window err alike, and the counts are divided by the design effect
    1 + (f - 1) (t / z)^2, f the variance of the windows' sums against that of independent rows (Liang and Zeger, 1986;
    Rao and Scott, 1992). Few windows say little of f, so it is drawn towards 1 + (k - 1) ALIKE, k the rows of a window
    that differ, with the weight of PRIOR_WINDOWS; t and z are the quantiles with as many degrees of freedom.

    >>> import numpy as np
    >>> paired_gain(np.zeros(100), np.repeat([0.0, 1.0], [80, 20])).p_better > 0.999
    True
    """
    assert len(loss_new) == len(loss_old), "columns of unequal length"
    assert 0.5 < level < 1, "a two-sided level"
    known = ~np.isnan(loss_new) & ~np.isnan(loss_old)
    gain = loss_old[known] - loss_new[known]
    inflation = 1.0 if groups is None else _inflation(gain, groups[known], level)
    better, worse = float((gain > 0).sum()) / inflation, float((gain < 0).sum()) / inflation
    equal = len(gain) / inflation - better - worse
    low, high = _interval(better + JEFFREYS, worse + JEFFREYS, equal + JEFFREYS, level)
    return Gain(
        mean=float(gain.mean()) if len(gain) else 0.0,
        low=low,
        high=high,
        p_better=float(betaincc(better + JEFFREYS, worse + JEFFREYS, 0.5)),
        n=len(gain),
        inflation=inflation,
    )


def _inflation(gain: Losses, groups: npt.NDArray[Any], level: float) -> float:
    """The design effect: what the windows show, drawn towards what is usual while there are few of them."""
    keys, which = np.unique(groups, return_inverse=True)
    variance = float(gain.var()) if len(gain) else 0.0
    if variance == 0:
        return 1.0
    usual = 1 + max(0.0, np.count_nonzero(gain) / len(keys) - 1) * ALIKE
    free = len(keys) - 1
    sums, sizes = np.bincount(which, gain), np.bincount(which)
    found = float(((sums - sizes * gain.mean()) ** 2).sum()) * len(keys) / (len(gain) * variance)
    effect = max(1.0, (PRIOR_WINDOWS * usual + found) / (PRIOR_WINDOWS + free))
    upper = (1 + level) / 2
    return 1.0 + (effect - 1) * float(stdtrit(PRIOR_WINDOWS + free, upper) / ndtri(upper)) ** 2


def _interval(better: float, worse: float, equal: float, level: float) -> tuple[float, float]:
    differ = betaincinv(better + worse, equal, (NODES + 1) / 2)

    def below(x: float) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            place = np.clip((1 + x / np.maximum(differ, 1e-300)) / 2, 0.0, 1.0)
        return float(WEIGHTS @ betainc(better, worse, place)) / 2

    return _solve(below, (1 - level) / 2), _solve(below, (1 + level) / 2)


def _solve(below: Callable[[float], float], wanted: float) -> float:
    """Find where an increasing function from 0 to 1 on [-1, 1] passes `wanted`: regula falsi in the Illinois form."""
    low, high, f_low, f_high, side = -1.0, 1.0, -wanted, 1.0 - wanted, 0
    middle = 0.0
    for _ in range(100):
        middle = (low * f_high - high * f_low) / (f_high - f_low)
        f = below(middle) - wanted
        if high - low < 1e-10 or abs(f) < 1e-10:
            break
        if f < 0:
            low, f_low, f_high, side = middle, f, f_high / 2 if side < 0 else f_high, -1
        else:
            high, f_high, f_low, side = middle, f, f_low / 2 if side > 0 else f_low, 1
    return middle


def p_error_high(wrong: float, n: int, limit: float) -> float:
    """P(error > limit | wrong of n rows), from the posterior Beta(wrong + 1/2, n - wrong + 1/2).

    >>> p_error_high(30, 100, 0.2) > 0.98
    True
    """
    assert 0 <= wrong <= n, "more wrong rows than rows"
    return float(betaincc(wrong + JEFFREYS, n - wrong + JEFFREYS, min(max(limit, 0.0), 1.0)))
