"""Columns of many pipelines: tables of what compiled rules read, and what their source's words mean over numpy.

It never judges a row by itself and never fills a gap: what no column holds is unknown for every row.
"""

import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from healerd_rules import core
from healerd_rules.calendars import contains
from healerd_rules.inputs import known
from healerd_rules.rows import Codes, Layout, Row, Slot
from healerd_rules.schema import Type

__all__ = ["COLUMN_WORDS", "Table", "make_table", "stack"]

Array = npt.NDArray[Any]
LARGEST = 1e300
"""From here on a fact counts as unknown, as it does for the tree walker."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """`values` in the order of a layout: arrays over `rows` pipelines, or single values that hold for all of them.

    A slot with dimensions is an array [rows, members] (or [rows, members, members]), padded with NaN; the column
    `members(...)` tells which places are members.
    """

    rows: int
    values: tuple[Any, ...]


def stack(layout: Layout, rows: Sequence[Row]) -> Table:
    """The table of rows that `row_of` made."""
    sizes = {
        slot.name: max((len(row[place]) for row in rows), default=0)
        for place, slot in enumerate(layout.slots)
        if slot.kind == "members"
    }
    values = (_stacked(slot, [row[place] for row in rows], sizes) for place, slot in enumerate(layout.slots))
    return Table(len(rows), tuple(values))


def _stacked(slot: Slot, values: list[Any], sizes: Mapping[str, int]) -> Array:
    shape = (len(values), *(sizes[name] for name in slot.dims))
    kind = _kind(slot)
    if not slot.dims:
        return np.array(values, dtype=kind)
    padded = np.full(shape, False if kind is np.bool_ else math.nan, dtype=kind)
    _pour(padded, values, len(slot.dims))
    return padded


def _pour(into: Array, values: Sequence[Any], depth: int) -> None:
    for number, value in enumerate(values):
        if depth > 1:
            _pour(into[number], value, depth - 1)
        else:
            into[number, : len(value)] = value


def _kind(slot: Slot) -> type[np.bool_] | type[np.float64]:
    return np.bool_ if slot.kind in ("members", "scope", "defers") else np.float64


def make_table(layout: Layout, columns: Mapping[str, Any], *, rows: int) -> Table:
    """The table of columns by the labels of their slots, or of single values that hold for every row.

    Numbers: NaN is unknown. Truths: bool, or 1.0, 0.0 and NaN. Texts: str, None is unknown. A column over members is
    [rows, members]. Calendars about `now` are worked out from it; what is not given is unknown, a scope or a deferral
    that is not given is its slot's `resting` value. ValueError for a label that the layout does not have, and for a
    column of another length.
    """
    if strange := sorted(set(columns) - set(layout.places)):
        raise ValueError(f"the rules read no `{strange[0]}`; they read {', '.join(sorted(layout.places))}")
    codes = layout.codes()
    given = {label: _given(layout.slots[layout.places[label]], columns[label], rows, codes) for label in columns}
    widths = _widths(layout, given)
    return Table(
        rows, tuple(given[s.label] if s.label in given else _blank(s, given, rows, widths) for s in layout.slots)
    )


def _given(slot: Slot, column: Any, rows: int, codes: Codes) -> Any:
    array = np.asarray(column, dtype=object if slot.type is Type.TEXT else None)
    if array.ndim and (array.shape[0] != rows or array.ndim != 1 + len(slot.dims)):
        wanted = " x ".join((str(rows), *slot.dims))
        raise ValueError(f"the column `{slot.label}` has shape {array.shape}, expected {wanted}")
    if slot.type is Type.TEXT:
        return np.vectorize(lambda text: codes.number(known(text, Type.TEXT)), otypes=[np.float64])(array)[()]
    found = array.astype(_kind(slot))
    if slot.kind == "fact":
        found = np.where(np.abs(found) < LARGEST, found, math.nan)
    return found[()]


def _widths(layout: Layout, given: Mapping[str, Any]) -> dict[str, int]:
    """How many places each dimension has, by the columns over it."""
    widths = dict.fromkeys(layout.quantified, 0)
    for label, column in given.items():
        slot = layout.slots[layout.places[label]]
        widths.update(zip(slot.dims, np.shape(column)[1:], strict=False))
    return widths


def _blank(slot: Slot, given: Mapping[str, Any], rows: int, widths: Mapping[str, int]) -> Any:
    """What stands where no column is given."""
    shape = (rows, *(widths[name] for name in slot.dims))
    if slot.kind == "members":
        return np.ones(shape, dtype=np.bool_)
    if slot.dims:
        return np.full(shape, math.nan)
    if slot.kind in ("scope", "defers"):
        return np.bool_(slot.resting)
    node = slot.node
    if isinstance(node, core.InCalendar) and isinstance(node.operand, core.Builtin) and "now" in given:
        return _in_calendar(node, np.asarray(given["now"]))
    return np.float64(math.nan)


def _in_calendar(node: core.InCalendar, now: Array) -> Any:
    """Whether moments, in seconds since 1970, lie in the calendar; each different one is looked at once."""
    moments, where = np.unique(now, return_inverse=True)
    inside = [_contains(node, float(moment)) for moment in moments]
    return np.array(inside, dtype=np.float64)[where].reshape(now.shape)[()]


def _contains(node: core.InCalendar, moment: float) -> float:
    try:
        return float(contains(node.calendar, dt.datetime.fromtimestamp(moment, dt.UTC)))
    except (OverflowError, ValueError, OSError):  # unknown, or a moment that no calendar knows
        return math.nan


# the words of the generated source -------------------------------------------


def _level(*grades: Any) -> Any:
    """The strictest level whose truth holds."""
    found: Any = np.int8(0)
    for level, grade in enumerate(grades, 1):
        if np.ndim(grade):
            # a bool is a byte of 0 or 1: looked at as such, nothing is converted
            found = np.maximum(found, grade.view(np.int8) * np.int8(level))
        elif grade:
            found = np.maximum(found, np.int8(level))
    return found


def _widened(value: Any, axis: int) -> Any:
    """A value of an outer loop as it stands in the loop of that axis."""
    return np.expand_dims(value, axis) if np.ndim(value) else value


def _tally(body: Callable[..., Any], depth: int, own: list[Any], outer: list[Any]) -> tuple[Any, Any, Any]:
    """How many members make the body true, how many false, and how many there are."""
    mask, *values = own
    true, false = body(*values, *(_widened(value, depth) for value in outer))
    return (
        np.count_nonzero(true & mask, axis=depth),
        np.count_nonzero(false & mask, axis=depth),
        np.count_nonzero(mask, axis=depth),
    )


def _spread(body: Callable[..., Any], depth: int, own: list[Any], outer: list[Any]) -> list[Any]:
    """The values of all members, NaN where there is none."""
    mask, *values = own
    found = _flat(body(*values, *(_widened(value, depth) for value in outer)))
    return [np.where(np.reshape(mask, mask.shape + (1,) * (np.ndim(x) - mask.ndim)), x, math.nan) for x in found]


def _flat(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _points(*thresholds: Any) -> list[Any]:
    """Columns of confidences between which nothing changes: thresholds, the points between, and unknown.

    A threshold outside [0, 1] stands as 0, which is one anyway.
    """
    found = [np.asarray(value) for value in _flat(thresholds)]
    tables = [np.reshape(x, (x.shape[0], -1)) if x.ndim else np.reshape(x, (1, 1)) for x in found]
    rows = max(table.shape[0] for table in tables)
    edges = np.concatenate([np.broadcast_to(table, (rows, table.shape[1])) for table in tables], axis=1)
    inside = np.where((edges >= 0) & (edges <= 1), edges, 0.0)
    edges = np.sort(np.concatenate([np.zeros((rows, 1)), inside, np.ones((rows, 1))], axis=1), axis=1)
    between = (edges[:, :-1] + edges[:, 1:]) / 2
    return [*edges.T, *between.T, np.float64(math.nan)]


def _anywhere(holds: Callable[[Any], Any], points: Sequence[Any]) -> Any:
    found: Any = np.False_
    for point in points:
        found = found | holds(point)
    return found


def _everywhere(holds: Callable[[Any], Any], points: Sequence[Any]) -> Any:
    found: Any = np.True_
    for point in points:
        found = found & holds(point)
    return found


COLUMN_WORDS: Mapping[str, Any] = {
    "TRUE": np.True_,
    "FALSE": np.False_,
    "NAN": np.float64(math.nan),
    "INF": np.float64(math.inf),
    "div": np.divide,
    "floor": lambda exact: np.floor(exact + 1e-9),
    "ceiling": lambda exact: np.ceil(exact - 1e-9),
    "level": _level,
    "tally": _tally,
    "spread": _spread,
    "points": _points,
    "anywhere": _anywhere,
    "everywhere": _everywhere,
}
