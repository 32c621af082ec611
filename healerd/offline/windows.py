"""Lengths of windows: which one suits a table, where one begins, how it is said. Must never look at values."""

from datetime import UTC, datetime

import numpy as np

from healerd.columns import Times

__all__ = ["DAY_S", "choose_window", "cut", "in_words"]

DAY_S = 86_400.0
LENGTHS_S = (60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 21_600.0, 43_200.0, DAY_S)
"""Lengths up to a day; beyond it whole days."""
DAY_ROWS_MIN = 40
"""A day is the natural rhythm of most data, so it is taken when it has this many rows."""
DAYS_WANTED = 15
ROWS_WANTED, ROWS_MIN = 200, 10
"""Rows a window should have, and the fewest it may have where a table is short."""
WINDOWS_WANTED = 30


def choose_window(at: Times) -> float:
    """Choose the length of windows for n times in order, in seconds.

    A day, if there are enough days with enough rows each; else the shortest length that has 200 rows in the mean, or
    fewer where the table would then have less than 30 windows.
    """
    span_s = max(float((at[-1] - at[0]) / np.timedelta64(1, "s")), 1.0)
    rows_a_second = len(at) / span_s
    if rows_a_second * DAY_S >= DAY_ROWS_MIN and span_s >= DAYS_WANTED * DAY_S:
        return DAY_S
    rows = min(ROWS_WANTED, max(ROWS_MIN, len(at) / WINDOWS_WANTED))
    wanted_s = rows / rows_a_second
    shorter = next((length for length in LENGTHS_S if length >= wanted_s), None)
    return shorter or float(np.ceil(wanted_s / DAY_S)) * DAY_S


def cut(at: datetime, window_s: float) -> datetime:
    """Give the start of the window that holds a time.

    >>> cut(datetime(2013, 1, 5, 17, tzinfo=UTC), DAY_S).isoformat()
    '2013-01-05T00:00:00+00:00'
    """
    return datetime.fromtimestamp(at.timestamp() // window_s * window_s, UTC)


def in_words(seconds: float) -> str:
    """Say a length of time.

    >>> in_words(86_400), in_words(1800), in_words(90)
    ('1 day', '30 minutes', '90 seconds')
    """
    units = (("day", DAY_S), ("hour", 3600.0), ("minute", 60.0), ("second", 1.0))
    name, size = next(((name, size) for name, size in units if seconds >= size and seconds % size == 0), units[-1])
    count = seconds / size
    return f"{count:g} {name}{'' if count == 1 else 's'}"
