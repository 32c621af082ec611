"""Statistics that follow from two profiles' counts alone: mid-ranks, quantiles, and three distances.

Must never need a row: whatever is here works as well on merged counts of a year. KS, PSI and Wasserstein are for
display; no alarm hangs on them.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import kolmogorov

from healerd.profiles.counts import Tally
from healerd.profiles.maps import CELLS, OUTER, NumberMap, Values

__all__ = [
    "Shares",
    "cumulative",
    "ks",
    "ks_p_value",
    "mid_ranks",
    "psi",
    "quantiles",
    "spreads",
    "wasserstein",
]

Shares: TypeAlias = npt.NDArray[np.float64]


def cumulative(cells: Tally) -> Shares:
    """The share of rows in each cell and all before it; zeros when there are no rows."""
    summed = np.cumsum(cells)
    return np.asarray(summed / max(int(summed[-1]), 1), np.float64)


def mid_ranks(cells: Tally) -> Shares:
    """The mid-rank of each cell in these rows: the mean of U ~ uniform(0, 1) over the cell's stretch of ranks.

    The mean over the rows themselves is exactly 1/2. Without rows every mid-rank is 1/2.
    """
    shares = cumulative(cells)
    if shares[-1] == 0:
        return np.full(len(cells), 0.5)
    return np.asarray(shares - cells / (2 * cells.sum()))


def spreads(cells: Tally) -> Shares:
    """The mean of |2U - 1| over each cell's stretch of ranks: 0 in the middle, 1 at both ends.

    For all cells but the median's this is |2u - 1| of the mid-rank u. In the median's cell, [a, b] with a < 0 < b, it
    is (a^2 + b^2) / (2 (b - a)), so that the mean over the rows themselves is exactly 1/2 there too.
    """
    upto = cumulative(cells)
    if upto[-1] == 0:
        return np.full(len(cells), 0.5)
    right = 2 * upto - 1
    left = right - 2 * cells / cells.sum()
    found = np.abs(left + right) / 2
    median = np.flatnonzero((left < 0) & (right > 0))
    a, b = left[median], right[median]
    found[median] = (a**2 + b**2) / (2 * (b - a))
    return np.asarray(found)


def quantiles(cells: Tally, number_map: NumberMap, at: tuple[float, ...]) -> tuple[float, ...]:
    """Values below which the shares `at` of the rows lie, even within a cell; exact to a cell's width.

    Rows below or above the range count as its ends. NaN without rows.
    """
    upto = np.cumsum(cells)
    if upto[-1] == 0:
        return tuple(float("nan") for _ in at)
    wanted = np.maximum(np.array(at) * upto[-1], 1e-9)
    cell = np.searchsorted(upto, wanted)
    inner = np.clip(cell - OUTER, 0, CELLS - 1)
    within = (wanted - upto[cell] + cells[cell]) / cells[cell]
    part = np.where(cell < OUTER, 0.0, np.where(cell >= CELLS + OUTER, 1.0, within))
    low, high = number_map.edges(inner), number_map.edges(inner + 1)
    return tuple((low * (1 - part) + high * part).tolist())


def ks(first: Tally, second: Tally) -> float:
    """Kolmogorov-Smirnov distance of two cumulative counts: at most the exact D, since cells only merge ranks.

    |F / n - G / m| is taken as the whole number |m F - n G|, which is faster than to divide and has no rounding.
    """
    n, m = (max(int(upto[-1]), 1) for upto in (first, second))
    if n * m >= 2**63:
        return float(np.abs(first / n - second / m).max())
    gap = first * m
    gap -= second * n
    return int(np.abs(gap, out=gap).max()) / (n * m)


def ks_p_value(distance: float, n_first: int, n_second: int) -> float:
    """P(D >= distance) without a change, for large samples (Smirnov, 1939); conservative with ties."""
    if n_first == 0 or n_second == 0:
        return 1.0
    return float(kolmogorov(distance * (n_first * n_second / (n_first + n_second)) ** 0.5))


def psi(reference: Tally, window: Tally, *, bins: int = 10) -> float:
    """Population stability index over the reference's deciles: sum (q - p) ln(q / p), half a row added to each bin."""
    upto = np.cumsum(reference)
    bounds = np.searchsorted(2 * upto - reference, 2 * upto[-1] * np.arange(1, bins) / bins)
    p, q = (np.diff(_before(np.cumsum(cells))[[0, *bounds, -1]]) + 0.5 for cells in (reference, window))
    p, q = p / p.sum(), q / q.sum()
    return float(((q - p) * np.log(q / p)).sum())


def _before(upto: Tally) -> Tally:
    return np.concatenate([[0], upto])


def wasserstein(first: Shares, second: Shares, edges: Values) -> float:
    """Mean distance rows must be moved, in the feature's unit: integral of |F - G| over the reference's range."""
    gap = np.abs(first - second)[OUTER:-OUTER]
    with np.errstate(over="ignore"):
        return float((gap * np.diff(edges)).sum())
