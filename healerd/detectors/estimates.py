"""The error without labels, or with few: estimates with an interval. Must never raise an alarm, nor pass for measured.

A model that says how sure it is says how often it errs, once its scores are calibrated. On labelled rows of the
reference, P(wrong | predicted class, score) is fitted as a step function that only rises or only falls with the score
(isotonic regression; Barlow et al., 1972). For n rows without labels, of which the share w_b falls on step b,

    estimate = sum w_b e_b,    variance = sum w_b^2 s_b^2 / m_b + sum w_b s_b^2 / n + v

with e_b and s_b^2 the mean and variance of the m_b reference losses on the step, and v the variance of the error
between the reference's windows: the first sum is what the calibration does not know, the second chance among n rows.
The idea is that of confidence-based performance estimation (NannyML, 2022). The same steps serve a quantity: there the
score is what a model of the absolute error expects. All of it holds only while P(wrong | score) stays what it was: a
change of concept is invisible to it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincc, betaincinv, ndtr, ndtri

from healerd.columns import Column
from healerd.profiles.losses import Losses

__all__ = [
    "Calibration",
    "Estimate",
    "Steps",
    "calibrate",
    "calibration_from_json",
    "calibration_to_json",
    "error_posterior",
    "estimate_error",
]

BINS_MAX = 50
ROWS_MIN = 50
"""Fewest reference rows of a step, and of a predicted class with steps of its own."""
LEVEL = 0.95
EVERY = ""
"""The key of the steps over all rows, for a class the reference hardly had."""
NO_CONCEPT_SHIFT = (
    "estimate: the chance of an error at a given score is what it was in the reference (no concept shift)"
)
RANDOM_LABELS = "estimate: the rows with a label are a random sample of the rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An estimated mean loss over `n` rows; [low, high] holds it at `level`. `p_high` = P(above the limit)."""

    name: str
    value: float
    low: float
    high: float
    n: int
    level: float
    p_high: float | None
    assumptions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """A step function of the score: k steps cut at k - 1 edges, with the rows, mean and variance of the losses."""

    edges: tuple[float, ...]
    rows: tuple[int, ...]
    mean: tuple[float, ...]
    variance: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """From predicted class and score to the expected loss. `bounded`: losses are 0 or 1. `sd` is between windows."""

    steps: Mapping[str, Steps]
    bounded: bool
    sd: float
    rows: int


def calibrate(
    score: npt.NDArray[np.float64], loss: Losses, *, output: Column | None = None, sd: float = 0.0
) -> Calibration | None:
    """Fit the steps on n labelled rows that did not train the model; None when fewer than ROWS_MIN are labelled.

    With `output`, the n predictions, each predicted class with enough rows has steps of its own: the probability of
    class 1 says the opposite of how sure a prediction of class 0 is.

    >>> score = np.linspace(0.5, 1.0, 1000)
    >>> wrong = (np.arange(1000) % 2 == 0) & (score < 0.7)
    >>> found = calibrate(score, wrong.astype(float))
    >>> round(estimate_error(found, np.full(100, 0.6)).value, 2)
    0.5
    """
    known = np.isfinite(score) & ~np.isnan(loss)
    if np.count_nonzero(known) < ROWS_MIN:
        return None
    score, loss = score[known], loss[known]
    bounded = bool(np.isin(loss, (0.0, 1.0)).all())
    steps = {EVERY: _fit(score, loss, bounded=bounded)}
    if output is not None:
        keys = _keys(output[known])
        for key in sorted(set(keys)):
            own = np.array([each == key for each in keys])
            if np.count_nonzero(own) >= ROWS_MIN:
                steps[key] = _fit(score[own], loss[own], bounded=bounded)
    return Calibration(steps=steps, bounded=bounded, sd=sd, rows=len(loss))


def _keys(output: Column) -> list[str]:
    return [f"={value}" for value in output.tolist()]


def _fit(score: npt.NDArray[np.float64], loss: Losses, *, bounded: bool) -> Steps:
    """The better of a rising and a falling step function, by the squares left over."""
    order = np.argsort(score, kind="stable")
    score, loss = score[order], loss[order]
    places = _bins(score)
    rising, falling = _pool(loss, places, sign=1.0), _pool(loss, places, sign=-1.0)
    best = min(rising, falling, key=lambda cuts: _left_over(loss, cuts))
    parts = [loss[a:b] for a, b in zip([0, *best], [*best, len(loss)], strict=True)]
    mean = [float((part.sum() + 0.5) / (len(part) + 1)) if bounded else float(part.mean()) for part in parts]
    return Steps(
        edges=tuple(float(score[cut] + score[cut - 1]) / 2 for cut in best),
        rows=tuple(len(part) for part in parts),
        mean=tuple(mean),
        variance=tuple(
            m * (1 - m) if bounded else float(part.var(ddof=1)) if len(part) > 1 else 0.0
            for m, part in zip(mean, parts, strict=True)
        ),
    )


def _bins(score: npt.NDArray[np.float64]) -> list[int]:
    """Where to cut sorted scores into bins of at least ROWS_MIN rows; equal scores stay together."""
    size = max(ROWS_MIN, -(-len(score) // BINS_MAX))
    cuts: list[int] = []
    for place in range(size, len(score) - ROWS_MIN + 1, size):
        cut = int(np.searchsorted(score, score[place], side="left"))
        if cut - (cuts[-1] if cuts else 0) >= ROWS_MIN:
            cuts.append(cut)
    return cuts


def _pool(loss: Losses, cuts: Sequence[int], *, sign: float) -> list[int]:
    """Pool adjacent violators: join bins until their means only rise (or fall, with sign -1)."""
    blocks: list[tuple[int, float, int]] = []
    for a, b in zip([0, *cuts], [*cuts, len(loss)], strict=True):
        start, total, size = a, sign * float(loss[a:b].sum()), b - a
        while blocks and blocks[-1][1] / blocks[-1][2] >= total / size:
            start, before, rows = blocks.pop()
            total, size = total + before, size + rows
        blocks.append((start, total, size))
    return [start for start, _, _ in blocks[1:]]


def _left_over(loss: Losses, cuts: Sequence[int]) -> float:
    return sum(
        float(((part := loss[a:b]) - part.mean()) @ (part - part.mean()))
        for a, b in zip([0, *cuts], [*cuts, len(loss)], strict=True)
    )


def estimate_error(
    calibration: Calibration,
    score: npt.NDArray[np.float64],
    *,
    output: Column | None = None,
    limit: float | None = None,
    windows: int = 1,
    level: float = LEVEL,
) -> Estimate | None:
    """Estimate the mean loss of n rows of some windows without labels; None when no row has a score.

    Rows without a score are left out. What windows differ by averages out over them: v is sd^2 / windows.
    """
    known = np.isfinite(score)
    n = int(np.count_nonzero(known))
    if n == 0:
        return None
    keys = _keys(output[known]) if output is not None else [EVERY] * n
    mean, of_calibration, of_chance = 0.0, 0.0, 0.0
    for key in sorted(set(keys)):
        steps = calibration.steps.get(key, calibration.steps[EVERY])
        own = score[known][np.array([each == key for each in keys])]
        share = np.bincount(np.searchsorted(steps.edges, own, side="right"), minlength=len(steps.rows)) / n
        variance = np.array(steps.variance)
        mean += float(share @ np.array(steps.mean))
        of_calibration += float(share**2 @ (variance / np.array(steps.rows)))
        of_chance += float(share @ variance) / n
    sd = math.sqrt(of_calibration + of_chance + calibration.sd**2 / windows)
    low, high, p_high = (_beta if calibration.bounded else _normal)(mean, sd, level, limit)
    return Estimate(
        name="estimated_error",
        value=mean,
        low=low,
        high=high,
        n=n,
        level=level,
        p_high=p_high,
        assumptions=(NO_CONCEPT_SHIFT,),
    )


def _beta(mean: float, sd: float, level: float, limit: float | None) -> tuple[float, float, float | None]:
    """Interval and P(above) of the beta law with this mean and sd; it stays within [0, 1]."""
    size = max(mean * (1 - mean) / max(sd**2, 1e-12) - 1, 1e-6)
    a, b = mean * size, (1 - mean) * size
    low, high = (float(betaincinv(a, b, tail)) for tail in ((1 - level) / 2, (1 + level) / 2))
    return low, high, None if limit is None else float(betaincc(a, b, min(max(limit, 0.0), 1.0)))


def _normal(mean: float, sd: float, level: float, limit: float | None) -> tuple[float, float, float | None]:
    reach = float(ndtri((1 + level) / 2)) * sd
    p_high = None if limit is None else float(ndtr((mean - limit) / max(sd, 1e-12)))
    return max(0.0, mean - reach), mean + reach, p_high


def error_posterior(
    wrong: float, n: int, *, limit: float | None = None, sd: float = 0.0, windows: int = 1, level: float = LEVEL
) -> Estimate:
    """The posterior of the error rate from `wrong` of n labelled rows: Beta(wrong + 1/2, n - wrong + 1/2), Jeffreys.

    `sd` is the standard deviation of the error between healthy windows, beyond chance: n rows of w windows then count
    as n / (1 + (n / w) sd^2 / (p (1 - p))).

    >>> found = error_posterior(30, 100, limit=0.2)
    >>> found.p_high > 0.98
    True
    """
    assert 0 <= wrong <= n, "more wrong rows than rows"
    p = (wrong + 0.5) / (n + 1)
    counted = 1 / (1 + n / windows * sd**2 / (p * (1 - p)))
    a, b = wrong * counted + 0.5, (n - wrong) * counted + 0.5
    return Estimate(
        name="error_posterior",
        value=a / (a + b),
        low=float(betaincinv(a, b, (1 - level) / 2)),
        high=float(betaincinv(a, b, (1 + level) / 2)),
        n=n,
        level=level,
        p_high=None if limit is None else float(betaincc(a, b, min(max(limit, 0.0), 1.0))),
        assumptions=(RANDOM_LABELS,),
    )


def calibration_to_json(calibration: Calibration) -> dict[str, Any]:
    """Give the calibration as plain JSON values."""
    return asdict(calibration)


def calibration_from_json(tree: Mapping[str, Any]) -> Calibration:
    """Read what `calibration_to_json` gave. Raises ValueError when it is not one."""
    try:
        steps = {
            key: Steps(**{name: tuple(values) for name, values in each.items()}) for key, each in tree["steps"].items()
        }
        return Calibration(steps=steps, bounded=tree["bounded"], sd=tree["sd"], rows=tree["rows"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a calibration: {error}") from error
