"""Parses a source: statements, each by itself, and a finding for every one that does not parse.

It is the only module that imports lark, and it never raises for a text.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lark import Lark, TextSlice, Token, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from healerd_rules.build import build
from healerd_rules.source import MAX_CHARACTERS, Findings, Source
from healerd_rules.split import MAX_DEPTH, Piece, defined_name, split, too_deep
from healerd_rules.tree import Span, Statement
from healerd_rules.words import HINTS, KEYWORDS, nearest

GRAMMAR = Path(__file__).with_name("grammar.lark")
_NAMED = {
    "NAME": "a name",
    "STRING": 'a text in `"quotes"`',
    "$END": "the end of the statement",
    "COLON": "`:`",
    "EQUAL": "`=`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "INT": "a whole number",
    "CMPOP": "a comparison",
    "OUTCOME": "`deny` or `defer`",
    "UNK": "`fires`, `skips` or `asks`",
    "TIME": "a time such as `09:00`",
    "VERSION": "a version such as `1.0`",
    "WIN": "`windows`",
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """What parsed, and the names that broken statements seem to define."""

    statements: tuple[Statement, ...]
    broken_names: frozenset[str]


@functools.cache
def parser() -> Lark:
    """The parser of one statement; built once, about a quarter of a second."""
    return Lark(
        GRAMMAR.read_text(encoding="utf-8"),
        parser="lalr",
        lexer="contextual",
        propagate_positions=True,
    )


def parse(source: Source, findings: Findings) -> Parsed:
    """All statements of a source that parse."""
    if len(source.text) > MAX_CHARACTERS:
        message = f"the file has {len(source.text)} characters, more than {MAX_CHARACTERS}"
        findings.error("too-large", Span(0, 1), message, "split it and import the parts")
        return Parsed((), frozenset())
    statements: list[Statement] = []
    broken: set[str] = set()
    for piece in split(source):
        statement = _parse_piece(piece, source, findings)
        if statement is None:
            broken.add(defined_name(piece, source))
        else:
            statements.append(statement)
        if findings.full:
            break
    return Parsed(tuple(statements), frozenset(broken))


def _parse_piece(piece: Piece, source: Source, findings: Findings) -> Statement | None:
    deep = too_deep(piece, source)
    if deep is not None:
        message = f"nested more than {MAX_DEPTH} levels deep"
        findings.error("too-deep", deep, message, "give a part a name with `let`")
        return None
    try:
        parsed = parser().parse(TextSlice(source.text, piece.span.start, piece.span.end))
    except UnexpectedInput as error:
        _report(error, piece, source, findings)
        return None
    return build(parsed)


def _report(error: UnexpectedInput, piece: Piece, source: Source, findings: Findings) -> None:
    span = _place(error, piece, source)
    word = source.text[span.start : span.end]
    expected = _expected(error)
    if span.start >= _end_of_code(piece, source):
        message = "the statement ends too early"
    else:
        message = f"did not expect `{_shorten(word)}` here"
    findings.error("syntax", span, message, _mend(word, expected, source.text[: span.start]))


def _place(error: UnexpectedInput, piece: Piece, source: Source) -> Span:
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        end = _end_of_code(piece, source)
        return Span(end, end + 1)
    if isinstance(error, UnexpectedToken):
        token: Token = error.token
        start = token.start_pos or 0
        return Span(start, token.end_pos or start + 1)
    assert isinstance(error, UnexpectedCharacters)
    offset: Any = error.pos_in_stream
    return _word_at(source.text, offset, piece.span.end)


def _word_at(text: str, start: int, stop: int) -> Span:
    end = start + 1
    if text[start : start + 2] in HINTS:
        end = start + 2
    elif text[start].isalnum() or text[start] == "_":
        while end < stop and end - start < 60 and (text[end].isalnum() or text[end] == "_"):
            end += 1
    return Span(start, end)


def _end_of_code(piece: Piece, source: Source) -> int:
    """Just after the last character of a piece that is neither blank nor comment."""
    lines = piece.text(source).split("\n")
    offset = piece.span.start
    end = offset
    for line in lines:
        code = (line if '"' in line else line.split("#")[0]).rstrip()
        if code.strip():
            end = offset + len(code)
        offset += len(line) + 1
    return end


def _expected(error: UnexpectedInput) -> list[str]:
    """What could stand here instead, by the parser's own account; empty when it does not narrow down."""
    if isinstance(error, UnexpectedToken):
        return sorted(error.accepts)
    return sorted(getattr(error, "allowed", None) or ())


def _mend(word: str, expected: list[str], before: str) -> str:
    if word in HINTS:
        return HINTS[word]
    keywords = [name.lower() for name in expected if name.lower() in KEYWORDS]
    near = nearest(word.lower(), keywords) if word.strip() else ""
    if near:
        return f"did you mean `{near}`?"
    if not before.strip():
        near = nearest(word.lower(), KEYWORDS)
        return f"did you mean `{near}`?" if near else "a statement starts with a keyword such as `forbid` or `signal`"
    if 0 < len(expected) <= 5:
        return "expected " + " or ".join(_NAMED.get(name, f"`{name.lower()}`") for name in expected)
    return ""


def _shorten(word: str) -> str:
    shown = word if word.isprintable() else repr(word)[1:-1]
    return shown if len(shown) <= 40 else shown[:37] + "..."
