"""Numbers -> rows per cell, a block of rows at a time.

Must never disagree with `NumberMap.cells`, whatever comes with a value, nor let an index out of the table: the product
that counts does not look.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from healerd.columns import Column
from healerd.profiles.maps import CELLS, OUTER, SPARE, NumberMap, Values

__all__ = ["Room", "count_numbers", "make_room"]

BLOCK = 32_768
"""Rows at a time: what they need stays in a processor's second cache, and memory does not grow with the rows."""
ONE = np.ones(1, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Room:
    """What counting a block writes to, made once for all columns: fresh memory costs more than the counting.

    `onehot` has a row for each position and an entry for each row of the block; its product with 1 is the counts. It
    neither checks nor widens its indices, and so takes half the time of `np.bincount` or `np.add.at`.
    """

    positions: Values
    onehot: Any


def make_room(rows: int) -> Room:
    """Make room for columns of so many rows."""
    from scipy.sparse import csc_array  # takes 20 ms to load, and only counting needs it

    size = min(rows, BLOCK)
    entries = (np.ones(size, np.int64), np.zeros(size, np.int32), np.array([0, size], np.int32))
    return Room(positions=np.empty(size), onehot=csc_array(entries, shape=(CELLS + 2 * SPARE, 1)))


def count_numbers(column: Column, number_map: NumberMap, into: npt.NDArray[np.int64], room: Room) -> int:
    """Count a numeric column into the map's cells, and tell how many of its values are NaN."""
    into[:] = 0
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return sum(
            _count_block(column[at : at + BLOCK].astype(np.float64, copy=False), number_map, into, room)
            for at in range(0, len(column), BLOCK)
        )


def _count_block(values: Values, number_map: NumberMap, into: npt.NDArray[np.int64], room: Room) -> int:
    n, reach = len(values), min(SPARE - 1, int(number_map.far))
    positions, indices = room.positions[:n], room.onehot.indices[:n]
    number_map.positions(values, out=positions)
    np.copyto(indices, positions, casting="unsafe")
    low, high = np.minimum.reduce(indices), np.maximum.reduce(indices)
    if low <= SPARE - reach or high >= SPARE + CELLS + reach:
        # Something is far off, infinite or NaN, which as an integer is 0 or the least one.
        return _count_with_care(values, number_map, into, room)
    room.onehot.indptr[1] = n
    counts = room.onehot @ ONE
    into[OUTER:-OUTER] += counts[SPARE:-SPARE]
    if low < SPARE:
        into[OUTER - 1] += counts[:SPARE].sum()
    if high >= SPARE + CELLS:
        into[-OUTER] += counts[-SPARE:].sum()
    return 0


def _count_with_care(values: Values, number_map: NumberMap, into: npt.NDArray[np.int64], room: Room) -> int:
    missing = np.isnan(values)
    if missing.any():
        known = values[~missing]
        return len(values) - len(known) + (_count_block(known, number_map, into, room) if known.size else 0)
    into += np.bincount(number_map.cells(values), minlength=number_map.size)
    return 0
