"""From a value to its cell: one fixed, order-preserving map for each feature, fitted once on the reference.

Must never look at a window: a map that moved with the data would make counts that do not add.
"""

import hashlib
import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from healerd.columns import Column
from healerd.errors import SourceError

__all__ = [
    "CELLS",
    "OUTER",
    "SPARE",
    "CellMap",
    "Cells",
    "Maps",
    "NameMap",
    "NumberMap",
    "ProfileSettings",
    "Values",
    "fit",
    "is_absent",
    "maps_from_json",
    "maps_to_json",
]

CELLS = 8192
"""Cells between the reference's smallest and largest value: D is then exact to .001 (see the README)."""

OUTER = 2
"""Cells on each side of the range: one for values near it, one for values far from it."""
SPARE = 1024
"""Positions kept on each side of the inner cells, so that rows just beyond the range are counted like any others."""
SLACK = 2.0**-8
"""Share of a cell by which low and high lie within the inner cells: rounding, at most a quarter of it, stays within."""
FAR_SHARE = 0.5
"""On the linear scale a value is far from the range when it is off by more than this share of the range's width."""
FAR_BITS = 2.0**23
"""On the scale of bits a value is far from the range when it is off by more than this: a factor of two."""

FLOAT32_ENDS = (-0x7F80_0000, 0x7F7F_FFFF)
"""The ordered bit patterns of float32's least and largest number."""

Cells: TypeAlias = npt.NDArray[np.intp]
Values: TypeAlias = npt.NDArray[np.float64]
Scale = Literal["linear", "bits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSettings:
    """How a profile is cut."""

    categories_max: int = 4096
    """Names kept for a categorical feature, the commonest first: as many cells as a number has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberMap:
    """Cells of a numeric feature: far below the reference's range, below it, CELLS within, above it, far above it.

    `linear` cuts [low, high] evenly. `bits` cuts the ordered bit patterns of float32 evenly, which is nearly
    logarithmic: a heavy tail then does not starve the middle. -inf lies below, +inf above, -0.0 is 0.0.
    """

    scale: Scale
    low: float
    high: float
    base: float = field(init=False, repr=False, compare=False)
    per_unit: float = field(init=False, repr=False, compare=False)
    """A value of coordinate c has the position (c - base) per_unit: SPARE where the range begins, one more a cell."""

    def __post_init__(self) -> None:
        low, high = self._coordinates(np.array([self.low, self.high])).tolist()
        narrowest = 1.0 if self.scale == "bits" else max(1e-9 * max(abs(low), abs(high)), 1e-300)
        per_unit = (CELLS - 2 * SLACK) / max(high - low, narrowest)
        object.__setattr__(self, "per_unit", per_unit)
        object.__setattr__(self, "base", low - (SPARE + SLACK) / per_unit)

    @property
    def size(self) -> int:
        """How many cells there are, the outer ones included."""
        return CELLS + 2 * OUTER

    @property
    def far(self) -> float:
        """How many cells' width off the range a value is far from it."""
        return FAR_SHARE * CELLS if self.scale == "linear" else FAR_BITS * self.per_unit

    def positions(self, values: Values, out: Values | None = None) -> Values:
        """Give each value its position; NaN has none, and infinities have infinite ones."""
        found = np.subtract(self._coordinates(values), self.base, out=out)
        found *= self.per_unit
        return found

    def cells(self, values: Values) -> Cells:
        """Give each value, NaN excepted, its cell."""
        with np.errstate(over="ignore", under="ignore"):
            position = self.positions(values)
        found: Cells = np.clip(position, SPARE - 1, SPARE + CELLS).astype(np.intp)
        found -= SPARE - OUTER
        found[position < SPARE - self.far] = 0
        found[position > SPARE + CELLS + self.far] = self.size - 1
        return found

    def edges(self, at: Cells | None = None) -> Values:
        """The CELLS + 1 values that bound the inner cells, from low to high, or those that `at` asks for."""
        steps = (SPARE + (np.arange(CELLS + 1) if at is None else at)) / self.per_unit
        if self.scale == "linear":
            return np.clip(self.base + steps, self.low, self.high)
        ordered = np.clip(np.rint(self.base + steps), *self._coordinates(np.array([self.low, self.high])))
        return _unordered(ordered.astype(np.int32)).astype(np.float64)

    def _coordinates(self, values: Values) -> Values:
        return values if self.scale == "linear" else _ordered(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameMap:
    """Cells of a categorical feature, in the order of the names: odd cells are the known names, even ones the gaps.

    A name that the reference did not have falls into the gap where it would stand. The order thus never depends
    on the data, which is what the proof of the drift detector asks for.
    """

    names: tuple[str, ...]
    index: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        assert all(a < b for a, b in zip(self.names, self.names[1:], strict=False)), "names are sorted and unique"
        object.__setattr__(self, "index", {name: 2 * k + 1 for k, name in enumerate(self.names)})

    @property
    def size(self) -> int:
        """How many cells there are, the gaps included."""
        return 2 * len(self.names) + 1

    def cells(self, names: Iterable[str]) -> Cells:
        """Give each name its cell."""
        known = self.index.get
        return np.fromiter((known(name) or 2 * bisect_left(self.names, name) for name in names), np.intp)


CellMap: TypeAlias = NumberMap | NameMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """The cell map of each feature; `scores` names the columns that are scores of the model, not its inputs."""

    features: Mapping[str, CellMap]
    scores: tuple[str, ...] = ()
    id: str = field(init=False)

    def __post_init__(self) -> None:
        text = json.dumps(_content(self), sort_keys=True, separators=(",", ":"), allow_nan=False)
        object.__setattr__(self, "id", hashlib.sha256(text.encode()).hexdigest())


def fit(
    features: Mapping[str, Column], *, scores: tuple[str, ...] = (), settings: ProfileSettings | None = None
) -> Maps:
    """Choose a cell map for each column of the reference's rows.

    Numeric columns get the one of the two maps that tells more values apart; object columns must hold `str` or None.
    Raises SourceError, naming the column and the row, when a column is neither.
    """
    limit = (settings or ProfileSettings()).categories_max
    maps = {name: _fit_one(name, column, limit) for name, column in features.items()}
    return Maps(features=maps, scores=scores)


def _fit_one(name: str, column: Column, categories_max: int) -> CellMap:
    if column.dtype.kind in "biuf":
        return _fit_numbers(column.astype(np.float64, copy=False))
    if column.dtype == np.object_:
        return _fit_names(name, column, categories_max)
    raise SourceError(f"column `{name}` is of type `{column.dtype}`; give numbers or text")


def _fit_numbers(values: Values) -> NumberMap:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    bits = NumberMap(scale="bits", low=low, high=high)
    if not (math.isfinite(4 * low) and math.isfinite(4 * high)):
        # No float64 is left beside such a range.
        return bits
    linear = NumberMap(scale="linear", low=low, high=high)
    return min(linear, bits, key=lambda m: _crowding(m, finite))


def _crowding(cell_map: NumberMap, values: Values) -> int:
    """How many pairs of rows share a cell: the fewer, the finer the map tells values apart."""
    counts = np.bincount(cell_map.cells(values))
    return int((counts * counts).sum())


def _fit_names(name: str, column: Column, categories_max: int) -> NameMap:
    counts: dict[str, int] = {}
    for row, value in enumerate(column):
        if isinstance(value, str):
            counts[value] = counts.get(value, 0) + 1
        elif not is_absent(value):
            raise SourceError(f"column `{name}`, row {row}: `{value!r}` is not text; give one type in a column")
    commonest = sorted(counts, key=lambda known: (-counts[known], known))[:categories_max]
    return NameMap(names=tuple(sorted(commonest)))


def is_absent(value: object) -> bool:
    """Tell None and NaN among the values of an object column."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _ordered(values: Values) -> Values:
    """Turn numbers into the rank of their float32 bit pattern; monotone, and 0.0 and -0.0 are one.

    What float32 cannot hold is its largest number; infinities and NaN stay what they are.
    """
    with np.errstate(over="ignore", under="ignore"):
        held = values.astype(np.float32)
    held += np.float32(0)
    patterns = held.view(np.int32)
    ordered = (patterns ^ ((patterns >> 31) & 0x7FFF_FFFF)).astype(np.float64)
    if not np.isfinite(held).all():
        np.clip(ordered, *FLOAT32_ENDS, out=ordered)
        np.copyto(ordered, values, where=~np.isfinite(values))
    return ordered


def _unordered(ordered: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    return (ordered ^ ((ordered >> 31) & 0x7FFFFFFF)).view(np.float32)


def maps_to_json(maps: Maps) -> dict[str, Any]:
    """Give the maps as plain JSON values."""
    return {**_content(maps), "id": maps.id}


def maps_from_json(tree: Mapping[str, Any]) -> Maps:
    """Read what `maps_to_json` gave. Raises ValueError when the content does not match its id."""
    features = {name: _map_from_json(one) for name, one in tree["features"]}
    maps = Maps(features=features, scores=tuple(tree["scores"]))
    if maps.id != tree["id"]:
        raise ValueError(f"the cell maps `{tree['id'][:12]}` were changed: their content is `{maps.id[:12]}`")
    return maps


def _content(maps: Maps) -> dict[str, Any]:
    return {"features": [[name, _map_to_json(one)] for name, one in maps.features.items()], "scores": maps.scores}


def _map_to_json(one: CellMap) -> dict[str, Any]:
    if isinstance(one, NameMap):
        return {"names": one.names}
    return {"scale": one.scale, "low": one.low, "high": one.high}


def _map_from_json(tree: Mapping[str, Any]) -> CellMap:
    return NameMap(names=tuple(tree["names"])) if "names" in tree else NumberMap(**tree)
