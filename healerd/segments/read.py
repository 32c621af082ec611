"""Read rows out of segments, with the labels that were known for them at a given time.

Must never read a file that it was not handed: the manifest decides which exist, and by its sha256 whether one is whole.
"""

# ruff: noqa: S608 - the names in SQL are made here or quoted; every value is bound

import glob
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from healerd.columns import Column, Predictions, Strings, Times, take
from healerd.errors import SegmentError
from healerd.segments.duck import SQL_TYPES, fetch, filled, quoted
from healerd.segments.manifest import SCORE, ColumnSpec, Segment
from healerd.segments.times import naive

__all__ = ["Selection", "as_read", "no_rows", "read", "read_ids", "read_known"]


FILES_REMEMBERED = 10_000
"""Files that are known to be whole while they have not been written since; others are read once more, and hashed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows to read: times in [start_at, end_at), with the labels known at `as_of` (None: all there are).

    `version` keeps the rows that one model version predicted, `labelled` those with a label, and `newest` that many
    of the latest.
    """

    start_at: datetime
    end_at: datetime
    as_of: datetime | None = None
    version: str | None = None
    labelled: bool = False
    newest: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """The columns that several segments have together: the output, and each feature once."""

    output: ColumnSpec
    features: tuple[ColumnSpec, ...]


def read(
    folder: Path, segments: Sequence[Segment], selection: Selection, *, labels: Sequence[Segment] = ()
) -> Predictions:
    """Read the selected rows of the segments (at least one), in the order of time, with their labels joined by id.

    Of rows with one id the first written counts, of labels for one id the first known. A feature that a segment does
    not have is missing in its rows. The order of features is that of the newest segment.

    Raises:
        SegmentError: a file is gone or damaged, or a column changes its kind between segments.
    """
    bound = _bound(folder, segments, labels, selection)
    if _is_whole(selection):
        # Nearly always each id stands once: looking is cheaper than ranking, which takes twice as long.
        rows = _read(segments, labels, selection, bound, ranked=False)
        if len(set(rows.ids)) == len(rows):
            return rows
    return _read(segments, labels, selection, bound, ranked=True)


def _read(
    segments: Sequence[Segment],
    labels: Sequence[Segment],
    selection: Selection,
    bound: Mapping[str, Any],
    *,
    ranked: bool,
) -> Predictions:
    shape = _shape(segments)
    features = "".join(f", f{index}" for index in range(len(shape.features)))
    rows = _written(segments, shape)
    rows = f"SELECT * FROM ({rows}) {_FIRST_OF_ID}" if ranked else rows
    rows = _with_labels(rows, labels, shape.output)
    rows = _chosen(rows, selection)
    sql = f'SELECT id, "at", version, output, label{features} FROM ({rows}) ORDER BY "at", part, place'
    ids, at, version, output, label, *values = _fetch(sql, bound)
    found = {spec.name: filled(v, spec.kind) for spec, v in zip(shape.features, values, strict=True)}
    score = found.pop(SCORE, None)
    return Predictions(
        ids=filled(ids, "categorical"),
        at=np.asarray(at, "datetime64[us]"),
        version=filled(version, "categorical"),
        output=filled(output, shape.output.kind),
        label=filled(label, shape.output.kind),
        features=found,
        score=score,
    )


def as_read(rows: Predictions) -> Predictions:
    """Give rows as `read` gives them once they are written as one segment."""
    in_time = take(rows, np.argsort(rows.at, kind="stable"))
    return replace(in_time, at=in_time.at.astype("datetime64[us]"))


def no_rows() -> Predictions:
    """Give the rows of a pipeline that never had any: no columns are known yet."""
    none: Column = np.empty(0, np.object_)
    numbers: Column = np.empty(0, np.float64)
    at: Times = np.empty(0, "datetime64[us]")
    return Predictions(ids=none, at=at, version=none, output=numbers, label=numbers, features={})


def read_ids(folder: Path, segment: Segment) -> Strings:
    """Read the ids of all rows of a segment, as often as they stand there."""
    (found,) = _fetch("SELECT id FROM read_parquet($paths)", {"paths": _paths(folder, [segment])})
    return filled(found, "categorical")


def read_known(folder: Path, segments: Sequence[Segment], ids: Collection[str]) -> frozenset[str]:
    """Tell which of the ids the segments hold already."""
    if not segments or not ids:
        return frozenset()
    sql = "SELECT DISTINCT id FROM read_parquet($paths) WHERE id IN (SELECT unnest($ids))"
    (found,) = _fetch(sql, {"paths": _paths(folder, segments), "ids": list(ids)})
    return frozenset(found)


_IN_TIME = '"at" >= $start_at AND "at" < $end_at'


def _shape(segments: Sequence[Segment]) -> _Shape:
    newest = segments[-1]
    features = {spec.name: spec for spec in newest.columns[1:]}
    for segment in {each.schema_hash: each for each in segments}.values():
        _check_kind(segment.columns[0], newest.columns[0], segment)
        for spec in segment.columns[1:]:
            _check_kind(spec, features.setdefault(spec.name, spec), segment)
    return _Shape(output=newest.columns[0], features=tuple(features.values()))


def _check_kind(spec: ColumnSpec, wanted: ColumnSpec, segment: Segment) -> None:
    if spec.kind != wanted.kind:
        raise SegmentError(
            f"`{spec.name}` is {spec.kind} in the segment `{segment.path}` and {wanted.kind} in others: "
            "a column that changes its kind needs a new name"
        )


def _written(segments: Sequence[Segment], shape: _Shape) -> str:
    """Select each row over files of any mix of schemas; `part` and `place` keep the order of writing."""
    groups = _by_schema(segments)
    return " UNION ALL ".join(_group(number, group, shape) for number, group in enumerate(groups.values()))


_FIRST_OF_ID = "QUALIFY row_number() OVER (PARTITION BY id ORDER BY part, place) = 1"


def _group(number: int, group: Sequence[tuple[int, Segment]], shape: _Shape) -> str:
    stored = {spec.name: quoted(spec.stored) for spec in group[0][1].columns[1:]}
    features = "".join(
        f", {stored.get(spec.name, 'NULL')}::{SQL_TYPES[spec.kind]} AS f{index}"
        for index, spec in enumerate(shape.features)
    )
    return f"""SELECT id, "at", version, label, {quoted(group[0][1].columns[0].stored)} AS output{features},
        $parts{number}[file_index::BIGINT + 1] AS part, file_row_number AS place
        FROM read_parquet($paths{number}) WHERE {_IN_TIME}"""


def _with_labels(rows: str, labels: Sequence[Segment], output: ColumnSpec) -> str:
    """Give each row without a label the one that was first known for its id."""
    for segment in labels:
        _check_kind(segment.columns[0], output, segment)
    if not labels:
        return rows
    return f"""SELECT served.* REPLACE (coalesce(served.label, truth.label) AS label)
        FROM ({rows}) AS served LEFT JOIN (
            SELECT id, arg_min(label, ("at", file_index, file_row_number)) AS label FROM read_parquet($labels)
            WHERE label IS NOT NULL AND ($as_of::TIMESTAMP IS NULL OR "at" <= $as_of) GROUP BY id
        ) AS truth USING (id)"""


def _chosen(rows: str, selection: Selection) -> str:
    if _is_whole(selection):
        return rows
    wanted = ["version = $version"] if selection.version is not None else []
    wanted += ["label IS NOT NULL"] if selection.labelled else []
    where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
    newest = 'ORDER BY "at" DESC, part DESC, place DESC LIMIT $newest' if selection.newest is not None else ""
    return f"SELECT * FROM ({rows}) {where} {newest}"


def _is_whole(selection: Selection) -> bool:
    return selection.version is None and not selection.labelled and selection.newest is None


def _by_schema(segments: Sequence[Segment]) -> dict[str, list[tuple[int, Segment]]]:
    groups = dict[str, list[tuple[int, Segment]]]()
    for number, segment in enumerate(segments):
        groups.setdefault(segment.schema_hash, []).append((number, segment))
    return groups


def _bound(
    folder: Path, segments: Sequence[Segment], labels: Sequence[Segment], selection: Selection
) -> dict[str, Any]:
    bound = {
        **_times(selection),
        "as_of": naive(selection.as_of).item() if selection.as_of else None,
        "version": selection.version,
        "newest": selection.newest,
        "labels": _paths(folder, labels),
    }
    for number, group in enumerate(_by_schema(segments).values()):
        bound[f"parts{number}"] = [part for part, _ in group]
        bound[f"paths{number}"] = _paths(folder, [segment for _, segment in group])
    return bound


def _times(selection: Selection) -> dict[str, Any]:
    return {"start_at": naive(selection.start_at).item(), "end_at": naive(selection.end_at).item()}


def _paths(folder: Path, segments: Sequence[Segment]) -> list[str]:
    return [glob.escape(_whole(folder / segment.path, segment.sha256)) for segment in segments]  # DuckDB takes patterns


def _whole(path: Path, sha256: str) -> str:
    """Give the path of a file that is as it was written: of single bits that change, DuckDB reads most as values."""
    try:
        about = path.stat()
        if _digest(str(path), about.st_mtime_ns, about.st_size) == sha256:
            return str(path)
    except OSError as problem:
        raise _damaged(problem) from problem
    raise _damaged(f"`{path}` is not as it was written")


@lru_cache(maxsize=FILES_REMEMBERED)
def _digest(path: str, _mtime_ns: int, _size: int) -> str:
    with Path(path).open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _damaged(problem: object) -> SegmentError:
    return SegmentError(f"a segment is gone or damaged: {problem}; restore it from a backup")


def _fetch(sql: str, bound: Mapping[str, Any]) -> list[Any]:
    try:
        return list(fetch(sql, bound))
    except duckdb.Error as problem:
        raise _damaged(problem) from problem
