"""Training that somebody else's program does: a command beside the daemon, or a job on another machine.

Rows go out as a file, a model file or the name of a stored version comes back. Must never believe an exit code alone:
what is not there, cannot be loaded or is more than one is a failure that says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from healerd.actions.command import Limits, run_command
from healerd.actions.model_files import MODEL_NAMES, ModelFiles
from healerd.actions.registry import Model, Registry
from healerd.actions.remote import JobState, Remote, RemoteAbsent, RemoteJob
from healerd.columns import Column, kind_of
from healerd.errors import ActionError
from healerd.segments.duck import SQL_TYPES, connection, quoted

__all__ = ["Desk", "Outside", "Rows", "train_outside", "write_rows"]

LABEL = "label"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Desk:
    """Where a job works: a folder of its own, where its output goes, and whom it tells how far it is."""

    folder: Path
    out: Callable[[bytes], None]
    tell: Callable[[float, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """How somebody else's program trains: by a command, or as a remote job. `only_ask`: never begin it anew."""

    limits: Limits
    command: tuple[str, ...] = ()
    remote: Remote | None = None
    file_format: str = "parquet"
    files: ModelFiles = field(default_factory=ModelFiles)
    only_ask: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """The labelled rows that train."""

    features: Mapping[str, Column]
    label: Column


def train_outside(how: Outside, desk: Desk, rows: Rows, registry: Registry, *, key: str) -> Model:
    """Have a model trained, and load it. Raises ActionError with the reason, RemoteUnknown when nobody can tell."""
    file, label = write_rows(desk.folder, rows, how.file_format)
    if how.remote is not None:
        told = {"key": key, "pipeline": registry.pipeline, "rows": str(file), "label": label, "count": len(rows.label)}
        return _by_remote(how, how.remote, desk, registry, key=key, told=told)
    made = desk.folder / "model"
    made.mkdir()
    env = {
        "HEALERD_KEY": key,
        "HEALERD_PIPELINE": registry.pipeline,
        "HEALERD_ROWS": str(file),
        "HEALERD_LABEL": label,
        "HEALERD_MODEL": str(made / "model"),
    }
    ended = run_command(how.command, folder=desk.folder, env=env, limits=how.limits, out=desk.out, tell=desk.tell)
    if failure := ended.failure(how.limits):
        raise ActionError(f"`{how.command[0]}` trained nothing: {failure}")
    return how.files.load_file(_the_one(made, by=f"`{how.command[0]}` ended well and"))


def _by_remote(
    how: Outside, remote: Remote, desk: Desk, registry: Registry, *, key: str, told: Mapping[str, Any]
) -> Model:
    job = RemoteJob(remote, key, desk.tell)
    if not how.only_ask:
        job.begin(told)
    elif job.look()[0] is JobState.ABSENT:
        raise RemoteAbsent("the server has no such job")
    done = job.follow()
    if isinstance(done.get("version"), str):
        return registry.load(done["version"])
    if not isinstance(done.get("model"), str):
        raise ActionError("the job is done and names neither a `model` file nor a stored `version`")
    try:
        return how.files.load_file(Path(done["model"]))
    except FileNotFoundError:
        raise ActionError(f"the job is done, and its model `{done['model']}` is not there") from None


def write_rows(folder: Path, rows: Rows, file_format: str) -> tuple[Path, str]:
    """Write rows as Parquet or CSV, missing values as nulls; gives the file and the name of the column of labels."""
    label = LABEL
    while label in rows.features:
        label += "_"
    columns = {**rows.features, label: rows.label}
    given = {f"c{number}": column for number, column in enumerate(columns.values())}
    sql = ", ".join(f"{_value(f'c{n}', column)} AS {quoted(name)}" for n, (name, column) in enumerate(columns.items()))
    path = folder / f"rows.{file_format}"
    duck = connection()
    duck.register("given", given)
    try:
        copy = f"COPY (SELECT {sql} FROM given) TO $path (FORMAT {file_format})"  # noqa: S608 - names are quoted
        duck.execute(copy, {"path": str(path)})
    except duckdb.Error as error:
        raise ActionError(f"the training rows cannot be written to `{path}`: {error}; check room and rights") from error
    finally:
        duck.unregister("given")
    return path, label


def _value(name: str, column: Column) -> str:
    kind = kind_of(column)
    return f"nullif({name}::DOUBLE, 'NaN'::DOUBLE)" if kind == "numeric" else f"{name}::{SQL_TYPES[kind]}"


def _the_one(folder: Path, *, by: str) -> Path:
    found = sorted(path for path in folder.iterdir() if path.name in MODEL_NAMES)
    if len(found) == 1 and found[0].is_file() and not found[0].is_symlink():
        return found[0]
    if found:
        raise ActionError(f"{by} wrote {', '.join(f'`{path.name}`' for path in found)}; write one file")
    endings = ", ".join(f"`{Path(name).suffix}`" for name in MODEL_NAMES)
    raise ActionError(f"{by} wrote no model; write it to `$HEALERD_MODEL` with one of the endings {endings}")
