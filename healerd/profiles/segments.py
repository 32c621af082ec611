"""Which segment a row belongs to: the common values of a column each alone, all others together.

Must never leave a row out: a value that is rare, new or missing belongs to `OTHER`. Which values are common is told
from the reference alone, never from a window that will be judged.
"""

from collections import Counter
from dataclasses import dataclass
from math import isnan

import numpy as np
import numpy.typing as npt

from healerd.columns import Column, kind_of
from healerd.profiles.maps import is_absent

__all__ = ["OTHER", "ROWS_MIN", "VALUES_MAX", "Segmentation", "segment_codes", "segmentation"]

OTHER = "(other)"
"""The segment of all values that have none of their own; a value that is called so is among them."""
VALUES_MAX = 20
"""Values of a column that are looked at alone, the commonest first: each takes its share of the budget."""
ROWS_MIN = 200
"""Reference rows from which a segment can be compared with its own past."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """How a column parts the rows: `values` have a segment each; `others` further values of the reference have none."""

    column: str
    values: tuple[str, ...]
    others: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The segments as they are told: `column=value`, the last one that of all other values."""
        return tuple(f"{self.column}={value}" for value in (*self.values, OTHER))


def segmentation(name: str, column: Column) -> Segmentation:
    """Choose the segments of a column from n reference rows.

    >>> segmentation("lane", np.array(["left"] * 300 + ["right"] * 200 + ["bus"] * 9, object)).values
    ('left', 'right')
    """
    counted = Counter(key for key in _keys(column) if key is not None)
    named = ((value, rows) for value, rows in counted.items() if value != OTHER)
    common = sorted(named, key=lambda pair: (-pair[1], pair[0]))[:VALUES_MAX]
    values = tuple(value for value, rows in common if rows >= ROWS_MIN)
    return Segmentation(column=name, values=values, others=len(counted) - len(values))


def segment_codes(by: Segmentation, column: Column | None, rows: int) -> npt.NDArray[np.intp]:
    """Number the segment of each of `rows` rows, in the order of `by.names`; a lost column is all `OTHER`."""
    other = len(by.values)
    if column is None:
        return np.full(rows, other, np.intp)
    places = {value: place for place, value in enumerate(by.values)}
    return np.fromiter((places.get(key, other) if key is not None else other for key in _keys(column)), np.intp, rows)


def _keys(column: Column) -> list[str | None]:
    """Each value as text, None where it is missing; numbers in their shortest form, so that 3.0 is `3`."""
    if kind_of(column) == "numeric":
        return [None if isnan(value) else f"{value + 0.0:.12g}" for value in column.tolist()]
    return [None if is_absent(value) else str(value) for value in column.tolist()]
