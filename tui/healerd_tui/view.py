"""Turns what the client gives into lines of parts, (text, role), for the screens to paint.

Pure: it must never read a clock, paint, or leave out what a person needs in order to decide. A role is the name of a
colour; every text that comes from outside passes `show` on its way.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from rich.style import Style
from rich.text import Text

from healerd.model import AWAITED
from healerd_tui.formats import ago, clock, say_number, say_p
from healerd_tui.glyphs import GlyphSet, say_state, sign
from healerd_tui.inert import clip, show, width
from healerd_tui.plots import meter, sparkline
from healerd_tui.state import Conn, State, deadline_of, instant, now, pending, seconds_left

__all__ = [
    "Line",
    "Part",
    "banner",
    "between",
    "first_waiting",
    "fleet_cells",
    "head",
    "inbox_cells",
    "line_width",
    "paint",
    "parse_query",
    "say_when",
]

Json = Mapping[str, Any]
Part = tuple[str, str]
Line = tuple[Part, ...]

BANNER_MAX = 3
"""Intents named in the banner; the rest are counted."""


def paint(lines: Iterable[Line], styles: Mapping[str, Style]) -> Text:
    """Make one rich text of lines, each of them inert; a role without a style is painted plainly."""
    text = Text(no_wrap=True, end="")
    for number, line in enumerate(lines):
        if number:
            text.append("\n")
        for words, role in line:
            text.append(show(words), styles.get(role))
    return text


def line_width(line: Line) -> int:
    """Count the cells of a line."""
    return sum(width(words) for words, _ in line)


def between(left: Line, right: Line, cells: int) -> Line:
    """Put `left` and `right` at the two ends of a line; what does not fit is cut on the left side."""
    room = cells - line_width(right)
    if room < 1:
        return _cut(left, cells)
    fitted = _cut(left, room - 1)
    return (*fitted, (" " * (room - line_width(fitted)), ""), *right)


def _cut(line: Line, cells: int) -> Line:
    fitted: list[Part] = []
    for words, role in line:
        left = cells - line_width(tuple(fitted))
        if left <= 0:
            break
        fitted.append((clip(words, left), role))
    return tuple(fitted)


def say_when(text: str | None, at: datetime | None) -> str:
    """Write a moment: the time of day if it is today for the daemon, else the day."""
    if not text:
        return "-"
    moment = instant(text)
    if at is not None and moment.date() == at.date():
        return f"{moment:%H:%M:%S}"
    if at is not None and moment.year == at.year:
        return f"{moment:%b} {moment.day} {moment:%H:%M}"
    return f"{moment:%Y-%m-%d %H:%M}"


def parse_query(text: str, fields: Collection[str]) -> dict[str, Any]:
    """Split a query into `field=value` for known fields, and all else as `text`; a field without a value waits."""
    found: dict[str, Any] = {}
    words = []
    for word in text.split():
        name, equals, value = word.partition("=")
        if equals and value and name in fields:
            found[name] = value
        elif not equals or name not in fields:
            words.append(word)
    return {**found, "text": " ".join(words) or None}


# the first two lines ---------------------------------------------------------


def head(
    state: State, *, trail: str, title: str, read_only: bool, monotonic_s: float, cells: int, glyphs: GlyphSet
) -> Line:
    """Write the first line: where we are, how the link stands, who is here, the daemon's time."""
    crumbs: Line = ((f" {show(trail)}", "title"),)
    if state.stopped:
        crumbs = ((f" STOPPED by {show(state.stopped['author'])} ", "failed"), *crumbs)
    if title and cells >= 80:
        crumbs = (*crumbs, (f"  {clip(title, 24)}", "quiet"))
    right = _head_right(state, read_only=read_only, monotonic_s=monotonic_s, cells=cells, glyphs=glyphs)
    return between(crumbs, right, cells)


def _link(state: State, monotonic_s: float, glyphs: GlyphSet) -> Line:
    match state.conn:
        case Conn.LIVE:
            return ((f"{sign('live', glyphs)} live", "ok"),)
        case Conn.REPLAY:
            return ((" REPLAY ", "badge"), (f" leaf {state.seq:,}", "quiet"))
        case Conn.STALE:
            away_s = monotonic_s - state.lost_s if state.lost_s is not None else None
            since = f" since {state.at:%H:%M:%S}" if state.at else ""
            return ((f"{sign('away', glyphs)} STALE {clock(away_s)}{since}", "failed"),)
        case _:
            return (("connecting", "quiet"),)


def _head_right(state: State, *, read_only: bool, monotonic_s: float, cells: int, glyphs: GlyphSet) -> Line:
    parts: list[Part] = []
    present = state.status.get("present") or ()
    if present and cells >= 100 and state.live:
        names = " ".join(show(each["name"]) + ("(ro)" if each["role"] == "viewer" else "") for each in present[:4])
        parts.append((f"{len(present)} on: {names}   ", "quiet"))
    if state.conn == Conn.STALE and cells >= 100:
        parts.append(("read-only until reconnect   ", "drift"))
    if state.roles and cells >= 60:
        who = f"{show(state.you)} " if cells < 100 or not present else "role "
        parts.append((f"{who}{state.roles[-1]}   ", "quiet"))
    if read_only:
        parts.extend(((" RO ", "badge"), ("  ", "")))
    parts.extend((*_link(state, monotonic_s, glyphs), ("  ", "")))
    at = now(state, monotonic_s)
    stamp = "--:--:--" if at is None else f"{at:%Y-%m-%d %H:%M}" if state.conn == Conn.REPLAY else f"{at:%H:%M:%S}"
    parts.append((f"{stamp} ", ""))
    return tuple(parts)


def banner(state: State, *, monotonic_s: float, cells: int, glyphs: GlyphSet) -> Line | None:
    """Write the second line: what waits for a person, the most pressing first. None when nothing does."""
    waiting = pending(state)
    if not waiting:
        return None
    at = now(state, monotonic_s)
    dot = sign("separator", glyphs)
    say = say_state("pending", glyphs).rpartition(" ")[0]
    named = waiting[: 1 if cells < 100 else BANNER_MAX]
    words = f" {dot} ".join(
        f"{show(each['pipeline'])} {show(each['action'])} {_left(state, each, at)}" for each in named
    )
    more = f" (+{len(waiting) - len(named)})" if len(waiting) > len(named) else ""
    hint = "n: open next " if cells < 100 else "press n to open next "
    return between(((f"{say} {len(waiting)} PENDING", "pending"), (f"  {words}{more}", "")), ((hint, "quiet"),), cells)


def _left(state: State, intent: Json, at: datetime | None) -> str:
    if deadline_of(intent) is None:
        return "no deadline"
    return clock(seconds_left(intent, at) if state.live else None)


# fleet and inbox -------------------------------------------------------------


def first_waiting(state: State) -> dict[str, Json]:
    """Find, for each pipeline, the most pressing intent that waits for a person."""
    found: dict[str, Json] = {}
    for intent in pending(state):
        found.setdefault(intent["pipeline"], intent)
    return found


def fleet_cells(
    view: Json, *, waiting: Json | None, live: bool, at: datetime | None, glyphs: GlyphSet
) -> dict[str, Part]:
    """Write one pipeline for the fleet, by column; `waiting` is what `first_waiting` found for it."""
    return {
        "pipeline": (view["name"], ""),
        "state": (say_state(view["state"], glyphs), view["state"]),
        "stage": (view["stage"], "quiet"),
        "health": _health(view.get("health"), glyphs),
        "health_short": (say_number(view.get("health"), 2), _health_role(view.get("health"))),
        "drift": _drift(view, glyphs),
        "ks_p": (say_p(view.get("ks_p")), "drift" if (view.get("ks_p") or 1.0) < 0.001 else "quiet"),
        "model": (view.get("version") or "-", ""),
        "last": _last(view, at),
        "cooldown": (_clock_time(view.get("cooldown_until"), at), "cooldown"),
        "veto_in": _veto_in(waiting, live, at),
        "trend": _trend(view, glyphs),
        "incident": (_incident(view), "quiet"),
    }


def _health(health: float | None, glyphs: GlyphSet) -> Part:
    if health is None:
        return (f"{'·' if glyphs is not GlyphSet.ASCII else '.'}" * 8 + "   -", "quiet")
    return _drawn_health(round(health), glyphs), _health_role(health)


@lru_cache(maxsize=256)
def _drawn_health(health: int, glyphs: GlyphSet) -> str:
    return meter(health, 100, width=12, glyphs=glyphs).plain


def _health_role(health: float | None) -> str:
    if health is None:
        return "quiet"
    return "ok" if health >= 90 else "watch" if health >= 75 else "drift" if health >= 50 else "failed"


def _drift(view: Json, glyphs: GlyphSet) -> Part:
    if view.get("drift") is None:
        return ("-", "quiet")
    arrow = {"up": sign("up", glyphs), "down": sign("down", glyphs)}.get(view.get("drift_trend") or "", " ")
    return (f"{view['drift']:.2f}{arrow}", "drift" if view["drift"] >= 0.1 else "")


def _last(view: Json, at: datetime | None) -> Part:
    """Say what was last decided or done, and how long ago."""
    last = view.get("last_action") or view.get("last_heal")
    if view["open"]:
        newest = view["open"][-1]
        word = {"announced": "announced", "awaiting approval": "asked"}.get(newest["state"], newest["state"])
        return f"{newest['action']} {word} {_ago(newest.get('created_at'), at)}", _outcome_role(newest)
    if view.get("paused"):
        return f"paused by {view['paused']['author']} {_ago(view['paused']['since_at'], at)}", "paused"
    if last is None:
        decision = view.get("decision")
        if view.get("incident") and decision and decision["held"]:
            return f"none: {decision['reason']}", "quiet"
        return "-", "quiet"
    by = (
        ""
        if (last.get("by") or last.get("author") or "daemon") == "daemon"
        else f" ({last.get('by') or last['author']})"
    )
    ended = last.get("at") or last.get("ended_at") or last.get("created_at")
    word = last.get("result") or last["state"]
    return f"{last['action']} {word} {_ago(ended, at)}{by}", _outcome_role({**last, "state": word})


def _outcome_role(intent: Json) -> str:
    return {
        "failed": "failed",
        "worse": "failed",
        "vetoed": "vetoed",
        "healed": "ok",
        "verified": "ok",
    }.get(intent["state"], "healing" if intent["state"] in AWAITED else "")


def _ago(text: str | None, at: datetime | None) -> str:
    return "" if not text or at is None else ago((at - instant(text)).total_seconds())


def _clock_time(text: str | None, at: datetime | None) -> str:
    """Write when something ends, if that is still to come."""
    if not text or (at is not None and instant(text) <= at):
        return "-"
    return say_when(text, at).rpartition(":")[0] if at and instant(text).date() == at.date() else say_when(text, at)


def _veto_in(waiting: Json | None, live: bool, at: datetime | None) -> Part:  # noqa: FBT001 - a value
    if waiting is None:
        return ("-", "quiet")
    left = seconds_left(waiting, at) if live else None
    if deadline_of(waiting) is None:
        return ("open", "healing")
    return clock(left), "urgent" if left is not None and left < 60 else "healing"


def _trend(view: Json, glyphs: GlyphSet) -> Part:
    values = (view.get("series") or {}).get("drift") or ()
    if not any(value is not None for value in values):
        return ("", "quiet")
    return _drawn_trend(tuple(values), glyphs), "plot-line"


@lru_cache(maxsize=4096)
def _drawn_trend(values: tuple[float | None, ...], glyphs: GlyphSet) -> str:
    """Draw a trend; it is kept, since a fleet is drawn often and a trend changes once a window."""
    known = [float("nan") if value is None else float(value) for value in values]
    return sparkline(known, width=8, glyphs=glyphs).plain


def _incident(view: Json) -> str:
    return view["incident"]["reason"] if view.get("incident") else ""


def inbox_cells(intent: Json, *, state: State, at: datetime | None, glyphs: GlyphSet) -> dict[str, Part]:
    """Write one intent for the inbox, by column."""
    waits = intent["state"] in AWAITED
    left = seconds_left(intent, at) if state.live else None
    confidence = intent.get("confidence")
    due = "no deadline" if deadline_of(intent) is None else clock(left)
    mark = say_state("pending", glyphs).rpartition(" ")[0] if waits else " "
    return {
        "state": (f"{mark} {intent['state']}", "healing" if waits else _outcome_role(intent)),
        "pipeline": (intent["pipeline"], ""),
        "action": (_action(intent), "title" if waits else ""),
        "left": (due if waits else "-", "urgent" if waits and left is not None and left < 60 else ""),
        "confidence": (
            "unknown" if confidence is None else f"{confidence:.2f}",
            "drift" if confidence is None or confidence < 0.8 else "ok",
        ),
        "silence": (intent.get("default") or "-", "quiet"),
        "age": (_ago(intent.get("created_at"), at), "quiet"),
        "reason": (intent.get("reason") or "", "quiet"),
        "id": (intent["id"], "quiet"),
    }


def _action(intent: Json) -> str:
    return f"{intent['action']} to {intent['target']}" if intent.get("target") else str(intent["action"])
