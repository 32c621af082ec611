"""The report on a file as one page: words, plots, tables. Must never load anything from elsewhere."""

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

import numpy as np

from healerd.columns import Column
from healerd.model import Layer, Quality
from healerd.offline.drawing import COLOURS, LEFT, OURS, TOP, WIDTH, curve, grid, page, plot, table, x_of, y_of
from healerd.offline.inspection.findings import Inspection
from healerd.offline.inspection.words import law_said, layer_said, number, segment_said, story

__all__ = ["inspection_page"]

HEIGHT = 200
BOTTOM = 28
FEATURES_DRAWN = 5
BAD = "#d1495b"
DATES = 6


def inspection_page(found: Inspection) -> str:
    """Write the page."""
    name = found.options.file.name
    body = [
        f"<h1>healerd detect: {escape(name)}</h1>",
        *(f"<p>{escape(text)}</p>" for text in story(found)),
        *_plots(found),
        f"<h2>Features, {escape(found.focus.why)}</h2>",
        _features(found),
        *_segments(found),
        "<h2>Windows</h2>",
        _windows(found),
        *_remarks(found),
        f'<p class="note">sha256 of the data: {escape(found.sha256)}. Reference: {escape(found.fitted.id)}.</p>',
    ]
    return page(f"healerd detect: {name}", body)


def _plots(found: Inspection) -> Iterator[str]:
    evidence = {layer: _evidence(found, layer) for layer in Layer if layer is not Layer.QUALITY}
    lines = [(layer.value, each) for layer, each in evidence.items() if np.isfinite(each).any()]
    if lines:
        yield "<h2>Evidence, as a share of what raises an alarm (log scale)</h2>"
        yield _plot(found, lines, low=0.0, high=1.2, ticks=(0.0, 0.5, 1.0), said=lambda v: f"{v:.0%}")
    error = _column([one.error for one in found.windows])
    guess = _column([None if one.estimate is None else one.estimate.value for one in found.windows])
    shown = [(name, each) for name, each in (("error", error), ("estimated", guess)) if np.isfinite(each).any()]
    if shown:
        top = max(0.05, float(np.nanmax(np.concatenate([each for _, each in shown]))) * 1.1)
        yield "<h2>Error</h2>"
        yield _plot(found, shown, low=0.0, high=top, ticks=_ticks(top), said=lambda v: f"{v:.1%}")
    inputs = [one.name for one in found.features][:FEATURES_DRAWN]
    moved = [(name, _column([one.effects.get(name) for one in found.windows])) for name in inputs]
    moved = [(name, each) for name, each in moved if np.isfinite(each).any()]
    if moved:
        top = max(0.1, float(np.nanmax(np.abs(np.concatenate([each for _, each in moved])))) * 1.1)
        yield "<h2>Shift of the mean rank of the most changed features</h2>"
        yield _plot(found, moved, low=-top, high=top, ticks=(-top, 0.0, top), said=lambda v: f"{v:.2f}")


def _evidence(found: Inspection, layer: Layer) -> Column:
    signs = [one.signs.get(layer) for one in found.windows]
    return _column(
        [
            None
            if sign is None or sign.log_evidence is None
            else min(1.2, max(0.0, sign.log_evidence / sign.log_limit))
            for sign in signs
        ]
    )


def _column(values: Sequence[float | None]) -> Column:
    return np.array([math.nan if value is None else value for value in values], np.float64)


def _ticks(top: float) -> tuple[float, ...]:
    return tuple(float(value) for value in np.linspace(0.0, top, 4))


def _plot(
    found: Inspection,
    lines: Sequence[tuple[str, Column]],
    *,
    low: float,
    high: float,
    ticks: Sequence[float],
    said: Callable[[float], str],
) -> str:
    parts = [*_bad_windows(found), *grid(ticks, low, high, said=said, height=HEIGHT), *_dates(found)]
    colours = [OURS, *COLOURS]
    for place, (_, values) in enumerate(lines):
        parts.append(curve(values, low, high, colour=colours[place % len(colours)], width=1.8, height=HEIGHT))
    legend = " ".join(
        f'<span style="color:{colours[place % len(colours)]}">&#9644;</span> {escape(name)}'
        for place, (name, _) in enumerate(lines)
    )
    drawn = plot(parts, label=", ".join(name for name, _ in lines), height=HEIGHT)
    return f'{drawn}<p class="note">{legend} <span style="color:{BAD}">&#9646;</span> bad data</p>'


def _bad_windows(found: Inspection) -> Iterator[str]:
    width = (WIDTH - LEFT) / len(found.windows)
    for place, one in enumerate(found.windows):
        if one.quality is Quality.BAD:
            x = x_of(place / len(found.windows))
            yield (
                f'<rect x="{x:.1f}" y="{TOP}" width="{max(width, 1):.1f}" height="{HEIGHT - TOP - BOTTOM}" '
                f'fill="{BAD}" opacity=".18"/>'
            )


def _dates(found: Inspection) -> Iterator[str]:
    step = max(1, len(found.windows) // DATES)
    for place in range(0, len(found.windows), step):
        x, y = x_of((place + 0.5) / len(found.windows)), y_of(0.0, 0.0, 1.0, height=HEIGHT)
        yield f'<text x="{min(x, WIDTH - 90):.1f}" y="{y + 20:.1f}">{escape(found.windows[place].name)}</text>'


def _features(found: Inspection) -> str:
    rows = [
        (
            one.name,
            law_said(one),
            number(one.ks),
            number(one.q_value),
            number(one.psi),
            number(one.wasserstein),
            number(one.effect),
            f"{one.n:,}",
            f"{one.missing:.1%}",
            found.named(one.since_at) or "-",
        )
        for one in found.features
    ]
    head = ("feature", "values", "KS", "p (BH)", "PSI", "Wasserstein", "rank shift", "n", "missing", "evidence since")
    return table(head, rows, numbers=range(2, 9))


def _segments(found: Inspection) -> Iterator[str]:
    if not found.segments:
        return
    yield f"<h2>Segments of {escape(found.options.segment or '')}</h2>"
    rows = [
        (
            one.value,
            f"{one.rows:,}",
            segment_said(one),
            "-" if one.feature is None else f"{one.feature.name}: {law_said(one.feature)}",
            "-" if one.error is None else f"{one.error.value:.1%}",
            "-" if one.error_usual is None else f"{one.error_usual:.1%}",
        )
        for one in found.segments
    ]
    yield table(("value", "rows", "what", "most changed", "error", "usual"), rows, numbers=(1, 4, 5))


def _windows(found: Inspection) -> str:
    rows = []
    for place, one in enumerate(found.windows):
        alarms = [each.layer for each in found.alarms if each.first <= place <= each.last]
        error = "-" if one.error is None else f"{one.error:.1%}"
        said = ", ".join(layer_said(layer) for layer in alarms)
        gap = f"{one.empty:,} empty before" if one.empty else ""
        rows.append(
            (one.name, f"{one.rows:,}", one.quality.value, error, "; ".join(filter(None, (said, *one.reasons, gap))))
        )
    return table(("window", "rows", "data", "error", "what"), rows, numbers=(1, 3))


def _remarks(found: Inspection) -> Iterator[str]:
    remarks = [*map(str, found.flaws), *found.notes]
    remarks += [f"column `{name}` of the reference is not in the file" for name in found.lost]
    remarks += [f"column `{name}` is not in the reference, and was not looked at" for name in found.new]
    if remarks:
        yield "<h2>To know</h2>"
        yield f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in remarks)}</ul>"
