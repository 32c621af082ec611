"""Read labels out of a table of a person's own, in batches, to be joined by id. Must never guess an id or a time."""

# ruff: noqa: S608 - the names in SQL are made here or quoted; every value is bound

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from healerd.columns import Labels
from healerd.errors import SourceError
from healerd.segments.duck import filled, quoted
from healerd.sources.relation import Relation, open_relation

__all__ = ["LabelsFile", "open_labels"]

NO_TIME = np.datetime64("NaT", "us")


class LabelsFile:
    """A CSV or Parquet file with ids and labels: `rows` with a label, `empty` ones whose label is not known yet."""

    def __init__(self, table: Relation, *, id: str, label: str, at: str | None) -> None:  # noqa: A002
        truth = table.types[label] == "BOOLEAN"  # models answer truths as numbers
        self._kind = "numeric" if truth else table.kind_of(label)
        value = f"{quoted(label)}::DOUBLE" if truth else table.value_sql(label, table.kind_of(label))
        time = table.time_sql(at) if at else "NULL::TIMESTAMP"
        self._table = table
        self._sql = f"SELECT {quoted(id)}::VARCHAR AS id, {value} AS label, {time} AS at FROM {table.sql}"
        known, missing = table.fetch(f"SELECT count(label), count(*) - count(label) FROM ({self._sql})")
        self.rows, self.empty = int(known[0]), int(missing[0])

    def batches(self, size: int) -> Iterator[Labels]:
        """Give the labels, at most `size` at a time; a time of NaT is not said. Raises SourceError."""
        ids, label, at = self._table.fetch(f"{self._sql} WHERE label IS NOT NULL")
        times = np.ma.filled(np.ma.asarray(at).astype("datetime64[us]"), NO_TIME)
        texts, labels = (
            filled(ids, "categorical"),
            filled(label, "categorical" if self._kind != "numeric" else "numeric"),
        )
        for start in range(0, len(texts), size):
            stretch = slice(start, start + size)
            yield Labels(ids=texts[stretch], label=labels[stretch], at=times[stretch])


def open_labels(path: Path, *, id: str, label: str, at: str | None) -> LabelsFile:  # noqa: A002
    """Open a file of labels, given the names of its columns.

    Raises:
        SourceError: there is no such file or column, an id is missing, or a time does not parse.
    """
    if path.is_dir() or not path.exists():
        raise SourceError(f"there is no file `{path}`: name one CSV or Parquet file")
    table = open_relation(path.name, path.parent, whole=True, texts=(id,))
    table.require(id, label, *([at] if at else []))
    table.refuse(id, f"{quoted(id)} IS NULL", "is no id of a prediction")
    if table.type_of(label) in {"numeric", "time"}:
        number = "" if table.type_of(label) == "time" else "::DOUBLE"
        table.refuse(label, f"isinf({quoted(label)}{number})", "is no label: it has no bound")
    if at:
        flaw = "is no time; write times as `2026-01-31T12:00:00Z`"
        table.refuse(at, f"{quoted(at)} IS NOT NULL AND {table.time_sql(at)} IS NULL", flaw)
    return LabelsFile(table, id=id, label=label, at=at)
