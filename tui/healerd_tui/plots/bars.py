"""One-line drawings for tables and prompts: sparkline, meter, cost interval, confidence against its gate, countdown.

Must never draw what is unknown as a number: it is written as unknown.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from healerd_tui.formats import clock, say_number, say_share
from healerd_tui.glyphs import GlyphSet
from healerd_tui.plots.picture import Canvas, Picture, Span, line_of
from healerd_tui.plots.raster import EIGHTHS, clean, place
from healerd_tui.plots.scales import range_of

__all__ = ["countdown_bar", "gate_bar", "interval_bar", "meter", "say_gate", "sparkline"]

URGENT_S = 60


def sparkline(values: ArrayLike, *, width: int, glyphs: GlyphSet, role: str = "plot-line") -> Picture:
    """Draw the last values, the newest on the right, in eighths from their lowest to their highest; NaN is a blank.

    Where there are more values than cells, each cell shows the highest of its share.
    """
    numbers = clean(values)
    if width <= 0 or not len(numbers):
        return line_of([], width)
    parts = (
        np.array_split(numbers, width) if len(numbers) > width else [numbers[i : i + 1] for i in range(len(numbers))]
    )
    tops = np.array(
        [np.max(part[~np.isnan(part)], initial=-np.inf) if not np.isnan(part).all() else np.nan for part in parts]
    )
    finite = tops[np.isfinite(tops)]
    low, high = range_of(tops)
    level = np.full(len(tops), 0.5) if len(finite) and finite.min() == finite.max() else place(tops, low, high)
    heights = np.where(np.isnan(level), 0, 1 + np.rint(np.nan_to_num(level) * 7)).astype(int)
    table = EIGHTHS[glyphs]
    return line_of([(" " * (width - len(tops)), ""), ("".join(table[i] for i in heights), role)], width)


def meter(value: float | None, of: float, *, width: int, glyphs: GlyphSet, role: str = "ok") -> Picture:
    """Draw how much of `of` a value is, with the value beside it: `▇▇▇▇▇▁▁▁ 61`; of one length in a column."""
    whole = value is not None and math.isfinite(value) and of >= 20
    number = say_number(round(value) if whole and value is not None else value).rjust(len(say_number(of)))
    full, empty = ("#", ".") if glyphs is GlyphSet.ASCII else ("▇", "▁")
    cells = max(width - len(number) - 1, 0)
    if value is None or math.isnan(value) or not 0 < of < math.inf or cells < 2:
        return line_of([(number.rjust(width), role)], width)
    filled = round(min(max(value / of, 0.0), 1.0) * cells)
    return line_of([(full * filled, role), (empty * (cells - filled), "quiet"), (f" {number}", role)], width)


def interval_bar(
    middle: float | None,
    low: float | None,
    high: float | None,
    *,
    scale: tuple[float, float],
    width: int,
    glyphs: GlyphSet,
    role: str = "plot-line",
) -> Picture:
    """Draw an interval on a scale that several options share, its ends written beside it: `2.6 ─●── 6.9`."""
    known = [value for value in (middle, low, high) if value is not None and math.isfinite(value)]
    if len(known) < 3 or middle is None or low is None or high is None:
        return line_of([("unknown", "quiet")], width)
    low_text, high_text = say_number(low, 2), say_number(high, 2)
    labels = max(6, len(low_text), len(high_text)) + 1
    cells = width - 2 * labels
    if cells < 3:
        return line_of([(f"{low_text}..{high_text}", role)], width)
    shares = place(np.sort(np.array([low, middle, high])), *range_of(np.array(scale)))
    start, dot, end = (round(float(share) * (cells - 1)) for share in shares)
    stroke, point = ("-", "o") if glyphs is GlyphSet.ASCII else ("─", "●")
    before, after = stroke * (dot - start), stroke * (end - dot)
    return line_of(
        [
            (f"{low_text} ".rjust(labels + start), "axis"),
            (before, role),
            (point, "title"),
            (after, role),
            (f" {high_text}", "axis"),
        ],
        width,
    )


def gate_bar(confidence: float | None, gate: float, *, width: int, glyphs: GlyphSet) -> Picture:
    """Draw a confidence against the gate it must reach, from 0 to 1: two lines, the upper one with numbers."""
    canvas = Canvas(width, 2)
    if width < 12:
        return canvas.picture()
    left, full, empty, bar, dot, right = "[=-|o]" if glyphs is GlyphSet.ASCII else "▕━─┿●▏"
    cells = width - 2
    stop = 1 + round(min(max(gate, 0.0), 1.0) * (cells - 1))
    at = (
        None
        if confidence is None or math.isnan(confidence)
        else 1 + round(min(max(confidence, 0.0), 1.0) * (cells - 1))
    )
    role = "quiet" if at is None or confidence is None else "ok" if confidence >= gate else "watch"
    canvas.write(0, 1, left + empty * cells + right, "axis")
    canvas.write(1, 1, full * ((at or 1) - 1), role)
    canvas.write(stop, 1, bar, "threshold")
    if at is not None:
        canvas.write(at, 1, dot, role)
    _label(canvas, f"{say_share(gate)} gate", stop, "threshold", before=True)
    if at is not None:
        _label(canvas, say_share(confidence), at, role, before=False)
    for value, text in ((0.0, "0"), (1.0, "1"), (0.5, "0.5")):
        _label(canvas, text, 1 + round(value * (cells - 1)), "axis", before=False)
    return canvas.picture()


def say_gate(confidence: float | None, gate: float) -> str:
    """Say what the gate means for that confidence."""
    if confidence is None or math.isnan(confidence):
        return f"confidence unknown: below the gate {say_share(gate)}, nothing runs without a person"
    if confidence >= gate:
        return f"confidence {say_share(confidence)}, gate {say_share(gate)}: sure enough to act where the rules let it"
    return f"confidence {say_share(confidence)}, below the gate {say_share(gate)}: the bandit alone could not act"


def countdown_bar(left_s: float | None, of_s: float | None, *, width: int, glyphs: GlyphSet) -> Picture:
    """Draw the time that is left as text and as a bar; reversed under a minute; `--:--` where it is unknown."""
    text = clock(left_s)
    if left_s is None or not math.isfinite(left_s):
        return line_of([(text, "quiet")], width)
    role = "urgent" if left_s < URGENT_S else "title"
    left, full, empty, right = "[#.]" if glyphs is GlyphSet.ASCII else "▕█░▏"
    cells = width - len(text) - 3
    if cells < 3 or of_s is None or not of_s > 0:
        return line_of([(text, role)], width)
    # Rounded up, so that the bar is empty only when the time is over.
    filled = min(math.ceil(min(max(left_s / of_s, 0.0), 1.0) * cells), cells)
    spans: list[Span] = [(text, role), (f" {left}", "axis"), (full * filled, "healing")]
    return line_of([*spans, (empty * (cells - filled), "quiet"), (right, "axis")], width)


def _label(canvas: Canvas, text: str, at: int, role: str, *, before: bool) -> None:
    """Write a number over its place, to one side of it where the other would touch another number."""
    start = at - len(text) + 1 if before else at - len(text) // 2
    for tried in (start, at, at - len(text) + 1):
        held = min(max(tried, 0), canvas.width - len(text))
        around = max(held - 1, 0)
        if held >= 0 and canvas.is_free(around, 0, min(len(text) + 2, canvas.width - around)):
            canvas.write(held, 0, text, role)
            return
