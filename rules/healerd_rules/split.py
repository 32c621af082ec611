"""Splits a source into statements at line-start keywords, so that each is parsed by itself.

It never judges a statement; text before the first keyword becomes a piece of its own.
"""

import re
from dataclasses import dataclass

from healerd_rules.source import Source
from healerd_rules.tree import Span
from healerd_rules.words import KEYWORDS, STATEMENTS

MAX_DEPTH = 20
_START = re.compile(
    rf"^[ \t]*(?:(?:{'|'.join(word for word in STATEMENTS if word != 'last')})\b|last[ \t]+resort\b|@)"
    # a misspelt keyword: two words and a colon or an equals sign stand nowhere else at the start of a line
    rf"|^(?!(?:{'|'.join(sorted(KEYWORDS))})\b)[A-Za-z]\w*[ \t]+[A-Za-z_]\w*[ \t]*(?::|=(?!=))",
    re.MULTILINE,
)
_ANNOTATIONS = r"(?:\s|#[^\n]*(?:\n|$)|@\w+(?:\s*\([^)]*\))?)*"
_ONLY_ANNOTATIONS = re.compile(_ANNOTATIONS)
_DEFINED = re.compile(_ANNOTATIONS + r"(?:last[ \t]+resort|\w+)[ \t]+([A-Za-z_][\w.]*)")
_TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|#[^\n]*|\w[\w.%]*|[()]|\S')
_BLANK = re.compile(r"(?:\s|#[^\n]*(?:\n|$))*")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of source that should hold one statement."""

    span: Span

    def text(self, source: Source) -> str:
        """What stands there."""
        return source.text[self.span.start : self.span.end]


def split(source: Source) -> list[Piece]:
    """The pieces in order; blanks and comments between statements belong to the one before."""
    text = source.text
    starts = [match.start() for match in _START.finditer(text)]
    if not starts or _BLANK.fullmatch(text, 0, starts[0]) is None:
        starts.insert(0, 0)
    bounds = zip(starts, [*starts[1:], len(text)], strict=True)
    return _join_annotations(text, [Piece(Span(a, b)) for a, b in bounds if not _BLANK.fullmatch(text, a, b)])


def _join_annotations(text: str, pieces: list[Piece]) -> list[Piece]:
    joined: list[Piece] = []
    pending: int | None = None
    for piece in pieces:
        start = piece.span.start if pending is None else pending
        if _ONLY_ANNOTATIONS.fullmatch(text, piece.span.start, piece.span.end):
            pending = start
            continue
        joined.append(Piece(Span(start, piece.span.end)))
        pending = None
    if pending is not None:
        joined.append(Piece(Span(pending, len(text))))
    return joined


def defined_name(piece: Piece, source: Source) -> str:
    """The name a statement seems to define: used to not report it as unknown when the statement is broken."""
    found = _DEFINED.match(source.text, piece.span.start, piece.span.end)
    return found[1] if found else ""


def too_deep(text: str) -> Span | None:
    """Where a statement's nesting passes the bound: parentheses, and runs of `not` and `-` before them."""
    stack: list[int] = []
    run = depth = 0
    for match in _TOKEN.finditer(text):
        word = match[0]
        if word == "(":
            stack.append(run + 1)
            depth += run + 1
            run = 0
        elif word == ")":
            depth -= stack.pop() if stack else 0
            run = 0
        else:
            run = run + 1 if word in ("not", "-") else 0
        if depth + run > MAX_DEPTH:
            return Span(match.start(), match.end())
    return None
