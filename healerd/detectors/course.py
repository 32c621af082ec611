"""Did a change come at once or little by little: two shapes fitted to a series. Must never claim more than it can tell.

A step at window t, and a ramp that begins at t and takes L windows, are fitted to the windows by least squares, each
with a level before and a level after. exp(-BIC / 2) weighs each fit (Schwarz, 1978; Raftery, 1995); the mean weight of
a family is its evidence, and P(sudden) = steps / (steps + ramps). Between LEAST and 1 - LEAST nothing is said.
It takes the windows for independent; what is slow by itself looks more gradual than it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["SIDE_MIN", "Course", "course"]

LEAST = 0.9
"""P(sudden) from which a change is called sudden; below one less this it is called gradual."""
WINDOWS_MAX = 120
RAMPS = (3, 5, 8, 12, 20, 30, 50, 80)
"""Windows a gradual change may take."""
SIDE_MIN = 3
"""Windows with the level before, and with the level after, that a shape must have to be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """`said` is `sudden`, `gradual` or `unclear`; the change begins at window `start` and takes `takes` windows."""

    said: str
    p_sudden: float | None
    start: int | None
    takes: int | None
    windows: int


def course(values: Sequence[float | None]) -> Course:
    """Judge a series of one value a window, None where unknown; the change is somewhere within it.

    >>> course([0.0, 0.1, -0.1, 0.0] * 3 + [1.0, 0.9, 1.1, 1.0] * 3).said
    'sudden'
    >>> course([0.0, 0.1, -0.1, 0.0] * 3 + [k / 20 for k in range(20)] + [1.0, 0.9, 1.1]).said
    'gradual'
    """
    y = np.array([np.nan if value is None else value for value in values], np.float64)[-WINDOWS_MAX:]
    first = max(0, len(values) - WINDOWS_MAX)
    known = np.isfinite(y)
    n = int(np.count_nonzero(known))
    if n < 2 * SIDE_MIN + 2 or float(np.nanstd(y)) == 0:
        return Course(said="unclear", p_sudden=None, start=None, takes=None, windows=n)
    at = np.arange(len(y), dtype=np.float64)
    starts = range(SIDE_MIN, len(y) - SIDE_MIN + 1)
    fits = [(start, takes, _bic(y, known, at, start, takes)) for start in starts for takes in (1, *RAMPS)]
    told = [fit for fit in fits if fit[0] + fit[1] - 1 <= len(y) - SIDE_MIN or fit[1] == 1]
    least = min(bic for _, _, bic in told)
    weights = [(start, takes, float(np.exp((least - bic) / 2))) for start, takes, bic in told]
    steps = [weight for _, takes, weight in weights if takes == 1]
    ramps = [weight for _, takes, weight in weights if takes > 1]
    sudden, slow = sum(steps) / len(steps), sum(ramps) / max(len(ramps), 1)
    p = sudden / (sudden + slow)
    said = "sudden" if p >= LEAST else "gradual" if p <= 1 - LEAST else "unclear"
    family = [one for one in weights if (one[1] == 1) == (p >= 0.5)]
    start, takes, _ = max(family, key=lambda one: one[2])
    return Course(said=said, p_sudden=p, start=first + start, takes=takes, windows=n)


def _bic(
    y: npt.NDArray[np.float64], known: npt.NDArray[np.bool_], at: npt.NDArray[np.float64], start: int, takes: int
) -> float:
    """BIC of a level before, a level after, and a straight line between; a step when it takes one window."""
    shape = np.clip((at - start + 1) / takes, 0.0, 1.0)[known]
    x, found = shape - shape.mean(), y[known] - y[known].mean()
    spread = float(x @ x)
    left = float(found @ found) - (float(x @ found) ** 2 / spread if spread > 0 else 0.0)
    n, parameters = len(found), 3 if takes == 1 else 4
    return n * float(np.log(max(left / n, 1e-12))) + parameters * float(np.log(n))
