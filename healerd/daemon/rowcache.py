"""Rows of whole windows that cannot change any more, kept in memory, so that each is read from disk once.

Must never keep a window whose rows may still get labels: only one that is over and wholly labelled is kept.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from healerd.columns import Predictions, concatenate, is_missing, take
from healerd.segments.times import naive

__all__ = ["RowCache"]

Read = Callable[[datetime, datetime], Predictions]
ROWS_MAX = 500_000
"""Rows kept in memory, of all windows together: some tens of megabytes at twenty features."""


class RowCache:
    """Answers for stretches of time; `read` is asked for what is not kept."""

    def __init__(self, window_s: float) -> None:
        self._window_s, self._length = window_s, timedelta(seconds=window_s)
        self._kept: OrderedDict[datetime, Predictions] = OrderedDict()
        self._rows = 0

    def forget(self) -> None:
        """Let go of everything: rows have come late."""
        self._kept.clear()
        self._rows = 0

    def rows(self, start_at: datetime, end_at: datetime, read: Read) -> Predictions:
        """Give the rows of [start_at, end_at) in the order of time."""
        return concatenate([self._piece(at, until, read) for at, until in self._pieces(start_at, end_at)])

    def _piece(self, at: datetime, until: datetime, read: Read) -> Predictions:
        kept = self._kept.get(at)
        return self._read(at, until, read) if kept is None or until - at != self._length else kept

    def _pieces(self, start_at: datetime, end_at: datetime) -> list[tuple[datetime, datetime]]:
        """Cut a stretch into the windows that are kept, and what lies between them."""
        pieces: list[tuple[datetime, datetime]] = []
        at = start_at
        while at < end_at:
            whole = self._first(at) == at and at + self._length <= end_at and at in self._kept
            until = at + self._length if whole else min(end_at, self._next_kept(at, end_at))
            pieces.append((at, until))
            at = until
        return pieces or [(start_at, end_at)]

    def _next_kept(self, at: datetime, end_at: datetime) -> datetime:
        start = self._first(at) + self._length
        while start + self._length <= end_at and start not in self._kept:
            start += self._length
        return start if start + self._length <= end_at else end_at

    def _first(self, at: datetime) -> datetime:
        return datetime.fromtimestamp(at.timestamp() // self._window_s * self._window_s, UTC)

    def _read(self, at: datetime, until: datetime, read: Read) -> Predictions:
        found = read(at, until)
        start = self._first(at) if self._first(at) == at else self._first(at) + self._length
        labelled = ~is_missing(found.label)
        while start + self._length <= until:
            inside = (found.at >= naive(start)) & (found.at < naive(start + self._length))
            if inside.any() and labelled[inside].all():
                self._keep(start, take(found, np.flatnonzero(inside)))
            start += self._length
        return found

    def _keep(self, start: datetime, rows: Predictions) -> None:
        self._kept[start] = rows
        self._rows += len(rows)
        while self._rows > ROWS_MAX:
            _, gone = self._kept.popitem(last=False)
            self._rows -= len(gone)
