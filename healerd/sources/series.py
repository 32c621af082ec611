"""Read one numeric series out of a table. Must never guess between two columns that could both be meant."""

# ruff: noqa: S608 - the names in SQL are made here or quoted; every value is bound

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from healerd.columns import Times
from healerd.errors import SourceError
from healerd.segments.duck import quoted
from healerd.sources.relation import Relation, Type, open_relation

__all__ = ["SeriesFile", "read_series"]

STEP = np.timedelta64(60, "s")
BEGIN = np.datetime64("2000-01-01T00:00:00", "us")
"""Where no column holds times, points are taken a minute apart from here."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesFile:
    """The points of one series in their order: their times (naive UTC) and values (NaN where missing)."""

    value: str
    at: Times
    values: npt.NDArray[np.float64]


def read_series(path: Path, *, time: str | None = None, value: str | None = None) -> SeriesFile:
    """Read a series; `time` and `value` name its columns, and may be left out where only one column can be meant.

    The points stay in the file's order: a clock that was set back is part of the series.

    Raises:
        SourceError: the file cannot be read, a column is missing, is not of its kind, or several could be meant.
    """
    if path.is_dir() or not path.exists():
        raise SourceError(f"there is no file `{path}`: name one CSV or Parquet file")
    table = open_relation(path.name, path.parent, whole=True)
    table.require(*(name for name in (time, value) if name is not None))
    time = time or _only(table, "time", besides=(value,))
    value = value or _only(table, "numeric", besides=(time,))
    if value is None:
        raise SourceError(f"`{path}` has no column of numbers: name one with `--value`")
    if table.type_of(value) != "numeric":
        raise SourceError(f"`{path}`, column `{value}` is a {table.types[value]}, not a number")
    at_sql = "NULL::TIMESTAMP" if time is None else table.time_sql(time)
    at, values = table.fetch(f"SELECT {at_sql} AS t, {quoted(value)}::DOUBLE AS v FROM {table.sql}")
    if time is None:
        at = BEGIN + STEP * np.arange(len(values))
    elif np.ma.getmaskarray(at).any():
        table.refuse(time, f"{at_sql} IS NULL", "is no time; write times as `2026-01-31T12:00:00Z`")
    return SeriesFile(
        value=value, at=np.asarray(at, "datetime64[us]"), values=np.ma.filled(values.astype(np.float64), np.nan)
    )


def _only(table: Relation, kind: Type, *, besides: Collection[str | None]) -> str | None:
    found = [name for name in table.types if table.type_of(name) == kind and name not in besides]
    if len(found) > 1:
        option = "--time" if kind == "time" else "--value"
        raise SourceError(
            f"`{table.path}`: {', '.join(map('`{}`'.format, found))} could be meant: name one with `{option}`"
        )
    return found[0] if found else None
