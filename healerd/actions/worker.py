"""Where models are fitted and shadows predict: a process of its own for each job, or inline for offline runs.

Must never let a job outlive its deadline or the daemon, hand a job a database, or report a job that it lost sight of
as anything but absent. What a job has made is found in the registry, by name and key; here one learns only whether a
job still runs and why it failed.
"""

import os
import shutil
import signal
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from healerd.actions.durable import read_json, write_json
from healerd.actions.job import (
    Job,
    Score,
    ScoringJob,
    can_be_elsewhere,
    ended_as,
    is_outside,
    score,
    score_in_process,
    started_at,
    work,
    work_in_process,
)
from healerd.actions.outside import Desk
from healerd.actions.registry import Registry
from healerd.columns import Column
from healerd.errors import ActionError, StoreAway

__all__ = ["InlineWorker", "Look", "ProcessWorker", "Run", "Worker"]

LOG_BYTES_MAX = 4 * 1024 * 1024
DROPPED = b"[healerd: earlier lines are dropped]\n"
GRACE_S = 10.0
"""What a job gets beyond the deadline of its command, to kill it and say so."""
ENDS = frozenset({"done", "failed", "unknown", "run"})
NOTES_KEPT = 200
POLL_S = 0.25
PRELOAD = ("healerd.actions.job", "sklearn.ensemble", "joblib", "skops.io")
"""Imported once by the fork server, on the first job: a job then starts in milliseconds."""


class Run(StrEnum):
    """Whether a job runs; `absent` is also a job that was lost with an earlier daemon, and a training that is done."""

    ABSENT = "absent"
    RUNNING = "running"
    FAILED = "failed"
    DONE = "done"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What can be seen of a job, and why it failed or how far it is. `asked`: it looked, and its effect is absent."""

    run: Run
    reason: str = ""
    asked: bool = False


class Worker(Protocol):
    """Fits models and lets stored versions predict."""

    def start(self, job: Job) -> None:
        """Start a job, unless the same key already runs. Raises ActionError when it cannot be started."""
        ...

    def look(self, key: str) -> Look:
        """See whether a job runs or has failed. A job that has succeeded is absent here and found in the registry."""
        ...

    def wait(self, key: str) -> None:
        """Wait until a job has ended; at most until its deadline."""
        ...

    def score(self, registry: Registry, names: Sequence[str], features: Mapping[str, Column]) -> Mapping[str, Score]:
        """Let versions predict rows; one that raises or is too slow has no output."""
        ...

    def close(self) -> None:
        """Kill what still runs."""
        ...


class InlineWorker:
    """Does everything at once in this process: for offline runs and tests. Knows no deadline."""

    def __init__(self) -> None:
        self._notes: dict[str, Mapping[str, Any]] = {}

    def start(self, job: Job) -> None:
        """Do it now."""
        self._notes.pop(job.key, None)
        try:
            with TemporaryDirectory(prefix="healerd-job-") as folder:
                desk = Desk(folder=Path(folder), out=lambda _: None, tell=lambda *_: None)
                self._notes[job.key] = work(job, desk)
        except Exception as error:  # the trainer is foreign code: whatever it raises is this job's failure
            self._notes[job.key] = ended_as(error)

    def look(self, key: str) -> Look:
        """See how the job ended."""
        return _ended(self._notes.get(key, {})) or Look(run=Run.ABSENT)

    def wait(self, key: str) -> None:
        """Do nothing: a job has ended when `start` returns."""

    def score(self, registry: Registry, names: Sequence[str], features: Mapping[str, Column]) -> Mapping[str, Score]:
        """Let versions predict rows in this process."""
        return {scored.name: scored for scored in score(registry, names, features)}

    def close(self) -> None:
        """Do nothing: nothing runs."""


class ProcessWorker:
    """Runs each job in a process group of its own, killed at its deadline and when the daemon dies.

    `folder` holds a note for each job (who runs it, why it failed), `logs` what jobs print. Raises StoreAway when these
    cannot be made.
    """

    def __init__(
        self, folder: Path, logs: Path, *, score_deadline_s: float = 30.0, preload: Sequence[str] = PRELOAD
    ) -> None:
        self._folder, self._logs, self._score_deadline_s = folder, logs, score_deadline_s
        self._jobs: dict[str, ForkServerProcess] = {}
        self._watchers: dict[str, threading.Thread] = {}
        self._closing, self._letting_go = threading.Event(), threading.Lock()
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        for needed in (folder, logs):
            _make(needed)
        self._forget_old_notes()

    def start(self, job: Job) -> None:
        """Start a job in its process and watch over it; does nothing when the same key already runs."""
        if self.look(job.key).run is Run.RUNNING:
            return
        self._notes(job.key).unlink(missing_ok=True)
        process = self._context.Process(target=work_in_process, args=(job, self._notes(job.key), self._log(job.key)))
        _start(process)
        self._jobs[job.key] = process
        watcher = threading.Thread(target=self._watch, args=(job, process), daemon=True)
        self._watchers[job.key] = watcher
        watcher.start()

    def look(self, key: str) -> Look:
        """See whether a job runs, here or left over from an earlier daemon, and why it failed."""
        watcher = self._watchers.get(key)
        notes = read_json(self._notes(key)) or {}
        if watcher is not None and watcher.is_alive():
            return Look(run=Run.RUNNING, reason=_progress(notes))
        if ended := _ended(notes):
            return ended
        pid = notes.get("pid")
        if isinstance(pid, int) and started_at(pid) == notes.get("started"):
            return Look(run=Run.RUNNING, reason=_progress(notes))
        return Look(run=Run.ABSENT)

    def wait(self, key: str) -> None:
        """Wait until a job of this process has ended."""
        watcher = self._watchers.get(key)
        if watcher is not None:
            watcher.join()

    def score(self, registry: Registry, names: Sequence[str], features: Mapping[str, Column]) -> Mapping[str, Score]:
        """Let versions predict in a process; one that raises, dies or is too slow has no output, the others go on."""
        scored: dict[str, Score] = {}
        while left := [name for name in names if name not in scored]:
            for answer in self._score_some(registry, left, features):
                scored[answer.name] = answer
        return scored

    def close(self) -> None:
        """Kill every job; the daemon that comes next finds them absent, and none of them failed for that."""
        self._closing.set()
        with self._letting_go:
            for process in self._jobs.values():
                _kill(process)
        for watcher in self._watchers.values():
            watcher.join()

    def _score_some(self, registry: Registry, names: list[str], features: Mapping[str, Column]) -> list[Score]:
        """Score until all is done or one version hangs or dies; that one is the last of the list."""
        here, there = self._context.Pipe(duplex=False)
        job = ScoringJob(registry=registry, names=tuple(names), features=features)
        process = self._context.Process(target=score_in_process, args=(job, there, self._log("score")))
        try:
            _start(process)
        except ActionError as error:
            here.close()
            return [Score(name=names[0], output=None, error=str(error))]
        finally:
            there.close()
        answers: list[Score] = []
        try:
            while len(answers) < len(names) and here.poll(self._score_deadline_s):
                answers.append(here.recv())
            late = "no answer before its deadline"
        except (EOFError, OSError):
            late = "its process died"
        finally:
            _kill(process)
            process.join()
            process.close()
            here.close()
            _bound(self._log("score"))
        if len(answers) < len(names):
            answers.append(Score(name=names[len(answers)], output=None, error=late))
        return answers

    def _watch(self, job: Job, process: ForkServerProcess) -> None:
        """Wait for a job to end, bound its log, kill it at its deadline, and say so in its note.

        A job that has a deadline of its own, for a command or a server, gets the time to say how that ended.
        """
        key, kept = job.key, is_outside(job)
        left_s = job.deadline_s + (GRACE_S if kept else 0.0)
        while process.exitcode is None and left_s > 0:
            process.join(min(POLL_S, left_s))
            left_s -= POLL_S
            _bound(self._log(key))
        reason = f"killed at its deadline of {job.deadline_s:g} s" if process.exitcode is None else "its process died"
        ended_by_us = self._closing.is_set()
        _kill(process)
        process.join()
        if not ended_by_us:
            self._note_failure(key, reason, unknown=can_be_elsewhere(job))
        with self._letting_go:  # nobody asks a process anything once it is closed
            del self._jobs[key]
            process.close()  # it holds two descriptors, and a daemon trains for years

    def _note_failure(self, key: str, reason: str, *, unknown: bool) -> None:
        """Say why a job failed that could not say it itself."""
        with suppress(ActionError):  # a note that cannot be written leaves the job absent, which is true
            if not ENDS.intersection(read_json(self._notes(key)) or {}):
                write_json(self._notes(key), {"unknown" if unknown else "failed": reason})

    def _notes(self, key: str) -> Path:
        return self._folder / f"{key[:40]}.json"

    def _log(self, key: str) -> Path:
        return self._logs / f"job-{key[:12]}.log"

    def _forget_old_notes(self) -> None:
        for left in self._folder.glob("*.work"):
            shutil.rmtree(left, ignore_errors=True)
        for files in (self._folder.glob("*.json"), self._logs.glob("job-*.log")):
            for old in sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)[NOTES_KEPT:]:
                old.unlink(missing_ok=True)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise StoreAway(
            f"the folder `{folder}` cannot be made: {problem.strerror}; free some disk space, or see who may write "
            "there"
        ) from problem


def _start(process: ForkServerProcess) -> None:
    """Start a process, and hand it its job. Raises ActionError when it was killed meanwhile, or there is no room."""
    try:
        process.start()
    except (OSError, EOFError) as error:
        raise ActionError(
            f"the process of a job could not be started ({type(error).__name__}: {error}): see what takes the "
            "machine's memory and processes"
        ) from error


def _ended(notes: Mapping[str, Any]) -> Look | None:
    """Read how a job ended; None for one that has not."""
    if "failed" in notes:
        return Look(run=Run.FAILED, reason=str(notes["failed"]))
    if "unknown" in notes:
        return Look(run=Run.UNKNOWN, reason=str(notes["unknown"]))
    if "run" in notes:
        run = Run(notes["run"])
        return Look(run=run, reason=str(notes.get("reason", "")), asked=run is Run.ABSENT)
    return None


def _progress(notes: Mapping[str, Any]) -> str:
    """Say how far a job is, in tenths: each is a line of the record."""
    if "progress" not in notes:
        return ""
    return f"{int(float(notes['progress']) * 10) * 10}%" + (f": {notes['words']}" if notes.get("words") else "")


def _kill(process: ForkServerProcess) -> None:
    """Kill a job that still runs, with everything it has started."""
    if process.pid is None or process.exitcode is not None:
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(ProcessLookupError, PermissionError):
        os.kill(process.pid, signal.SIGKILL)


def _bound(log: Path) -> None:
    """Begin a log anew when it has grown too large."""
    with suppress(OSError):
        if log.stat().st_size > LOG_BYTES_MAX:
            os.truncate(log, 0)
            with log.open("ab") as file:
                file.write(DROPPED)
