"""The frame of a plot: where numbers lie on the canvas, the axes and what is written at them. Must never write outside
the canvas, nor one label over another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from healerd_tui.glyphs import GlyphSet
from healerd_tui.inert import width
from healerd_tui.plots.picture import Canvas
from healerd_tui.plots.raster import Floats, Ints, dot_grid, place, signs_of, trace
from healerd_tui.plots.scales import Tick, number_ticks

__all__ = ["Area", "frame", "rule_signs", "write_below"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """The part of a canvas on which values are drawn: its corner and size in cells, and the range of each axis."""

    left: int
    top: int
    cells: int
    lines: int
    x_low: float
    x_high: float
    y_low: float
    y_high: float
    glyphs: GlyphSet

    def column(self, x: float) -> int:
        """Find the cell of the canvas in which `x` lies."""
        share = float(place(np.array([x]), self.x_low, self.x_high)[0])
        return self.left + round(share * (self.cells - 1))

    def line(self, y: float) -> int:
        """Find the line of the canvas on which `y` lies."""
        share = float(place(np.array([y]), self.y_low, self.y_high)[0])
        return self.top + round((1 - share) * (self.lines - 1))

    def dots(self, x: Floats, y: Floats) -> tuple[Ints, Ints]:
        """Turn a line through points into dots of this area, y from the top."""
        grid = dot_grid(self.glyphs)
        across = place(x, self.x_low, self.x_high) * (self.cells * grid.across - 1)
        down = (1 - place(y, self.y_low, self.y_high)) * (self.lines * grid.down - 1)
        return trace(*_thinned(across, down))

    def draw(self, canvas: Canvas, dots: tuple[Ints, Ints], role: str) -> None:
        """Draw dots of this area."""
        canvas.paint(self.left, self.top, signs_of(*dots, self.cells, self.lines, self.glyphs), role)


def frame(
    canvas: Canvas,
    *,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    glyphs: GlyphSet,
    unit: str = "",
    below: int = 2,
    y_ticks: Sequence[Tick] | None = None,
) -> Area:
    """Draw the axes and make the area inside them; `below` lines are kept for the axis of x and what stands under it.

    Where the canvas is too small for axes, all of it becomes the area.
    """
    lines = canvas.height - below
    ticks = list(y_ticks if y_ticks is not None else number_ticks(*y_range, max(min(lines // 2, 6), 1)))
    labels = max((width(label) for _, label in ticks), default=0)
    if lines < 2 or canvas.width < labels + 8:
        return _area((0, 0, canvas.width, canvas.height), x_range, y_range, glyphs)
    left = labels + 1
    area = _area((left, 0, canvas.width - left, lines), x_range, y_range, glyphs)
    corner, across, up = ("+", "-", "|") if glyphs is GlyphSet.ASCII else ("└", "─", "│")
    for line in range(lines):
        canvas.write(left - 1, line, up, "axis")
    canvas.write(left - 1, lines, corner + across * area.cells, "axis")
    taken: set[int] = set()
    for value, label in reversed(ticks):
        line = area.line(value)
        if line not in taken:
            canvas.write(labels - width(label), line, label, "axis")
            taken.add(line)
    if unit and below > 1:
        canvas.write(0, lines + 1, unit if width(unit) <= labels else "", "axis")
    return area


def write_below(canvas: Canvas, area: Area, ticks: Sequence[Tick], line: int, *, role: str = "axis") -> None:
    """Write labels under their places on a line of the canvas, those first that come first; none over another."""
    for at, label in ticks:
        cells = width(label)
        start = min(max(area.column(at) - cells // 2, 0), canvas.width - cells)
        around = max(start - 1, 0)
        if start >= 0 and canvas.is_free(around, line, min(cells + 2, canvas.width - around)):
            canvas.write(start, line, label, role)


def rule_signs(cells: int, sign: str, every: int = 2) -> np.ndarray[tuple[int, int], np.dtype[np.str_]]:
    """Make a line of signs with holes between, for what should not be taken for a curve."""
    row = np.full((1, cells), "", dtype="U1")
    row[0, ::every] = sign
    return row


def _area(
    place_: tuple[int, int, int, int],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    glyphs: GlyphSet,
) -> Area:
    left, top, cells, lines = place_
    return Area(
        left=left,
        top=top,
        cells=cells,
        lines=lines,
        x_low=x_range[0],
        x_high=x_range[1],
        y_low=y_range[0],
        y_high=y_range[1],
        glyphs=glyphs,
    )


def _thinned(across: Floats, down: Floats) -> tuple[Floats, Floats]:
    """Keep, of neighbouring points in one column of dots, the first, lowest, highest and last: the drawing is the same.

    Only where there are many points, and x never goes back; a column with a gap inside is kept whole.
    """
    if len(across) < 1000:
        return across, down
    column = np.rint(across)
    if not np.all(np.isfinite(down)) or not np.all(np.isfinite(column)) or np.any(np.diff(column) < 0):
        return across, down
    first = np.flatnonzero(np.diff(column, prepend=-1))
    last = np.append(first[1:], len(column)) - 1
    low, high = np.minimum.reduceat(down, first), np.maximum.reduceat(down, first)
    x = np.repeat(column[first], 4)
    y = np.stack([down[first], low, high, down[last]], axis=1).reshape(-1)
    return x, y
