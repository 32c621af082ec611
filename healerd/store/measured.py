"""Check the measurements that lie in a table of their own against the decisions that stood on them. Must never write.

A measurement has no leaf: what its window's decision holds is the proof of it.
"""

# ruff: noqa: S608 - the SQL is put together of texts that stand here

from collections.abc import Iterator
from typing import Any

import msgspec

from healerd.model import Measurement
from healerd.store.library import sqlite

__all__ = ["OF_ONE_WINDOW", "measured_flaws"]

OF_ONE_WINDOW = "INDEXED BY measurement_window WHERE pipeline = ? AND window_end_at = ?"
"""How one window's measurements are asked for; SQLite by itself would read the pipeline's whole history."""


class _Situation(msgspec.Struct):
    measurements: tuple[Measurement, ...] = ()


class _Trace(msgspec.Struct):
    situation: _Situation | None = None


class _Decided(msgspec.Struct):
    trace: _Trace


_decided = msgspec.json.Decoder(_Decided).decode
_measurement = msgspec.json.Decoder(Measurement).decode


def measured_flaws(connection: sqlite.Connection, *, after: int = 0) -> Iterator[tuple[int, str]]:
    """Name each window whose measurements are not those of its decision, by the decision's leaf; strays last.

    With `after`, only windows decided by later leaves are looked at, and strays are not looked for.
    """
    sql = (
        # A decision is written once, so its leaf is the row's own number: no body is sorted, nor an older one read.
        "SELECT seq, pipeline, window_end_at, CAST(body AS BLOB) FROM decision "
        "WHERE seq > ? AND window_end_at IS NOT NULL AND author = 'daemon' ORDER BY seq"
    )
    for leaf, pipeline, end_at, body in connection.execute(sql, [after]):
        wanted = _wanted(body)
        if wanted is None:
            continue
        try:
            found = _found(connection, pipeline, end_at)
        except msgspec.MsgspecError:
            found = None
        if found != wanted:
            yield leaf, f"a measurement of `{pipeline}` at {end_at} was changed: it is not what the decision stood on"
    if not after:
        yield from _strays(connection)


def _strays(connection: sqlite.Connection) -> Iterator[tuple[int, str]]:
    sql = (
        "SELECT m.pipeline, m.window_end_at, (SELECT coalesce(max(seq), 0) + 1 FROM audit_leaf) FROM measurement m "
        # A list that is made once: the ends of windows have no index, and reading each out of its record is slow.
        "WHERE (m.pipeline, m.window_end_at) NOT IN "
        "(SELECT pipeline, window_end_at FROM decision WHERE window_end_at IS NOT NULL) LIMIT 1"
    )
    for pipeline, end_at, after in connection.execute(sql):
        yield after, f"a measurement of `{pipeline}` at {end_at} was added: no decision stood on it"


Rows = dict[tuple[str, str], tuple[Any, Any, Any]]


def _wanted(body: bytes) -> Rows | None:
    """Read what a decision stood on; None where it does not say."""
    try:
        situation = _decided(body).trace.situation
    except msgspec.MsgspecError:
        return None
    if situation is None:
        return None
    return {
        (each.name, each.subject or ""): (each.value, None if each.alarm is None else int(each.alarm), each)
        for each in situation.measurements
    }


def _found(connection: sqlite.Connection, pipeline: str, end_at: str) -> Rows:
    sql = f"SELECT name, subject, value, alarm, CAST(body AS BLOB) FROM measurement {OF_ONE_WINDOW}"
    rows = connection.execute(sql, [pipeline, end_at])
    return {(name, subject): (value, alarm, _measurement(body)) for name, subject, value, alarm, body in rows}
