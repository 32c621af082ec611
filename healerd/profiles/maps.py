"""From a value to its cell: one fixed, order-preserving map for each feature, fitted once on the reference.

Must never look at a window: a map that moved with the data would make counts that do not add.
"""

import hashlib
import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from healerd.columns import Column
from healerd.errors import SourceError

__all__ = [
    "CELLS",
    "OUTER",
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
FAR_SHARE = 0.5
"""On the linear scale a value is far from the range when it is off by more than this share of the range's width."""
FAR_BITS = 2.0**23
"""On the scale of bits a value is far from the range when it is off by more than this: a factor of two."""

FLOAT32_MAX = float(np.finfo(np.float32).max)

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

    @property
    def size(self) -> int:
        """How many cells there are, the outer ones included."""
        return CELLS + 2 * OUTER

    @property
    def far(self) -> float:
        """How many cells' width off the range a value is far from it."""
        return FAR_SHARE * CELLS if self.scale == "linear" else FAR_BITS * self._slope()[1]

    def cells(self, values: Values) -> Cells:
        """Give each value, NaN excepted, its cell."""
        low, per_unit = self._slope()
        with np.errstate(over="ignore"):
            place = self._coordinate(values) - low
            place *= per_unit
        place += OUTER
        far, top = self.far, CELLS + OUTER
        if self.scale == "linear" and values.size and place.min() >= OUTER - far and place.max() <= top + far:
            # Nothing is far off, which is the rule: three passes less.
            return np.clip(place, 1, top, out=place).astype(np.intp)
        found: Cells = np.clip(place, 1, top).astype(np.intp)
        found[(place < OUTER - far) | (values == -np.inf)] = 0
        found[(place > top + far) | (values == np.inf)] = top + 1
        return found

    def edges(self, at: Cells | None = None) -> Values:
        """The CELLS + 1 values that bound the inner cells, from low to high, or those that `at` asks for."""
        low, per_unit = self._slope()
        steps = (np.arange(CELLS + 1) if at is None else at) / per_unit
        if self.scale == "linear":
            return np.minimum(low + steps, max(self.high, self.low))
        ordered = np.rint(low + steps).astype(np.int64).astype(np.int32)
        return _unordered(ordered).astype(np.float64)

    def _coordinate(self, values: Values) -> Values:
        return values if self.scale == "linear" else _ordered(values)

    def _slope(self) -> tuple[float, float]:
        """The coordinate of `low`, and cells per unit: a shade too few, so that `high` itself lies within."""
        low, high = self._coordinate(np.array([self.low, self.high])).tolist()
        narrowest = 1.0 if self.scale == "bits" else max(1e-9 * max(abs(low), abs(high)), 1e-300)
        return low, CELLS * (1 - 1e-12) / max(high - low, narrowest)


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
    if not np.isfinite(high - low):
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

    What float32 cannot hold is its largest number; only an infinity is one.
    """
    held = np.where(np.isinf(values), values, np.clip(values, -FLOAT32_MAX, FLOAT32_MAX))
    with np.errstate(under="ignore"):
        patterns = (held.astype(np.float32) + np.float32(0)).view(np.int32)
    ordered = patterns ^ ((patterns >> 31) & 0x7FFFFFFF)
    return ordered.astype(np.float64)


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
    return {"names": one.names} if isinstance(one, NameMap) else asdict(one)


def _map_from_json(tree: Mapping[str, Any]) -> CellMap:
    return NameMap(names=tuple(tree["names"])) if "names" in tree else NumberMap(**tree)
