"""What runs inside a job: fit and store one version, or let stored versions predict. Must never move the alias.

The same functions run inline and in a process of their own. A job's process leads a process group, which the kernel
kills when the daemon dies: no orphan races with the daemon that comes after.
"""

import fcntl
import importlib
import multiprocessing
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from healerd.actions.call import CallJob, call
from healerd.actions.command import adopt_orphans
from healerd.actions.durable import write_json
from healerd.actions.model_files import with_columns
from healerd.actions.outside import Desk, Outside, Rows, train_outside
from healerd.actions.registry import Draft, Model, Registry
from healerd.actions.remote import RemoteAbsent, RemoteUnknown
from healerd.columns import Column
from healerd.errors import ActionError, RegistryAway
from healerd.model import Version

__all__ = [
    "Job",
    "Score",
    "ScoringJob",
    "TrainingJob",
    "can_be_elsewhere",
    "ended_as",
    "is_outside",
    "score",
    "score_in_process",
    "started_at",
    "train",
    "work",
    "work_in_process",
]

THREADS = 2
"""Threads a job's numeric libraries may use: the daemon shares the machine with the model it watches."""
ROWS_TRIED = 20

Trainer = Callable[..., Model]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingJob:
    """What to fit, on which rows, and under which name and key to store it. `args` are handed to the entry by name."""

    key: str
    entry: str
    registry: Registry
    draft: Draft
    features: Mapping[str, Column]
    label: Column
    deadline_s: float
    outside: Outside | None = None
    args: Mapping[str, Any] = field(default_factory=dict)


Job = TrainingJob | CallJob
"""What a worker does in the background."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoringJob:
    """Which versions of which registry are to predict which rows."""

    registry: Registry
    names: tuple[str, ...]
    features: Mapping[str, Column]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Score:
    """What one version predicted; `output` is None when it raised, timed out or gave the wrong number of rows.

    `raised`: its own code said no, so it is wrong on every row (SAFETY S11). Without that nothing is known of it: it
    was late or killed, could not be loaded, or, with `away`, the registry did not give the model.
    """

    name: str
    output: Column | None
    error: str = ""
    raised: bool = False
    away: bool = False


def train(job: TrainingJob, desk: Desk) -> Version:
    """Fit a model as the job says, try it on a few rows, and store it. Raises ActionError."""
    if job.outside is not None:
        rows = Rows(features=job.features, label=job.label)
        model = train_outside(job.outside, desk, rows, job.registry, key=job.key)
    else:
        model = _entry(job.entry)(job.features, job.label, **job.args)
    few = {name: column[:ROWS_TRIED] for name, column in job.features.items()}
    # A plain estimator takes a matrix: it is tried as it will be loaded.
    _predict(with_columns(model, said="what was trained"), few, rows=min(ROWS_TRIED, len(job.label)))
    return job.registry.add(model, job.draft)


def score(registry: Registry, names: Sequence[str], features: Mapping[str, Column]) -> Iterator[Score]:
    """Let each version predict the rows; a version that raises has no output, which counts as wrong."""
    rows = len(next(iter(features.values()))) if features else 0
    for name in names:
        yield _score_one(registry, name, features, rows=rows)


def work_in_process(job: Job, notes: Path, log: Path) -> None:
    """Do a job in a process of its own. `notes` says who runs, how far it is and how it ended; nobody outlives it."""
    _settle_in(log)
    adopt_orphans()
    who = {"pid": os.getpid(), "started": started_at(os.getpid())}
    write_json(notes, who)
    folder = notes.with_suffix(".work")
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        told = partial(_tell, notes, who)
        write_json(notes, work(job, Desk(folder=folder, out=partial(_print, 1), tell=told)))
    except Exception as error:  # the trainer is foreign code: whatever it raises is this job's failure
        traceback.print_exc()
        sys.stderr.flush()
        write_json(notes, ended_as(error))
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def work(job: Job, desk: Desk) -> Mapping[str, Any]:
    """Do a job; gives the note on how it ended. Raises what the job raises."""
    match job:
        case TrainingJob():
            return {"done": train(job, desk).name}
        case CallJob():
            return call(job, desk)


def is_outside(job: Job) -> bool:
    """Tell whether a job keeps its own deadline: for a command that it kills, or a server that it asks."""
    return isinstance(job, CallJob) or job.outside is not None


def can_be_elsewhere(job: Job) -> bool:
    """Tell whether what a job began may go on, or have taken effect, when its process is gone."""
    return isinstance(job, CallJob) or (job.outside is not None and job.outside.remote is not None)


def ended_as(error: Exception) -> Mapping[str, Any]:
    """Write down how a job ended that raised."""
    if isinstance(error, RemoteAbsent):
        return {"run": "absent", "reason": str(error)}
    said = str(error) if isinstance(error, RemoteUnknown) else f"{type(error).__name__}: {error}"
    return {"unknown" if isinstance(error, RemoteUnknown) else "failed": said[:500]}


def _tell(notes: Path, who: Mapping[str, Any], share: float, words: str) -> None:
    with suppress(ActionError):  # how far it is matters less than that it goes on
        write_json(notes, {**who, "progress": share, "words": words})


def _print(handle: int, block: bytes) -> None:
    with suppress(OSError):  # a full disk must not stop a training for its log
        os.write(handle, block)


def score_in_process(job: ScoringJob, answers: Connection, log: Path) -> None:
    """Run `score` in a process of its own, and send one answer for each version."""
    _settle_in(log)
    for scored in score(job.registry, job.names, job.features):
        answers.send(scored)


def started_at(pid: int) -> str | None:
    """Read when a process started, so that a number used again is not taken for it; None when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _score_one(registry: Registry, name: str, features: Mapping[str, Column], *, rows: int) -> Score:
    model: Model | None = None
    try:
        model = registry.load(name)
        return Score(name=name, output=_predict(model, features, rows=rows))
    except RegistryAway as error:  # which says nothing of the model
        return Score(name=name, output=None, error=str(error), away=True)
    except Exception as error:  # the model is foreign code: whatever it raises makes it wrong
        own = model is not None and not isinstance(error, MemoryError)  # what memory is left is the machine's affair
        return Score(name=name, output=None, error=f"{type(error).__name__}: {error}"[:500], raised=own)


def _predict(model: Model, features: Mapping[str, Column], *, rows: int) -> Column:
    if not hasattr(model, "predict"):
        raise ActionError(f"a `{type(model).__name__}` has no `predict(features)`; return a model that has")
    output = np.asarray(model.predict(features))
    if output.shape != (rows,):
        raise ActionError(f"`predict` gave shape {output.shape} for {rows} rows; return one output a row")
    return output.astype(np.float64) if output.dtype.kind in "biuf" else output.astype(np.object_)


def _entry(entry: str) -> Trainer:
    module, _, name = entry.partition(":")
    try:
        trainer: Trainer = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ActionError(f"no training function `{entry}` ({error}); write `module:function`") from error
    return trainer


def _settle_in(log: Path) -> None:
    """Lead a process group that dies with the daemon, write to `log`, and keep to a few threads."""
    os.setsid()
    _die_with_the_daemon()
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    from threadpoolctl import threadpool_limits  # heavy: only in a job

    threadpool_limits(limits=THREADS)


def _die_with_the_daemon() -> None:
    """Have the kernel kill the whole group as soon as the daemon's end of the pipe is closed, however it died.

    A parent-death signal would not do: the parent of a job is the fork server, which outlives the daemon for as long
    as a job runs.
    """
    daemon = multiprocessing.parent_process()
    if daemon is None or sys.platform != "linux":
        return
    pipe = daemon.sentinel
    fcntl.fcntl(pipe, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    if not daemon.is_alive():
        os.killpg(0, signal.SIGKILL)
