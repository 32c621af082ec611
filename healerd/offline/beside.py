"""Plays the plain schedules in a process of its own, while the loop plays in this one.

Must never outlive its parent by more than one fit, nor be asked by anybody else: what it reads is a pickle.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from tempfile import TemporaryFile
from typing import IO

from healerd.actions import Model
from healerd.columns import Column
from healerd.offline.baselines import Fit, Line, periodic
from healerd.offline.stream import Stream
from healerd.profiles import Loss

__all__ = ["Beside", "Task", "play_beside"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """What the schedules are played on, and how they train."""

    stream: Stream
    model: Model
    loss: Loss
    fit: Fit
    train_windows: int
    rows_min: int

    def play(self, every: int) -> Line:
        """Play one schedule."""
        return periodic(
            self.stream,
            self.model,
            self.loss,
            every=every,
            fit=self.fit,
            train_windows=self.train_windows,
            rows_min=self.rows_min,
        )


class Beside:
    """Schedules that are being played; the lines come in the order of the periods."""

    def __init__(self, process: "subprocess.Popen[bytes]", answers: IO[bytes]) -> None:
        self._process, self._answers = process, answers

    def lines(self) -> list[Line]:
        """Wait for all of them."""
        code = self._process.wait()
        assert code == 0, f"the process beside ended with {code}"
        self._answers.seek(0)
        found: list[Line] = pickle.load(self._answers)  # noqa: S301 - written by our own process
        return found


@contextmanager
def play_beside(task: Task, periods: Sequence[int]) -> Iterator[Beside]:
    """Start to play schedules; whatever still plays at the end of the block is ended."""
    with TemporaryFile() as questions, TemporaryFile() as answers:
        pickle.dump((task, tuple(periods)), questions)
        questions.seek(0)
        process = subprocess.Popen([sys.executable, "-m", __name__], stdin=questions, stdout=answers)  # noqa: S603
        try:
            yield Beside(process, answers)
        finally:
            process.kill()
            process.wait()


def main() -> None:
    """Read a task from stdin, play it, and write its lines to stdout."""
    task, periods = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own parent
    watched = replace(task, fit=_while_parent_lives(task.fit, os.getppid()))
    pickle.dump([watched.play(every) for every in periods], sys.stdout.buffer)


def _while_parent_lives(fit: Fit, parent: int) -> Fit:
    """End this process before the next fit once nobody waits for it."""

    def guarded(features: Mapping[str, Column], label: Column) -> Model:
        if os.getppid() != parent:
            sys.exit(1)
        return fit(features, label)

    return guarded


if __name__ == "__main__":
    main()
