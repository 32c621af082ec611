"""What the words of the generated source mean for the values of one pipeline.

It never needs numpy, and never raises for any number.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

__all__ = ["SCALAR_WORDS"]


def _level(announced: bool, approval: bool, deferred: bool, forbidden: bool) -> int:  # noqa: FBT001 - four truths in order
    return 4 if forbidden else 3 if deferred else 2 if approval else 1 if announced else 0


def _divided(a: float, b: float) -> float:
    return a / b if b else math.nan


def _tally(
    body: Callable[..., tuple[bool, bool]], depth: int, own: list[Any], outer: list[Any]
) -> tuple[int, int, int]:
    """How many members make the body true, how many false, and how many there are."""
    del depth  # of use for columns alone
    rails = [body(*values, *outer) for _, *values in zip(*own, strict=True)]
    return sum(true for true, _ in rails), sum(false for _, false in rails), len(rails)


def _spread(body: Callable[..., list[Any]], depth: int, own: list[Any], outer: list[Any]) -> list[Any]:
    del depth
    return [body(*values, *outer) for _, *values in zip(*own, strict=True)]


def _flat(values: Sequence[Any]) -> Iterator[float]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _points(*thresholds: Any) -> list[float]:
    """Confidences between which nothing changes: thresholds, the points between, and unknown."""
    edges = sorted({0.0, 1.0, *(edge for edge in _flat(thresholds) if 0 <= edge <= 1)})
    return [*edges, *((low + high) / 2 for low, high in pairwise(edges)), math.nan]


def _anywhere(holds: Callable[[float], bool], points: Sequence[float]) -> bool:
    return any(holds(point) for point in points)


def _everywhere(holds: Callable[[float], bool], points: Sequence[float]) -> bool:
    return all(holds(point) for point in points)


SCALAR_WORDS: Mapping[str, Any] = {
    "TRUE": True,
    "FALSE": False,
    "NAN": math.nan,
    "INF": math.inf,
    "div": _divided,
    "floor": lambda exact: math.floor(exact + 1e-9),
    "ceiling": lambda exact: math.ceil(exact - 1e-9),
    "level": _level,
    "tally": _tally,
    "spread": _spread,
    "points": _points,
    "anywhere": _anywhere,
    "everywhere": _everywhere,
}
