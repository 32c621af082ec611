"""Makes names and texts from outside harmless to look at, and fits them into cells.

A model's name, a feature, a reason for a veto: all come from elsewhere, and a terminal obeys what it is sent. What is
not a plain mark on the screen is shown as an escape: controls, line ends, bidirectional controls, zero-width signs,
code points that no standard gives a width. Must never interpret markup, never cut a glyph in half, and never answer
with more cells than were asked for.
"""

import unicodedata
from collections.abc import Iterator
from typing import Literal

from rich.cells import get_character_cell_size
from rich.text import Text

__all__ = ["Align", "clip", "inert", "is_plain", "pad", "show", "width", "wrap"]

Align = Literal["left", "right", "center"]

COMBINING_MAX = 4
"""Marks on one letter: living scripts need no more, and towers of them paint over the neighbours."""

UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that draw nothing, though their category does not say so."""

PLAIN = frozenset(map(chr, (*range(0x20, 0x7F), *range(0x2500, 0x25FD), *range(0x2801, 0x2900))))
"""ASCII, lines and blocks, braille: most of what is ever drawn."""

SPOKEN = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def show(text: str) -> str:
    r"""Write `text` on one line, all that is no plain mark made visible: `show("a\x1b[2J") == r"a\x1b[2J"`."""
    return text if is_plain(text) else "".join(unit for unit, _ in _units(text))


def width(text: str) -> int:
    """Count the cells that `show(text)` takes in a terminal."""
    return len(text) if is_plain(text) else sum(cells for _, cells in _units(text))


def clip(text: str, cells: int, *, more: str = "…") -> str:
    """Show `text` in at most `cells` cells; where it is too long, `more` stands for the rest."""
    head = text[: _enough(cells)]
    if len(head) == len(text) and width(text) <= cells:
        return show(text)
    room = cells - width(more)
    return _fitting(head, room) + more if room >= 0 else _fitting(more, cells)


def pad(text: str, cells: int, *, align: Align = "left", more: str = "…") -> str:
    """Show `text` in exactly `cells` cells: clipped if too long, filled with spaces if too short."""
    shown = clip(text, cells, more=more)
    missing = max(cells, 0) - width(shown)
    match align:
        case "left":
            return shown + " " * missing
        case "right":
            return " " * missing + shown
        case "center":
            return " " * (missing // 2) + shown + " " * (missing - missing // 2)


def wrap(text: str, cells: int) -> tuple[str, ...]:
    """Break `text` into lines of at most `cells` cells, between words where that is possible; line ends in it count."""
    if cells < 1:
        return ()
    return tuple(line for part in text.split("\n") for line in _wrapped(part, cells))


def inert(text: str, cells: int | None = None, style: str = "") -> Text:
    """Make a rich text of what came from outside: never markup, never wrapped, clipped to `cells` if given."""
    return Text(show(text) if cells is None else clip(text, cells), style=style, no_wrap=True, end="")


def is_plain(text: str) -> bool:
    """Tell whether every sign of `text` is harmless and one cell wide; what this says yes to needs no second look."""
    return PLAIN.issuperset(text)


def _enough(cells: int) -> int:
    """Count characters that fill more than `cells` cells whatever they are: a letter bears few marks, and no more."""
    return (COMBINING_MAX + 1) * (max(cells, 0) + 1) + 1


def _units(text: str) -> Iterator[tuple[str, int]]:
    """Split into what must not be cut: a letter with its marks, or an escape; each with its cells."""
    unit, cells, marks = "", 0, 0
    for sign in text:
        shown = _escaped(sign)
        size = get_character_cell_size(sign) if shown is None else 0
        # A space bears no mark: words are cut there, and the mark would be left behind.
        if shown is None and size == 0 and unit.strip(" ") and marks < COMBINING_MAX:
            unit, marks = unit + sign, marks + 1
            continue
        if unit:
            yield unit, cells
        if shown is None and size:
            unit, cells, marks = sign, size, 0
        else:
            # A mark with no letter to stand on, or one too many, would paint over what stands before it.
            unit, marks = "", 0
            escape = _code(sign) if shown is None else shown
            yield escape, len(escape)
    if unit:
        yield unit, cells


def _escaped(sign: str) -> str | None:
    if " " <= sign <= "~":
        return None
    if sign in UNSEEN or unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        return SPOKEN.get(sign) or _code(sign)
    # Variation selectors are marks that change the width of what stands before them; terminals disagree by how much.
    return _code(sign) if "\ufe00" <= sign <= "\ufe0f" or "\U000e0100" <= sign <= "\U000e01ef" else None


def _code(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _fitting(text: str, cells: int) -> str:
    kept, used = [], 0
    for unit, size in _units(text):
        used += size
        if used > cells:
            break
        kept.append(unit)
    return "".join(kept)


def _wrapped(text: str, cells: int) -> Iterator[str]:
    line = ""
    for word in show(text).split(" "):
        joined = f"{line} {word}" if line else word
        if width(joined) <= cells:
            line = joined
            continue
        if line:
            yield line
        *full, line = _pieces(word, cells)
        yield from full
    yield line


def _pieces(word: str, cells: int) -> list[str]:
    """Cut what is longer than a line; a glyph wider than the whole line is left out for a question mark."""
    pieces, used = [""], 0
    for unit, size in _units(word):
        glyph, taken = (unit, size) if size <= cells else ("?", 1)
        if used + taken > cells:
            pieces.append("")
            used = 0
        pieces[-1] += glyph
        used += taken
    return pieces
