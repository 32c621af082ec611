"""Predictions and labels from tables: any CSV or Parquet file, glob or folder, or a query. Must never change them."""

# ruff: noqa: S608 - the names in SQL are made here or quoted; every value is bound

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from healerd.columns import Column, Labels, Predictions, is_missing
from healerd.config import LabelsSettings, SourceSettings
from healerd.errors import SourceError
from healerd.segments.duck import SQL_TYPES, filled, quoted
from healerd.segments.times import aware, naive
from healerd.sources.query import Session, check_query, open_query
from healerd.sources.relation import Relation, Type, open_relation

__all__ = ["TableSource"]

LONG_AGO = (datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, 1, tzinfo=UTC))
UNKNOWN = "unknown"
"""The version of a row whose version column is empty."""


class TableSource:
    """A table that something else writes, read anew each time; labels in a column of it, or in a table of their own.

    Without an id column, an id is made from the row's content (all but its label and version). Equal rows are
    numbered in the order of the file: rows may be appended, not reordered. Where the rows or the labels come from a
    query, both are read in one `Session`.

    Raises:
        SourceError: the settings cannot be used: labels without an id column, or a query that is none.
    """

    def __init__(self, settings: SourceSettings, folder: Path, active: Callable[[], str]) -> None:
        if settings.labels and not settings.id:
            raise SourceError("labels in a table of their own are joined by id: set `source.id` to the id column")
        self._settings, self._folder, self._active = settings, folder, active
        asked = (("source.query", settings.query), ("source.labels.query", settings.labels and settings.labels.query))
        for place, query in asked:
            if query:
                check_query(query, place)
        self._session = Session(settings, folder) if any(query for _, query in asked) else None

    def fetch(self, start_at: datetime, end_at: datetime) -> Predictions:
        """Read the predictions of [start_at, end_at); see `Source`."""
        table = self._open(_times(start_at, end_at))
        output, features = table.kind_of(self._settings.prediction), self._features(table)
        scored = [names.score] if (names := self._settings).score else []
        listed = "".join(f", f{index}" for index in range(len(features) + len(scored)))
        sql = f"""SELECT {self._id(table)} AS id, "at", version, output, label{listed}
            FROM ({self._served(table)}) ORDER BY n"""
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
        kind = table.kind_of(self._settings.prediction)
        served = f"SELECT {self._id(table)} AS id, label, n FROM ({self._served(table)})"
        if self._settings.labels:
            ids, label, at = self._joined(table, self._settings.labels, served)
        else:
            sql = f"SELECT id, label, $now::TIMESTAMP FROM ({served}) WHERE label IS NOT NULL ORDER BY n"
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

    def _joined(self, table: Relation, names: LabelsSettings, served: str) -> list[Any]:
        """Read the labels of the served rows from the table of labels, the one that was known first before others."""
        truth = self._labels(names, table)
        truth.require(names.id, names.label, *([names.at] if names.at else []))
        at = truth.time_sql(names.at) if names.at else "$now::TIMESTAMP"
        label = _comparable(table, self._settings.prediction, truth, names.label)
        sql = f"""SELECT id, label, known FROM (
                SELECT {quoted(names.id)}::VARCHAR AS id, {label} AS label, {at} AS known, {truth.row_sql} AS n
                FROM {truth.sql}
            ) WHERE label IS NOT NULL AND (known IS NULL OR known <= $now)
            AND id IN (SELECT id FROM ({served})) ORDER BY known, n"""
        found = truth.fetch(sql)
        if names.at and np.ma.getmaskarray(found[2]).any():
            truth.refuse(names.at, f"{at} IS NULL", _NO_TIME)
        return found

    def _labels(self, names: LabelsSettings, table: Relation) -> Relation:
        """Open the table of labels beside that of the predictions, so that one query can read both."""
        if names.query:
            assert self._session is not None, "the constructor made it"
            truth = open_query(self._session, names.query, "source.labels.query", table.bound)
        else:
            truth = open_relation(names.path, self._folder, name="label_files", texts={names.id})
        run = truth.run if self._session is None else self._session.fetch
        return replace(truth, bound={**table.bound, **truth.bound}, run=run)

    def _relation(self, bound: Mapping[str, Any]) -> Relation:
        """Open what the settings name; a query's columns are told within some window, an hour of 1970 without one."""
        names = self._settings
        if names.query:
            assert self._session is not None, "the constructor made it"
            return open_query(self._session, names.query, "source.query", {**_times(*LONG_AGO), **bound})
        table = open_relation(names.path, self._folder, texts={names.id, names.version})
        return replace(table, bound={**table.bound, **bound})

    def _open(self, bound: Mapping[str, Any]) -> Relation:
        names, table = self._settings, self._relation(bound)
        optional = (names.id, names.version, names.label, names.score)
        table.require(names.time, names.prediction, *(name for name in optional if name), *(names.features or ()))
        if names.score and table.kind_of(names.score) != "numeric":
            kind = table.types[names.score]
            raise SourceError(f"`{table.path}`, column `{names.score}` is a {kind}, but a score is a number")
        return table

    def _features(self, table: Relation) -> list[str]:
        names = self._settings
        taken = {names.time, names.id, names.prediction, names.version, names.label, names.score}
        return names.features if names.features is not None else [name for name in table.types if name not in taken]

    def _served(self, table: Relation) -> str:
        """Select the rows of the window, or without a time, under names of ours."""
        names, kind = self._settings, table.kind_of(self._settings.prediction)
        label = _comparable(table, names.prediction, table, names.label) if names.label else f"NULL::{SQL_TYPES[kind]}"
        features = "".join(
            f", {table.value_sql(name, table.kind_of(name))} AS f{index}"
            for index, name in enumerate(self._features(table))
        )
        if names.score:
            features += f", {table.value_sql(names.score, 'numeric')} AS f{len(self._features(table))}"
        at = table.time_sql(names.time)
        return f"""SELECT {table.row_sql} AS n, {at} AS "at", {_text(names.id)} AS given,
            {_text(names.version)} AS version, {table.value_sql(names.prediction, kind)} AS output,
            {label} AS label{features}
            FROM {table.sql} WHERE ({at} >= $start_at AND {at} < $end_at) OR {at} IS NULL"""

    def _id(self, table: Relation) -> str:
        if self._settings.id:
            return "given"
        values = ['"at"', "output", *(f"f{index}" for index in range(len(self._features(table))))]
        content = ", ".join(f"coalesce({value}::VARCHAR, chr(30))" for value in values)
        digest = f"md5(concat_ws(chr(31), {content}))"
        return f"{digest} || '-' || row_number() OVER (PARTITION BY {digest} ORDER BY n)"

    def _check_rows(self, table: Relation, ids: Any, at: Any) -> None:
        if np.ma.getmaskarray(at).any():
            table.refuse(self._settings.time, f"{table.time_sql(self._settings.time)} IS NULL", _NO_TIME)
        if self._settings.id and np.ma.getmaskarray(ids).any():
            table.refuse(self._settings.id, f"{quoted(self._settings.id)} IS NULL", "is no id; every row needs one")


_NO_TIME = "is no time; write times as `2026-01-31T12:00:00Z`"


def _comparable(table: Relation, prediction: str, truth: Relation, label: str) -> str:
    """Write the label as the kind of the prediction, after checking that it is of that kind.

    Raises:
        SourceError: one is text and the other numbers; they would never be equal.
    """
    kind, other = table.kind_of(prediction), truth.kind_of(label)
    if kind == "numeric" and other == "categorical":
        number = truth.number_sql(label)
        truth.refuse(label, f"{quoted(label)} IS NOT NULL AND ({number}) IS NULL", "is no number, as predictions are")
        return number
    if kind == "categorical" and other == "numeric":
        if table.types[prediction] == "BOOLEAN":
            raise SourceError(
                f"`{table.path}`, column `{prediction}` is true or false, and the labels in `{label}` are numbers: "
                "they would never be equal; write both as 0 and 1, or both as true and false"
            )
        text = table.number_sql(prediction)
        mend = f"is no number, as the labels in `{label}` are"
        table.refuse(prediction, f"{quoted(prediction)} IS NOT NULL AND ({text}) IS NULL", mend)
    return truth.value_sql(label, kind)


def _text(name: str | None) -> str:
    return f"{quoted(name)}::VARCHAR" if name else "NULL::VARCHAR"


def _times(start_at: datetime, end_at: datetime) -> dict[str, Any]:
    return {"start_at": naive(start_at).item(), "end_at": naive(end_at).item()}
