"""Read one whole file as it is and tell its flaws, for a report on it. Must never drop a value without saying so.

Where `read_table` refuses a file that a model could not be trained on, this one reads on: text among numbers stays in
its place to be counted as of the wrong type, rows out of order are sorted, and each such thing is a `Flaw` that names
column and rows. Only what has no meaning at all is an error.
"""

# ruff: noqa: S608 - the names in SQL are made here or quoted; every value is bound

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import file_digest
from pathlib import Path

import numpy as np
import numpy.typing as npt

from healerd.columns import Column, Kind, Mask, Times
from healerd.errors import SourceError
from healerd.segments.duck import filled, quoted
from healerd.segments.times import naive
from healerd.sources.file import VALUES_MAX
from healerd.sources.relation import Relation, open_relation

__all__ = ["Flaw", "Survey", "survey"]

NUMBERS_MIN = 0.95
"""A column of text of which at least this share are numbers is meant to be one of numbers."""
ZONE = r"\d:\d\d.*([Zz]|[+-]\d\d(:?\d\d)?)\s*$"
"""A time of day with a zone after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Something odd about a column: how many rows, the first and the last of them (from 1), and what it is."""

    column: str
    count: int
    first: int
    last: int
    said: str

    def __str__(self) -> str:
        rows = f"row {self.first:,}" if self.first == self.last else f"rows {self.first:,} to {self.last:,}"
        return f"column `{self.column}`, {rows}: {self.said}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """A file's rows in the order of their times: columns, times where a column of them was named, and its flaws.

    `numbers` are the rows' places in the file, from 1. `left_out` says of each column that holds neither numbers nor
    names why it is not among the columns.
    """

    path: Path
    rows: int
    columns: Mapping[str, Column]
    at: Times | None
    known_at: Times | None
    numbers: npt.NDArray[np.intp]
    flaws: tuple[Flaw, ...]
    left_out: Mapping[str, str]
    sha256: str


def survey(
    path: Path,
    *,
    kinds: Mapping[str, Kind] | None = None,
    time: str | None = None,
    label: str | None = None,
    label_time: str | None = None,
    ignored: Collection[str] = (),
    now: datetime | None = None,
) -> Survey:
    """Read a CSV or Parquet file. `kinds` are those the reference has; without it the file's own count.

    `time` is when a row was predicted, `label_time` when its `label` became known: not asked for where that column is
    absent. Times after `now` are a flaw.

    Raises:
        SourceError: the file is missing, empty, damaged, too wide or too large; a time does not parse; or, without
            `kinds`, a column of numbers holds text. The message names column and rows, and the mend.
    """
    if path.is_dir() or not path.exists():
        raise SourceError(f"there is no file `{path}`: name one CSV or Parquet file")
    texts = {name for name, kind in (kinds or {}).items() if kind == "categorical"} | {time, label_time}
    table = open_relation(path.name, path.parent, whole=True, texts=texts)
    label_time = None if label is not None and label not in table.types else label_time
    named = [name for name in (time, label_time, *ignored) if name is not None]
    table.require(*named)
    _check_size(table)
    left_out = {name: why for name in table.types if name not in named and (why := _unusable(table, name))}
    names = [name for name in table.types if name not in named and name not in left_out]
    found = [_column(table, name, None if kinds is None else kinds.get(name)) for name in names]
    at, flaws = (None, []) if time is None else _times(table, time, now)
    known_at = None if label_time is None else _known(table, label_time)
    rows = len(found[0][0]) if found else 0
    order = np.arange(rows) if at is None else np.argsort(at, kind="stable")
    columns = {name: column[order] for name, (column, _) in zip(names, found, strict=True)}
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return Survey(
        path=path,
        rows=rows,
        columns=columns,
        at=None if at is None else at[order],
        known_at=None if known_at is None else known_at[order],
        numbers=order + 1,
        flaws=(*flaws, *(flaw for _, flaw in found if flaw is not None)),
        left_out=left_out,
        sha256=digest,
    )


def _check_size(table: Relation) -> None:
    ((rows,),) = table.fetch(f"SELECT count(*) AS n FROM {table.sql}")
    if rows == 0:
        raise SourceError(f"`{table.path}` has no rows")
    if rows * len(table.types) > VALUES_MAX:
        raise SourceError(
            f"`{table.path}` has {rows:,} rows of {len(table.types):,} columns, more than {VALUES_MAX:,} values: "
            "take a part of it, or leave columns out with `--ignore`"
        )


def _unusable(table: Relation, name: str) -> str | None:
    match table.type_of(name):
        case "time":
            return "times are no feature: they always grow"
        case "other":
            return f"a {table.types[name]} is no number and no name"
        case _:
            return None


def _column(table: Relation, name: str, wanted: Kind | None) -> tuple[Column, Flaw | None]:
    """Fetch a column, and what is odd about it."""
    if table.kind_of(name) == "numeric":
        (values,) = table.fetch(f"SELECT {table.value_sql(name, 'numeric')} AS f FROM {table.sql}")
        column = filled(values, "numeric")
        if wanted == "categorical":
            flaw = _flaw(name, ~np.isnan(column), "{count} are numbers, in the reference they are names")
            return column, flaw
        return column, None
    (texts,) = table.fetch(f"SELECT {table.value_sql(name, 'categorical')} AS f FROM {table.sql}")
    column = filled(texts, "categorical")
    if wanted == "categorical":
        return column, None
    numbers, bad = _numbers(table, name, column)
    present = int(np.count_nonzero([value is not None for value in column]))
    if wanted == "numeric":
        return _mixed(column, numbers, bad), _flaw(name, bad, _not_numbers(column, bad))
    if present and bad.any() and np.count_nonzero(bad) <= (1 - NUMBERS_MIN) * present:
        flaw = _flaw(name, bad, _not_numbers(column, bad))
        raise SourceError(f"`{table.path}`, {flaw}; mend or empty the values, or leave it out with `--ignore {name}`")
    return column, None


def _numbers(table: Relation, name: str, column: Column) -> tuple[npt.NDArray[np.float64], Mask]:
    """The text read as numbers, NaN where it is none, and which rows hold text that is no number."""
    if table.files[0].endswith((".parquet", ".pq")):  # a Parquet column of text is one on purpose
        return np.full(len(column), np.nan), np.array([value is not None for value in column], np.bool_)
    # Not DuckDB's try_cast: it is pushed down into the reader of CSV files, where it fails instead of giving NULL.
    known = {text: _number(text) for text in set(column.tolist())}
    numbers = np.array([known[text] for text in column.tolist()], np.float64)
    texts = {text for text in known if text is not None and known[text] is None}
    return numbers, np.array([text in texts for text in column.tolist()], np.bool_)


def _number(text: str | None) -> float | None:
    """Read a number; None when it is none. `1_000` is text here, as in any other table."""
    try:
        return None if text is None or "_" in text else float(text)
    except ValueError:
        return None


def _mixed(column: Column, numbers: npt.NDArray[np.float64], bad: Mask) -> Column:
    """Numbers where they are, and the text that is none left in its place."""
    if not bad.any():
        return numbers
    mixed = numbers.astype(np.object_)
    mixed[bad] = column[bad]
    return mixed


def _not_numbers(column: Column, bad: Mask) -> str:
    return f"{{count}} are text such as `{column[bad][0]}`, not numbers" if bad.any() else ""


def _flaw(name: str, where: Mask, said: str) -> Flaw | None:
    rows = np.flatnonzero(where)
    if not len(rows):
        return None
    count = f"{len(rows):,} value{'s' if len(rows) > 1 else ''}"
    said = said.replace("{count} are", f"{count} {'are' if len(rows) > 1 else 'is'}").replace("{count}", count)
    return Flaw(column=name, count=len(rows), first=int(rows[0]) + 1, last=int(rows[-1]) + 1, said=said)


def _times(table: Relation, time: str, now: datetime | None) -> tuple[Times, list[Flaw]]:
    sql = table.time_sql(time)
    (found,) = table.fetch(f"SELECT {sql} AS t FROM {table.sql}")
    if np.ma.getmaskarray(found).any():
        table.refuse(time, f"{sql} IS NULL", "is no time; write times as `2026-01-31T12:00:00Z`")
    at: Times = np.asarray(found, "datetime64[us]")
    back = np.concatenate([[False], at[1:] < at[:-1]])
    late = at > naive(now) if now is not None else np.zeros(len(at), np.bool_)
    told = [
        _flaw(time, back, "{count} are before the row above, the file is read in the order of time"),
        _flaw(time, late, f"{{count}} are in the future, up to `{at.max()}`"),
        _zones(table, time),
    ]
    return at, [flaw for flaw in told if flaw is not None]


def _zones(table: Relation, time: str) -> Flaw | None:
    """Rows without a zone where others have one."""
    if table.types[time] != "VARCHAR":
        return None
    (zoned,) = table.fetch(f"SELECT regexp_matches({quoted(time)}, $zone) AS z FROM {table.sql}", {"zone": ZONE})
    without = ~np.asarray(zoned, np.bool_)
    return (
        _flaw(time, without, "{count} are without a zone beside others with one, taken as UTC") if any(zoned) else None
    )


def _known(table: Relation, name: str) -> Times:
    """When labels became known; NaT where they never did."""
    sql = table.time_sql(name)
    table.refuse(name, f"{quoted(name)} IS NOT NULL AND {sql} IS NULL", "is no time; write `2026-01-31T12:00:00Z`")
    (found,) = table.fetch(f"SELECT {sql} AS t FROM {table.sql}")
    at: Times = np.ma.getdata(found).astype("datetime64[us]")
    at[np.ma.getmaskarray(found)] = np.datetime64("NaT")
    return at
