"""Copy the audit log into one SQLite file that people can read and anybody can verify.

Must never hold the log in memory, nor leave half a file under the name that was asked for.
"""

# ruff: noqa: S608 - the names in SQL are those of `exportform`; every value is bound

from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from healerd import __version__
from healerd.audit import stamp
from healerd.audit.gaps import ERASED, PRUNED
from healerd.audit.notes import origin_of
from healerd.errors import StoreError
from healerd.model import EVERYTHING
from healerd.store.exportform import EXPORT_ID, FORMAT, INDEXES_SQL, MEANINGS, REASON, TABLES_SQL, VIEWS
from healerd.store.library import guarded, sqlite

__all__ = ["Exported", "export_log"]

BATCH = 2000
ALWAYS = frozenset({ERASED, PRUNED, "key", "key rotated", "key lost"})
"""Kinds that every export holds whole: without them the rest cannot be verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written: all leaves of the log, of which `left_out` as hashes only."""

    leaves: int
    left_out: int
    checkpoints: int
    size_bytes: int


def export_log(
    source: sqlite.Connection,
    out: Path,
    *,
    since: datetime | None = None,
    pipelines: Collection[str] = (),
    progress: Callable[[int], None] | None = None,
) -> Exported:
    """Write the log that `source` shows; it must show one unchanging state while this runs.

    With `since` or `pipelines`, the leaves before and those of other pipelines are left out: their hashes stand for
    them, so that the rest still verifies.

    Raises:
        StoreError: the file exists, or cannot be written.
    """
    if out.exists():
        raise StoreError(f"`{out}` exists: name another file, or move it away")
    part = out.with_name(f".{out.name}.part")
    with guarded(part):
        part.unlink(missing_ok=True)
        try:
            with closing(sqlite.connect(part, isolation_level=None)) as made:
                done = _fill(source, made, _Choice.of(since, pipelines), progress)
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)  # of what did not come to its end
    return Exported(size_bytes=out.stat().st_size, **done)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """Which leaves are copied whole."""

    since: str
    pipelines: frozenset[str]

    @classmethod
    def of(cls, since: datetime | None, pipelines: Collection[str]) -> "_Choice":
        return cls(since=stamp(since) if since else "", pipelines=frozenset(pipelines))

    def takes(self, at: str, kind: str, pipeline: str | None) -> bool:
        if kind in ALWAYS:
            return True
        mine = not self.pipelines or pipeline in (None, EVERYTHING) or pipeline in self.pipelines
        return mine and at >= self.since


def _fill(
    source: sqlite.Connection, made: sqlite.Connection, choice: _Choice, progress: Callable[[int], None] | None
) -> dict[str, int]:
    made.execute("PRAGMA journal_mode = OFF")
    made.execute("PRAGMA synchronous = OFF")
    made.execute(f"PRAGMA application_id = {EXPORT_ID}")
    made.execute(f"PRAGMA user_version = {FORMAT}")
    made.execute("BEGIN")
    for statement in TABLES_SQL:
        made.execute(statement)
    leaves, left_out = _copy_leaves(source, made, choice, progress)
    checkpoints = _copy(source, made, "checkpoint", "SELECT number, size, note FROM checkpoint ORDER BY number")
    keys = "SELECT leaf, id, body ->> '$.key', how FROM signing_key ORDER BY leaf"
    _copy(source, made, "signing_key", keys)
    # The leaf that names a text must be in the export, or nothing would prove the text.
    _copy(source, made, "rule_set", _RULES)
    made.execute("DELETE FROM rule_set WHERE leaf IN (SELECT seq FROM leaf WHERE body IS NULL)")
    made.execute(f'INSERT INTO reason (leaf, "at", kind, pipeline, who, reason) {REASON}')
    for statement in (*INDEXES_SQL, *(f'CREATE VIEW "{name}" AS {sql}' for name, sql in VIEWS.items())):
        made.execute(statement)
    described = [(name, column, said) for name, columns in MEANINGS.items() for column, said in columns.items()]
    made.executemany('INSERT INTO described (name, "column", meaning) VALUES (?, ?, ?)', described)
    made.executemany(
        "INSERT INTO about VALUES (?, ?)", _about(source, choice, leaves=leaves, left_out=left_out).items()
    )
    made.execute("COMMIT")
    made.execute("PRAGMA journal_mode = DELETE")
    return {"leaves": leaves, "left_out": left_out, "checkpoints": checkpoints}


_RULES = (
    "SELECT leaf, substr(name, 7), CAST(value AS TEXT) FROM saved "
    "WHERE pipeline = '*' AND name LIKE 'rules %' ORDER BY leaf"
)


def _copy_leaves(
    source: sqlite.Connection, made: sqlite.Connection, choice: _Choice, progress: Callable[[int], None] | None
) -> tuple[int, int]:
    count = left_out = 0
    sql = 'SELECT seq, leaf_hash, salt, body, "at", kind, pipeline FROM audit_leaf ORDER BY seq'
    for batch in _batches(source.execute(sql)):
        rows = [row[:4] if choice.takes(*row[4:]) else (row[0], row[1], None, None) for row in batch]
        made.executemany("INSERT INTO leaf (seq, leaf_hash, salt, body) VALUES (?, ?, ?, ?)", rows)
        count, left_out = count + len(rows), left_out + sum(row[3] is None for row in rows)
        if progress:
            progress(count)
    return count, left_out


def _copy(source: sqlite.Connection, made: sqlite.Connection, table: str, sql: str) -> int:
    count = 0
    for batch in _batches(source.execute(sql)):
        count += len(batch)
        marks = ", ".join("?" * len(batch[0]))
        made.executemany(f"INSERT INTO {table} VALUES ({marks})", batch)
    return count


def _batches(cursor: sqlite.Cursor) -> Iterator[list[Any]]:
    while batch := cursor.fetchmany(BATCH):
        yield batch


def _about(source: sqlite.Connection, choice: _Choice, *, leaves: int, left_out: int) -> dict[str, str]:
    first = source.execute("SELECT leaf_hash FROM audit_leaf WHERE seq = 1").fetchone()
    newest = source.execute('SELECT "at" FROM audit_leaf ORDER BY seq DESC LIMIT 1').fetchone()
    return {
        "what": "the audit log of a healerd; `described` tells what each table, view and column means",
        "origin": origin_of(bytes(first[0])) if first else "",
        "healerd": __version__,
        "leaves": str(leaves),
        "left out": str(left_out),
        "newest": newest[0] if newest else "",
        "since": choice.since,
        "pipelines": msgspec.json.encode(sorted(choice.pipelines)).decode(),
    }
