"""Stream the stored form of records in the order in which they were written. Must never hold more than a page of them.

A year of a fleet is more than memory holds, and most of it need not be read at all: the numbers of the rows are found
by an index first, and only then are the rows read, a page at a time.
"""

# ruff: noqa: S608 - the names in SQL are those of TABLES and of filters that its callers write; every value is bound

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

from healerd.store.filters import where
from healerd.store.tables import table_of

__all__ = ["Bodies"]

PAGE = 256
"""Rows that are read at once; a decision has some thirty kilobytes."""


class Bodies:
    """The part of a reader that goes through many rows once; `_query` is the reader's own."""

    def _query(self, sql: str, values: list[Any]) -> list[Any]:
        raise NotImplementedError

    def tally(self, record: type[Any], **filters: object) -> tuple[int, int, int]:
        """Count the records that fit the filters, with the first and the last of their numbers."""
        clause, values = where(filters)
        sql = f'SELECT count(*), coalesce(min(seq), 0), coalesce(max(seq), 0) FROM "{table_of(record).name}" {clause}'
        count, first, last = self._query(sql, values)[0]
        return int(count), int(first), int(last)

    def numbers(self, record: type[Any], **filters: object) -> "array[int]":
        """Give the numbers of the records that fit the filters, in order."""
        clause, values = where(filters)
        # The plus keeps the order from being chosen for its index: then each body would be parsed for the filters.
        sql = f'SELECT seq FROM "{table_of(record).name}" {clause} ORDER BY +seq'
        return array("q", (seq for (seq,) in self._query(sql, values)))

    def bodies(self, record: type[Any], numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Stream the rows of these numbers, which are in order, each with its own."""
        name = table_of(record).name
        for start in range(0, len(numbers), PAGE):
            page = list(numbers[start : start + PAGE])
            sql = f'SELECT seq, CAST(body AS BLOB) FROM "{name}" WHERE seq IN ({", ".join("?" * len(page))})'
            yield from self._query(f"{sql} ORDER BY seq", page)

    def stretch(self, record: type[Any], first: int, last: int) -> Iterator[tuple[int, bytes]]:
        """Stream the rows from one number to another, both included."""
        sql = f'SELECT seq, CAST(body AS BLOB) FROM "{table_of(record).name}" WHERE seq BETWEEN ? AND ?'
        while rows := self._query(f"{sql} ORDER BY seq LIMIT {PAGE}", [first, last]):
            yield from rows
            first = rows[-1][0] + 1

    def nearest(self, record: type[Any], seq: int) -> int | None:
        """Give the number of the first record at `seq` or after it."""
        rows = self._query(f'SELECT min(seq) FROM "{table_of(record).name}" WHERE seq >= ?', [seq])
        return None if rows[0][0] is None else int(rows[0][0])
