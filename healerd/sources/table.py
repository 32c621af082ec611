"""Predictions and labels from tables: any CSV or Parquet file, glob or folder, or a query. Must never change them."""

# ruff: noqa: S608 - the names in SQL are made here or quoted; every value is bound

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from healerd.columns import Column, Kind, Labels, Predictions, is_missing
from healerd.config import LabelsSettings, SourceSettings
from healerd.errors import SourceError
from healerd.segments.duck import SQL_TYPES, filled, literal, quoted
from healerd.segments.times import aware, naive
from healerd.sources.growing import ends_of, lies_before, written_since
from healerd.sources.query import Session, check_query, open_query
from healerd.sources.relation import Relation, Type, header_of, number_text, open_relation

__all__ = ["TableSource"]

LONG_AGO = (datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, 1, tzinfo=UTC))
UNKNOWN = "unknown"
"""The version of a row whose version column is empty."""


class TableSource:
    """A table that something else writes, read anew each time; labels in a column of it, or in a table of their own.

    Without an id column, an id is made from the row's content (all but its label and version, and what is missing), so
    that columns may come, go and change places. Equal rows are numbered in the order of the file: rows may be appended,
    not reordered. Where the rows or the labels come from a query, both are read in one `Session`. `growing`: they are
    served rows, and somebody may be writing the files; else each flaw is an error.

    Raises:
        SourceError: the settings cannot be used: labels without an id column, or a query that is none.
    """

    def __init__(
        self, settings: SourceSettings, folder: Path, active: Callable[[], str], *, growing: bool = True
    ) -> None:
        if settings.labels and not settings.id:
            raise SourceError("labels in a table of their own are joined by id: set `source.id` to the id column")
        self._settings, self._folder, self._active, self._growing = settings, folder, active, growing
        asked = (("source.query", settings.query), ("source.labels.query", settings.labels and settings.labels.query))
        for place, query in asked:
            if query:
                check_query(query, place)
        self._session = Session(settings, folder) if any(query for _, query in asked) else None

    def fetch(self, start_at: datetime, end_at: datetime) -> Predictions:
        """Read the predictions of [start_at, end_at); see `Source`."""
        table = self._open(_times(start_at, end_at))
        output, features = table.kind_of(self._settings.prediction), self._features(table)
        names = self._settings
        scored = [names.score] if names.score else []
        listed = "".join(f", f{index}" for index in range(len(features) + len(scored)))
        # Text where numbers are predicted has no number here; what is served has it told by who asks for `labels`.
        if not self._growing and names.label and (output, table.kind_of(names.label)) == ("numeric", "categorical"):
            flaw = f"{quoted(names.label)} IS NOT NULL AND ({table.number_sql(names.label)}) IS NULL"
            table.refuse(names.label, flaw, "is no number, as predictions are")
        known = table.number_sql("label") if output == "numeric" else "label"
        sql = f"""SELECT {self._id(table)} AS id, "at", version, output, {known} AS label{listed}
            FROM ({self._served(table)}) ORDER BY n"""
        with self._whole_lines(table, end_at):
            ids, at, version, outputs, label, *values = table.fetch(sql)
        self._check_rows(table, ids, at)
        versions = filled(version, "categorical")
        versions[is_missing(versions)] = UNKNOWN if self._settings.version else self._active()
        score = filled(values.pop(), "numeric") if scored else None
        return Predictions(
            ids=filled(ids, "categorical"),
            at=np.asarray(at, "datetime64[us]"),
            version=versions,
            output=filled(outputs, output),
            label=filled(label, output),
            features={name: filled(v, table.kind_of(name)) for name, v in zip(features, values, strict=True)},
            score=score,
        )

    def labels(self, start_at: datetime, end_at: datetime, now: datetime) -> Labels:
        """Read the labels known at `now` of the predictions of [start_at, end_at); see `Source`."""
        bound = {**_times(start_at, end_at), "now": naive(now).item()}
        table = self._open(bound)
        served = f"SELECT {self._id(table)} AS id, label, n FROM ({self._served(table)})"
        if self._settings.labels:
            kind, (ids, label, at) = self._joined(table, self._settings.labels, served)
        else:
            kind = _label(table, self._settings.prediction, table, self._settings.label)[1]
            sql = f"SELECT id, label, $now::TIMESTAMP FROM ({served}) WHERE label IS NOT NULL ORDER BY n"
            with self._whole_lines(table, end_at):
                ids, label, at = table.fetch(sql)
        return Labels(ids=filled(ids, "categorical"), label=filled(label, kind), at=np.asarray(at, "datetime64[us]"))

    def inputs(self, start_at: datetime, end_at: datetime) -> Mapping[str, Column]:
        """Read the features of [start_at, end_at) alone, in any order: what a profile needs."""
        table = self._open(_times(start_at, end_at))
        at, names = table.time_sql(self._settings.time), self._features(table)
        listed = ", ".join(f"{table.value_sql(name, table.kind_of(name))} AS f{n}" for n, name in enumerate(names))
        columns = table.fetch(f"SELECT {listed} FROM {table.sql} WHERE {at} >= $start_at AND {at} < $end_at")
        return {name: filled(column, table.kind_of(name)) for name, column in zip(names, columns, strict=True)}

    def schema(self) -> Mapping[str, str]:
        """Tell the columns of the table, whatever the settings name: the SQL type of each by its name."""
        return self._relation({}).types

    def kinds(self) -> Mapping[str, Type]:
        """Tell what each column can be, whatever the settings name."""
        table = self._relation({})
        return {name: table.type_of(name) for name in table.types}

    def roles(self) -> Mapping[str, str]:
        """Tell what the settings take columns for, by their names; those not named are features, or not used."""
        names = self._settings
        given = {
            "time": names.time,
            "id": names.id,
            "prediction": names.prediction,
            "version": names.version,
            "label": names.label,
            "score": names.score,
        }
        return {column: role for role, column in given.items() if column}

    def span(self, start_at: datetime, end_at: datetime) -> tuple[int, datetime, datetime]:
        """Count the rows of [start_at, end_at), and find the oldest and the newest time; the bounds where none is."""
        table = self._open(_times(start_at, end_at))
        at = table.time_sql(self._settings.time)
        sql = f"""SELECT count(*) AS n, min({at}) AS s, max({at}) AS t
            FROM {table.sql} WHERE {at} >= $start_at AND {at} < $end_at"""
        (count,), oldest, newest = table.fetch(sql)
        if not count:
            return 0, start_at, end_at
        return int(count), aware(np.ma.getdata(oldest)[0]), aware(np.ma.getdata(newest)[0])

    def _joined(self, table: Relation, names: LabelsSettings, served: str) -> tuple[Kind, list[Any]]:
        """Read the labels of the served rows from the table of labels, the one that was known first before others."""
        truth = self._labels(names, table)
        truth.require(names.id, names.label, *([names.at] if names.at else []))
        at = truth.time_sql(names.at) if names.at else "$now::TIMESTAMP"
        label, kind = _label(table, self._settings.prediction, truth, names.label)
        sql = f"""SELECT id, label, known FROM (
                SELECT {truth.text_sql(names.id)} AS id, {label} AS label, {at} AS known, {truth.row_sql} AS n
                FROM {truth.sql}
            ) WHERE label IS NOT NULL AND (known IS NULL OR known <= $now)
            AND id IN (SELECT id FROM ({served})) ORDER BY known, n"""
        ends = ends_of(truth.files) if truth.is_csv else {}
        found = truth.fetch(sql)
        if partial := {row.get(names.id) for row in written_since(ends, header_of)}:  # found whole the next time
            whole = np.fromiter((each not in partial for each in found[0]), np.bool_, len(found[0]))
            found = [column[whole] for column in found]
        if names.at and np.ma.getmaskarray(found[2]).any():
            truth.refuse(names.at, f"{at} IS NULL", _NO_TIME)
        return kind, found

    def _labels(self, names: LabelsSettings, table: Relation) -> Relation:
        """Open the table of labels beside that of the predictions, so that one query can read both."""
        if names.query:
            assert self._session is not None, "the constructor made it"
            truth = open_query(self._session, names.query, "source.labels.query", table.bound)
        else:
            truth = open_relation(names.path, self._folder, name="label_files", texts={names.id}, times={names.at})
        run = truth.run if self._session is None else self._session.fetch
        return replace(truth, bound={**table.bound, **truth.bound}, run=run)

    def _relation(self, bound: Mapping[str, Any]) -> Relation:
        """Open what the settings name; a query's columns are told within some window, an hour of 1970 without one."""
        names = self._settings
        if names.query:
            assert self._session is not None, "the constructor made it"
            return open_query(self._session, names.query, "source.query", {**_times(*LONG_AGO), **bound})
        table = open_relation(names.path, self._folder, texts={names.id, names.version}, times={names.time})
        return replace(table, bound={**table.bound, **bound})

    def _open(self, bound: Mapping[str, Any]) -> Relation:
        names, table = self._settings, self._relation(bound)
        optional = (names.id, names.version, names.label, names.score)
        table.require(names.time, names.prediction, *(name for name in optional if name), *(names.features or ()))
        if names.score and table.kind_of(names.score) != "numeric":
            kind = table.types[names.score]
            raise SourceError(f"`{table.path}`, column `{names.score}` is a {kind}, but a score is a number")
        return table

    @contextmanager
    def _whole_lines(self, table: Relation, end_at: datetime) -> Iterator[None]:
        """Refuse what is read within, where a line that may be of before `end_at` was not whole the whole time.

        Raises:
            SourceError: there is one; it is read at a later attempt, or once nobody has written the file for a minute.
        """
        ends = ends_of(table.files) if self._growing and table.is_csv else {}
        yield
        if any(lies_before(row, self._settings.time, end_at) for row in written_since(ends, header_of)):
            raise SourceError(
                f"`{table.path}` is being written: a line that may be of what was asked for has no end yet, or came "
                "during the reading; it is read again at the next attempt"
            )

    def _features(self, table: Relation) -> list[str]:
        names = self._settings
        taken = {names.time, names.id, names.prediction, names.version, names.label, names.score}
        return names.features if names.features is not None else [name for name in table.types if name not in taken]

    def _served(self, table: Relation) -> str:
        """Select the rows of the window, or without a time, under names of ours."""
        names, kind = self._settings, table.kind_of(self._settings.prediction)
        label, _ = _label(table, names.prediction, table, names.label)
        features = "".join(
            f", {table.value_sql(name, table.kind_of(name))} AS f{index}"
            for index, name in enumerate(self._features(table))
        )
        if names.score:
            features += f", {table.value_sql(names.score, 'numeric')} AS f{len(self._features(table))}"
        at = table.time_sql(names.time)
        return f"""SELECT {table.row_sql} AS n, {at} AS "at", {_text(table, names.id)} AS given,
            {_text(table, names.version)} AS version, {table.value_sql(names.prediction, kind)} AS output,
            {label} AS label{features}
            FROM {table.sql} WHERE ({at} >= $start_at AND {at} < $end_at) OR {at} IS NULL"""

    def _id(self, table: Relation) -> str:
        if self._settings.id:
            return "given"
        named = sorted((name, f"f{index}") for index, name in enumerate(self._features(table)))
        values = [f"{literal(name)} || chr(30) || {_alike(value)}" for name, value in named]
        digest = f"md5(concat_ws(chr(31), {', '.join([quoted('at'), _alike('output'), *values])}))"
        return f"{digest} || '-' || row_number() OVER (PARTITION BY {digest} ORDER BY n)"

    def _check_rows(self, table: Relation, ids: Any, at: Any) -> None:
        if np.ma.getmaskarray(at).any():
            table.refuse(self._settings.time, f"{table.time_sql(self._settings.time)} IS NULL", _NO_TIME)
        if self._settings.id and np.ma.getmaskarray(ids).any():
            table.refuse(self._settings.id, f"{quoted(self._settings.id)} IS NULL", "is no id; every row needs one")


_NO_TIME = "is no time; write times as `2026-01-31T12:00:00Z`"


def _label(table: Relation, prediction: str, truth: Relation, label: str | None) -> tuple[str, Kind]:
    """Write the label, and tell its kind: that of the prediction, and spelled as that is, where it can be.

    Text among labels of numbers stays text: which of it is no number is for who keeps the labels to tell.

    Raises:
        SourceError: predictions are text that no number is written as; they would never be equal.
    """
    kind = table.kind_of(prediction)
    if label is None:
        return f"NULL::{SQL_TYPES[kind]}", kind
    other, types = truth.kind_of(label), (table.types[prediction], truth.types[label])
    if kind == "numeric" and types[1] == "BOOLEAN":
        return truth.number_sql(label), kind
    if kind == "numeric" and other == "categorical":
        text = truth.text_sql(label)
        return f"CASE lower({text}) WHEN 'true' THEN '1' WHEN 'false' THEN '0' ELSE {text} END", other
    if kind == "categorical" and other == "numeric":
        number = number_text(table.number_sql(prediction))
        flaw = (
            f"is not how a number is written, but the labels in `{label}` are numbers: they would never be equal; "
            "write both alike, as 0 and 1, or both as text"
        )
        table.refuse(prediction, f"{number} IS DISTINCT FROM {_text(table, prediction)}", flaw)
        return number_text(quoted(label)), kind
    if types == ("BOOLEAN", "VARCHAR"):
        lower = f"lower({quoted(label)})"
        return f"CASE WHEN {lower} IN ('true', 'false') THEN {lower} ELSE {quoted(label)} END", kind
    if types == ("VARCHAR", "BOOLEAN"):
        flaw = f"is neither `true` nor `false`, as the labels in `{label}` are"
        table.refuse(prediction, f"{table.text_sql(prediction)} NOT IN ('true', 'false')", flaw)
    return truth.value_sql(label, kind), kind


def _text(table: Relation, name: str | None) -> str:
    return table.text_sql(name) if name else "NULL::VARCHAR"


def _alike(value: str) -> str:
    """Write a value so that a number is the same text whether a file holds it as a number or as text."""
    return f"coalesce(try_cast({value}::VARCHAR AS DOUBLE)::VARCHAR, {value}::VARCHAR)"


def _times(start_at: datetime, end_at: datetime) -> dict[str, Any]:
    return {"start_at": naive(start_at).item(), "end_at": naive(end_at).item()}
