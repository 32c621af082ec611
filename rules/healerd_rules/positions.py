"""Turns places in a text into lines and code units, as editors count them, and back; and applies their edits.

It never counts lines as anything but the language does: what an editor cannot show as a line end is none.
"""

from collections.abc import Callable

from healerd_rules.source import Source

__all__ = ["Position", "edited", "offset_at", "position_at"]

Position = tuple[int, int]
"""Line and code unit, both from 0."""

_UNITS: dict[str, Callable[[str], int]] = {
    "utf-8": lambda char: len(char.encode("utf-8", "surrogatepass")),
    "utf-16": lambda char: 2 if ord(char) > 0xFFFF else 1,
    "utf-32": lambda char: 1,
}


def position_at(source: Source, offset: int, encoding: str = "utf-16") -> Position:
    """Where an offset lies; `encoding` is `utf-8`, `utf-16` or `utf-32`."""
    line, column = source.place(min(offset, len(source.text)))
    start = source.line_starts[line - 1]
    return line - 1, sum(map(_UNITS[encoding], source.text[start : start + column - 1]))


def offset_at(source: Source, position: Position, encoding: str = "utf-16") -> int:
    """The offset of a position; one past the end of a line or of the text is at that end."""
    line, wanted = position
    if line >= len(source.line_starts):
        return len(source.text)
    at = source.line_starts[line]
    end = source.line_starts[line + 1] - 1 if line + 1 < len(source.line_starts) else len(source.text)
    units = 0
    while at < end:
        units += _UNITS[encoding](source.text[at])
        if units > wanted:
            break
        at += 1
    return at


def edited(source: Source, start: Position, end: Position, text: str, encoding: str = "utf-16") -> Source:
    """The source with what stands between two positions replaced."""
    before, after = offset_at(source, start, encoding), offset_at(source, end, encoding)
    return Source.of(source.path, source.text[:before] + text + source.text[max(before, after) :])
