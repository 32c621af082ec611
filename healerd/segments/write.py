"""Write segments so that a crash leaves either the whole file or none.

Must never give a file its lasting name before all of it is on the disk.
"""

# ruff: noqa: S608 - the names in SQL are made here or quoted; every value is bound

import os
from collections.abc import Iterable
from datetime import timedelta
from hashlib import file_digest, sha256
from pathlib import Path

import duckdb
import msgspec

from healerd.audit import canonical
from healerd.columns import Column, Labels, Predictions, Times, is_missing, kind_of
from healerd.errors import SegmentError
from healerd.segments.duck import SQL_TYPES, connection, quoted
from healerd.segments.manifest import SCORE, ColumnSpec, Content, Segment
from healerd.segments.times import aware

__all__ = ["write", "write_labels"]

_Fields = list[tuple[str, str, Column]]
"""The columns of a file: name, SQL type, values."""


def write(folder: Path, pipeline: str, rows: Predictions) -> Segment:
    """Write predictions (at least one) as one durable file below `folder`, the state's `segments`.

    The same rows give the same name, so that writing again after a crash leaves one file. Its rows exist only once
    the manifest has the segment.

    Raises:
        SegmentError: the file cannot be written.
    """
    assert kind_of(rows.label) == kind_of(rows.output), "labels and outputs are of one kind"
    features_given = {**rows.features} if rows.score is None else {**rows.features, SCORE: rows.score}
    columns = _specs([("output", rows.output), *features_given.items()], taken=("id", "at", "version", "label"))
    output, *features = columns
    fields: _Fields = [
        ("id", "VARCHAR", rows.ids),
        ("at", "TIMESTAMP", rows.at),
        ("version", "VARCHAR", rows.version),
        ("label", SQL_TYPES[output.kind], rows.label),
        (output.stored, SQL_TYPES[output.kind], rows.output),
    ]
    for spec, column in zip(features, features_given.values(), strict=True):
        fields.append((spec.stored, SQL_TYPES[spec.kind], column))
    return _write(folder, pipeline, Content.PREDICTIONS, columns=columns, times=rows.at, fields=fields)


def write_labels(folder: Path, pipeline: str, labels: Labels) -> Segment:
    """Write late labels (at least one) as one durable file; see `write`."""
    columns = _specs([("label", labels.label)], taken=("id", "at"))
    fields: _Fields = [
        ("id", "VARCHAR", labels.ids),
        ("at", "TIMESTAMP", labels.at),
        ("label", SQL_TYPES[columns[0].kind], labels.label),
    ]
    return _write(folder, pipeline, Content.LABELS, columns=columns, times=labels.at, fields=fields)


def _specs(columns: Iterable[tuple[str, Column]], *, taken: Iterable[str]) -> tuple[ColumnSpec, ...]:
    """Give each column a name in the file that no other has, as DuckDB reads names: without regard to case."""
    used, found = {name.casefold() for name in taken}, list[ColumnSpec]()
    for name, column in columns:
        stored, turn = name or "_", 1
        while stored.casefold() in used:
            turn += 1
            stored = f"{name or '_'}_{turn}"
        used.add(stored.casefold())
        found.append(ColumnSpec(name=name, stored=stored, kind=kind_of(column)))
    return tuple(found)


def _write(
    folder: Path, pipeline: str, content: Content, *, columns: tuple[ColumnSpec, ...], times: Times, fields: _Fields
) -> Segment:
    assert len(times) > 0, "a segment has rows"
    start_at, end_at = aware(times.min()), aware(times.max()) + timedelta(microseconds=1)
    place = folder / f"pipeline={pipeline}" / f"date={start_at:%Y-%m-%d}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        path, digest = _place(place, f"{start_at:%H%M%S}-{content}", fields)
    except (OSError, duckdb.IOException) as problem:
        raise SegmentError(
            f"the segment cannot be written in `{place}`: {problem}; check the folder's rights and the disk's space"
        ) from problem
    return Segment(
        path=str(path.relative_to(folder)),
        pipeline=pipeline,
        content=content,
        rows=len(times),
        start_at=start_at,
        end_at=end_at,
        sha256=digest,
        schema_hash=sha256(canonical(msgspec.to_builtins(columns))).hexdigest(),
        columns=columns,
    )


def _place(place: Path, name: str, fields: _Fields) -> tuple[Path, str]:
    """Write under a temporary name, make it durable, then give the name that it keeps; give that and the sha256."""
    temporary = place / f"{name}.part"
    _copy(temporary, fields)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
        digest = file_digest(file, "sha256").hexdigest()
    path = place / f"{name}-{digest[:12]}.parquet"
    temporary.rename(path)
    _sync(place)
    return path, digest


def _copy(path: Path, fields: _Fields) -> None:
    sql = ", ".join(_stored(f"c{index}", name, kind, column) for index, (name, kind, column) in enumerate(fields))
    duck = connection()
    duck.register("given", {f"c{index}": column for index, (_, _, column) in enumerate(fields)})
    try:
        duck.execute(
            f"COPY (SELECT {sql} FROM given) TO $path (FORMAT parquet, USE_TMP_FILE false)", {"path": str(path)}
        )
    finally:
        duck.unregister("given")


def _stored(given: str, name: str, kind: str, column: Column) -> str:
    """Say how a column is written: NaN as NULL, where there is any; text as text, even where all of it is None."""
    if kind != "DOUBLE":
        return f"{given}::{kind} AS {quoted(name)}"
    value = f"nullif({given}::DOUBLE, 'NaN'::DOUBLE)" if is_missing(column).any() else f"{given}::DOUBLE"
    return f"{value} AS {quoted(name)}"


def _sync(folder: Path) -> None:
    """Make the names in a folder, and its own, durable."""
    for each in (folder, folder.parent, folder.parent.parent):
        opened = os.open(each, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
