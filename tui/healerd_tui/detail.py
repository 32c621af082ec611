"""Draws one pipeline: a feature against the reference, measurements over time with what was done, the versions.

Pure; it must never draw a window that was not judged: it is a gap.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from healerd_tui.formats import say_number
from healerd_tui.glyphs import GlyphSet, sign
from healerd_tui.inert import clip, pad
from healerd_tui.plots import Level, Mark, Picture, categories, ecdf_plot, histogram, line_plot
from healerd_tui.state import instant
from healerd_tui.view import Line, say_when

__all__ = [
    "METRICS",
    "draw_feature",
    "draw_shares",
    "draw_timeline",
    "estimate_words",
    "is_within",
    "segment_words",
    "version_lines",
]

Json = Mapping[str, Any]
Size = tuple[int, int]
METRICS: Mapping[str, str] = {
    "error": "error of each window",
    "judged_error": "error as judged when it matured",
    "drift": "largest shift of a feature",
    "score": "shift of the model's own output",
    "rows": "rows a window",
}
MARKS: Mapping[str, str] = {
    "incident": "drift",
    "heal": "heal",
    "promote": "promotion",
    "undo": "undo",
    "return": "undo",
    "veto": "veto",
    "failed": "failed",
}


def draw_feature(feature: Json | None, *, read: bool, size: Size, glyphs: GlyphSet) -> Picture:
    """Draw the shares of a feature, of reference and newest window; `read` says that there was an answer."""
    if feature is None:
        return _words("no window has been judged yet" if read else "reading", size)
    bins = feature["bins"]
    reference = np.array([each["reference"] or 0.0 for each in bins], dtype=float)
    current = np.array([each["window"] or 0.0 for each in bins], dtype=float)
    width, height = size
    if feature["kind"] != "number":
        names = [str(each["label"]) for each in bins]
        return categories(names, reference, current, width=width, height=height, glyphs=glyphs)
    return histogram(_edges(bins), reference, current, width=width, height=height, glyphs=glyphs)


def draw_shares(feature: Json | None, *, size: Size, glyphs: GlyphSet) -> Picture:
    """Draw the cumulative shares of a feature with their largest gap."""
    points = (feature or {}).get("ecdf")
    if not points:
        return _words("no cumulative shares for names" if feature else "", size)
    x, reference, current = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    return ecdf_plot(x, reference, current, width=size[0], height=size[1], glyphs=glyphs)


def draw_timeline(view: Json | None, name: str, *, cursor: int | None, size: Size, glyphs: GlyphSet) -> Picture:
    """Draw one measurement over the windows, with the levels it is held against and what was done."""
    windows = (view or {}).get("windows") or ()
    if not windows:
        return _words("no window has been judged yet" if view else "reading", size)
    x = np.array([instant(each["end_at"]).timestamp() for each in windows])
    return line_plot(
        x,
        {name: _column(windows, name)},
        width=size[0],
        height=size[1],
        glyphs=glyphs,
        marks=_marks((view or {}).get("marks") or (), since=float(x[0])),
        levels=_levels(windows, name),
        cursor=cursor,
    )


def _marks(marks: Sequence[Json], *, since: float) -> list[Mark]:
    known = [(instant(each["at"]).timestamp(), MARKS[each["kind"]]) for each in marks if each["kind"] in MARKS]
    return [Mark(at=at, kind=kind) for at, kind in known if at >= since]


def _levels(windows: Sequence[Json], name: str) -> list[Level]:
    if name not in {"error", "judged_error"}:
        return []
    levels = [(_newest(windows, "reference_error"), "reference"), (_newest(windows, "error_limit"), "limit")]
    return [Level(at=at, label=label) for at, label in levels if at is not None]


def _words(words: str, size: Size) -> Picture:
    width, height = size
    lines = tuple(((pad(words if row == height // 2 else "", width), "quiet"),) for row in range(height))
    return Picture(lines=lines, width=width, height=height)


def _edges(bins: Sequence[Json]) -> NDArray[np.float64]:
    """Give the edges of bins; an open end is as wide as its neighbour."""
    lows = [each["low"] for each in bins]
    highs = [each["high"] for each in bins]
    inner = [edge for edge in (*lows, *highs) if edge is not None]
    step = (max(inner) - min(inner)) / max(1, len(bins) - 2) if inner else 1.0
    edges = [low if low is not None else (highs[0] if highs[0] is not None else 0.0) - step for low in lows[:1]]
    for low, high in zip(lows, highs, strict=True):
        edges.append(high if high is not None else (low if low is not None else edges[-1]) + step)
    return np.array(edges, dtype=float)


def _column(windows: Sequence[Json], name: str) -> NDArray[np.float64]:
    return np.array([np.nan if each.get(name) is None else float(each[name]) for each in windows])


def _newest(windows: Sequence[Json], name: str) -> float | None:
    return next((float(each[name]) for each in reversed(windows) if each.get(name) is not None), None)


def segment_words(view: Json) -> list[str]:
    """Name the segments in which an alarm stands."""
    return [f"{one['name']}: {', '.join(one['alarms'])}" for one in view.get("segments") or () if one["alarms"]]


def estimate_words(view: Json) -> list[str]:
    """Tell the estimate of the error, said to be one."""
    value = view.get("estimated_error")
    return [] if value is None else [f"estimated error {value:.1%}: without labels, blind to concept shift"]


def is_within(at: str, window: Json) -> bool:
    """Tell whether a moment lies in a window."""
    return instant(window["start_at"]) <= instant(at) <= instant(window["end_at"])


def version_lines(stored: Json | None, at: Any, cells: int, glyphs: GlyphSet) -> list[Line]:
    """Write the stored versions, the newest first."""
    if stored is None:
        return [(("reading", "quiet"),)]
    lines: list[Line] = []
    for version in stored["versions"][:8]:
        mark = sign("pointer", glyphs) if version["active"] else " "
        served = (version.get("served") or {}).get("error")
        error = served if served is not None else version.get("reference_error")
        shadow = version.get("shadow")
        beside = f"  beside it +{shadow['better']} -{shadow['worse']}" if shadow else ""
        kind = "active" if version["active"] else version["kind"]
        name = pad(version["name"], max(8, min(22, cells - 42)))
        words = f"{mark} {name} {pad(kind, 8)} error {say_number(error, 3):<6}{beside}"
        when = f"  {say_when(version.get('since_at') or version['created_at'], at)}" if not beside else ""
        lines.append(((clip(words + when, cells), "strong" if version["active"] else ""),))
    return lines or [(("no version is stored", "quiet"),)]
