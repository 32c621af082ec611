"""Rows by window, kept in memory, so that each is read from disk once. Must never give rows that have changed since.

A window that is wholly labelled cannot change any more and is kept for every moment from then on; any other is kept
for one moment (`as_of`) only, until something is taken in. Labels that are known now must never be given to who asks
what was known earlier: while windows are caught up on, both are asked for.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from healerd.columns import Predictions, concatenate, is_missing, take
from healerd.segments.times import naive

__all__ = ["RowCache"]

Read = Callable[[datetime, datetime], Predictions]
WINDOW_ROWS = 50
"""What a window costs besides its rows, in rows: its columns, however short."""


class RowCache:
    """Answers for stretches of time; keeps at most `rows_max` rows, and reads the others whole windows at a time."""

    def __init__(self, window_s: float, *, rows_max: int) -> None:
        self._rows_max = rows_max
        self._window_s, self._length = window_s, timedelta(seconds=window_s)
        self._settled: OrderedDict[datetime, tuple[datetime, Predictions]] = OrderedDict()
        self._passing: dict[datetime, Predictions] = {}
        self._as_of: datetime | None = None
        self._rows = 0

    def forget(self, *, settled: bool) -> None:
        """Let go of what may have changed because something was taken in; with `settled`, because rows came late."""
        self._passing.clear()
        if settled:
            self._settled.clear()
            self._rows = 0

    def put(self, start: datetime, rows: Predictions, *, as_of: datetime) -> None:
        """Keep what was just written as all that the window from `start` holds, rather than read it back."""
        if self._starts(start, start + self._length) == [start]:
            self._begin(as_of)
            self._keep(start, rows, as_of)

    def rows(self, start_at: datetime, end_at: datetime, *, as_of: datetime, read: Read) -> Predictions:
        """Give the rows of [start_at, end_at) in the order of time, with the labels known at `as_of`."""
        self._begin(as_of)
        starts = self._starts(start_at, end_at)
        if not starts:
            return read(start_at, end_at)
        found = {start: rows for start in starts if (rows := self._kept(start, as_of)) is not None}
        for first, last in list(self._gaps(starts, as_of)):
            found |= self._read(first, last, as_of, read)
        whole = concatenate([found[start] for start in starts])
        if starts[0] == start_at and starts[-1] + self._length == end_at:
            return whole
        return take(whole, (whole.at >= naive(start_at)) & (whole.at < naive(end_at)))

    def _begin(self, as_of: datetime) -> None:
        if as_of != self._as_of:
            self._passing, self._as_of = {}, as_of

    def _kept(self, start: datetime, as_of: datetime) -> Predictions | None:
        since, rows = self._settled.get(start, (as_of, None))
        return self._passing.get(start) if rows is None or as_of < since else rows

    def _starts(self, start_at: datetime, end_at: datetime) -> list[datetime]:
        """List the starts of the windows that reach into [start_at, end_at)."""
        at = datetime.fromtimestamp(start_at.timestamp() // self._window_s * self._window_s, UTC)
        starts = []
        while at < end_at:
            starts.append(at)
            at += self._length
        return starts

    def _gaps(self, starts: list[datetime], as_of: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Join the windows that are not kept into stretches, each by its first and last window's start."""
        first = last = None
        for start in starts:
            if self._kept(start, as_of) is None:
                first, last = first or start, start
            elif first is not None and last is not None:
                yield first, last
                first = None
        if first is not None and last is not None:
            yield first, last

    def _read(self, first: datetime, last: datetime, as_of: datetime, read: Read) -> dict[datetime, Predictions]:
        rows = read(first, last + self._length)
        found = {}
        start = first
        while start <= last:
            found[start] = take(rows, (rows.at >= naive(start)) & (rows.at < naive(start + self._length)))
            self._keep(start, found[start], as_of)
            start += self._length
        return found

    def _keep(self, start: datetime, rows: Predictions, as_of: datetime) -> None:
        if not len(rows) or is_missing(rows.label).any():
            self._passing[start] = rows
            return
        if start not in self._settled:
            self._rows += len(rows) + WINDOW_ROWS
        self._settled[start] = (as_of, rows)
        while self._rows > self._rows_max:
            _, (_, gone) = self._settled.popitem(last=False)
            self._rows -= len(gone) + WINDOW_ROWS
