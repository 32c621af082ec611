"""Read one whole file of a person's own, for `healerd try`. Must never take more than fits: its limits are errors."""

# ruff: noqa: S608 - the names in SQL are made here or quoted; every value is bound

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

import numpy as np

from healerd.columns import Column, Times
from healerd.errors import SourceError
from healerd.segments.duck import filled
from healerd.sources.relation import Relation, open_relation

__all__ = ["VALUES_MAX", "TableFile", "read_table"]

VALUES_MAX = 200_000_000
"""Most values (rows times columns) of one file: about 2 GB as numbers."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TableFile:
    """A file's rows in its order: columns by name, their times where a time column was named, and its sha256."""

    path: Path
    rows: int
    columns: Mapping[str, Column]
    at: Times | None
    sha256: str


def read_table(path: Path, *, time: str | None = None) -> TableFile:
    """Read a CSV or Parquet file. With `time`, that column becomes the rows' times, which must not go backwards.

    Raises:
        SourceError: the file is missing, empty, damaged, too wide or too large, a column is neither numbers nor text,
            or the time column is missing, does not parse or goes backwards; the message says where, and the mend.
    """
    if path.is_dir() or not path.exists():
        raise SourceError(f"there is no file `{path}`: name one CSV or Parquet file")
    table = open_relation(path.name, path.parent, whole=True)
    names = [name for name in table.types if name != time]
    at_sql = _time_sql(table, time) if time is not None else "NULL::TIMESTAMP"
    _check_size(table)
    values = ", ".join(f"{table.value_sql(name, table.kind_of(name))} AS f{index}" for index, name in enumerate(names))
    at, *columns = table.fetch(f"SELECT {at_sql} AS t{', ' if values else ''}{values} FROM {table.sql}")
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return TableFile(
        path=path,
        rows=len(at),
        columns={name: filled(column, table.kind_of(name)) for name, column in zip(names, columns, strict=True)},
        at=_checked(table, time, at) if time is not None else None,
        sha256=digest,
    )


def _time_sql(table: Relation, time: str) -> str:
    table.require(time)
    return table.time_sql(time)


def _check_size(table: Relation) -> None:
    ((rows,),) = table.fetch(f"SELECT count(*) AS n FROM {table.sql}")
    if rows == 0:
        raise SourceError(f"`{table.path}` has no rows")
    if rows * len(table.types) > VALUES_MAX:
        raise SourceError(
            f"`{table.path}` has {rows:,} rows of {len(table.types):,} columns, more than {VALUES_MAX:,} values: "
            "take a part of it, or fewer columns"
        )


def _checked(table: Relation, time: str, at: Column) -> Times:
    if np.ma.getmaskarray(at).any():
        table.refuse(time, f"{table.time_sql(time)} IS NULL", "is no time; write times as `2026-01-31T12:00:00Z`")
    times: Times = np.asarray(at, "datetime64[us]")
    back = np.flatnonzero(times[1:] < times[:-1])
    if len(back):
        row = int(back[0]) + 1
        raise SourceError(
            f"`{table.path}`, row {row + 1:,}, column `{time}`: `{times[row]}` is before the row above it "
            f"(`{times[row - 1]}`); sort the file by `{time}`"
        )
    return times
