"""The report of the log as one page: figures with their traces, and plots. Must never load anything, nor trust a text.

Everything is drawn from the view that `healerd report --json` prints, so that page and JSON cannot disagree.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from healerd.client.report.words import say_interval, say_pruned, say_value
from healerd.client.words import duration
from healerd.offline.drawing import BOTTOM, HEIGHT, OURS, TOP, WIDTH, curve, grid, page, plot, x_of, y_of

__all__ = ["figures_page"]

Json = Mapping[str, Any]

LANE = 26
"""Height of one pipeline's lane in the plot of incidents."""
SMALL = 180
ALARM = "#d1495b"
MARKS = {
    "healed": OURS,
    "worse": ALARM,
    "failed": "#7a3b8f",
    "no change": "#c08a3e",
    "unknown": "#8a8f98",
    None: "#8a8f98",
}
"""The colour of what an act came to."""
WEEKS_MAX = 80
HEADLINE = ("detect_median", "recover_median", "degraded_share", "interventions", "vetoes", "retrains_avoided")
EXTRA = """<style>
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: .8rem; margin: 1rem 0 }
.card { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem }
.card b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums } .card small { opacity: .75 }
code { font-size: .9em } a { color: inherit } tr:target { outline: 2px solid #1f8a5b }
summary { cursor: pointer } td details { font-size: .95em }
</style>"""


def figures_page(view: Json) -> str:
    """Write the page of a report's view."""
    named = {figure["key"]: figure for figure in view["figures"]}
    parts = (
        EXTRA,
        f"<h1>healerd: {escape(', '.join(view['pipelines']) or 'no pipeline')}</h1>",
        f"<p>{escape(_about(view))}</p>",
        *([f"<p><b>{escape(said)}</b></p>"] if (said := say_pruned(view)) else ()),
        *([f"<p><b>{escape(SIMULATED)}</b></p>"] if named["interventions_simulated"]["value"] else ()),
        _cards(named),
        *_plots(view),
        "<h2>Every figure</h2>",
        _table(view["figures"]),
        "<h2>Incidents</h2>",
        _incidents(view["incidents"]),
        f'<p class="note">Computed from the log alone: {view["log"]["leaves"]:,} leaves, head '
        f"<code>{escape(view['log']['head'])}</code>. What the log cannot know is said to be unknown. "
        "<code>healerd audit verify</code> checks the log, <code>healerd trace show ID</code> shows a trace.</p>",
    )
    return page("healerd report", parts)


SIMULATED = "A simulated operator answered in this log: these are figures of a simulation, not of people."


def _about(view: Json) -> str:
    return f"{_day(view['since'])} to {_day(view['until'])}, as of {_day(view['at'])}"


def _cards(named: Mapping[str, Json]) -> str:
    cards = (
        f'<div class="card"><b>{escape(say_value(figure["value"], figure["unit"]))}</b>{escape(figure["title"])}'
        f"<br><small>{escape(_beside(figure))}</small></div>"
        for figure in (named[key] for key in HEADLINE)
    )
    return f'<div class="cards">{"".join(cards)}</div>'


def _beside(figure: Json) -> str:
    """What must stand beside a number on its own: its interval, how many it is of, and what is to be said of it."""
    told = [say_interval(figure), f"n = {figure['n']:,}" if figure["unit"] else "", figure["note"]]
    return "; ".join(part for part in told if part)


# tables ----------------------------------------------------------------------


def _table(figures: Sequence[Json]) -> str:
    rows = "".join(
        f'<tr id="{escape(figure["key"])}"><td>{escape(figure["title"])}</td>'
        f'<td class="n">{escape(say_value(figure["value"], figure["unit"]))}</td>'
        f'<td class="n">{escape(say_interval(figure))}</td><td class="n">{figure["n"]:,}</td>'
        f"<td>{escape(figure['note'])}</td><td>{_traces(figure)}</td></tr>"
        for figure in figures
    )
    head = (
        '<th></th><th class="n">value</th><th class="n">95% interval</th><th class="n">n</th><th></th><th>traces</th>'
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _traces(figure: Json) -> str:
    if not figure["traces"]:
        return ""
    more = figure["of"] - len(figure["traces"])
    last = f"<br>and {more:,} more: <code>healerd report --json</code> counts them" if more > 0 else ""
    ids = "<br>".join(f"<code>{escape(id_)}</code>" for id_ in figure["traces"])
    return f"<details><summary>{figure['of']:,}</summary>{ids}{last}</details>"


def _incidents(incidents: Sequence[Json]) -> str:
    if not incidents:
        return "<p>None was opened.</p>"
    rows = "".join(
        f'<tr id="{escape(one["id"])}"><td>{escape(one["pipeline"])}</td><td>{_day(one["opened_at"])}</td>'
        f"<td>{_day(one['closed_at']) if one['closed_at'] else 'open'}</td>"
        f"<td>{escape(one['reason'])}</td><td>{_heals(one)}</td><td><code>{escape(one['trace'])}</code></td></tr>"
        for one in reversed(incidents)
    )
    head = "<th>pipeline</th><th>opened</th><th>closed</th><th>what</th><th>heals</th><th>trace</th>"
    return f"<table><tr>{head}</tr>{rows}</table>"


def _heals(one: Json) -> str:
    if not one["heals"]:
        return "none"
    lines = "<br>".join(
        f"{escape(each['action'])} {escape(each['state'])} <code>{escape(each['trace'])}</code>"
        for each in one["heals"]
    )
    return f"<details><summary>{len(one['heals']):,}</summary>{lines}</details>"


# plots -----------------------------------------------------------------------


def _plots(view: Json) -> Iterator[str]:
    start, end = _span(view)
    if start is None or end is None:
        yield "<p>No window was judged: there is nothing to draw.</p>"
        return
    yield "<h2>Incidents, and what was done</h2>"
    yield _lanes(view, start, end)
    yield f'<p class="note">{_legend()}</p>'
    yield "<h2>Degraded time</h2>"
    yield _degraded(view, start, end)
    over = [one for one in view["incidents"] if one["closed_at"]]
    if len(over) > 1:
        yield "<h2>How long incidents lasted</h2>"
        yield _lasted(over, len(view["incidents"]))


def _legend() -> str:
    told = {name: colour for name, colour in MARKS.items() if name}
    marks = " ".join(f'<span style="color:{colour}">&#9679;</span> {escape(name)}' for name, colour in told.items())
    return f'<span style="color:{ALARM}">&#9644;</span> an incident is open &nbsp; acts that took effect: {marks}'


def _span(view: Json) -> tuple[datetime | None, datetime | None]:
    days = [datetime.fromisoformat(f"{each['day']}T00:00:00+00:00") for each in view["days"]]
    return (min(days), max(days) + timedelta(days=1)) if days else (None, None)


def _lanes(view: Json, start: datetime, end: datetime) -> str:
    names = view["pipelines"]
    height = TOP + LANE * len(names) + BOTTOM
    parts = list(_dates(start, end, height))
    for place, name in enumerate(names):
        y = TOP + LANE * place + LANE / 2
        parts.append(f'<text x="0" y="{y - 8:.0f}">{escape(name)}</text>')
        parts.append(f'<path d="M{x_of(0):.0f} {y}H{WIDTH}" stroke="var(--line)"/>')
        parts += [_bar(one, y, start, end) for one in view["incidents"] if one["pipeline"] == name]
        parts += [_dot(one, y, start, end) for one in view["acts"] if one["pipeline"] == name]
    return plot(parts, label="incidents and heals over time", height=height)


def _bar(one: Json, y: float, start: datetime, end: datetime) -> str:
    closed = datetime.fromisoformat(one["closed_at"]) if one["closed_at"] else end
    x, to = (_x(at, start, end) for at in (datetime.fromisoformat(one["opened_at"]), closed))
    said = escape(f"{_day(one['opened_at'])}: {one['reason']} ({one['trace']})")
    return (
        f'<rect x="{x:.1f}" y="{y - 5:.1f}" width="{max(2.0, to - x):.1f}" height="10" rx="2" fill="{ALARM}" '
        f'fill-opacity=".35"><title>{said}</title></rect>'
    )


def _dot(one: Json, y: float, start: datetime, end: datetime) -> str:
    said = escape(f"{_day(one['at'])} {one['action']}: {one['result'] or 'not judged'} ({one['trace']})")
    x = _x(datetime.fromisoformat(one["at"]), start, end)
    colour = MARKS.get(one["result"], MARKS[None])
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"><title>{said}</title></circle>'


def _degraded(view: Json, start: datetime, end: datetime) -> str:
    """Draw the degraded share of the time as bars, of a day each, or of longer stretches where there are many days."""
    days = (end - start).days
    stretch = max(1, -(-days // WEEKS_MAX))
    observed, degraded, unknown = (np.zeros(-(-days // stretch)) for _ in range(3))
    for each in view["days"]:
        day = (datetime.fromisoformat(f"{each['day']}T00:00:00+00:00") - start).days // stretch
        observed[day] += each["observed_s"]
        degraded[day] += each["degraded_s"]
        unknown[day] += each["unknown_s"]
    parts = [
        *grid([0.0, 0.5, 1.0], 0.0, 1.0, said=lambda value: f"{value:.0%}", height=SMALL),
        *_dates(start, end, SMALL),
    ]
    width = (WIDTH - x_of(0)) / len(observed)
    for place in map(int, np.flatnonzero(observed)):
        for amount, colour, opacity, base in (
            (degraded[place], ALARM, 0.8, 0.0),
            (unknown[place], "currentColor", 0.15, degraded[place]),
        ):
            low, high = base / observed[place], (base + amount) / observed[place]
            top, bottom = y_of(float(high), 0.0, 1.0, height=SMALL), y_of(float(low), 0.0, 1.0, height=SMALL)
            parts.append(
                f'<rect x="{x_of(place / len(observed)) + 0.5:.1f}" y="{top:.1f}" width="{max(1.0, width - 1):.1f}" '
                f'height="{bottom - top:.1f}" fill="{colour}" fill-opacity="{opacity}"/>'
            )
    said = "a day" if stretch == 1 else f"{stretch} days"
    note = f'<p class="note">Share of each stretch of {said} with a grave alarm; grey: nobody could tell.</p>'
    return plot(parts, label="degraded share of the time", height=SMALL) + note


def _lasted(over: Sequence[Json], n: int) -> str:
    """Draw the share of incidents that were over after so long; what is still open keeps the curve below 100%."""
    took = sorted(
        (datetime.fromisoformat(one["closed_at"]) - datetime.fromisoformat(one["opened_at"])).total_seconds()
        for one in over
    )
    longest = took[-1] or 1.0
    steps = np.linspace(0.0, longest, 200)
    values = np.searchsorted(np.array(took), steps, side="right") / n
    parts = [
        *grid([0.0, 0.5, 0.9, 1.0], 0.0, 1.0, said=lambda value: f"{value:.0%}", height=SMALL),
        curve(values, 0.0, 1.0, colour=OURS, width=2.0, height=SMALL),
        *(_tick(part, duration(part * longest)) for part in (0.0, 0.25, 0.5, 0.75, 1.0)),
    ]
    return plot(parts, label="share of incidents that are over after so long", height=SMALL)


def _tick(part: float, said: str) -> str:
    """Write a number below a plot; the last one ends where the plot does."""
    anchor = ' text-anchor="end"' if part == 1.0 else ""
    return f'<text x="{x_of(part):.0f}" y="{SMALL - 8}"{anchor}>{escape(said)}</text>'


def _dates(start: datetime, end: datetime, height: int = HEIGHT) -> Iterator[str]:
    edges = [start + (end - start) * part / 8 for part in range(9)]
    for at, _ in pairwise(edges):
        yield f'<text x="{_x(at, start, end):.0f}" y="{height - 8}">{at:%Y-%m-%d}</text>'


def _x(at: datetime, start: datetime, end: datetime) -> float:
    return x_of(min(1.0, max(0.0, (at - start) / (end - start))))


def _day(at: str | None) -> str:
    return "-" if at is None else escape(str(at)[:10])
