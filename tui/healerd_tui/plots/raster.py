"""Turns numbers into dots, and dots into signs: braille, quarter blocks or ASCII. Must never raise on any float, and
never draw outside the cells it was given.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from healerd_tui.glyphs import GlyphSet

__all__ = ["EIGHTHS", "Dots", "Floats", "Ints", "clean", "dot_grid", "eighths", "place", "signs_of", "trace"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dots:
    """How many dots a cell has across and down, and what sign shows which of them."""

    across: int
    down: int
    weights: tuple[tuple[int, ...], ...]
    table: str


_DOTS = {
    GlyphSet.BRAILLE: Dots(
        across=2,
        down=4,
        weights=((1, 8), (2, 16), (4, 32), (64, 128)),
        table=" " + "".join(chr(0x2800 + code) for code in range(1, 256)),
    ),
    GlyphSet.BLOCKS: Dots(across=2, down=2, weights=((1, 2), (4, 8)), table=" ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"),
    # Three heights a cell: at its top, in the middle, at its foot; a bar where a line passes through.
    GlyphSet.ASCII: Dots(across=1, down=3, weights=((1,), (2,), (4,)), table=" '-'.:.|"),
}

EIGHTHS = {
    GlyphSet.BRAILLE: " ▁▂▃▄▅▆▇█",
    GlyphSet.BLOCKS: " ▁▂▃▄▅▆▇█",
    GlyphSet.ASCII: " __--==##",
}
"""From empty to full, for bars that stand."""


def dot_grid(glyphs: GlyphSet) -> Dots:
    """Find how a glyph set divides a cell."""
    return _DOTS[glyphs]


def clean(values: object) -> Floats:
    """Make a flat array of floats of whatever numbers were given; None becomes NaN."""
    return np.asarray(values, dtype=np.float64).reshape(-1)


def place(values: Floats, low: float, high: float) -> Floats:
    """Place values on a scale from 0 at `low` to 1 at `high`; infinities at its ends, NaN stays. low < high, finite."""
    # Divided first, as the difference of two large numbers may be too large.
    size = max(abs(low), abs(high))
    held = np.clip(values, low, high) / size
    return np.clip((held - low / size) / (high / size - low / size), 0.0, 1.0)


def trace(x: Floats, y: Floats) -> tuple[Ints, Ints]:
    """List the dots of a line through points, given in dots; it breaks where a point is NaN, and lone points stay.

    x and y: shape (n,). Returns two arrays of equal length, with repetitions.
    """
    here = np.isfinite(x) & np.isfinite(y)
    xs, ys = np.rint(x[here]), np.rint(y[here])
    joined = np.flatnonzero(here[:-1] & here[1:])
    # Where each point of `joined` stands among the points that are here.
    start = (np.cumsum(here) - 1)[joined]
    run_x, run_y = xs[start + 1] - xs[start], ys[start + 1] - ys[start]
    steps = np.maximum(np.abs(run_x), np.abs(run_y)).astype(np.int64)
    total = int(steps.sum())
    segment = np.repeat(np.arange(len(start)), steps)
    step = np.arange(total) - np.repeat(np.cumsum(steps) - steps, steps)
    share = step / np.maximum(steps, 1)[segment]
    along_x, along_y = (xs[start][segment] + share * run_x[segment]), (ys[start][segment] + share * run_y[segment])
    every_x, every_y = np.concatenate([xs, along_x]), np.concatenate([ys, along_y])
    return np.rint(every_x).astype(np.int64), np.rint(every_y).astype(np.int64)


def signs_of(x: Ints, y: Ints, cells: int, lines: int, glyphs: GlyphSet) -> NDArray[np.str_]:
    """Draw dots, y counted from the top, as a (lines, cells) array of signs; cells without a dot are empty strings."""
    dots = _DOTS[glyphs]
    grid = np.zeros((lines * dots.down, cells * dots.across), dtype=bool)
    inside = (x >= 0) & (x < grid.shape[1]) & (y >= 0) & (y < grid.shape[0])
    grid[y[inside], x[inside]] = True
    parts = grid.reshape(lines, dots.down, cells, dots.across)
    codes = np.einsum("ljck,jk->lc", parts, np.array(dots.weights), dtype=np.int64)
    table = np.array(["", *dots.table[1:]])
    found: NDArray[np.str_] = table[codes]
    return found


def eighths(shares: Floats, lines: int, glyphs: GlyphSet) -> NDArray[np.str_]:
    """Draw standing bars: shares in [0, 1], shape (cells,), as a (lines, cells) array; what is above a bar is empty."""
    filled = np.where(np.isfinite(shares), np.rint(np.nan_to_num(shares) * lines * 8), 0)
    above = np.arange(lines)[::-1, None] * 8
    levels = np.clip(filled[None, :] - above, 0, 8).astype(np.int64)
    table = np.array(["", *EIGHTHS[glyphs][1:]])
    found: NDArray[np.str_] = table[levels]
    return found
