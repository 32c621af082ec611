"""Questions over many pipelines, windows or leaves at once, each one pass of SQL. Must never change anything.

What is asked is bounded: a search through bodies looks at a stretch of the log, and says how far it got.
"""

# ruff: noqa: S608 - the names in SQL are those of TABLES and of checked fields; every value is bound

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from healerd.audit import Entry, stamp
from healerd.store.filters import Range, order_by, where
from healerd.store.tables import Saved, decode, key_of, table_of

__all__ = ["FIRST_SCAN_MAX", "Survey"]

T = TypeVar("T")

FIRST_SCAN_MAX = 20_000
"""Rows that one search for a text looks through; the next page goes on where it stopped."""


class Survey:
    """The part of a reader that asks about many things at once; `_query` is the reader's own."""

    def _query(self, sql: str, values: list[Any]) -> list[Any]:
        raise NotImplementedError

    def newest_each(
        self, record: type[Any], names: Sequence[str], *, as_type: type[T], order: str = "-seq", **filters: object
    ) -> dict[str, T]:
        """Read each pipeline's foremost record in `order` that fits the filters, as the (smaller) type `as_type`."""
        table = table_of(record).name
        clause, values = where(filters)
        chosen = f'SELECT s.seq FROM "{table}" s WHERE s.pipeline = n.value {_and(clause)} ORDER BY {order_by(order)}'
        sql = f'SELECT n.value, CAST(t.body AS BLOB) FROM json_each(?) n JOIN "{table}" t ON t.seq = ({chosen} LIMIT 1)'
        return {name: decode(as_type, body) for name, body in self._query(sql, [_json(names), *values])}

    def find_each(
        self, record: type[Any], names: Sequence[str], *, as_type: type[T], **filters: object
    ) -> dict[str, tuple[T, ...]]:
        """Read every record of each pipeline that fits the filters, in the order in which they were first written."""
        table = table_of(record).name
        clause, values = where(filters)
        # The filters stand in a query of their own, where a field is never taken for a column of `json_each`.
        chosen = f'SELECT s.seq FROM "{table}" s WHERE s.pipeline = n.value {_and(clause)}'
        sql = (
            f'SELECT n.value, CAST(t.body AS BLOB) FROM json_each(?) n JOIN "{table}" t ON t.seq IN ({chosen}) '
            "ORDER BY t.seq"
        )
        found: dict[str, tuple[T, ...]] = {}
        for name, body in self._query(sql, [_json(names), *values]):
            found[name] = (*found.get(name, ()), decode(as_type, body))
        return found

    def states_each(self, names: Sequence[str], name: str) -> dict[str, bytes]:
        """Read what each pipeline last saved under a name; one that never has is left out, and what an export lost."""
        table = table_of(Saved)
        keys = [key_of(table, (pipeline, name)) for pipeline in names]
        keyed = "row_key IN (SELECT value FROM json_each(?))"
        sql = f'SELECT pipeline, value FROM "{table.name}" WHERE value IS NOT NULL AND {keyed}'
        return {pipeline: bytes(value) for pipeline, value in self._query(sql, [_json(keys)])}

    def get_each(self, record: type[T], keys: Collection[str]) -> dict[str, T]:
        """Read records by their keys; a key that names none is left out."""
        table = table_of(record).name
        sql = f'SELECT row_key, CAST(body AS BLOB) FROM "{table}" WHERE row_key IN (SELECT value FROM json_each(?))'
        return {key: decode(record, body) for key, body in self._query(sql, [_json(list(keys))])}

    def values_each(
        self, since: Mapping[str, datetime], measured: Collection[str]
    ) -> dict[tuple[str, str], list[tuple[str, float | None]]]:
        """Read what was `measured` on whole windows that end after each pipeline's `since`.

        The keys are (pipeline, name), the values (end of the window as ISO text, value), oldest first.
        """
        pairs = [[name, stamp(at)] for name, at in since.items()]
        sql = (
            "SELECT m.pipeline, m.name, m.window_end_at, m.value FROM json_each(?) p "
            "CROSS JOIN json_each(?) q CROSS JOIN measurement m "
            "ON m.pipeline = p.value ->> 0 AND m.name = q.value AND m.subject = '' "
            "AND m.window_end_at > p.value ->> 1 ORDER BY m.pipeline, m.name, m.window_end_at"
        )
        found: dict[tuple[str, str], list[tuple[str, float | None]]] = {}
        for pipeline, name, end_at, value in self._query(sql, [_json(pairs), _json(list(measured))]):
            found.setdefault((pipeline, name), []).append((end_at, value))
        return found

    def values_of(
        self, pipeline: str, measured: Collection[str], *, start_at: datetime, end_at: datetime
    ) -> dict[str, dict[str, tuple[float | None, bool | None]]]:
        """Read what was measured on whole windows that end in (start_at, end_at]: name -> end -> (value, alarm)."""
        sql = (
            "SELECT m.name, m.window_end_at, m.value, m.alarm FROM json_each(?) q CROSS JOIN measurement m "
            "ON m.pipeline = ? AND m.name = q.value AND m.subject = '' AND m.window_end_at > ? AND m.window_end_at <= ?"
        )
        bound = [_json(list(measured)), pipeline, stamp(start_at), stamp(end_at)]
        found: dict[str, dict[str, tuple[float | None, bool | None]]] = {}
        for name, at, value, alarm in self._query(sql, bound):
            found.setdefault(name, {})[at] = (value, None if alarm is None else bool(alarm))
        return found

    def page(
        self,
        record: type[Any],
        *,
        as_type: type[T],
        before: int | None = None,
        after: int | None = None,
        limit: int = 100,
        text: str | None = None,
        **filters: object,
    ) -> tuple[list[tuple[int, T]], int | None]:
        """Read a page of records, newest first: those first written by the leaves above `after` and below `before`.

        Without `before` and with `after`, the page is the one next to `after`. `text` keeps those whose stored form
        holds it, whatever the case. The second value is where the next older page begins; None when there is none.
        """
        asked = _Asked(before=before, after=after, limit=limit, text=text)
        return self._page(table_of(record).name, as_type, asked=asked, filters=filters)

    def leaf_page(
        self,
        *,
        as_type: type[T],
        before: int | None = None,
        after: int | None = None,
        limit: int = 100,
        text: str | None = None,
        **filters: object,
    ) -> tuple[list[tuple[int, T]], int | None]:
        """Read a page of the audit log, newest first, as `page` does."""
        asked = _Asked(before=before, after=after, limit=limit, text=text)
        return self._page("audit_leaf", as_type, asked=asked, filters=filters)

    def history(self, record: type[Any], key: str, *, as_type: type[T]) -> list[tuple[Entry, T]]:
        """Read every leaf that wrote one row, oldest first: the entry, and its record as the (smaller) type."""
        table = table_of(record).name
        # The row knows its first and its last leaf; no other stretch of the log is looked through.
        sql = (
            f'SELECT CAST(l.body AS BLOB) FROM "{table}" t JOIN audit_leaf l ON l.seq BETWEEN t.seq AND t.leaf '
            "WHERE t.row_key = ? AND l.kind = ? AND l.body ->> '$.table' = ? AND l.body ->> '$.key' = t.row_key "
            "ORDER BY l.seq"
        )
        entries = (decode(Entry, body) for (body,) in self._query(sql, [key, table, table]))
        return [(entry, msgspec.convert(entry.record, as_type)) for entry in entries]

    def chains(self, numbers: Collection[int]) -> dict[int, str]:
        """Read the head of the chain after each of these leaves, in hexadecimal."""
        sql = "SELECT seq, lower(hex(chain)) FROM audit_leaf WHERE seq IN (SELECT value FROM json_each(?))"
        return dict(self._query(sql, [_json(list(numbers))]))

    def changed_since(self, seq: int, *, at_most: int) -> frozenset[str] | None:
        """Name the pipelines of the leaves above `seq`; None when these are more than `at_most`."""
        sql = "SELECT pipeline FROM audit_leaf WHERE seq > ? ORDER BY seq LIMIT ?"
        rows = self._query(sql, [seq, at_most + 1])
        return None if len(rows) > at_most else frozenset(name for (name,) in rows if name is not None)

    def leaf_before(self, at: datetime) -> int:
        """Give the number of the newest leaf written before `at`; 0 where there is none."""
        return self.leaf_at(at - timedelta(microseconds=1))

    def leaf_at(self, at: datetime) -> int:
        """Give the number of the newest leaf written at `at` or before; 0 before the first. Leaves are in order."""
        low, high = 0, int(self._query("SELECT coalesce(max(seq), 0) FROM audit_leaf", [])[0][0])
        while low < high:
            middle = (low + high + 1) // 2
            # A leaf that somebody took out is passed over: to name it is for the check.
            ((found,),) = self._query('SELECT "at" FROM audit_leaf WHERE seq >= ? ORDER BY seq LIMIT 1', [middle])
            low, high = (middle, high) if found <= stamp(at) else (low, middle - 1)
        return low

    def _page(
        self, table: str, as_type: type[T], *, asked: "_Asked", filters: Mapping[str, object]
    ) -> tuple[list[tuple[int, T]], int | None]:
        low, high, cut = asked.after or 0, asked.before, None
        if asked.text:
            low, high, cut = self._stretch(table, asked)
        clause, values = where({"seq": Range(low + 1, high), **filters})
        if asked.text:
            clause, values = f"{clause} AND instr(lower(body), ?) > 0", [*values, asked.text.lower()]
        # The rows are chosen by number first: a sort must not carry their bodies along.
        chosen = f'SELECT seq FROM "{table}" {clause} ORDER BY seq {asked.way} LIMIT ?'
        sql = f'SELECT seq, CAST(body AS BLOB) FROM "{table}" WHERE seq IN ({chosen}) ORDER BY seq {asked.way}'
        rows = self._query(sql, [*values, asked.limit + 1])
        found = [(seq, decode(as_type, body)) for seq, body in rows[: asked.limit]]
        if asked.upwards:
            return found[::-1], found[0][0] if found else None
        return found, found[-1][0] if len(rows) > asked.limit else cut

    def _stretch(self, table: str, asked: "_Asked") -> tuple[int, int | None, int | None]:
        """Bound a search for a text: which numbers it looks through, and where it has to stop, if it has to."""
        low = asked.after or 0
        clause, values = where({"seq": Range(low + 1, asked.before)})
        sql = f'SELECT seq FROM "{table}" {clause} ORDER BY seq {asked.way} LIMIT 1 OFFSET ?'
        rows = self._query(sql, [*values, FIRST_SCAN_MAX])
        if not rows:
            return low, asked.before, None
        return (low, rows[0][0], None) if asked.upwards else (rows[0][0] - 1, asked.before, rows[0][0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Which page is wanted."""

    before: int | None
    after: int | None
    limit: int
    text: str | None

    @property
    def upwards(self) -> bool:
        return self.after is not None and self.before is None

    @property
    def way(self) -> str:
        return "ASC" if self.upwards else "DESC"


def _json(values: Iterable[Any]) -> str:
    return msgspec.json.encode(list(values)).decode()


def _and(clause: str) -> str:
    return clause.replace("WHERE", "AND", 1)
