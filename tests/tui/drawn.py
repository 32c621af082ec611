"""Every kind of plot on known numbers, in every set of signs, at two sizes: `python -m tests.tui.drawn` rewrites
`drawn.txt`, in which a person sees what changed. Must never draw from anything that varies.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from healerd_tui.glyphs import GlyphSet
from healerd_tui.plots import (
    Band,
    Level,
    Mark,
    Picture,
    categories,
    countdown_bar,
    cumulate,
    ecdf_plot,
    gate_bar,
    histogram,
    interval_bar,
    line_plot,
    meter,
    sparkline,
)

KEPT = Path(__file__).parent / "drawn.txt"
SMALL, LARGE = (44, 9), (80, 14)
START = 1777593600.0  # 2026-05-01

Draw = Callable[[int, int, GlyphSet], Picture]
WINDOWS = np.arange(336)
TIMES = START + WINDOWS * 1800.0
AUC = 0.88 + 0.02 * np.sin(WINDOWS / 12) - np.where((WINDOWS > 150) & (WINDOWS < 220), 0.07, 0.0)
AUC[60:75] = np.nan
EDGES = np.linspace(0, 800, 17)
REFERENCE = np.exp(-(((EDGES[:-1] + 25) - 300) ** 2) / 2e4) * 4000
CURRENT = np.exp(-(((EDGES[:-1] + 25) - 420) ** 2) / 3e4) * 700


def _line(width: int, height: int, glyphs: GlyphSet) -> Picture:
    return line_plot(
        TIMES,
        {"AUC": AUC},
        width=width,
        height=height,
        glyphs=glyphs,
        marks=[
            Mark(at=TIMES[155], kind="drift", label="drift"),
            Mark(at=TIMES[221], kind="heal", label="v13 to v14"),
            Mark(at=TIMES[225], kind="promotion"),
            Mark(at=TIMES[330], kind="veto", label="by ana"),
        ],
        levels=[Level(at=0.75, label="floor (auc_floor)")],
        bands=[Band(low=0.85, high=0.91, label="95% reference")],
    )


def _two_lines(width: int, height: int, glyphs: GlyphSet) -> Picture:
    lines = {"active": AUC, "shadow": AUC - 0.03}
    return line_plot(WINDOWS, lines, width=width, height=height, glyphs=glyphs, time=False, cursor=200)


PLOTS: dict[str, Draw] = {
    "line": _line,
    "two lines": _two_lines,
    "histogram": lambda w, h, g: histogram(EDGES, REFERENCE, CURRENT, width=w, height=h, glyphs=g, unit="days"),
    "ecdf": lambda w, h, g: ecdf_plot(
        EDGES[1:], cumulate(REFERENCE), cumulate(CURRENT), width=w, height=h, glyphs=g, unit="days"
    ),
    "categories": lambda w, h, g: categories(
        ["basic", "plus", "日本語プラン", "evil\x1b[2J", "rare", "none"],
        [100, 200, 50, 10, 3, 0],
        [40, 50, 60, 90, 0, 0],
        width=w,
        height=min(h, 5),
        glyphs=g,
    ),
    "sparkline": lambda w, _, g: sparkline([1, 2, 3, np.nan, 5, 8, 8, 9], width=w // 4, glyphs=g),
    "meter": lambda w, _, g: meter(61, 100, width=w // 4, glyphs=g),
    "interval": lambda w, _, g: interval_bar(4.1, 2.6, 6.9, scale=(2.6, 17), width=w, glyphs=g),
    "gate": lambda w, _, g: gate_bar(0.86, 0.8, width=w, glyphs=g),
    "below gate": lambda w, _, g: gate_bar(0.31, 0.8, width=w, glyphs=g),
    "countdown": lambda w, _, g: countdown_bar(221, 300, width=w // 2, glyphs=g),
    "countdown unknown": lambda w, _, g: countdown_bar(None, 300, width=w // 2, glyphs=g),
}


def pictures() -> Iterator[tuple[str, Picture]]:
    """Every plot with its name, its set of signs and its size."""
    for name, draw in PLOTS.items():
        for glyphs in GlyphSet:
            for width, height in (SMALL, LARGE):
                yield f"{name}, {glyphs}, {width}x{height}", draw(width, height, glyphs)


def text() -> str:
    """All of them as one text; a bar ends each line, so that its width is seen."""
    parts = [f"== {title}\n" + "".join(f"{line}|\n" for line in made.plain.split("\n")) for title, made in pictures()]
    return "\n".join(parts)


if __name__ == "__main__":
    KEPT.write_text(text(), encoding="utf-8")
