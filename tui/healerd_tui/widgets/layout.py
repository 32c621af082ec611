"""Rows and columns as strips: how wide each column is, and one row as a line of cells. Pure but for the styles handed
in; must never draw past the width, and never show a cell's text but inert.
"""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from healerd_tui.glyphs import GlyphSet, sign
from healerd_tui.inert import Align, pad

__all__ = ["Cell", "Column", "Row", "header_strip", "row_strip", "widths"]

Cell = str | tuple[str, str]
"""A text, or a text with the role that colours it."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its heading and its width in cells; a flexible one also takes what is left."""

    key: str
    title: str
    width: int
    _: KW_ONLY
    align: Align = "left"
    flex: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row: a key that no other has, one cell for each column, and a role for cells that name none."""

    key: str
    cells: tuple[Cell, ...]
    role: str = ""


def widths(columns: Sequence[Column], cells: int, *, gutter: int = 1) -> tuple[int, ...]:
    """Give each column its cells: flexible ones share what is left, and those that do not fit get none."""
    left = cells - gutter - sum(column.width + 1 for column in columns) + 1
    flexible = [column for column in columns if column.flex]
    found = []
    for column in columns:
        more = 0
        if column.flex and left > 0:
            more = left // len(flexible) + (column is flexible[0]) * (left % len(flexible))
        found.append(column.width + more)
    at = gutter
    for number, width in enumerate(found):
        found[number] = max(min(width, cells - at), 0)
        at += width + 1
    return tuple(found)


def row_strip(
    row: Row,
    columns: Sequence[Column],
    sizes: Sequence[int],
    *,
    cells: int,
    gutter: str,
    base: Style,
    styles: Mapping[str, Style],
    glyphs: GlyphSet,
) -> Strip:
    """Draw one row as a strip of exactly `cells` cells."""
    more = sign("more", glyphs)
    segments = [Segment(gutter, base)]
    for column, size, cell in zip(columns, sizes, row.cells, strict=False):
        text, role = cell if isinstance(cell, tuple) else (cell, row.role)
        if size > 0:
            style = styles.get(role or row.role)
            segments.append(Segment(pad(text, size, align=column.align, more=more), base + style if style else base))
            segments.append(Segment(" ", base))
    return Strip(segments).adjust_cell_length(cells, base)


def header_strip(
    columns: Sequence[Column],
    sizes: Sequence[int],
    *,
    cells: int,
    gutter: int,
    base: Style,
    glyphs: GlyphSet,
    sorted_by: tuple[str, bool] | None,
) -> Strip:
    """Draw the headings; the column that sorts says so, and in which direction."""
    words = []
    for column, size in zip(columns, sizes, strict=True):
        arrow = ""
        if sorted_by is not None and sorted_by[0] == column.key:
            arrow = sign("up" if sorted_by[1] else "down", glyphs)
        title = pad(column.title, max(size - len(arrow), 0), align=column.align, more="") + arrow
        words.append(title[:size])
    text = " " * gutter + " ".join(word for word, size in zip(words, sizes, strict=True) if size > 0)
    return Strip([Segment(text, base)]).adjust_cell_length(cells, base)
