"""Plots of values over time: lines with gaps, thresholds, bands, and what happened marked on the axis of time.

Must never bridge a gap, and never leave out a mark without room because another stands there: the more urgent is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import ArrayLike

from healerd_tui.formats import say_number
from healerd_tui.glyphs import MARKS, GlyphSet, sign
from healerd_tui.inert import clip, show
from healerd_tui.inert import width as cells_of
from healerd_tui.plots.axes import Area, frame, rule_signs, write_below
from healerd_tui.plots.picture import Canvas, Picture, Span
from healerd_tui.plots.raster import Floats, clean
from healerd_tui.plots.scales import number_ticks, range_of, say_time, time_ticks

__all__ = ["Band", "Level", "Mark", "line_plot"]

LINE_ROLES = ("plot-line", "plot-other", "plot-third")
MARK_ROLES: Mapping[str, str] = {
    "failed": "failed",
    "pending": "pending",
    "drift": "drift",
    "veto": "vetoed",
    "undo": "vetoed",
    "heal": "healing",
    "promotion": "ok",
}
"""Kind of mark -> role, the most urgent first."""
WORTH_SEEING = (*LINE_ROLES, "threshold", "axis")
LABEL_MAX = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened: when, of which kind (`glyphs.MARKS`), and a word to it."""

    at: float
    kind: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A value that matters, such as a rule's floor."""

    at: float
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A range of values that is usual, such as where 95% of the reference lie."""

    low: float
    high: float
    label: str = ""


def line_plot(
    x: ArrayLike,
    series: Mapping[str, ArrayLike],
    *,
    width: int,
    height: int,
    glyphs: GlyphSet,
    unit: str = "",
    time: bool = True,
    marks: Sequence[Mark] = (),
    levels: Sequence[Level] = (),
    bands: Sequence[Band] = (),
    cursor: int | None = None,
    y_low: float | None = None,
    y_high: float | None = None,
) -> Picture:
    """Draw up to three lines over `x`: seconds since 1970 (UTC), or plain numbers unless `time`.

    x: shape (n,), ascending; each of `series`: shape (n,), NaN where there is nothing. Lines of one plot differ in
    their dashes, not in colour alone. `cursor` is an index into x whose values are written out. Raises ValueError if
    the lengths differ.
    """
    xs = clean(x)
    lines = {name: clean(values) for name, values in list(series.items())[: len(LINE_ROLES)]}
    if any(len(values) != len(xs) for values in lines.values()):
        raise ValueError("every series needs one value for each x")
    # What is nowhere cannot be drawn; infinities lie at the edge.
    marks = [mark for mark in marks if not isnan(mark.at)]
    levels = [level for level in levels if not isnan(level.at)]
    bands = [band for band in bands if not (isnan(band.low) or isnan(band.high))]
    canvas = Canvas(width, height)
    labelled = any(mark.label for mark in marks) and height >= 8
    area = frame(
        canvas,
        x_range=range_of(np.concatenate([xs, [mark.at for mark in marks]])),
        y_range=_y_range(lines, levels, bands, y_low, y_high),
        glyphs=glyphs,
        unit=unit,
        below=3 if labelled else 2,
    )
    for band in bands:
        _draw_band(canvas, area, band)
    for level in levels:
        _draw_level(canvas, area, level)
    _draw_lines(canvas, area, xs, lines)
    _name_levels(canvas, area, levels, bands)
    if cells_of(unit) >= area.left:
        # Too long to stand under the numbers of its axis, it stands beside them.
        _write_clearest(canvas, area, [(unit, "axis")], (area.left + 1,), (area.top, area.top + area.lines - 1))
    if area.top + area.lines < height:
        _draw_x_axis(canvas, area, marks, time=time, labelled=labelled)
    if cursor is not None and 0 <= cursor < len(xs) and not isnan(xs[cursor]):
        _draw_cursor(canvas, area, xs, lines, cursor, time=time)
    elif len(lines) > 1:
        _draw_legend(canvas, area, list(lines))
    return canvas.picture()


def _y_range(
    lines: Mapping[str, Floats],
    levels: Sequence[Level],
    bands: Sequence[Band],
    low: float | None,
    high: float | None,
) -> tuple[float, float]:
    others = [level.at for level in levels] + [value for band in bands for value in (band.low, band.high)]
    return range_of(np.concatenate([*lines.values(), np.array(others, dtype=float)]), low=low, high=high)


def _draw_lines(canvas: Canvas, area: Area, x: Floats, lines: Mapping[str, Floats]) -> None:
    # The first line is drawn last, so that it lies on top.
    for number, values in reversed(list(enumerate(lines.values()))):
        across, down = area.dots(x, values)
        kept = _dashes(number, len(lines), across)
        area.draw(canvas, (across[kept], down[kept]), LINE_ROLES[number])


def _dashes(
    number: int, of: int, across: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    period, length = ((1, 1), (6, 4), (4, 1))[number]
    return across % period < (length if of > 1 else period)


def _draw_band(canvas: Canvas, area: Area, band: Band) -> None:
    top, bottom = sorted((area.line(band.low), area.line(band.high)))
    fill = "," if area.glyphs is GlyphSet.ASCII else "░"
    # ASCII has no tone that is not taken for a dot of the line, so there only the edges are drawn.
    drawn = {top, bottom} if area.glyphs is GlyphSet.ASCII else range(top, bottom + 1)
    for line in drawn:
        canvas.paint(area.left, line, rule_signs(area.cells, fill, 1), "band")


def _draw_level(canvas: Canvas, area: Area, level: Level) -> None:
    dot = "-" if area.glyphs is GlyphSet.ASCII else "╌"
    canvas.paint(area.left, area.line(level.at), rule_signs(area.cells, dot), "threshold")


def _name_levels(canvas: Canvas, area: Area, levels: Sequence[Level], bands: Sequence[Band]) -> None:
    named = [(level.at, level.label, "threshold") for level in levels]
    named += [(band.high, band.label, "axis") for band in bands]
    for at, label, role in named:
        text = f" {clip(label, max(area.cells // 2 - 2, 0), more=sign('more', area.glyphs))} "
        room = area.cells - cells_of(text)
        starts = (area.left + room, area.left, area.left + room // 2)
        if label:
            _write_clearest(canvas, area, [(text, role)], starts, [area.line(at)])


def _draw_x_axis(canvas: Canvas, area: Area, marks: Sequence[Mark], *, time: bool, labelled: bool) -> None:
    axis = area.top + area.lines
    ticks = (
        time_ticks(area.x_low, area.x_high, area.cells)
        if time
        else number_ticks(area.x_low, area.x_high, max(area.cells // 12, 1))
    )
    for at, _ in ticks:
        canvas.write(area.column(at), axis, "+" if area.glyphs is GlyphSet.ASCII else "┬", "axis")
    write_below(canvas, area, ticks, axis + 1)
    urgent_last = sorted(marks, key=lambda mark: -_rank(mark.kind))
    for mark in urgent_last:
        canvas.write(area.column(mark.at), axis, _sign_of(mark, area.glyphs), MARK_ROLES.get(mark.kind, "axis"))
    if labelled:
        for mark in reversed(urgent_last):
            text = clip(f"{_sign_of(mark, area.glyphs)} {mark.label}", LABEL_MAX, more=sign("more", area.glyphs))
            if mark.label:
                write_below(canvas, area, [(mark.at, text)], axis + 2, role=MARK_ROLES.get(mark.kind, "axis"))


def _rank(kind: str) -> int:
    return [*MARK_ROLES, kind].index(kind)


def _sign_of(mark: Mark, glyphs: GlyphSet) -> str:
    return MARKS[mark.kind][glyphs is GlyphSet.ASCII] if mark.kind in MARKS else "?"


def _draw_cursor(
    canvas: Canvas, area: Area, x: Floats, lines: Mapping[str, Floats], cursor: int, *, time: bool
) -> None:
    column = area.column(float(x[cursor]))
    up = np.full((area.lines, 1), "|" if area.glyphs is GlyphSet.ASCII else "│")
    canvas.paint(column, area.top, up, "cursor")
    when = say_time(float(x[cursor])) if time else say_number(float(x[cursor]))
    values = [f"{show(name)} {say_number(float(line[cursor]))}" for name, line in lines.items()]
    text = clip("  ".join([when, *values]), max(area.cells - 2, 0), more=sign("more", area.glyphs))
    starts = (column + 2, column - 1 - cells_of(text))
    _write_clearest(canvas, area, [(text, "cursor")], starts, (area.top, area.top + area.lines - 1))


def _draw_legend(canvas: Canvas, area: Area, names: Sequence[str]) -> None:
    samples = ("--", "- ", ". ") if area.glyphs is GlyphSet.ASCII else ("━━", "╍╍", "┈┈")
    room = max(area.cells // max(len(names), 1) - 5, 1)
    words = [
        (f"{sample} {clip(name, room, more=sign('more', area.glyphs))}")
        for sample, name in zip(samples, names, strict=False)
    ]
    cells = sum(cells_of(text) + 2 for text in words) - 2
    starts = (area.left + area.cells - cells, area.left)
    spans = list(zip([f"{text}  " for text in words], LINE_ROLES, strict=False))
    spans[-1] = (spans[-1][0].rstrip(), spans[-1][1])
    _write_clearest(canvas, area, spans, starts, (area.top, area.top + area.lines - 1))


def _write_clearest(
    canvas: Canvas, area: Area, spans: Sequence[Span], starts: Sequence[int], lines: Sequence[int]
) -> None:
    """Write where the fewest signs of a curve are covered; nowhere if there is no room."""
    cells = sum(cells_of(text) for text, _ in spans)
    places = [(x, y) for y in lines for x in starts if area.left <= x <= area.left + area.cells - cells]
    if not places:
        return
    at, line = min(places, key=lambda place: canvas.count(place[0], place[1], cells, WORTH_SEEING))
    for text, role in spans:
        canvas.write(at, line, text, role)
        at += cells_of(text)
