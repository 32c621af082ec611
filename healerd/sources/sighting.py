"""Look at a file of predictions nobody has described yet: what its columns are for, how dense and how late it is.

Must never take a guess for a fact: every guess says why, and whoever knows better hands in the name of a column.
"""

# ruff: noqa: S608 - the names in SQL are quoted; every value is bound

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from healerd.errors import SourceError
from healerd.segments.duck import quoted
from healerd.segments.times import aware
from healerd.sources.relation import Relation, open_relation
from healerd.sources.roles import Guess, guess_roles

__all__ = ["Sighting", "sight"]

COVERED = 0.95
"""Share of an hour's rows that are labelled once its labels are in."""
WRONG = 0.20
"""Share of the healthy rows that a proposed tolerance calls wrong: an error to be watched is neither 0 nor 1."""
CLASSES_MAX = 20
SLICES = 200
"""Slices of time in which the coverage of labels is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a file of predictions looks like: `roles` by column, its rows, their time, and what its labels are.

    `loss` is in the words of the configuration; `horizon_s` is how long labels take; `is_probability` says that the
    prediction is a probability beside labels of 0 and 1.
    """

    path: str
    columns: tuple[str, ...]
    roles: Mapping[str, Guess]
    rows: int
    oldest_at: datetime
    newest_at: datetime
    labelled: int
    horizon_s: float
    loss: str
    loss_why: str
    is_probability: bool

    def column(self, role: str) -> str | None:
        """Name the column of a role."""
        found = self.roles.get(role)
        return None if found is None else found.column


def sight(path: Path, named: Mapping[str, str], *, without: Collection[str] = ()) -> Sighting:
    """Look at a CSV or Parquet file, a glob or a folder.

    `named` gives columns by role where somebody knows better, `without` names roles that no column has.

    Raises:
        SourceError: it cannot be read or has no rows, a named column is missing, or no column can be the time or the
            prediction.
    """
    table = open_relation(path.name, path.parent)
    table.require(*named.values())
    types = {name: table.type_of(name) for name in table.types if name not in named.values()}
    roles = {role: one for role, one in guess_roles(types).items() if role not in named and role not in without}
    roles |= {role: Guess(column=column, why="as named") for role, column in named.items()}
    for role in ("time", "prediction"):
        if role not in roles:
            raise SourceError(
                f"no column of `{path}` can be told to hold the {role}: name it with `--{role} COLUMN`; it has "
                f"{', '.join(map('`{}`'.format, list(table.types)[:20]))}"
            )
    rows, oldest, newest = _span(table, roles["time"].column)
    label = roles["label"].column if "label" in roles else None
    prediction = roles["prediction"].column
    loss, why, probability = (
        ("zero-one", "no labels to tell by", False) if label is None else _loss(table, prediction, label)
    )
    labelled, horizon_s = (0, 0.0) if label is None else _labels(table, roles["time"].column, label)
    return Sighting(
        path=str(path),
        columns=tuple(table.types),
        roles=roles,
        rows=rows,
        oldest_at=oldest,
        newest_at=newest,
        labelled=labelled,
        horizon_s=horizon_s,
        loss=loss,
        loss_why=why,
        is_probability=probability,
    )


def _span(table: Relation, time: str) -> tuple[int, datetime, datetime]:
    at = table.time_sql(time)
    (rows,), oldest, newest = table.fetch(f"SELECT count({at}) AS n, min({at}) AS s, max({at}) AS t FROM {table.sql}")
    if not rows:
        raise SourceError(f"`{table.path}` has no row with a time in `{time}`: name another column with `--time`")
    return int(rows), aware(np.ma.getdata(oldest)[0]), aware(np.ma.getdata(newest)[0])


def _labels(table: Relation, time: str, label: str) -> tuple[int, float]:
    """Count the labelled rows, and tell how long before the newest row the coverage of labels begins to fall."""
    at = table.time_sql(time)
    sql = f"""WITH served AS (SELECT epoch({at}) AS s, {quoted(label)} IS NOT NULL AS known FROM {table.sql}),
            span AS (SELECT min(s) AS low, max(s) AS high, greatest(max(s) - min(s), 1) AS width FROM served)
        SELECT any_value(high) - max(s) AS age, count(*) AS n, sum(known::INT)::DOUBLE AS known
        FROM served, span WHERE s IS NOT NULL
        GROUP BY floor((s - low) / width * {SLICES}) ORDER BY age"""
    ages, counts, known = table.fetch(sql)
    covered = np.ma.getdata(known) >= COVERED * np.ma.getdata(counts)
    labelled = int(np.ma.getdata(known).sum())
    if not covered.any() or covered[0]:
        return labelled, 0.0
    return labelled, float(np.ma.getdata(ages)[int(np.argmax(covered))])


def _loss(table: Relation, prediction: str, label: str) -> tuple[str, str, bool]:
    """Tell which loss fits: text and few whole numbers are classes, the rest are quantities."""
    kinds = {table.kind_of(prediction), table.kind_of(label)}
    if kinds != {"numeric"}:
        return "zero-one", "the labels are names", False
    p, y = quoted(prediction), quoted(label)
    sql = f"""SELECT count(DISTINCT {y}) AS classes, bool_and({y} = floor({y})) AS whole,
            bool_and({y} IN (0, 1)) AS binary, bool_and({p} BETWEEN 0 AND 1) AS unit,
            bool_and({p} = floor({p})) AS answer,
            quantile_cont(abs({p}::DOUBLE - {y}::DOUBLE), {1 - WRONG}) AS off
        FROM {table.sql} WHERE {y} IS NOT NULL AND {p} IS NOT NULL
            AND isfinite({p}::DOUBLE) AND isfinite({y}::DOUBLE)"""
    classes, whole, binary, unit, answer, off = (np.ma.getdata(one)[0] for one in table.fetch(sql))
    if not classes:
        return "zero-one", "no row has a label yet", False
    if binary and unit and not answer:
        return "zero-one", "the labels are 0 and 1", True
    if whole and answer and classes <= CLASSES_MAX:
        return "zero-one", f"the labels are {classes} whole numbers", False
    amount = float(f"{float(off):.2g}") or 1.0
    return f"absolute {amount:.12f}".rstrip("0").rstrip("."), f"{WRONG:.0%} of the labelled rows are farther off", False
