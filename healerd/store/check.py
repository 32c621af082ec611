"""Check the audit log in the database, and every recorded row against it.

Must never write, nor hold the log in memory.
"""

# ruff: noqa: S608 - the names in SQL are those of TABLES and of checked fields; every value is bound

from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256

import msgspec

from healerd.audit import AuditReport, Leaf, Row, leaf_hash, verify_leaves
from healerd.store.library import sqlite
from healerd.store.tables import TABLES

__all__ = ["check", "first_bad_row"]

_NAMES = frozenset(table.name for table in TABLES.values())
_MANY = frozenset({"decision", "segment", "cohort", "saved_profile"})
"""Tables that grow with every window; of these only the newest rows can still lead to an action."""
_NEWEST = 20_000
"""How many leaves back, and rows of these, are looked at on a start: a day of some hundred pipelines."""


def check(connection: sqlite.Connection, progress: Callable[[int], None] | None = None) -> AuditReport:
    """Verify chain and rows; then look for what no leaf describes: rows added, leaves cut off, values replaced."""

    def row_of(table: str, key: str) -> Row | None:
        if table not in _NAMES:
            return None
        sql = f'SELECT seq, leaf, CAST(body AS BLOB) FROM "{table}" WHERE row_key = ?'
        found = connection.execute(sql, [key]).fetchone()
        return Row(first=found[0], leaf=found[1], body=found[2]) if found else None

    report = verify_leaves(_leaves(connection), row_of=row_of, progress=progress)
    if report.first_bad is not None:
        return report
    for flaw in (*_cut_off(connection, report), *_added(connection, report), *_replaced(connection)):
        return replace(report, first_bad=flaw[0], problem=flaw[1])
    return report


def first_bad_row(connection: sqlite.Connection) -> str | None:
    """Find a row that is not as its leaf wrote it, among all that an action may still rest on; None if there is none.

    Of the leaves it reads the newest, and those that describe such a row: a second where `check` takes minutes.
    """
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM audit_leaf").fetchone()
    sql = "SELECT seq, CAST(body AS BLOB), CAST(leaf_hash AS BLOB) FROM audit_leaf WHERE seq > ?"
    for seq, said, hashed in connection.execute(sql, [last - _NEWEST]):
        if leaf_hash(said) != hashed:
            return f"leaf {seq} was changed: its bytes do not have its hash"
    for table in sorted(TABLES.values(), key=lambda table: table.name):
        value = "t.value" if table.with_value else "NULL"
        sql = f"""SELECT t.row_key, t.leaf, CAST(t.body AS BLOB), {value},
                CAST(a.body AS BLOB), CAST(a.leaf_hash AS BLOB)
            FROM "{table.name}" t LEFT JOIN audit_leaf a ON a.seq = t.leaf WHERE t.leaf > ?"""
        for key, leaf, *found in connection.execute(sql, [last - _NEWEST if table.name in _MANY else -1]):
            body, kept, said, hashed = found
            claim = _claim(said, hashed)
            if claim is None or (claim.table, claim.key, bytes(claim.record)) != (table.name, key, body):
                return f"the {table.name} `{key}` is not as leaf {leaf} wrote it"
            if kept is not None and not _has_its_hash(kept, body):
                return f"the value of the {table.name} `{key}` does not have the hash in leaf {leaf}"
    return None


def _claim(body: bytes | None, hashed: bytes | None) -> "_Claim | None":
    """Read what a leaf says of its row; None for one that is gone, or was changed."""
    return None if body is None or leaf_hash(body) != hashed else msgspec.json.decode(body, type=_Claim)


def _has_its_hash(value: bytes, body: bytes) -> bool:
    return sha256(value).hexdigest() == msgspec.json.decode(body, type=_Hashed).sha256


def _leaves(connection: sqlite.Connection) -> Iterator[Leaf]:
    sql = "SELECT seq, CAST(body AS BLOB), CAST(leaf_hash AS BLOB), CAST(chain AS BLOB) FROM audit_leaf ORDER BY seq"
    for seq, body, hashed, chain in connection.execute(sql):
        yield Leaf(seq=seq, body=body, leaf_hash=hashed, chain=chain)


def _cut_off(connection: sqlite.Connection, report: AuditReport) -> Iterator[tuple[int, str]]:
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit_leaf'").fetchone()
    given = found[0] if found else 0
    if given != report.leaves:
        yield report.leaves + 1, f"the log ends after leaf {report.leaves}, but {given} were written"


def _added(connection: sqlite.Connection, report: AuditReport) -> Iterator[tuple[int, str]]:
    """Find rows that no leaf describes: those that one does were counted, so the counts tell whether to look."""
    for name in sorted(_NAMES):
        (count,) = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()
        if count != report.rows.get(name, 0):
            yield _stranger(connection, name, "leaf")
        if count != report.made.get(name, 0):
            yield _stranger(connection, name, "seq")


def _stranger(connection: sqlite.Connection, name: str, pointer: str) -> tuple[int, str]:
    """Name the first row whose leaf (its last, or its first) describes another row, or none."""
    sql = f"""SELECT t.{pointer}, t.row_key FROM "{name}" t LEFT JOIN audit_leaf a ON a.seq = t.{pointer}
        WHERE a.seq IS NULL OR a.body ->> '$.table' IS NOT ? OR a.body ->> '$.key' IS NOT t.row_key
        ORDER BY t.{pointer} LIMIT 1"""
    leaf, key = connection.execute(sql, [name]).fetchone()
    return leaf, f"the {name} `{key}` was added, renamed or moved: leaf {leaf} does not describe it"


def _replaced(connection: sqlite.Connection) -> Iterator[tuple[int, str]]:
    for name in sorted(table.name for table in TABLES.values() if table.with_value):
        for leaf, key, body, value in connection.execute(
            f'SELECT leaf, row_key, body, value FROM "{name}" ORDER BY leaf'
        ):
            if sha256(value).hexdigest() != msgspec.json.decode(body, type=_Hashed).sha256:
                yield leaf, f"the value of the {name} `{key}` was changed: it does not have the hash in leaf {leaf}"


class _Hashed(msgspec.Struct):
    sha256: str


class _Claim(msgspec.Struct):
    table: str | None
    key: str | None
    record: msgspec.Raw
