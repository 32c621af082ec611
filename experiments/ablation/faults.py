"""Eleven kinds of fault, each as what it does to inputs, relation, arrival, labels and their delay.

Must never touch a row before the fault's first window, nor know how anybody will answer it. Windows are counted from
the first served one; those that train the first model have negative numbers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["BAD_DEPLOY", "FAULTS", "Fault", "Happening"]

Floats = npt.NDArray[np.float64]
Windows = npt.NDArray[np.intp]

BAD_DEPLOY = "bad deploy"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Happening:
    """What is drawn for a scenario, whatever its fault: from which window to which, how strongly, and on what."""

    first: int
    last: int
    size: float
    feature: int
    stuck: bool
    sudden: bool
    other: Floats
    past: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, *, other: Floats, past: Floats) -> "Happening":
        """Draw: it begins in window 3 or 4, and what passes by itself does so after 5 to 10 windows."""
        first = int(rng.integers(3, 5))
        return cls(
            first=first,
            last=first + int(rng.integers(5, 11)),
            size=float(rng.uniform(0.7, 1.3)),
            feature=int(rng.integers(0, 2)),
            stuck=bool(rng.random() < 0.5),
            sudden=bool(rng.random() < 0.5),
            other=other,
            past=past,
        )

    def since(self, window: Windows) -> npt.NDArray[np.bool_]:
        """Mark what lies at or after the beginning."""
        return window >= self.first

    def during(self, window: Windows) -> npt.NDArray[np.bool_]:
        """Mark what lies between beginning and end."""
        return (window >= self.first) & (window < self.last)


def _as_it_was(x: Floats, window: Windows, what: Happening) -> Floats:
    return x


def _as_always(weights: Floats, window: Windows, what: Happening) -> Floats:
    return np.repeat(weights[None, :], len(window), axis=0)


def _arrives_whole(x: Floats, window: Windows, what: Happening, rng: np.random.Generator) -> Floats:
    return x


def _told_truly(label: Floats, window: Windows, what: Happening, rng: np.random.Generator) -> Floats:
    return label


def _in_time(window: Windows, what: Happening) -> Windows:
    return np.ones(len(window), dtype=np.intp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of fault. Shapes: n x d inputs, n windows; `relation` gives n x d weights, `delay` windows of delay."""

    says: str
    inputs: Callable[[Floats, Windows, Happening], Floats] = _as_it_was
    relation: Callable[[Floats, Windows, Happening], Floats] = _as_always
    arrives: Callable[[Floats, Windows, Happening, np.random.Generator], Floats] = _arrives_whole
    labels: Callable[[Floats, Windows, Happening, np.random.Generator], Floats] = _told_truly
    delay: Callable[[Windows, Happening], Windows] = _in_time


def _beyond_the_bend(x: Floats, window: Windows, what: Happening) -> Floats:
    moved = x.copy()
    moved[what.since(window), 0] += 2.2 * what.size
    return moved


def _where_nothing_depends(x: Floats, window: Windows, what: Happening) -> Floats:
    moved = x.copy()
    moved[what.since(window), 3] += 1.2 * what.size
    return moved


def _sudden(weights: Floats, window: Windows, what: Happening) -> Floats:
    return np.where(what.since(window)[:, None], what.other[None, :], weights[None, :])


def _gradual(weights: Floats, window: Windows, what: Happening) -> Floats:
    share = np.clip((window - what.first + 1) / 6.0, 0.0, 1.0)[:, None]
    found: Floats = (1.0 - share) * weights[None, :] + share * what.other[None, :]
    return found


def _recurring(weights: Floats, window: Windows, what: Happening) -> Floats:
    return np.where(what.since(window)[:, None], what.past[None, :], weights[None, :])


def _broken_feed(x: Floats, window: Windows, what: Happening, rng: np.random.Generator) -> Floats:
    broken, hit = x.copy(), what.during(window)
    broken[hit, what.feature] = 0.4 if what.stuck else 3.0 * x[hit, what.feature]
    return broken


def _one_window(x: Floats, window: Windows, what: Happening, rng: np.random.Generator) -> Floats:
    broken, hit = x.copy(), window == what.first
    broken[hit] = rng.permutation(x[hit], axis=0)[:, ::-1]
    return broken


def _flipped(label: Floats, window: Windows, what: Happening, rng: np.random.Generator) -> Floats:
    hit = what.during(window) & (rng.random(len(label)) < 0.25 + 0.2 * what.size)
    return np.where(hit, 1.0 - label, label)


def _late(window: Windows, what: Happening) -> Windows:
    return np.where(what.during(window), 5, 1).astype(np.intp)


def _sudden_or_not(weights: Floats, window: Windows, what: Happening) -> Floats:
    return _sudden(weights, window, what) if what.sudden else _as_always(weights, window, what)


FAULTS: Mapping[str, Fault] = {
    "healthy": Fault(says="nothing happens"),
    "harmful covariate drift": Fault(says="inputs move to where the model never learned", inputs=_beyond_the_bend),
    "benign covariate drift": Fault(says="inputs move that no label depends on", inputs=_where_nothing_depends),
    "sudden concept drift": Fault(says="the relation turns at once, and stays", relation=_sudden),
    "gradual concept drift": Fault(says="the relation turns within 6 windows", relation=_gradual),
    "recurring concept drift": Fault(says="the relation of an older stored version returns", relation=_recurring),
    "upstream fault": Fault(
        says="a feature is stuck, or sent three times as large, until mended", arrives=_broken_feed
    ),
    "bad labels": Fault(says="many labels are told wrongly for a while; the model is right", labels=_flipped),
    "one-window glitch": Fault(says="the columns of one window are mixed up", arrives=_one_window),
    "label delay": Fault(
        says="labels come four windows later than usual; half the time the relation turns as well",
        relation=_sudden_or_not,
        delay=_late,
    ),
    BAD_DEPLOY: Fault(says="somebody else moves the alias to a model fitted on 60 rows with half the labels wrong"),
}
"""Each kind by its name; a pack of scenarios has each of them once."""
