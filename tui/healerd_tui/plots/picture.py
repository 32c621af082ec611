"""A drawing of cells: what each shows and which role it plays. Must never know a colour, nor be larger than asked.

Drawing happens on a `Canvas`; what is handed out is a `Picture`, which turns into plain text, a rich text or strips.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from healerd_tui.inert import clip, is_plain, show, width

__all__ = ["Canvas", "Picture", "Span", "line_of"]

Span = tuple[str, str]
"""What is written, and its role; a role is a key of `themes.ROLES`, or empty for plain text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Exactly `height` lines of exactly `width` cells."""

    lines: tuple[tuple[Span, ...], ...]
    width: int
    height: int

    @property
    def plain(self) -> str:
        """The lines as text, without their colours."""
        return "\n".join("".join(text for text, _ in line) for line in self.lines)

    def text(self, styles: Mapping[str, Style]) -> Text:
        """The lines as a rich text."""
        text = Text(no_wrap=True, end="")
        for number, line in enumerate(self.lines):
            text.append("\n" if number else "")
            for written, role in line:
                text.append(written, styles.get(role))
        return text

    def strips(self, styles: Mapping[str, Style], base: Style) -> list[Strip]:
        """The lines as strips, each role's style upon `base`."""
        return [
            Strip([Segment(text, base + styles[role] if role in styles else base) for text, role in line], self.width)
            for line in self.lines
        ]


def line_of(spans: list[Span], cells: int) -> Picture:
    """Make a picture of one line, clipped or filled to `cells`."""
    line: list[Span] = []
    left = max(cells, 0)
    for text, role in spans:
        shown = clip(text, left, more="")
        left -= width(shown)
        line.append((shown, role))
    return Picture(lines=((*line, (" " * left, "")),), width=max(cells, 0), height=1)


class Canvas:
    """Cells to draw on; what is drawn later hides what was there."""

    def __init__(self, cells: int, lines: int) -> None:
        self.width, self.height = max(cells, 0), max(lines, 0)
        self.signs: NDArray[np.str_] = np.full((self.height, self.width), " ", dtype="U12")
        self._roles: NDArray[np.int16] = np.zeros((self.height, self.width), dtype=np.int16)
        self._names = [""]

    def write(self, x: int, y: int, text: str, role: str = "") -> None:
        """Write `text` from cell `x` of line `y` on, inert, cut where the line ends."""
        if not (0 <= y < self.height and 0 <= x < self.width):
            return
        if is_plain(text):
            shown = text[: self.width - x]
            self.signs[y, x : x + len(shown)] = list(shown)
            self._roles[y, x : x + len(shown)] = self._index(role)
            return
        at = x
        for unit in _glyphs(clip(text, self.width - x, more="")):
            cells = width(unit)
            self.signs[y, at] = unit
            # The second half of a wide glyph is taken by the first.
            self.signs[y, at + 1 : at + cells] = ""
            at += cells
        self._roles[y, x:at] = self._index(role)

    def paint(self, x: int, y: int, signs: NDArray[np.str_], role: str) -> None:
        """Draw a block of single-cell signs with its corner at (x, y), but for those that are empty strings."""
        if not (0 <= y < self.height and 0 <= x < self.width):
            return
        lines, cells = min(signs.shape[0], self.height - y), min(signs.shape[1], self.width - x)
        block = signs[:lines, :cells]
        drawn = block != ""
        self.signs[y : y + lines, x : x + cells][drawn] = block[drawn]
        self._roles[y : y + lines, x : x + cells][drawn] = self._index(role)

    def is_free(self, x: int, y: int, cells: int) -> bool:
        """Tell whether nothing is drawn in those cells of the line."""
        return (
            0 <= y < self.height
            and x >= 0
            and x + cells <= self.width
            and bool(np.all(self._roles[y, x : x + cells] == 0))
        )

    def count(self, x: int, y: int, cells: int, roles: Iterable[str]) -> int:
        """Count the cells from `x` of line `y` on that have one of the roles."""
        if not 0 <= y < self.height:
            return 0
        wanted = [self._names.index(role) for role in roles if role in self._names]
        return int(np.isin(self._roles[y, max(x, 0) : x + cells], wanted).sum())

    def picture(self) -> Picture:
        """Hand out what is drawn."""
        return Picture(lines=tuple(self._lines()), width=self.width, height=self.height)

    def _lines(self) -> Iterator[tuple[Span, ...]]:
        for drawn, roles in zip(self.signs.tolist(), self._roles, strict=True):
            signs = _whole(drawn)
            cuts = [0, *(np.flatnonzero(np.diff(roles)) + 1).tolist(), self.width]
            yield tuple(
                ("".join(signs[start:end]), self._names[roles[start]]) for start, end in pairwise(cuts) if end > start
            )

    def _index(self, role: str) -> int:
        if role not in self._names:
            self._names.append(role)
        return self._names.index(role)


def _whole(signs: list[str]) -> list[str]:
    """Put a space where half of a wide glyph was drawn over: the other half cannot stand alone."""
    if len(signs) == len(line := "".join(signs)) and is_plain(line):
        return signs
    sizes = [width(sign) for sign in signs]
    kept = list(signs)
    for at, size in enumerate(sizes):
        is_second = at > 0 and sizes[at - 1] == 2
        is_cut = size == 2 and (at + 1 == len(signs) or sizes[at + 1] != 0)
        if is_cut or (size == 0 and not is_second):
            kept[at] = " "
    return kept


def _glyphs(text: str) -> Iterator[str]:
    """Split a text that is inert already into letters with the marks they bear."""
    unit = ""
    for sign in show(text):
        if unit and width(unit + sign) > width(unit):
            yield unit
            unit = ""
        unit += sign
    if unit:
        yield unit
