"""Tells the words and signs of any text apart, for colours and for editors; broken texts as well as sound ones.

It never parses, never raises, and never leaves a visible character out.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from healerd_rules.builtins import BUILTINS
from healerd_rules.schema import METRIC_TYPES
from healerd_rules.words import BUILTIN_VALUES, CLOSED, KEYWORDS, STATEMENTS, UNITS

__all__ = ["PATTERNS", "Kind", "Token", "tokens"]


class Kind(StrEnum):
    """What a token is; `statement` is a keyword that begins one."""

    STATEMENT = "statement"
    KEYWORD = "keyword"
    CLOSED = "closed"
    TYPE = "type"
    FUNCTION = "function"
    BUILTIN = "builtin"
    NAME = "name"
    ANNOTATION = "annotation"
    NUMBER = "number"
    TIME = "time"
    STRING = "string"
    COMMENT = "comment"
    OPERATOR = "operator"
    PUNCTUATION = "punctuation"
    ERROR = "error"


class Token(NamedTuple):
    """Half-open range of characters and what stands there."""

    start: int
    end: int
    kind: Kind


PATTERNS: tuple[tuple[Kind, str], ...] = (
    (Kind.COMMENT, r"#[^\n]*"),
    (Kind.STRING, r'"(?:\\.|[^"\\\n])*"'),
    (Kind.ERROR, r'"[^\n]*'),
    (Kind.ANNOTATION, r"@[A-Za-z_][A-Za-z0-9_]*"),
    (Kind.TIME, r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}:[0-9]{2}"),
    (Kind.NUMBER, rf"[$€£]?[0-9]+(?:\.[0-9]+)*(?:%|(?:{'|'.join(unit for unit in UNITS if unit != '%')})\b)?"),
    (Kind.NAME, r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*"),
    (Kind.OPERATOR, r"[<>!=]=|[<>+*/=-]"),
    (Kind.PUNCTUATION, r"\.\.|[(),:{}\[\]]"),
    (Kind.ERROR, r"[^\s]"),
)
"""In this order: the first that matches is it. Words are told apart by the tables of `words.py`."""

_TOKEN = re.compile("|".join(f"({pattern})" for _, pattern in PATTERNS))
_CALL = re.compile(r"[ \t]*\(")
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(METRIC_TYPES, Kind.TYPE),
    **dict.fromkeys(BUILTIN_VALUES, Kind.BUILTIN),
    **dict.fromkeys(CLOSED, Kind.CLOSED),
    **dict.fromkeys(KEYWORDS, Kind.KEYWORD),
}


def tokens(text: str) -> Iterator[Token]:
    """Every token of a text in order; between them stands white space alone."""
    line_start = True
    end = 0
    for match in _TOKEN.finditer(text):
        line_start = line_start if end == 0 else "\n" in text[end : match.start()]
        kind = PATTERNS[(match.lastindex or 1) - 1][0]
        if kind is Kind.NAME:
            kind = _word(match[0], text, match.end(), line_start=line_start)
        end = match.end()
        yield Token(match.start(), end, kind)


def _word(word: str, text: str, end: int, *, line_start: bool) -> Kind:
    if line_start and word in STATEMENTS:
        return Kind.STATEMENT
    if word in BUILTINS and _CALL.match(text, end):
        return Kind.FUNCTION
    return _KINDS.get(word, Kind.NAME)
