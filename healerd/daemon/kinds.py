"""Hold columns to the kind they are stored as: whether a file's column is text changes with what else is in it.

Must never lose a value without saying so: text among numbers is an error that names column and rows.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from healerd.columns import Column, Kind, Predictions, is_missing, kind_of
from healerd.daemon.pipeline import Pipeline
from healerd.daemon.segmenting import OUTPUT
from healerd.errors import SourceError
from healerd.segments import Content, Segment
from healerd.segments.manifest import SCORE

__all__ = ["aligned", "number_in", "remember"]


def aligned(pipeline: Pipeline, rows: Predictions) -> Predictions:
    """Give rows whose columns have the kinds in which they were stored last, however long ago: numbers read out of
    text, or written as names.

    Raises SourceError where a column of numbers holds text: with the column, the first and the last row, and the mend;
    and where a feature has a name under which something else is kept.
    """
    if not len(rows):
        return rows
    if taken := rows.features.keys() & {OUTPUT, SCORE}:
        raise SourceError(
            f"the feature `{min(taken)}` has a name that healerd keeps for its own; give the column another name, "
            "or leave it out of `source.features`"
        )
    found = {OUTPUT: kind_of(rows.output), **{name: kind_of(column) for name, column in rows.features.items()}}
    if not pipeline.kinds:
        remember(pipeline, pipeline.store.shapes(pipeline.name))
    kinds = {**found, **pipeline.kinds}
    changed = {
        name: _as_kind(name, column, kinds[name], rows)
        for name, column in rows.features.items()
        if found[name] != kinds[name]
    }
    if found[OUTPUT] != kinds[OUTPUT]:
        output, label = (_as_kind(name, of, kinds[OUTPUT], rows) for name, of in _answers(rows))
        rows = replace(rows, output=output, label=label)
    return replace(rows, features={**rows.features, **changed}) if changed else rows


def remember(pipeline: Pipeline, segments: Iterable[Segment]) -> None:
    """Keep the kinds in which columns of predictions are stored, also while a column is away."""
    for segment in segments:
        if segment.content is Content.PREDICTIONS:
            output, *features = segment.columns
            pipeline.kinds.update({OUTPUT: output.kind, **{spec.name: spec.kind for spec in features}})


def _answers(rows: Predictions) -> tuple[tuple[str, Column], ...]:
    return ("prediction", rows.output), ("label", rows.label)


def _as_kind(name: str, column: Column, kind: Kind, rows: Predictions) -> Column:
    if kind == "categorical":
        texts = [None if gone else f"{value:.17g}" for value, gone in zip(column, is_missing(column), strict=True)]
        return np.array(texts, np.object_)
    numbers = [number_in(value) for value in column]
    bad = [place for place, number in enumerate(numbers) if number is None]
    if bad:
        raise SourceError(f"column `{name}`, {_where(rows, bad)}: `{column[bad[0]]}` is no number, {_MEND}")
    return np.array(numbers, np.float64)


_MEND = "but the column held numbers so far; mend or empty the value, or give the column another name"


def number_in(value: object) -> float | None:
    """Read a number, NaN where there is nothing; None where it is none. `1_000` is text here, as in any other table."""
    if value is None:
        return float("nan")
    try:
        return None if "_" in str(value) else float(str(value))
    except ValueError:
        return None


def _where(rows: Predictions, bad: list[int]) -> str:
    """Name rows by their ids and times: of a window nobody knows the number in the file."""
    first, last = (f"`{rows.ids[place]}` at {str(rows.at[place])[:19]}Z" for place in (bad[0], bad[-1]))
    return f"row {first}" if len(bad) == 1 else f"{len(bad):,} rows, from {first} to {last}"
