"""Lays the words of one statement out over lines: a clause a line, long ones broken at `and`, `or` and commas.

It never adds, drops or reorders a word or a comment, and never looks at how the statement stood before, but for its
comments and for empty lines inside a test.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from healerd_rules.words import STATEMENTS

__all__ = ["WIDTH", "Note", "Word", "lay_out"]

WIDTH = 120
CLAUSES = frozenset({"when", "unless", "if", "approval", "veto", "because", "clears", "repeat", "priority", "severity"})
RANKS = frozenset({"priority", "severity"})
STEPS = frozenset({"on", "at", "given", "advance", "did", "doing", "expect"})
OPERATORS = {"implies": 0, "or": 1, ",": 2, "and": 3}
"""What a long line is broken at, the loosest first; a break stands before the word, and after a comma."""
_NO_BLANK_BEFORE = frozenset({",", ":", ")", "]", "[", ".."})
_NO_BLANK_AFTER = frozenset({"(", "[", "..", "@", "-"})
_NAME = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Note:
    """A comment with its `#`, and how it stood."""

    text: str
    own_line: bool
    indented: bool
    after_blank: bool


@dataclass(frozen=True, slots=True)
class Word:
    """A word, sign or value with the comments before it; `kind` is that of `syntax.Lexeme`."""

    kind: str
    text: str
    notes: tuple[Note, ...] = ()
    after_blank: bool = False

    def is_(self, *texts: str) -> bool:
        """Whether it is one of these words of the language, not a name or text that looks like it."""
        return self.kind == "word" and self.text in texts


Words = Sequence[Word]


def lay_out(words: Words) -> list[str]:
    """The lines of a statement, without line ends."""
    page = _Page()
    start = _after_annotations(words)
    if start:
        _annotations(page, words[:start])
    if words[start].is_("test"):
        _test(page, words[start:])
    else:
        _clauses(page, words[start:])
    return page.lines


@dataclass(slots=True)
class _Page:
    """The lines so far."""

    lines: list[str] = field(default_factory=list)

    def line(self, words: Words, indent: int, *, note_indent: int | None = None, spaced: bool = False) -> None:
        """Write one line, with the comments before its first word; `spaced` keeps an empty line before it."""
        notes = words[0].notes
        if notes and not notes[0].own_line and self.lines:
            self.lines[-1] += f"  {notes[0].text}"
            notes = notes[1:]
        for note in notes:
            self._space(wanted=spaced and note.after_blank)
            self.lines.append(" " * (indent if note_indent is None else note_indent) + note.text)
        self._space(wanted=spaced and words[0].after_blank)
        self.lines.append(" " * indent + _joined(words))

    def block(self, words: Words, indent: int, *, hang: int, spaced: bool = False) -> None:
        """Write words that belong on one line, over more lines where a comment or the width asks for it."""
        cuts = [0, *(at for at, word in enumerate(words) if at and word.notes), len(words)]
        for start, end in pairwise(cuts):
            self._wrapped(words[start:end], hang if start else indent, hang=hang, spaced=spaced and not start)

    def _wrapped(self, words: Words, indent: int, *, hang: int, spaced: bool = False) -> None:
        cuts = [] if indent + len(_joined(words)) <= WIDTH else _breaks(words)
        if not cuts:
            self.line(words, indent, spaced=spaced)
            return
        for start, end in zip([0, *cuts], [*cuts, len(words)], strict=True):
            self._wrapped(words[start:end], hang if start else indent, hang=hang + 2, spaced=spaced and not start)

    def _space(self, *, wanted: bool) -> None:
        if wanted:
            self.lines.append("")


def _after_annotations(words: Words) -> int:
    at = 0
    while words[at].is_("@"):
        at += 2
        if words[at].is_("("):
            at += 3
    return at


def _annotations(page: _Page, words: Words) -> None:
    """All on one line, or each on its own where they do not fit or a comment stands between."""
    starts = [at for at, word in enumerate(words) if word.is_("@")]
    if len(_joined(words)) <= WIDTH and not any(word.notes for word in words[1:]):
        starts = [0]
    for start, end in zip(starts, [*starts[1:], len(words)], strict=True):
        page.block(words[start:end], 0, hang=4)


def _clauses(page: _Page, words: Words) -> None:
    cuts = [at for at in range(1, len(words)) if _begins_clause(words, at)]
    head, *rest = (words[start:end] for start, end in zip([0, *cuts], [*cuts, len(words)], strict=True))
    _head(page, head, has_memory=any(clause[0].is_("clears") for clause in rest))
    for clause in rest:
        page.block(clause, 2, hang=4)


def _begins_clause(words: Words, at: int) -> bool:
    if not words[at].is_(*CLAUSES):
        return False
    if words[at].is_("when"):
        return not words[at - 1].is_("clears")
    # a severity stays on the line of its priority
    return not (words[at].is_(*RANKS) and at > 1 and words[at - 2].is_(*RANKS))


def _head(page: _Page, words: Words, *, has_memory: bool) -> None:
    """The first line; what is defined stands below its name when it is long, or when the signal has a memory."""
    at = 3
    defines = len(words) > at and words[2].is_("=") and _may_begin_line(words[at])
    if not defines or (len(_joined(words)) <= WIDTH and not has_memory) or words[at].notes:
        page.block(words, 0, hang=4)
        return
    page.block(words[:at], 0, hang=4)
    page.block(words[at:], 4, hang=6)


def _test(page: _Page, words: Words) -> None:
    page.block(words[:3], 0, hang=4)
    steps = [at for at in range(3, len(words)) if words[at].is_(*STEPS)]
    end = len(words) - 1
    for position, (start, stop) in enumerate(zip(steps, [*steps[1:], end], strict=True)):
        page.block(words[start:stop], 2, hang=4, spaced=position > 0)
    page.line(words[end:], 0, note_indent=2)


def _breaks(words: Words) -> list[int]:
    """Where to break first: at the loosest words in the fewest parentheses."""
    found: dict[tuple[int, int], list[int]] = {}
    depth = 0
    ranges: set[int] = set()
    for at, word in enumerate(words):
        depth += word.is_("(") - word.is_(")")
        if word.is_("between"):
            ranges.add(depth)
        elif word.is_("and") and depth in ranges:
            ranges.discard(depth)
        elif word.is_(*OPERATORS):
            before = at + word.is_(",")
            if 0 < before < len(words) and _may_begin_line(words[before]):
                found.setdefault((depth, OPERATORS[word.text]), []).append(before)
    return found[min(found)] if found else []


def _may_begin_line(word: Word) -> bool:
    """Whether a line may begin with it: a word that begins statements would begin one."""
    name = _NAME.match(word.text)
    return name is None or name[0] not in STATEMENTS


def _joined(words: Words) -> str:
    parts = [words[0].text]
    for before, word in pairwise(words):
        parts.append(word.text if _close(before, word) else f" {word.text}")
    return "".join(parts)


def _close(before: Word, word: Word) -> bool:
    """Whether no blank stands between two words."""
    if word.is_(*_NO_BLANK_BEFORE) or before.is_(*_NO_BLANK_AFTER):
        return True
    return word.is_("(") and before.kind == "NAME"
