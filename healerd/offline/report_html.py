"""The report as one page: plots, tables, every event. Must never load anything from elsewhere, nor trust a text."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

import numpy as np

from healerd.columns import Column
from healerd.offline.baselines import Line
from healerd.offline.contract import EventKind, EventRecord, Report
from healerd.offline.drawing import BOTTOM, COLOURS, HEIGHT, OURS, TOP, curve, grid, page, plot, table, x_of
from healerd.offline.story import counted
from healerd.offline.stream import Stream
from healerd.segments.times import naive

__all__ = ["report_page"]

POINTS_MAX = 60
"""Points of a curve; a year of days is then a point a week."""
WEEK = 7
MARKS = {"promote": "#1f8a5b", "rollback": "#d1495b", "fallback": "#edae49", "return": "#3b7dd8", "undo": "#7a3b8f"}
"""The colour of each action that changes which model serves."""


def report_page(report: Report, lines: Sequence[Line], stream: Stream, *, story: Sequence[str] = ()) -> str:
    """Write the page. `lines` are the curves, healerd's the last; `story` is said first, one paragraph each."""
    data = report.data
    head = f"{stream.path.name}: {data.rows:,} rows, {data.from_[:10]} to {data.to[:10]}"
    state = "verified" if report.audit.verified else "NOT VERIFIED"
    parts = (
        f"<h1>healerd on {escape(head)}</h1>",
        *(f"<p>{escape(text)}</p>" for text in story),
        f"<h2>{escape(report.metric.name)} over time</h2>",
        _plot(lines, report.events, stream),
        _legend(lines),
        "<h2>What each way of serving reached</h2>",
        _results(report),
        f"<p>healerd: {escape(counted(report.healerd))}. Audit log: {report.audit.leaves:,} leaves, {state}.</p>",
        "<h2>What happened, and why</h2>",
        _events(report.events),
        f'<p class="note">sha256 of the data: {escape(data.sha256)}. Made in {report.seconds:.0f} s.</p>',
    )
    return page(f"healerd: {stream.path.name}", parts)


def _plot(lines: Sequence[Line], events: Sequence[EventRecord], stream: Stream) -> str:
    curves = [_points(line, stream) for line in lines]
    known = np.concatenate(curves)
    low = float(0.1 * np.floor(10 * np.nanmin(known))) if np.isfinite(known).any() else 0.0
    span = low, max(1.0, low + 0.1)
    lined = grid(np.arange(low, 1.001, 0.1).tolist(), *span, said=lambda value: f"{value:.0%}")
    parts = [*lined, *_marks(events, stream), *_months(stream)]
    for number, values in enumerate(curves):
        ours = number == len(curves) - 1
        colour = OURS if ours else COLOURS[number % len(COLOURS)]
        parts.append(curve(values, *span, colour=colour, width=2.5 if ours else 1.2))
    return plot(parts, label="quality over time")


def _points(line: Line, stream: Stream) -> Column:
    """Average a line's right answers over stretches of whole windows; NaN where nothing is known."""
    stretch = max(WEEK, -(-stream.windows // POINTS_MAX))
    length = np.timedelta64(round(stretch * stream.window_s * 1e6), "us")
    place = ((stream.at[stream.first :] - naive(stream.start_at)) // length).astype(np.intp)
    known = ~np.isnan(line.losses)
    size = int(place.max()) + 1
    rows = np.bincount(place[known], minlength=size)
    wrong = np.bincount(place[known], weights=line.losses[known], minlength=size)
    return np.where(rows > 0, 1.0 - wrong / np.maximum(rows, 1), np.nan)


def _x(at: datetime, stream: Stream) -> float:
    return x_of((at - stream.start_at) / (stream.end_at - stream.start_at))


def _months(stream: Stream) -> Iterator[str]:
    """Write about eight dates below the plot."""
    for share in np.linspace(0, 1, 9)[:-1]:
        at = stream.start_at + float(share) * (stream.end_at - stream.start_at)
        yield f'<text x="{_x(at, stream):.1f}" y="{HEIGHT - 8}">{at:%Y-%m-%d}</text>'


def _marks(events: Sequence[EventRecord], stream: Stream) -> Iterator[str]:
    """Draw a line where the model that serves was changed, or a fault was injected."""
    for event in events:
        injected = event.kind is EventKind.INJECTED
        if not injected and not (event.kind is EventKind.ACTED and event.action in MARKS):
            continue
        x = _x(datetime.fromisoformat(event.at), stream)
        colour = "currentColor" if injected else MARKS[event.action or ""]
        said = escape(f"{event.at[:10]} {'injected: ' + event.reason if injected else event.action}")
        dash = "2 3" if injected else "5 3"
        yield (
            f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="{colour}" stroke-dasharray="{dash}">'
            f"<title>{said}</title></path>"
        )


def _legend(lines: Sequence[Line]) -> str:
    names = [
        (line.name, OURS if number == len(lines) - 1 else COLOURS[number % len(COLOURS)])
        for number, line in enumerate(lines)
    ]
    curves = " ".join(f'<span style="color:{colour}">&#9644;</span> {escape(name)}' for name, colour in names)
    marks = " ".join(f'<span style="color:{colour}">&#9482;</span> {name}' for name, colour in MARKS.items())
    return f'<p class="note">{curves}<br>{marks}</p>'


def _results(report: Report) -> str:
    rows = [(each.name, each.quality, each.retrains) for each in report.baselines]
    rows.append(("healerd", report.healerd.quality, report.healerd.retrains))
    cells = [(name, f"{quality:.1%}", str(retrains)) for name, quality, retrains in rows]
    return table(("", report.metric.name, "retrains"), cells, numbers=(1, 2), ours=(len(cells) - 1,))


def _events(events: Sequence[EventRecord]) -> str:
    rows = [
        (event.at[:16].replace("T", " "), event.kind.value, event.action or "", event.outcome or "", event.reason)
        for event in events
    ]
    return table(("at (UTC)", "what", "action", "outcome", "why"), rows)
