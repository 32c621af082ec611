"""Calendars: which moments a rule file names, and whether a moment is one of them.

It never reads the clock; the moment comes in.
"""

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from healerd_rules.source import Findings
from healerd_rules.tree import Calendar, CalendarPart

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class CalendarPartSpec:
    """Days of the week with a range of minutes, or a range of dates; both ends are included."""

    days: tuple[int, ...] = ()
    first_minute: int = 0
    last_minute: int = 1439
    first_date: dt.date | None = None
    last_date: dt.date | None = None


@dataclass(frozen=True, slots=True)
class CalendarSpec:
    """A named union of parts in one time zone."""

    name: str
    zone: str
    parts: tuple[CalendarPartSpec, ...]


def contains(calendar: CalendarSpec, moment: dt.datetime) -> bool:
    """Whether an aware moment lies in the calendar, by the clock on the wall of its zone."""
    local = moment.astimezone(ZoneInfo(calendar.zone))
    return any(_part_contains(part, local) for part in calendar.parts)


def _part_contains(part: CalendarPartSpec, local: dt.datetime) -> bool:
    if part.first_date is not None and part.last_date is not None:
        return part.first_date <= local.date() <= part.last_date
    minute = local.hour * 60 + local.minute
    today = local.weekday() in part.days
    if part.first_minute <= part.last_minute:
        return today and part.first_minute <= minute <= part.last_minute
    yesterday = (local.weekday() - 1) % 7 in part.days
    return (today and minute >= part.first_minute) or (yesterday and minute <= part.last_minute)


def read_calendar(calendar: Calendar, findings: Findings) -> CalendarSpec:
    """The calendar of a declaration; what cannot be read is reported and left out."""
    zone = "UTC" if calendar.zone is None else calendar.zone.value
    if calendar.zone is not None and not _zone_exists(zone):
        findings.error(
            "value", calendar.zone.span, f"no time zone is named `{zone}`", 'for example `tz "Europe/Berlin"`'
        )
        zone = "UTC"
    parts = (_read_part(part, findings) for part in calendar.parts)
    return CalendarSpec(calendar.name.text, zone, tuple(part for part in parts if part is not None))


def _zone_exists(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _read_part(part: CalendarPart, findings: Findings) -> CalendarPartSpec | None:
    try:
        return _dates(part) if part.kind == "dates" else _weekly(part)
    except ValueError as error:
        findings.error("value", part.span, str(error))
        return None


def _dates(part: CalendarPart) -> CalendarPartSpec:
    first, last = (read_date(word) for word in part.words)
    if last < first:
        raise ValueError(f"`{part.words[1]}` lies before `{part.words[0]}`")
    return CalendarPartSpec(first_date=first, last_date=last)


def _weekly(part: CalendarPart) -> CalendarPartSpec:
    *days, first, last = part.words
    return CalendarPartSpec(days=_days(days), first_minute=read_minute(first), last_minute=read_minute(last))


def _days(words: list[str]) -> tuple[int, ...]:
    if not words:
        return tuple(EVERY_DAY)
    first, last = DAYS.index(words[0]), DAYS.index(words[-1])
    return tuple((first + step) % 7 for step in range((last - first) % 7 + 1))


def read_date(word: str) -> dt.date:
    """A date written `2026-12-20`; ValueError with a plain message when there is none such."""
    try:
        return dt.date.fromisoformat(word)
    except ValueError:
        raise ValueError(f"there is no date `{word}`") from None


def read_minute(word: str) -> int:
    """The minute of the day written `09:00`; `24:00` is midnight at the end."""
    hour, minute = int(word[:2]), int(word[3:])
    if hour * 60 + minute > 1440 or minute > 59:
        raise ValueError(f"there is no time `{word}`")
    return min(hour * 60 + minute, 1439)
