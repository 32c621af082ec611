"""The safe model: the usual answer of rows like this one, by one or two columns. What a fallback serves.

A median (of a quantity) or a majority (of a class) within groups, from the finest group that was seen often enough
down to the answer over all rows. Must never fail on a row: missing columns, unseen values and broken numbers lead to
a coarser group. It prefers text columns, because a fault upstream more often bends numbers than names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from healerd.columns import Column, is_missing, kind_of

__all__ = ["Levels", "SafeModel", "Table", "fit_safe_model"]

ROWS_MAX = 50_000
GROUP_ROWS_MIN = 5
LEVELS_MAX = 2_000
CELLS_MAX = 100_000
CELLS_MAX = 100_000
BINS = 16
PAIRED_COLUMNS = 4
WORTHWHILE = 0.95
"""A grouping must cut the held-out error to this share of the coarser one's, or the coarser one stays."""

Codes = npt.NDArray[np.intp]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Levels:
    """How one column becomes codes 0..count-1; -1 is a value never seen, or missing."""

    column: str
    names: Mapping[str, int] | None
    edges: Numbers | None
    count: int

    def code(self, column: Column) -> Codes:
        """Code n values."""
        if self.names is not None:
            names = self.names
            return np.fromiter((names.get(value, -1) for value in column), np.intp, len(column))
        assert self.edges is not None, "a column has names or edges"
        numbers = np.asarray(column, dtype=np.float64)
        codes = np.searchsorted(self.edges, numbers, side="right")
        return np.where(np.isfinite(numbers), codes, -1).astype(np.intp)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """The answer of each group of one grouping; NaN where too few rows were seen."""

    levels: tuple[Levels, ...]
    answers: Numbers

    def look_up(self, codes: Sequence[Codes]) -> Numbers:
        """Answer n rows from their codes, one array a column of the grouping."""
        cell, known = _cells(self.levels, codes)
        return np.where(known, self.answers[np.where(known, cell, 0)], np.nan)


class SafeModel:
    """Groupings from coarse to fine, and the answer over all rows; `classes` turns class numbers into the labels."""

    def __init__(self, *, overall: float, tables: tuple[Table, ...], classes: Column | None) -> None:
        self.overall, self.tables, self.classes = overall, tables, classes

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the finest grouping."""
        return tuple(levels.column for levels in self.tables[-1].levels) if self.tables else ()

    def predict(self, features: Mapping[str, Column]) -> Column:
        """Answer n rows; never raises on what the rows hold. With no column at all there are no rows to answer."""
        rows = len(next(iter(features.values()))) if features else 0
        out = np.full(rows, self.overall)
        for table in self.tables:
            if all(_fits(levels, features) for levels in table.levels):
                found = table.look_up([levels.code(features[levels.column]) for levels in table.levels])
                out = np.where(np.isnan(found), out, found)
        return out if self.classes is None else self.classes[out.astype(np.intp)]


def fit_safe_model(features: Mapping[str, Column], label: Column) -> SafeModel:
    """Fit on the labelled ones of n rows, at most the 50,000 newest. Raises ValueError when no row has a label."""
    known = np.flatnonzero(~is_missing(label))[-ROWS_MAX:]
    if not len(known):
        raise ValueError("no row has a label")
    values, classes = _numbers(label[known])
    levels = _all_levels({name: column[known] for name, column in features.items()})
    coded = {each.column: each.code(features[each.column][known]) for each in levels}
    tables = _choose(levels, coded, values, majority=classes is not None)
    return SafeModel(overall=_answer(values, majority=classes is not None), tables=tables, classes=classes)


def _numbers(label: Column) -> tuple[Numbers, Column | None]:
    """Turn labels into numbers; classes (text, or few whole numbers) into class numbers with their labels."""
    if kind_of(label) == "categorical":
        names = sorted(set(label))
        position = {name: float(i) for i, name in enumerate(names)}
        return np.array([position[value] for value in label]), np.array(names, dtype=np.object_)
    distinct = np.unique(label)
    if len(distinct) <= 20 and np.array_equal(distinct, np.round(distinct)):
        return np.searchsorted(distinct, label).astype(np.float64), distinct
    return label.astype(np.float64), None


def _all_levels(features: Mapping[str, Column]) -> tuple[Levels, ...]:
    """Code the text columns; only where there is none, the numeric ones in bins."""
    text = [_named(name, column) for name, column in features.items() if kind_of(column) == "categorical"]
    usable = [levels for levels in text if 1 < levels.count <= LEVELS_MAX]
    if usable:
        return tuple(usable)
    numeric = [_binned(name, column) for name, column in features.items() if kind_of(column) == "numeric"]
    return tuple(levels for levels in numeric if levels.count > 1)


def _named(name: str, column: Column) -> Levels:
    names = sorted({value for value in column if value is not None})
    return Levels(column=name, names={value: i for i, value in enumerate(names)}, edges=None, count=len(names))


def _binned(name: str, column: Column) -> Levels:
    known = column[np.isfinite(column)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.empty(0)
    return Levels(column=name, names=None, edges=edges, count=len(edges) + 1)


def _choose(
    levels: Sequence[Levels], coded: Mapping[str, Codes], values: Numbers, *, majority: bool
) -> tuple[Table, ...]:
    """Choose the best column, then the best pair, each only if it is worth it on rows that did not fit it."""
    train = np.arange(len(values)) % 2 == 0

    def error(group: tuple[Levels, ...]) -> float:
        table = _table(group, [coded[each.column][train] for each in group], values[train], majority=majority)
        found = table.look_up([coded[each.column][~train] for each in group])
        return _error(np.where(np.isnan(found), overall, found), values[~train], majority=majority)

    overall = _answer(values[train], majority=majority)
    best = _error(np.full(int((~train).sum()), overall), values[~train], majority=majority)
    singles = sorted(((error((each,)), each.column, (each,)) for each in levels), key=lambda found: found[:2])
    near = [group[0] for _, _, group in singles[:PAIRED_COLUMNS]]
    pairs = sorted(
        ((error(pair), pair[0].column, pair) for pair in combinations(near, 2) if _small(pair)),
        key=lambda found: found[:2],
    )
    tables: tuple[Table, ...] = ()
    for ranked in (singles[:1], pairs[:1]):
        for found, _, group in ranked:
            if found < WORTHWHILE * best:
                best = found
                codes = [coded[each.column] for each in group]
                tables = (*tables, _table(group, codes, values, majority=majority))
    return tables


def _small(group: tuple[Levels, ...]) -> bool:
    return int(np.prod([each.count for each in group])) <= CELLS_MAX


def _table(levels: tuple[Levels, ...], codes: Sequence[Codes], values: Numbers, *, majority: bool) -> Table:
    cell, known = _cells(levels, codes)
    cells = int(np.prod([each.count for each in levels]))
    fit = _majorities if majority else _medians
    return Table(levels=levels, answers=fit(cell[known], values[known], cells=cells))


def _cells(levels: Sequence[Levels], codes: Sequence[Codes]) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """Number the group of each row, and mark the rows whose values are all known."""
    cell = np.zeros(len(codes[0]), np.intp)
    known = np.ones(len(codes[0]), np.bool_)
    for each, code in zip(levels, codes, strict=True):
        cell = cell * each.count + np.maximum(code, 0)
        known &= code >= 0
    return cell, known


def _medians(cell: Codes, values: Numbers, *, cells: int) -> Numbers:
    """Take the median of each group by one sort."""
    order = np.lexsort((values, cell))
    counts = np.bincount(cell, minlength=cells)
    starts = np.cumsum(counts) - counts
    often = counts >= GROUP_ROWS_MIN
    low, high = starts + np.maximum(counts - 1, 0) // 2, starts + counts // 2
    ordered = values[order]
    out = np.full(cells, np.nan)
    out[often] = (ordered[low[often]] + ordered[high[often]]) / 2
    return out


def _majorities(cell: Codes, values: Numbers, *, cells: int) -> Numbers:
    """Take the most frequent class of each group; the first of equals."""
    classes = int(values.max(initial=0)) + 1
    pair, counts = np.unique(cell * classes + values.astype(np.intp), return_counts=True)
    totals = np.bincount(pair // classes, weights=counts, minlength=cells)
    order = np.lexsort((-pair, counts))  # ascending: the last written of a group is its most frequent class
    out = np.full(cells, np.nan)
    out[pair[order] // classes] = pair[order] % classes
    out[totals < GROUP_ROWS_MIN] = np.nan
    return out


def _answer(values: Numbers, *, majority: bool) -> float:
    return float(np.bincount(values.astype(np.intp)).argmax()) if majority else float(np.median(values))


def _error(out: Numbers, values: Numbers, *, majority: bool) -> float:
    if not len(values):
        return 0.0
    return float(np.mean(out != values)) if majority else float(np.mean(np.abs(out - values)))


def _fits(levels: Levels, features: Mapping[str, Column]) -> bool:
    """Tell whether the rows have the column, of the kind it was fitted on."""
    column = features.get(levels.column)
    return column is not None and kind_of(column) == ("categorical" if levels.names is not None else "numeric")
