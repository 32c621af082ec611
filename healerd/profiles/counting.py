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

BLOCK = 65_536
"""Rows at a time: a few calls suffice, what they write stays near the processor, and memory does not grow with rows."""
HEIGHT = CELLS + 2 * SPARE
FAR_BELOW, MISSING, FAR_ABOVE = 0, 1, HEIGHT - 1
"""Rows of the table that no value near the range has as its position."""
TOP = SPARE + CELLS
ONE = np.ones(1, np.int32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Room:
    """What counting a block writes to, made once for all columns: fresh memory costs more than the counting.

    `onehot` has a row for each position and an entry for each row of the block; its product with 1 is the counts. It
    neither checks nor widens its indices, and so takes a third of the time of `np.bincount`, half that of `np.add.at`.
    """

    positions: Values
    onehot: Any


def make_room(rows: int) -> Room:
    """Make room for columns of so many rows."""
    from scipy.sparse import csc_array  # takes 20 ms to load, and only counting needs it

    size = min(rows, BLOCK)
    entries = (np.ones(size, np.int32), np.zeros(size, np.int32), np.array([0, size], np.int32))
    onehot = csc_array(entries, shape=(HEIGHT, 1))
    assert onehot.indices.dtype == np.int32, "a block is indexed with the width its rows are looked at with"
    return Room(positions=np.empty(size), onehot=onehot)


def count_numbers(column: Column, number_map: NumberMap, into: npt.NDArray[np.int64], room: Room) -> int:
    """Count a numeric column into the map's cells, and tell how many of its values are NaN.

    Numpy's warnings of floating point must be off.
    """
    if not len(column):
        into[:] = 0
        return 0
    table = _count_block(column[:BLOCK], number_map, room)
    for at in range(BLOCK, len(column), BLOCK):
        table = np.add(table, _count_block(column[at : at + BLOCK], number_map, room), dtype=np.int64)
    into[OUTER:-OUTER] = table[SPARE:TOP]
    into[:OUTER] = table[FAR_BELOW], _sum(table[MISSING + 1 : SPARE])
    into[-OUTER:] = _sum(table[TOP:FAR_ABOVE]), table[FAR_ABOVE]
    return int(table[MISSING])


def _count_block(column: Column, number_map: NumberMap, room: Room) -> npt.NDArray[np.integer]:
    n = len(column)
    positions, indices = room.positions[:n], room.onehot.indices[:n]
    number_map.positions(column.astype(np.float64, copy=False), out=positions)
    np.copyto(indices, positions, casting="unsafe")
    room.onehot.indptr[1] = n
    reach = min(SPARE - 2, int(number_map.far))
    # Below 0 an index is, without its sign, a huge one. NaN becomes 0 or the least integer.
    counts = room.onehot @ ONE if np.maximum.reduce(indices.view(np.uint32)) < TOP + reach else None
    if counts is None or np.count_nonzero(counts[: SPARE - reach + 1]):
        _index_with_care(positions, number_map.far, indices)
        counts = room.onehot @ ONE
    return np.asarray(counts)


def _index_with_care(positions: Values, far: float, indices: npt.NDArray[np.int32]) -> None:
    np.copyto(indices, np.clip(positions, SPARE - 1, TOP), casting="unsafe")
    indices[positions < SPARE - far] = FAR_BELOW
    indices[positions > TOP + far] = FAR_ABOVE
    indices[np.isnan(positions)] = MISSING


def _sum(counts: npt.NDArray[np.integer]) -> int:
    return int(np.add.reduce(counts, dtype=counts.dtype))
