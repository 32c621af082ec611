"""Parses a source: statements, each by itself, and a finding for every one that does not parse.

A statement whose text was parsed before is not parsed again, wherever it stands now: a keystroke in a long file costs
one statement. It is the only module that imports lark, and it never raises for a text.
"""

import functools
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lark import Lark, Token, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.lexer import PatternRE, PatternStr, TerminalDef

from healerd_rules.build import build
from healerd_rules.hidden import hidden_characters
from healerd_rules.places import moved
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
_VALUES = frozenset(
    "NAME STRING MONEY PERCENT PP NUMBER_UNIT DATE TIME VERSION NUMBER INT ADD".split()  # noqa: SIM905
)
MAX_HIDDEN = 5
KEYWORD_PRIORITY = 1
"""Above that of names, and below that of the words of closed lists in the grammar."""
KEPT_STATEMENTS = 4096
KEPT_CHARACTERS = 20_000
"""Longer statements are rare, and not kept, so that what is kept stays small."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What parsed, and the names that broken statements seem to define."""

    statements: tuple[Statement, ...]
    broken_names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a statement does not parse; the span counts from the statement's first character."""

    code: str
    span: Span
    message: str
    mend: str


@dataclass(frozen=True, slots=True)
class Lexeme:
    """A word or sign of a statement; `kind` is `word` for what the language fixes, else the kind of value."""

    kind: str
    text: str
    start: int
    end: int


@functools.cache
def parser() -> Lark:
    """The parser of one statement; built once, about a quarter of a second."""
    return Lark(
        GRAMMAR.read_text(encoding="utf-8"),
        parser="lalr",
        lexer="contextual",
        propagate_positions=True,
        edit_terminals=_end_words,  # lark takes no answer: it edits in place
    )


def _end_words(terminal: TerminalDef) -> None:
    """Keywords end where words end: `within10m` and `elsedeny` are no two words."""
    word = terminal.pattern.value
    if isinstance(terminal.pattern, PatternStr) and word.isalpha():
        terminal.pattern = PatternRE(rf"{word}(?!\w|\.[A-Za-z_])")
        terminal.priority = KEYWORD_PRIORITY


def parse(source: Source, findings: Findings) -> Parsed:
    """All statements of a source that parse."""
    if len(source.text) > MAX_CHARACTERS:
        message = f"the file has {len(source.text)} characters, more than {MAX_CHARACTERS}"
        findings.error("too-large", Span(0, 1), message, "split it and import the parts")
        return Parsed((), frozenset())
    for span, name in itertools.islice(hidden_characters(source.text), MAX_HIDDEN):
        message = f"`{name}` is invisible here, and can make this line read otherwise than it loads"
        findings.error("hidden-text", span, message, "remove it")
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
    read = read_statement(piece.text(source))
    if isinstance(read, Fault):
        span = Span(piece.span.start + read.span.start, piece.span.start + read.span.end)
        findings.error(read.code, span, read.message, read.mend)
        return None
    return moved(read, piece.span.start)


def read_statement(text: str) -> Statement | Fault:
    """One statement, placed as if the text began with it, or what is wrong with it."""
    return kept_statement(text) if len(text) <= KEPT_CHARACTERS else _read(text)


def lexemes(text: str) -> tuple[Lexeme, ...]:
    """The words and signs of one statement that parses, as the parser took them; blanks and comments lie between."""
    words = parser().parse_interactive(text).iter_parse()
    return tuple(Lexeme(_kind(word), str(word), word.start_pos or 0, word.end_pos or 0) for word in words)


def _kind(token: Token) -> str:
    return token.type if token.type in _VALUES else "word"


def _read(text: str) -> Statement | Fault:
    deep = too_deep(text)
    if deep is not None:
        message = f"nested more than {MAX_DEPTH} levels deep"
        return Fault("too-deep", deep, message, "give a part a name with `let`")
    try:
        parsed = parser().parse(text)
    except UnexpectedInput as error:
        return _fault(error, text)
    return build(parsed)


kept_statement = functools.lru_cache(maxsize=KEPT_STATEMENTS)(_read)
"""As `read_statement`, and remembered; its `cache_info()` tells how many statements were parsed."""


def _fault(error: UnexpectedInput, text: str) -> Fault:
    span = _place(error, text)
    word = text[span.start : span.end]
    expected = _expected(error)
    if span.start >= _end_of_code(text):
        message = "the statement ends too early"
    else:
        message = f"did not expect `{_shorten(word)}` here"
    return Fault("syntax", span, message, _mend(word, expected, text[: span.start]))


def _place(error: UnexpectedInput, text: str) -> Span:
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        end = _end_of_code(text)
        return Span(end, end + 1)
    if isinstance(error, UnexpectedToken):
        token: Token = error.token
        start = token.start_pos or 0
        return Span(start, token.end_pos or start + 1)
    assert isinstance(error, UnexpectedCharacters)
    offset: Any = error.pos_in_stream
    return _word_at(text, offset)


def _word_at(text: str, start: int) -> Span:
    end = start + 1
    if text[start : start + 2] in HINTS:
        end = start + 2
    elif text[start].isalnum() or text[start] == "_":
        while end < len(text) and end - start < 60 and (text[end].isalnum() or text[end] == "_"):
            end += 1
    return Span(start, end)


def _end_of_code(text: str) -> int:
    """Just after the last character of a statement that is neither blank nor comment."""
    offset = end = 0
    for line in text.split("\n"):
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
    if {"INT", "NAME"} <= set(expected):
        return "expected a value, such as `5`, `80%`, `30m` or a name"
    return ""


def _shorten(word: str) -> str:
    shown = word if word.isprintable() else repr(word)[1:-1]
    return shown if len(shown) <= 40 else shown[:37] + "..."
