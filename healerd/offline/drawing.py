"""How pages, tables and curves are drawn, with nothing from elsewhere. Must never trust a text.

What is drawn is in pixels of a plot WIDTH wide and HEIGHT high; a value of NaN leaves a gap.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from html import escape

import numpy as np

from healerd.columns import Column

__all__ = [
    "BOTTOM",
    "COLOURS",
    "HEIGHT",
    "LEFT",
    "OURS",
    "TOP",
    "WIDTH",
    "curve",
    "grid",
    "page",
    "plot",
    "table",
    "x_of",
    "y_of",
]

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 960, 320, 48, 12, 28
COLOURS = ("#8a8f98", "#c08a3e", "#5b8fb9", "#7a6ea8", "#a05a5a")
OURS = "#1f8a5b"
SPAN_MIN = 1e-9
RIGHT = ' class="n"'

STYLE = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100%; font-size: .92em }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
svg { width: 100%; height: auto } svg text { fill: currentColor; font-size: 11px }
.note { opacity: .75 } .ours { font-weight: 600 }
"""


def page(title: str, body: Sequence[str]) -> str:
    """Write a whole page; `title` is escaped here, the parts of the body are markup already."""
    parts = "\n".join(body)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style></head>\n"
        f"<body>\n{parts}\n</body></html>\n"
    )


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Collection[int] = (), ours: Collection[int] = ()
) -> str:
    """Write a table of texts; `numbers` are the columns set to the right, `ours` the rows set in bold."""

    def cells(tag: str, texts: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{RIGHT if place in numbers else ''}>{escape(text)}</{tag}>" for place, text in enumerate(texts)
        )

    lines = "".join(f"<tr{' class=ours' if k in ours else ''}>{cells('td', row)}</tr>" for k, row in enumerate(rows))
    return f"<table><tr>{cells('th', head)}</tr>{lines}</table>"


def plot(parts: Sequence[str], *, label: str, height: int = HEIGHT) -> str:
    """Frame the parts of a plot; `label` says what it shows to those who do not see it."""
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def curve(
    values: Column, low: float, high: float, *, colour: str, width: float = 1.2, height: int = HEIGHT, dash: str = ""
) -> str:
    """Draw one value after the other from left to right; where one is unknown the line goes on to the next known."""
    steps: list[str] = []
    for place, value in enumerate(values):
        if np.isfinite(value):
            x, y = x_of((place + 0.5) / len(values)), y_of(float(value), low, high, height=height)
            steps.append(f"{'L' if steps else 'M'}{x:.1f} {y:.1f}")
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="{"".join(steps)}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>'


def x_of(share: float) -> float:
    """How far to the right a share of the way is."""
    return LEFT + share * (WIDTH - LEFT)


def y_of(value: float, low: float, high: float, *, height: int = HEIGHT) -> float:
    """How far down a value between low (bottom) and high (top) is."""
    return TOP + (high - value) / max(high - low, SPAN_MIN) * (height - TOP - BOTTOM)


def grid(
    values: Sequence[float], low: float, high: float, *, said: Callable[[float], str], height: int = HEIGHT
) -> Iterator[str]:
    """Draw a line and its number at each value."""
    for value in values:
        y = y_of(float(value), low, high, height=height)
        yield (
            f'<path d="M{LEFT} {y:.1f}H{WIDTH}" stroke="var(--line)"/>'
            f'<text x="4" y="{y + 4:.1f}">{escape(said(float(value)))}</text>'
        )
