"""Which pages of a long list are at hand, and which to fetch next. Pure; must never keep more than a bounded number of
rows, whatever the list's length, and never ask for a page whose place it cannot know.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from healerd_tui.widgets.layout import Row

__all__ = ["PAGE_ROWS", "Pages", "Request"]

PAGE_ROWS = 100
PAGES_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A page to fetch: its number, the position of its first row, and the key before it, unless that must be sought."""

    number: int
    start: int
    after: str | None
    seek: bool


class Pages:
    """The pages of one list, by keys: each begins after the last key of the one before.

    Where positions can be sought, any page can be fetched at once. Where they cannot, pages are found one after
    another, may be shorter than asked for, and the list ends with the first that is empty.
    """

    def __init__(self, total: int | None, *, can_seek: bool) -> None:
        self._total = total
        self._can_seek = can_seek and total is not None
        self._pages: OrderedDict[int, tuple[Row, ...]] = OrderedDict()
        self._starts = [0]
        self._afters: list[str | None] = [None]
        self._ended = total == 0

    @property
    def total(self) -> int:
        """Count the rows that can be scrolled to; one more than known while more may come."""
        if self._can_seek and self._total is not None:
            return self._total
        return self._starts[-1] + (0 if self._ended else 1)

    @property
    def is_exact(self) -> bool:
        """Tell whether `total` is all there is."""
        return self._can_seek or self._ended

    def row(self, position: int) -> Row | None:
        """Find the row at a position, if its page is at hand."""
        number = self._number(position)
        page = self._pages.get(number)
        if page is None:
            return None
        self._pages.move_to_end(number)
        at = position - self._start(number)
        return page[at] if 0 <= at < len(page) else None

    def missing(self, first: int, last: int) -> Request | None:
        """Name the next page to fetch so that the rows from `first` to `last` are at hand; None if they are."""
        for number in range(self._number(max(first, 0)), self._number(max(min(last, self.total - 1), 0)) + 1):
            if number in self._pages or (self._ended and not self._can_seek and number >= len(self._starts) - 1):
                continue
            if not self._can_seek:
                return Request(number=number, start=self._starts[number], after=self._afters[number], seek=False)
            before = self._pages.get(number - 1)
            known = number == 0 or bool(before)
            after = before[-1].key if before else None
            return Request(number=number, start=number * PAGE_ROWS, after=after, seek=not known)
        return None

    def store(self, request: Request, rows: Sequence[Row]) -> None:
        """Keep a page that was fetched, and drop the one that was not looked at for longest."""
        self._pages[request.number] = tuple(rows)
        self._pages.move_to_end(request.number)
        if not self._can_seek and request.number == len(self._starts) - 1:
            if rows:
                self._starts.append(request.start + len(rows))
                self._afters.append(rows[-1].key)
            else:
                self._ended = True
        while len(self._pages) > PAGES_MAX:
            self._pages.popitem(last=False)

    def _number(self, position: int) -> int:
        if self._can_seek:
            return position // PAGE_ROWS
        return bisect_right(self._starts, position) - 1

    def _start(self, number: int) -> int:
        return number * PAGE_ROWS if self._can_seek else self._starts[number]
