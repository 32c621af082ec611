"""Where an offline run speaks: the story to one place, progress to another. Must never decide what is worth telling."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Bar", "Teller"]

TENTHS = 10


class Bar(Protocol):
    """Something that is told how far a run is."""

    def reach(self, done: int) -> None:
        """Tell that so many windows are done."""
        ...


@dataclass(slots=True, kw_only=True)
class Teller:
    """Writes lines to `out`, and how far it is to `err`: a bar in a terminal, elsewhere a line for each tenth."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)

    def say(self, text: str = "") -> None:
        """Write a line."""
        self.out.write(f"{text}\n")
        self.out.flush()

    @contextmanager
    def progress(self, total: int, what: str) -> Iterator[Bar]:
        """Show how far something with `total` parts is."""
        if not self.err.isatty():
            yield _Tenths(err=self.err, total=total, what=what)
            return
        from rich.console import Console  # only for people: a pipe does not pay for it
        from rich.progress import Progress

        with Progress(console=Console(file=self.err), transient=True, redirect_stdout=True) as progress:
            task = progress.add_task(what, total=total)
            yield _Drawn(progress=progress, task=int(task))


@dataclass(slots=True, kw_only=True)
class _Tenths:
    err: TextIO
    total: int
    what: str
    told: int = 0

    def reach(self, done: int) -> None:
        tenth = TENTHS * done // max(self.total, 1)
        if tenth > self.told:
            self.told = tenth
            self.err.write(f"{self.what}: {10 * tenth}%\n")
            self.err.flush()


@dataclass(slots=True, kw_only=True)
class _Drawn:
    progress: "Progress"
    task: int

    def reach(self, done: int) -> None:
        from rich.progress import TaskID  # loaded already

        self.progress.update(TaskID(self.task), completed=done)
