"""Make a control database again out of an exported log: what replay needs to show the past. Must never write a log.

Rows are what their leaves say, measurements what the decisions stood on. Bytes (profiles, saved state) are in no
export but for the texts of rules; their places are empty, and read as gone.
"""

# ruff: noqa: S608 - the names in SQL are those of TABLES; every value is bound

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from healerd.audit import EMPTY, link
from healerd.audit.gaps import DROPPED
from healerd.errors import StoreError
from healerd.model import Decision
from healerd.store.exported import ExportedLog
from healerd.store.library import sqlite
from healerd.store.schema import migrate
from healerd.store.tables import TABLES

__all__ = ["rebuild"]

_WITH_VALUE = {table.name: table.with_value for table in TABLES.values()}


def rebuild(export: Path, target: Path) -> None:
    """Write the database of a whole export to `target`.

    Raises:
        StoreError: the file is no export, or it is a part of a log: replay needs all of it.
    """
    with ExportedLog(export).opened() as source, closing(sqlite.connect(target, isolation_level=None)) as made:
        if source.execute("SELECT 1 FROM leaf WHERE body IS NULL LIMIT 1").fetchone():
            raise StoreError(f"`{export}` is a part of a log: replay needs an export without --since and --pipeline")
        migrate(made, target)
        made.execute("PRAGMA synchronous = OFF")
        made.execute("BEGIN")
        made.executemany(
            "INSERT INTO audit_leaf (seq, body, leaf_hash, chain, salt) VALUES (?, ?, ?, ?, ?)", _leaves(source)
        )
        for seq, body in source.execute("SELECT seq, CAST(body AS BLOB) FROM leaf ORDER BY seq"):
            _write_row(made, seq, msgspec.json.decode(body, type=_Claim))
        checkpoints = source.execute("SELECT number, size, note FROM checkpoint")
        made.executemany("INSERT INTO checkpoint (number, size, note) VALUES (?, ?, ?)", checkpoints)
        texts = source.execute("SELECT value, leaf FROM rule_set")
        made.executemany("UPDATE saved SET value = CAST(? AS BLOB) WHERE leaf = ?", texts)
        made.execute("COMMIT")


class _Claim(msgspec.Struct):
    kind: str
    table: str | None
    key: str | None
    record: msgspec.Raw


class _Situation(msgspec.Struct):
    measurements: tuple[dict[str, Any], ...] = ()


class _Trace(msgspec.Struct):
    situation: _Situation | None = None


class _Decided(msgspec.Struct):
    pipeline: str
    window_end_at: str | None
    trace: _Trace


def _leaves(source: sqlite.Connection) -> Iterator[tuple[Any, ...]]:
    chain = EMPTY
    for seq, body, hashed, salt in source.execute("SELECT seq, body, leaf_hash, salt FROM leaf ORDER BY seq"):
        chain = link(chain, hashed)
        yield seq, body, hashed, chain, salt


def _write_row(made: sqlite.Connection, seq: int, said: _Claim) -> None:
    if said.table not in _WITH_VALUE or said.key is None or said.kind == DROPPED:
        return
    value = ", value" if _WITH_VALUE[said.table] else ""
    mark = ", x''" if value else ""
    made.execute(
        f'INSERT INTO "{said.table}" (seq, row_key, leaf, body{value}) VALUES (?, ?, ?, ?{mark}) '
        "ON CONFLICT (row_key) DO UPDATE SET leaf = excluded.leaf, body = excluded.body",
        [seq, said.key, seq, bytes(said.record).decode()],
    )
    if said.table == TABLES[Decision].name:
        _write_measurements(made, bytes(said.record))


def _write_measurements(made: sqlite.Connection, record: bytes) -> None:
    try:
        said = msgspec.json.decode(record, type=_Decided)
    except msgspec.ValidationError:
        return
    if said.window_end_at is None or said.trace.situation is None:
        return
    made.executemany(
        "INSERT OR REPLACE INTO measurement (pipeline, window_end_at, name, subject, value, alarm, body) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (said.pipeline, said.window_end_at, each["name"], each.get("subject") or "", each.get("value"),
             each.get("alarm"), msgspec.json.encode(each).decode())
            for each in said.trace.situation.measurements
        ],
    )  # fmt: skip
