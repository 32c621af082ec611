"""Compare unknown numbers that each have a Student t posterior, by fixed quadrature.

Must never draw a random number: the same posteriors give the same probability, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

__all__ = ["Floats", "Student", "p_least", "p_less"]

Floats = npt.NDArray[np.float64]

NODES = 64
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(NODES)
PROBABILITIES: Floats = (_POINTS + 1.0) / 2.0
WEIGHTS: Floats = _WEIGHTS / 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """The law of location + scale x T, T with `df` > 2 degrees of freedom."""

    location: float
    scale: float
    df: float

    @property
    def sd(self) -> float:
        """The standard deviation."""
        return self.scale * float(np.sqrt(self.df / (self.df - 2.0)))


def p_less(a: Student, b: Student) -> float:
    """P(a < b) for independent a and b: the integral over q of P(a < b's q-quantile), at 64 Gauss-Legendre nodes.

    The narrower of the two gives the nodes, so that the integrand is smooth.

    >>> round(p_less(Student(location=0, scale=1, df=10), Student(location=1, scale=1, df=10)), 3)
    0.743
    """
    if b.scale <= a.scale:
        return _within(float(WEIGHTS @ _below(a, _quantiles(b))))
    return _within(1.0 - float(WEIGHTS @ _below(b, _quantiles(a))))


def p_least(laws: Sequence[Student]) -> tuple[float, ...]:
    """P(it is the least) for each of several independent numbers; normalised to add up to 1."""
    raw = [
        float(WEIGHTS @ np.prod([1.0 - _below(other, _quantiles(one)) for other in laws if other is not one], axis=0))
        if len(laws) > 1
        else 1.0
        for one in laws
    ]
    total = sum(raw)
    return tuple(_within(each / total) for each in raw)


def _quantiles(law: Student) -> Floats:
    return np.asarray(law.location + law.scale * _standard_quantiles(law.df))


@lru_cache(maxsize=256)
def _standard_quantiles(df: float) -> Floats:
    """Give the quantiles of T at the nodes: they take most of the time, and few degrees of freedom are in use."""
    found = np.asarray(stdtrit(df, PROBABILITIES))
    found.setflags(write=False)
    return found


def _below(law: Student, points: Floats) -> Floats:
    return np.asarray(stdtr(law.df, (points - law.location) / law.scale))


def _within(p: float) -> float:
    return min(1.0, max(0.0, p))
