"""The mergeable profile of a window: rows -> integer counts per cell.

Must never store a row, nor drop one: each value of each feature is counted exactly once, as missing, as of the
wrong type, or in a cell. Counts are integers, so that they add exactly over shards, windows and retries.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from healerd.columns import Column, is_missing
from healerd.profiles.counting import Room, count_numbers, make_room
from healerd.profiles.maps import CellMap, Maps, NameMap, NumberMap, is_absent

__all__ = ["Counts", "Profile", "Tally", "from_bytes", "merge", "profile", "slim", "to_bytes"]

Tally: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts:
    """One feature of a window: rows per cell, and apart from them the missing ones and those of the wrong type."""

    cells: Tally
    missing: int
    wrong_type: int

    @property
    def n(self) -> int:
        """How many rows lie in a cell."""
        return int(self.cells.sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """What a window's rows amount to, seen through the cell maps `maps_id`.

    A column that the maps know and the window lacks is in `lost` and counted as all missing; one the maps do not
    know is in `new` and not counted.
    """

    maps_id: str
    rows: int
    features: Mapping[str, Counts]
    lost: tuple[str, ...] = ()
    new: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The hash of the content: equal counts have equal ids."""
        return hashlib.sha256(_payload(self)).hexdigest()


def profile(features: Mapping[str, Column], maps: Maps) -> Profile:
    """Count a window's columns through the maps.

    Raises ValueError, naming the column, when columns differ in length. Everything else a column may hold has a
    place: NaN and None are missing, infinities lie below or above the range, text among numbers is of the wrong type.
    """
    rows = _rows(features)
    room = make_room(rows)
    lost = tuple(name for name in maps.features if name not in features)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        counted = {
            name: _count(features[name], one, into, room) if name in features else _all_missing(rows, into)
            for (name, one), into in zip(maps.features.items(), _blank(maps), strict=True)
        }
    new = tuple(sorted(name for name in features if name not in maps.features))
    return Profile(maps_id=maps.id, rows=rows, features=counted, lost=lost, new=new)


class _Filled(Mapping[str, Counts]):
    """Counts by feature, of which the filled cells alone are kept: all are laid out when a feature is asked for."""

    def __init__(self, features: Mapping[str, Counts]) -> None:
        self._kept = {name: _filled(one) for name, one in features.items()}

    def __getitem__(self, name: str) -> Counts:
        size, where, counts, missing, wrong_type = self._kept[name]
        cells = np.zeros(size, np.int64)
        cells[where] = counts
        return Counts(cells=cells, missing=missing, wrong_type=wrong_type)

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def _filled(one: Counts) -> tuple[int, Tally, Tally, int, int]:
    where = np.flatnonzero(one.cells)
    return len(one.cells), where, one.cells[where], one.missing, one.wrong_type


def slim(counted: Profile) -> Profile:
    """The same profile in a hundredth of the memory, where a window has few rows: for who holds many of them."""
    return replace(counted, features=_Filled(counted.features))


def _rows(features: Mapping[str, Column]) -> int:
    lengths = {name: len(column) for name, column in features.items()}
    rows = next(iter(lengths.values()), 0)
    for name, length in lengths.items():
        if length != rows:
            raise ValueError(f"column `{name}` has {length} rows, the first column {rows}; give one value a row")
    return rows


def _blank(maps: Maps) -> Iterator[Tally]:
    """Room for each feature's cells, all in one block.

    A block a feature would be given back to the system, and faulted in anew, at every window: half of the time.
    """
    block, at = np.empty(sum(one.size for one in maps.features.values()), np.int64), 0
    for one in maps.features.values():
        yield block[at : at + one.size]
        at += one.size


def _all_missing(rows: int, into: Tally) -> Counts:
    into[:] = 0
    return Counts(cells=into, missing=rows, wrong_type=0)


def _count(column: Column, cell_map: CellMap, into: Tally, room: Room) -> Counts:
    numeric, missing = column.dtype.kind in "biuf", 0
    if numeric and isinstance(cell_map, NumberMap):
        return Counts(cells=into, missing=count_numbers(column, cell_map, into, room), wrong_type=0)
    into[:] = 0
    if numeric:
        missing = int(np.count_nonzero(is_missing(column)))
    if column.dtype != np.object_:
        return Counts(cells=into, missing=missing, wrong_type=len(column) - missing)
    return _count_objects(column, cell_map, into, room)


def _count_objects(column: Column, cell_map: CellMap, into: Tally, room: Room) -> Counts:
    present = [value for value in column if not is_absent(value)]
    missing = len(column) - len(present)
    if isinstance(cell_map, NameMap):
        names = [value for value in present if isinstance(value, str)]
        into[:] = np.bincount(cell_map.cells(names), minlength=cell_map.size)
        return Counts(cells=into, missing=missing, wrong_type=len(present) - len(names))
    numbers = np.array([value for value in present if isinstance(value, Real)], np.float64)
    missing += count_numbers(numbers, cell_map, into, room)
    return Counts(cells=into, missing=missing, wrong_type=len(present) - len(numbers))


def merge(first: Profile, second: Profile) -> Profile:
    """Add two profiles of the same maps: exact, in any order and grouping."""
    assert first.maps_id == second.maps_id, "profiles of different maps do not add"
    return Profile(
        maps_id=first.maps_id,
        rows=first.rows + second.rows,
        features={name: _add(one, second.features[name]) for name, one in first.features.items()},
        lost=tuple(name for name in first.features if name in {*first.lost, *second.lost}),
        new=tuple(sorted({*first.new, *second.new})),
    )


def _add(one: Counts, other: Counts) -> Counts:
    return Counts(
        cells=one.cells + other.cells,
        missing=one.missing + other.missing,
        wrong_type=one.wrong_type + other.wrong_type,
    )


MAGIC = b"healerd profile 1\n"


def to_bytes(counted: Profile) -> bytes:
    """Write a profile compactly: only the cells that hold rows, compressed."""
    return MAGIC + zlib.compress(_payload(counted), 6)


def from_bytes(written: bytes) -> Profile:
    """Read what `to_bytes` wrote. Raises ValueError when the bytes are not a whole profile."""
    try:
        assert written.startswith(MAGIC), "no such heading"
        head, _, body = zlib.decompress(written[len(MAGIC) :]).partition(b"\n")
        tree = json.loads(head)
        features = dict(_read_counts(tree["features"], body))
    except (AssertionError, zlib.error, KeyError, ValueError) as error:
        raise ValueError(f"these bytes are not a profile: {error}") from error
    return Profile(
        maps_id=tree["maps_id"],
        rows=tree["rows"],
        features=features,
        lost=tuple(tree["lost"]),
        new=tuple(tree["new"]),
    )


def _payload(counted: Profile) -> bytes:
    """One line of JSON, then per feature the filled cells (uint16) and their counts (int64), little-endian."""
    filled = {name: np.flatnonzero(one.cells) for name, one in counted.features.items()}
    sizes = [
        [name, len(one.cells), len(filled[name]), one.missing, one.wrong_type] for name, one in counted.features.items()
    ]
    head = {
        "maps_id": counted.maps_id,
        "rows": counted.rows,
        "features": sizes,
        "lost": counted.lost,
        "new": counted.new,
    }
    parts = [json.dumps(head, separators=(",", ":")).encode() + b"\n"]
    for name, one in counted.features.items():
        parts += [filled[name].astype("<u2").tobytes(), one.cells[filled[name]].astype("<i8").tobytes()]
    return b"".join(parts)


def _read_counts(sizes: Sequence[Sequence[Any]], body: bytes) -> Iterable[tuple[str, Counts]]:
    at = 0
    for name, size, filled, missing, wrong_type in sizes:
        cells = np.zeros(size, np.int64)
        where = np.frombuffer(body, "<u2", filled, at)
        cells[where] = np.frombuffer(body, "<i8", filled, at + 2 * filled)
        at += 10 * filled
        yield name, Counts(cells=cells, missing=missing, wrong_type=wrong_type)
