"""Where an offline run speaks: the story to one place, progress to another. Must never decide what is worth telling."""

import shutil
import sys
import textwrap
from dataclasses import dataclass, field
from typing import TextIO

__all__ = ["Teller"]

CELLS, FULL, EMPTY = 30, "━", "·"
CLEARED = "\r\x1b[K"
"""Goes back to the start of a terminal's line and wipes it."""


@dataclass(slots=True, kw_only=True)
class Teller:
    """Writes lines to `out`, and how far a run is to `err`: a bar in a terminal, elsewhere a line for each tenth."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    _bar: str = ""
    _tenth: int = 0

    def say(self, text: str = "") -> None:
        """Write a line; a bar makes room for it."""
        self._draw("")
        self.out.write(f"{_wrapped(text) if self.out.isatty() else text}\n")
        self.out.flush()

    def ask(self, text: str) -> None:
        """Write a question to `err`, in place of the bar or of the question before."""
        self._draw(text)

    def reach(self, done: int, total: int, what: str) -> None:
        """Tell that `done` of `total` parts are done; the bar goes away with the next line."""
        share = done / max(total, 1)
        if self.err.isatty():
            self._draw(f"{FULL * round(CELLS * share):{EMPTY}<{CELLS}} {share:4.0%} {what}")
        elif int(10 * share) > self._tenth:
            self._tenth = int(10 * share)
            self.err.write(f"{10 * self._tenth}% {what}\n")
            self.err.flush()

    def _draw(self, text: str) -> None:
        if text or self._bar:
            self.err.write(CLEARED + text)
            self.err.flush()
            self._bar = text


def _wrapped(text: str) -> str:
    """Break long lines between words, and indent what goes on below by two more than its line."""
    width = shutil.get_terminal_size().columns
    return "\n".join(
        textwrap.fill(line, width, subsequent_indent=" " * (len(line) - len(line.lstrip()) + 2))
        for line in text.split("\n")
    )
