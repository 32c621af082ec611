"""What runs inside a job: fit and store one version, or let stored versions predict. Must never move the alias.

The same functions run inline and in a process of their own. A job's process leads a process group, which the kernel
kills when the daemon dies: no orphan races with the daemon that comes after.
"""

import fcntl
import importlib
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from healerd.actions.durable import write_json
from healerd.actions.registry import Draft, Model, Registry
from healerd.columns import Column
from healerd.errors import ActionError
from healerd.model import Version

__all__ = ["Score", "ScoringJob", "TrainingJob", "score", "score_in_process", "started_at", "train", "train_in_process"]

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
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoringJob:
    """Which versions of which registry are to predict which rows."""

    registry: Registry
    names: tuple[str, ...]
    features: Mapping[str, Column]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Score:
    """What one version predicted; `output` is None when it raised, timed out or gave the wrong number of rows."""

    name: str
    output: Column | None
    error: str = ""


def train(job: TrainingJob) -> Version:
    """Fit a model by the job's entry point, try it on a few rows, and store it. Raises ActionError."""
    trainer = _entry(job.entry)
    model = trainer(job.features, job.label, **job.args)
    few = {name: column[:ROWS_TRIED] for name, column in job.features.items()}
    _predict(model, few, rows=min(ROWS_TRIED, len(job.label)))
    return job.registry.add(model, job.draft)


def score(registry: Registry, names: Sequence[str], features: Mapping[str, Column]) -> Iterator[Score]:
    """Let each version predict the rows; a version that raises has no output, which counts as wrong."""
    rows = len(next(iter(features.values()))) if features else 0
    for name in names:
        yield _score_one(registry, name, features, rows=rows)


def train_in_process(job: TrainingJob, notes: Path, log: Path) -> None:
    """Run `train` in a process of its own. `notes` says who runs and how it ended; nobody outlives the end."""
    _settle_in(log)
    write_json(notes, {"pid": os.getpid(), "started": started_at(os.getpid())})
    try:
        train(job)
        write_json(notes, {"done": job.draft.name})
    except Exception as error:  # the trainer is foreign code: whatever it raises is this job's failure
        write_json(notes, {"failed": f"{type(error).__name__}: {error}"[:500]})
        traceback.print_exc()
        sys.stderr.flush()
    os.killpg(0, signal.SIGKILL)


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
    try:
        return Score(name=name, output=_predict(registry.load(name), features, rows=rows))
    except Exception as error:  # the model is foreign code: whatever it raises makes it wrong
        return Score(name=name, output=None, error=f"{type(error).__name__}: {error}"[:500])


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
