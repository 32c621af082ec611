"""Plots that hold a current distribution against a reference: histogram, classes, cumulative shares.

Must never compare counts of samples of different size: shares are drawn. Two tones tell the two apart, colour or not:
what both reach is dense, what only one reaches is its own tone.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from healerd_tui.formats import say_number, say_share
from healerd_tui.glyphs import GlyphSet, sign
from healerd_tui.inert import clip, pad
from healerd_tui.inert import width as cells_of
from healerd_tui.plots.axes import Area, frame, write_below
from healerd_tui.plots.picture import Canvas, Picture
from healerd_tui.plots.raster import Floats, clean, eighths
from healerd_tui.plots.scales import number_ticks, range_of

__all__ = ["categories", "cumulate", "ecdf_plot", "histogram", "largest_gap"]

TONES = {
    GlyphSet.BRAILLE: ("░", "▓", "█"),
    GlyphSet.BLOCKS: ("░", "▓", "█"),
    GlyphSet.ASCII: (".", "%", "#"),
}
"""Only the reference, both, only the current."""
ROLES = ("reference", "both", "current")


def histogram(
    edges: ArrayLike,
    reference: ArrayLike,
    current: ArrayLike,
    *,
    width: int,
    height: int,
    glyphs: GlyphSet,
    unit: str = "",
) -> Picture:
    """Draw shares of both samples in the same n bins; every bin is as wide as another, with its edges written below.

    edges: shape (n + 1,), the outer ones may be infinite; reference, current: shape (n,), counts or shares. Raises
    ValueError if the lengths differ.
    """
    bounds, ref, cur = clean(edges), _shares(reference), _shares(current)
    if not len(ref) == len(cur) == max(len(bounds) - 1, 0):
        raise ValueError("n bins need n + 1 edges, and a count in both samples")
    canvas = Canvas(width, height)
    top = max(float(np.max(ref, initial=0)), float(np.max(cur, initial=0))) or 1.0
    # The first line is left free for the key.
    top *= (height - 2) / (height - 3) if height >= 7 else 1.0
    area = frame(canvas, x_range=(0.0, 1.0), y_range=(0.0, top), glyphs=glyphs)
    if len(ref) and area.cells:
        ref, cur, bounds = _merged(ref, cur, bounds, area.cells)
        each = area.cells // len(ref)
        _draw_bins(canvas, area, ref / top, cur / top, each)
        if area.top + area.lines < height:
            _write_edges(canvas, area, bounds, each, unit)
    _draw_key(canvas, area)
    return canvas.picture()


def categories(
    names: Sequence[str], reference: ArrayLike, current: ArrayLike, *, width: int, height: int, glyphs: GlyphSet
) -> Picture:
    """Draw a bar a class, the largest change first; what does not fit is counted on the last line.

    reference, current: shape (n,), counts or shares. Raises ValueError if the lengths differ.
    """
    ref, cur = _shares(reference), _shares(current)
    if not len(names) == len(ref) == len(cur):
        raise ValueError("every class needs a count in both samples")
    canvas = Canvas(width, height)
    order = np.argsort(-np.abs(cur - ref), kind="stable")
    shown = order if len(order) <= height else order[: max(height - 1, 0)]
    room = min(max((cells_of(names[i]) for i in shown), default=0), width // 3)
    numbers = 13 if width - room >= 24 else 0
    bar, top = max(width - room - numbers - 1, 0), max(float(np.max(np.maximum(ref, cur), initial=0)), 1e-9)
    more, arrow = sign("more", glyphs), ">" if glyphs is GlyphSet.ASCII else "→"
    for line, i in enumerate(shown):
        canvas.write(0, line, pad(names[i], room, more=more))
        low, high = sorted((round(float(ref[i]) / top * bar), round(float(cur[i]) / top * bar)))
        tone = 2 if cur[i] > ref[i] else 0
        canvas.write(room + 1, line, TONES[glyphs][1] * low, ROLES[1])
        canvas.write(room + 1 + low, line, TONES[glyphs][tone] * (high - low), ROLES[tone])
        said = f" {say_share(float(ref[i]))} {arrow} {say_share(float(cur[i]))}"
        canvas.write(width - numbers, line, said if numbers else "", "axis")
    if len(shown) < len(order):
        canvas.write(0, height - 1, f"{more} {len(order) - len(shown)} more", "axis")
    return canvas.picture()


def ecdf_plot(
    x: ArrayLike,
    reference: ArrayLike,
    current: ArrayLike,
    *,
    width: int,
    height: int,
    glyphs: GlyphSet,
    unit: str = "",
) -> Picture:
    """Draw cumulative shares at ascending `x`, the reference dashed, with their largest gap marked.

    All of shape (n,), shares in [0, 1] (see `cumulate`). Raises ValueError if the lengths differ.
    """
    xs, ref, cur = clean(x), np.clip(clean(reference), 0, 1), np.clip(clean(current), 0, 1)
    if not len(xs) == len(ref) == len(cur):
        raise ValueError("both samples need a share at each x")
    canvas = Canvas(width, height)
    area = frame(canvas, x_range=range_of(xs), y_range=(0.0, 1.0), glyphs=glyphs)
    for shares, role, keep in ((ref, "reference", 2), (cur, "current", 4)):
        across, down = area.dots(np.repeat(xs, 2)[1:], np.repeat(shares, 2)[:-1])
        dashed = across % 4 < keep
        area.draw(canvas, (across[dashed], down[dashed]), role)
    gap, at = largest_gap(xs, ref, cur)
    if gap > 0 and not np.isnan(at):
        _draw_gap(canvas, area, f"{say_share(gap)} at {say_number(at)}", at, _at_widest(ref, cur))
    if area.top + area.lines < height:
        ticks = number_ticks(area.x_low, area.x_high, max(area.cells // 12, 1))
        write_below(canvas, area, _with_unit(ticks, unit), area.top + area.lines + 1)
    return canvas.picture()


def cumulate(counts: ArrayLike) -> Floats:
    """Turn counts in n bins into cumulative shares at their upper edges, shape (n,); all NaN without any count."""
    shares = _shares(counts)
    return np.cumsum(shares) if shares.any() else np.full(len(shares), np.nan)


def largest_gap(x: ArrayLike, reference: ArrayLike, current: ArrayLike) -> tuple[float, float]:
    """Find the largest distance of two cumulative shares, and the x where it is: (0, NaN) where nothing compares."""
    xs, apart = clean(x), np.abs(np.clip(clean(reference), 0, 1) - np.clip(clean(current), 0, 1))
    apart = np.where(np.isfinite(apart), apart, 0.0)
    if not len(apart) or not apart.any():
        return 0.0, float("nan")
    widest = int(np.argmax(apart))
    return float(apart[widest]), float(xs[widest])


def _shares(counts: ArrayLike) -> Floats:
    held = np.clip(np.nan_to_num(clean(counts), posinf=0.0), 0, None)
    largest = float(np.max(held, initial=0))
    if largest == 0:
        return held
    scaled = held / largest
    return np.asarray(scaled / scaled.sum())


def _merged(ref: Floats, cur: Floats, bounds: Floats, cells: int) -> tuple[Floats, Floats, Floats]:
    """Join neighbouring bins where there are more than cells."""
    if len(ref) <= cells:
        return ref, cur, bounds
    starts = np.arange(0, len(ref), -(-len(ref) // cells))
    return np.add.reduceat(ref, starts), np.add.reduceat(cur, starts), bounds[np.append(starts, len(ref))]


def _draw_bins(canvas: Canvas, area: Area, ref: Floats, cur: Floats, each: int) -> None:
    """Draw the bars: dense up to the lower share, and above it the tone of the one that reaches higher."""
    bars = each - 1 if each >= 4 else each
    taken = len(ref) * each
    number = np.repeat(np.arange(len(ref)), each)
    drawn = np.arange(taken) % each < bars
    low, high = np.minimum(ref, cur)[number], np.maximum(ref, cur)[number]
    is_current = (cur > ref)[number] & drawn
    lines = area.lines
    only_reference, both, _ = TONES[area.glyphs]
    above = np.arange(lines)[::-1, None]
    # The current's own part ends in eighths of a line; the reference's tone has none, and ends at a half.
    current = np.where(is_current, eighths(high, lines, area.glyphs), "")
    reaches = np.rint(high * lines)[None, :] > above
    reference = np.where(drawn & ~is_current & reaches, only_reference, "")
    shared = np.where(drawn & (np.rint(low * lines)[None, :] > above), both, "")
    for signs, role in ((reference, "reference"), (current, "current"), (shared, "both")):
        canvas.paint(area.left, area.top, signs, role)


def _write_edges(canvas: Canvas, area: Area, bounds: Floats, each: int, unit: str) -> None:
    line = area.top + area.lines + 1
    labels = [say_number(float(bound)) for bound in bounds]
    labels[0] += f" {unit}" if unit else ""
    every = -(-(max(map(cells_of, labels[1:])) + 1) // each)
    for number, label in list(enumerate(labels))[::every]:
        start = min(area.left + number * each, canvas.width - cells_of(label))
        room = min(cells_of(label) + 2, canvas.width - max(start - 1, 0))
        if start >= 0 and canvas.is_free(max(start - 1, 0), line, room):
            canvas.write(start, line, label, "axis")


def _draw_key(canvas: Canvas, area: Area) -> None:
    """Say what the tones mean, on the first line."""
    words = [f"{tone} {name}" for tone, name in zip(TONES[area.glyphs], ("reference", "both", "current"), strict=True)]
    cells = sum(map(len, words)) + 4
    if area.cells < cells + 2 or area.lines < 5:
        return
    at = area.left + area.cells - cells
    for text, role in zip(words, ROLES, strict=True):
        canvas.write(at, area.top, text, role)
        at += len(text) + 2


def _at_widest(ref: Floats, cur: Floats) -> tuple[float, float]:
    widest = int(np.argmax(np.nan_to_num(np.abs(ref - cur))))
    return float(ref[widest]), float(cur[widest])


def _draw_gap(canvas: Canvas, area: Area, words: str, at: float, ends: tuple[float, float]) -> None:
    top, bottom = sorted((area.line(ends[0]), area.line(ends[1])))
    column = area.column(at)
    stroke: NDArray[np.str_] = np.full((bottom - top + 1, 1), "|" if area.glyphs is GlyphSet.ASCII else "│")
    canvas.paint(column, top, stroke, "gap")
    arrow = "" if area.glyphs is GlyphSet.ASCII else "↕"
    text = clip(f"{arrow}{words}", max(area.cells - 2, 0), more=sign("more", area.glyphs))
    right = column + 2
    fits = right + cells_of(text) <= area.left + area.cells
    canvas.write(right if fits else max(column - 1 - cells_of(text), area.left), (top + bottom) // 2, text, "gap")


def _with_unit(ticks: Sequence[tuple[float, str]], unit: str) -> list[tuple[float, str]]:
    return [(at, f"{label} {unit}" if unit and not number else label) for number, (at, label) in enumerate(ticks)]
