"""One source text: its places in lines and columns, and the findings about it.

It never reads a file.
"""

import bisect
from collections import Counter
from dataclasses import dataclass, field

from healerd_rules.codes import MENDS
from healerd_rules.diagnostics import Diagnostic, Severity
from healerd_rules.tree import Span

MAX_CHARACTERS = 1_000_000
MAX_FINDINGS = 200
"""So many errors of one source are listed, and so many warnings: no number of warnings hides an error."""
PLACED = ("syntax",)
"""Codes of which nothing helpful can be said but at the place itself."""


@dataclass(frozen=True, slots=True)
class Source:
    """A rule text under the name its findings carry."""

    path: str
    text: str
    line_starts: tuple[int, ...] = field(repr=False)

    @classmethod
    def of(cls, path: str, text: str) -> "Source":
        """A source with line ends made `\\n` and a byte order mark dropped."""
        clean = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        starts = [0, *(at + 1 for at, char in enumerate(clean) if char == "\n")]
        return cls(path, clean, tuple(starts))

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1."""
        line = bisect.bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def slice(self, span: Span) -> str:
        """The text of a span with its white space and comments folded to single blanks."""
        kept = (line.split("#")[0] if '"' not in line else line for line in self._lines(span))
        return " ".join(" ".join(kept).split())

    def _lines(self, span: Span) -> list[str]:
        return self.text[span.start : span.end].split("\n")


@dataclass(slots=True)
class Findings:
    """Collects what is wrong with one source; the same place and code is said once."""

    source: Source
    found: list[Diagnostic] = field(default_factory=list)
    _seen: set[tuple[str, int]] = field(default_factory=set)
    _listed: Counter[Severity] = field(default_factory=Counter)

    def error(self, code: str, span: Span, message: str, mend: str = "") -> None:
        """Something that keeps the rule set from loading."""
        self._add(code, Severity.ERROR, span, message, mend)

    def warning(self, code: str, span: Span, message: str, mend: str = "") -> None:
        """Something that loads, and is probably not meant."""
        self._add(code, Severity.WARNING, span, message, mend)

    @property
    def full(self) -> bool:
        """No more errors are listed."""
        return self._listed[Severity.ERROR] >= MAX_FINDINGS

    def _add(self, code: str, severity: Severity, span: Span, message: str, mend: str) -> None:
        if (code, span.start) in self._seen or self._listed[severity] >= MAX_FINDINGS:
            return
        self._seen.add((code, span.start))
        self._listed[severity] += 1
        line, column = self.source.place(min(span.start, len(self.source.text)))
        stop = self.source.text.find("\n", span.start, span.end)
        end = column + max(1, (span.end if stop < 0 else stop) - span.start)
        self.found.append(
            Diagnostic(
                code=code,
                severity=severity,
                path=self.source.path,
                line=line,
                column=column,
                end=end,
                message=message,
                help=mend or (MENDS[code].how if code not in PLACED else ""),
            )
        )
