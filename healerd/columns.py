"""The columns in which predictions travel: numpy arrays of equal length, never one object a row.

Must never read or write anything. A numeric feature is float64 (missing is NaN); a categorical one is an
object array of `str` (missing is None). Times are `datetime64[us]`, naive UTC.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "Column",
    "Kind",
    "Labels",
    "Mask",
    "Predictions",
    "Strings",
    "Times",
    "concatenate",
    "is_missing",
    "kind_of",
    "take",
    "window_starts",
]

Column = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]
Strings = npt.NDArray[np.object_]
Kind = Literal["numeric", "categorical"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Served rows: n ids, times, model versions, outputs, and a column of n values for each feature.

    `label` holds the truth where it is known, missing elsewhere; it has the kind of `output`. `score` is how sure the
    model said it was, n numbers, where it says so; no model reads it.
    """

    ids: Strings
    at: Times
    version: Strings
    output: Column
    label: Column
    features: Mapping[str, Column]
    score: Column | None = None

    def __post_init__(self) -> None:
        n = len(self.ids)
        columns = (self.at, self.version, self.output, self.label, *self.features.values(), *self._scores())
        assert all(len(column) == n for column in columns), "columns of unequal length"

    def __len__(self) -> int:
        return len(self.ids)

    def _scores(self) -> tuple[Column, ...]:
        return () if self.score is None else (self.score,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """Late truths: n prediction ids, n labels, and when each became known."""

    ids: Strings
    label: Column
    at: Times

    def __post_init__(self) -> None:
        assert len(self.ids) == len(self.label) == len(self.at), "columns of unequal length"

    def __len__(self) -> int:
        return len(self.ids)


def take(predictions: Predictions, which: npt.NDArray[np.intp] | Mask) -> Predictions:
    """Keep the rows that an index or a mask names, in its order."""
    return _each(predictions, lambda column: column[which])


def _each(rows: Predictions, f: Callable[[Column], Column]) -> Predictions:
    return replace(
        rows,
        ids=f(rows.ids),
        at=f(rows.at),
        version=f(rows.version),
        output=f(rows.output),
        label=f(rows.label),
        features={name: f(column) for name, column in rows.features.items()},
        score=None if rows.score is None else f(rows.score),
    )


def concatenate(parts: Sequence[Predictions]) -> Predictions:
    """Put rows one below the other. A feature that a part does not have is missing in its rows."""
    filled = [part for part in parts if len(part)] or [parts[0]]
    if len(filled) == 1:
        return filled[0]
    kinds = {name: column.dtype for part in filled for name, column in part.features.items()}
    return Predictions(
        ids=np.concatenate([part.ids for part in filled]),
        at=np.concatenate([part.at for part in filled]),
        version=np.concatenate([part.version for part in filled]),
        output=np.concatenate([part.output for part in filled]),
        label=np.concatenate([part.label for part in filled]),
        features={
            name: np.concatenate([part.features.get(name, _missing(len(part), dtype)) for part in filled])
            for name, dtype in kinds.items()
        },
        score=_scores(filled),
    )


def _scores(parts: Sequence[Predictions]) -> Column | None:
    """Put scores one below the other; rows of parts without any have none."""
    if all(part.score is None for part in parts):
        return None
    return np.concatenate([np.full(len(part), np.nan) if part.score is None else part.score for part in parts])


def _missing(n: int, dtype: np.dtype[Any]) -> Column:
    return np.full(n, None if dtype == np.object_ else np.nan, dtype=dtype)


def window_starts(at: Times, window_s: float) -> npt.NDArray[np.int64]:
    """Number the window of each time, counted from 1970."""
    return at.astype("datetime64[us]").astype(np.int64) // round(window_s * 1e6)


def kind_of(column: Column) -> Kind:
    """Tell a numeric column (float64) from a categorical one (object)."""
    return "categorical" if column.dtype == np.object_ else "numeric"


def is_missing(column: Column) -> Mask:
    """Mark the missing values: NaN in a numeric column, None in a categorical one."""
    if column.dtype == np.object_:
        return np.fromiter((value is None for value in column), np.bool_, len(column))
    missing: Mask = np.isnan(column)
    return missing
