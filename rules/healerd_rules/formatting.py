"""Formats rule texts in the one style of the shipped packs; comments, strings and meaning stay as they are.

It never touches a statement that does not parse, never drops a comment, and never reads or writes a file.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from healerd_rules.layout import Note, Word, lay_out
from healerd_rules.places import bare
from healerd_rules.source import MAX_CHARACTERS, Source
from healerd_rules.split import split
from healerd_rules.syntax import Fault, lexemes, read_statement

__all__ = ["Formatted", "format_text"]

_COMMENT = re.compile(r"#[^\n]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Formatted:
    """The text in its style; `untouched` are the lines, from 1, of statements that do not parse and stand as before."""

    text: str
    untouched: tuple[int, ...] = ()


def format_text(text: str) -> Formatted:
    """The same rules in the one style; formatting twice changes nothing more.

    A text longer than the language allows comes back as it is.
    """
    source = Source.of("", text)
    if len(source.text) > MAX_CHARACTERS:
        return Formatted(text=text, untouched=(1,))
    pieces = [piece.text(source) for piece in split(source)]
    head = source.text[: len(source.text) - sum(map(len, pieces))]
    lines = list(_head(head))
    untouched: list[int] = []
    at = len(head)
    for piece in pieces:
        formatted = _format_piece(piece)
        if formatted is None:
            untouched.append(source.place(at + len(piece) - len(piece.lstrip()))[0])
        lines.extend(piece.removesuffix("\n").split("\n") if formatted is None else formatted)
        at += len(piece)
    end = "\n".join(lines).rstrip("\n")
    return Formatted(text=end and end + "\n", untouched=tuple(untouched))


def _head(text: str) -> Iterator[str]:
    """The comments above the first statement."""
    notes = _notes(f"\n{text}")
    for position, note in enumerate(notes):
        yield from [""] if position and note.after_blank else []
        yield note.text
    if notes and _ends_blank(text):
        yield ""


@functools.lru_cache(maxsize=1024)
def _format_piece(text: str) -> tuple[str, ...] | None:
    """The lines of one statement and of what stands between it and the next; None for one that does not parse."""
    before = read_statement(text)
    if isinstance(before, Fault):
        return None
    words, end = _words(text)
    lines = lay_out(words)
    # what a person wrote must never come to mean something else: layout.py keeps it, and here it is held to that
    after = read_statement("\n".join(lines))
    if isinstance(after, Fault) or bare(after) != bare(before) or len(split(Source.of("", "\n".join(lines)))) != 1:
        return None
    notes = _notes(text[end:])
    if notes and not notes[0].own_line:
        lines[-1] += f"  {notes[0].text}"
        notes = notes[1:]
    return (*lines, *_between(notes), *([""] if _ends_blank(text[end:]) else []))


def _between(notes: tuple[Note, ...]) -> Iterator[str]:
    """Comments between two statements; those set in right below a statement stay with it."""
    below = True
    for note in notes:
        below = below and note.indented and not note.after_blank
        yield from [""] if note.after_blank else []
        yield f"  {note.text}" if below else note.text


def _words(text: str) -> tuple[list[Word], int]:
    """The words of a statement, each with the comments before it, and where the last one ends."""
    found: list[Word] = []
    at = 0
    for lexeme in lexemes(text):
        gap = text[at : lexeme.start]
        found.append(Word(lexeme.kind, lexeme.text, _notes(gap), _ends_blank(gap)))
        at = lexeme.end
    return found, at


def _notes(gap: str) -> tuple[Note, ...]:
    """The comments between two words."""
    notes: list[Note] = []
    at = 0
    for match in _COMMENT.finditer(gap):
        blanks = gap[at : match.start()]
        lines = blanks.count("\n")
        own_line = bool(notes) or lines > 0
        notes.append(Note(match[0].rstrip(" \t\f"), own_line, not blanks.endswith("\n"), lines > 1))
        at = match.end()
    return tuple(notes)


def _ends_blank(gap: str) -> bool:
    """Whether an empty line stands before what follows."""
    return gap[len(gap.rstrip()) :].count("\n") > 1
