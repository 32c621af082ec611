"""What may be taken out of the log, and how the log says so: bodies that are old, and what is about a person.

Must never change a hash, nor take anything out without a leaf that names it, signed with the next checkpoint.
"""

# ruff: noqa: S608 - the names in SQL are those of TABLES; every value is bound

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from healerd.audit import stamp
from healerd.audit.gaps import DROPPED, ERASED, PRUNED, digest_of, make_stub
from healerd.audit.personal import hashed_form
from healerd.store.library import sqlite
from healerd.store.measured import OF_ONE_WINDOW
from healerd.store.tables import HOLDS, TABLES

if TYPE_CHECKING:
    from healerd.store.journal import Transaction

__all__ = ["ERASED_MAX", "erase", "in_use", "mentions", "prune", "would_erase", "would_prune"]

ERASED_MAX = 100_000
"""Leaves that one tombstone names."""
_NAMES = frozenset(table.name for table in TABLES.values())
_READ_AGAIN = (
    "SELECT max(seq) FROM decision GROUP BY pipeline UNION SELECT seq FROM (SELECT seq, row_number() OVER "
    "(PARTITION BY pipeline ORDER BY window_end_at DESC, seq DESC) AS place FROM decision) WHERE place = 1"
)
"""The decisions that the next tick and a recheck read: a pipeline's newest, and the newest on its newest window, after
which a wish or a step may have been decided."""


def mentions(connection: sqlite.Connection, person: str) -> list[int]:
    """Find the leaves that name a person: as who did it, in a field of its own, or between backticks in a text."""
    sql = (
        "SELECT seq FROM audit_leaf WHERE salt IS NOT NULL AND "
        "(instr(body, ?) > 0 OR instr(body, ?) > 0) ORDER BY seq LIMIT ?"
    )
    quoted = msgspec.json.encode(person).decode()
    rows = connection.execute(sql, [quoted, f"`{quoted[1:-1]}`", ERASED_MAX])
    return [seq for (seq,) in rows]


def erase(tx: "Transaction", leaves: Collection[int], *, actor: str, reason: str) -> int:
    """Put the commitments in the place of the personal values of these leaves, and of the rows they last wrote.

    The salts go with the values: nobody can find out by trying what stood there. `Store.shrink` afterwards takes them
    out of the file's unused places too. Gives how many leaves it was; those `in_use` stay.
    """
    connection, done = tx.writer(), list[int]()
    with _open_to_change(connection):
        for seq in sorted(set(leaves) - in_use(connection)):
            row = connection.execute("SELECT CAST(body AS BLOB), salt FROM audit_leaf WHERE seq = ?", [seq]).fetchone()
            if row is None or row[1] is None:
                continue
            form = hashed_form(row[0], row[1])
            connection.execute("UPDATE audit_leaf SET body = ?, salt = NULL WHERE seq = ?", [form.decode(), seq])
            _rewrite_row(connection, seq, form)
            done.append(seq)
    if done:
        tx.note(ERASED, {"leaves": done, "reason": reason}, actor=actor)
    return len(done)


def would_erase(connection: sqlite.Connection, leaves: Collection[int]) -> int:
    """Count the leaves that `erase` would find something personal in, and change nothing."""
    kept = in_use(connection)
    salted = connection.execute("SELECT seq FROM audit_leaf WHERE salt IS NOT NULL")
    return len(set(leaves) & {seq for (seq,) in salted} - kept)


def in_use(connection: sqlite.Connection) -> set[int]:
    """Name the leaves that the next tick reads again: the newest decisions of a pipeline, and those of open heals."""
    of_open_heals = "UNION SELECT d.seq FROM decision d JOIN intent i ON d.row_key = {} WHERE i.ended_at IS NULL"
    sql = f"{_READ_AGAIN} {of_open_heals.format('i.decision_id')} {of_open_heals.format(_ASKED_ON)}"
    return {seq for (seq,) in connection.execute(sql)}


def prune(
    tx: "Transaction",
    before: datetime,
    *,
    actor: str,
    reason: str,
    rows_before: Mapping[str, datetime] | None = None,
) -> int:
    """Drop the bodies of leaves written before a time, but for those that last wrote a row which stays.

    `rows_before` says, for each pipeline, which segments leave the manifest too: those that end before then.

    Hashes, chain and tree stay as they are; a leaf says what was dropped, with a hash over the stubs left in its
    place. Rows of old windows that never acted go too. Gives how many leaves it was.
    """
    connection = tx.writer()
    (upto,) = connection.execute(
        'SELECT coalesce(max(seq), 0) FROM audit_leaf WHERE seq > 1 AND "at" < ?', [stamp(before)]
    ).fetchone()
    staying = _staying(connection, upto, before)
    _drop_rows(connection, upto, before, staying)
    for pipeline, end_at in (rows_before or {}).items():
        _drop_segments(connection, upto, pipeline, end_at, staying)
    wanted = _droppable(connection, upto, before)
    if not wanted:
        return 0
    statement = tx.head()[0] + 1
    stubs = list[bytes]()
    with _open_to_change(connection):
        for seq in wanted:
            (body,) = connection.execute("SELECT CAST(body AS BLOB) FROM audit_leaf WHERE seq = ?", [seq]).fetchone()
            stubs.append(make_stub(body, statement=statement))
            sql = "UPDATE audit_leaf SET body = ?, salt = NULL WHERE seq = ?"
            connection.execute(sql, [stubs[-1].decode(), seq])
    said = {"before": before, "upto": upto, "leaves": len(stubs), "stubs": digest_of(stubs), "reason": reason}
    written = tx.note(PRUNED, said, actor=actor)
    assert written == statement, "the leaf is the one that the stubs name"
    return len(stubs)


def would_prune(connection: sqlite.Connection, before: datetime) -> int:
    """Count how many bodies `prune` would drop at most, and change nothing: rows that stay keep their leaves."""
    (found,) = connection.execute(
        'SELECT count(*) FROM audit_leaf WHERE seq > 1 AND "at" < ? AND kind NOT IN (?, ?, ?)',
        [stamp(before), DROPPED, PRUNED, ERASED],
    ).fetchone()
    return int(found)


def _droppable(connection: sqlite.Connection, upto: int, before: datetime) -> list[int]:
    """Name the leaves whose bodies may go, each by its own time: a clock that was set back leaves them out of order."""
    kept = " UNION ALL ".join(f'SELECT leaf FROM "{name}" WHERE leaf <= {int(upto)}' for name in sorted(_NAMES))
    sql = (
        f"SELECT seq FROM audit_leaf WHERE seq > 1 AND seq <= ? AND kind NOT IN (?, ?, ?) AND seq NOT IN ({kept}) "
        'AND "at" < ? ORDER BY seq'
    )
    return [seq for (seq,) in connection.execute(sql, [upto, DROPPED, PRUNED, ERASED, stamp(before)])]


def _staying(connection: sqlite.Connection, upto: int, before: datetime) -> str:
    """List, as JSON, the keys of rows that a leaf from below `upto` wrote whose own time keeps it.

    A row goes with all the leaves that wrote it or not at all: the log would say that it is gone. Read in one pass.
    """
    sql = (
        "SELECT json_group_array(body ->> '$.key') FROM audit_leaf WHERE seq <= ? AND \"at\" >= ? "
        "AND body ->> '$.table' IN ('decision', 'saved_profile', 'segment')"
    )
    (keys,) = connection.execute(sql, [upto, stamp(before)]).fetchone()
    return str(keys)


_ASKED_ON = "i.body ->> '$.asked_on_id'"
_NOT_STAYING = "row_key NOT IN (SELECT value FROM json_each(?))"


def _drop_rows(connection: sqlite.Connection, upto: int, before: datetime, staying: str) -> None:
    """Delete the rows of old windows, of which there is one each; all that acted, that the policy's account counts, or
    that people said, stays.
    """
    windows = "SELECT pipeline, window_end_at FROM decision WHERE window_end_at IS NOT NULL"
    old = (
        f'(leaf <= ? AND {_NOT_STAYING} AND "at" < ? AND row_key NOT IN (SELECT decision_id FROM intent) '
        "AND row_key NOT IN (SELECT one.value FROM saved, json_each(CAST(saved.value AS TEXT)) one "
        f"WHERE name = '{HOLDS}') "
        f"AND row_key NOT IN (SELECT {_ASKED_ON} FROM intent i WHERE {_ASKED_ON} IS NOT NULL) "
        f"AND seq NOT IN ({_READ_AGAIN}) "
        "AND NOT EXISTS (SELECT 1 FROM incident i WHERE i.id = decision.incident_id AND i.closed_at IS NULL))"
    )
    bound = [upto, staying, stamp(before)]
    gone = connection.execute(f"{windows} AND {old} EXCEPT {windows} AND NOT {old}", bound + bound).fetchall()
    connection.execute(f"DELETE FROM decision WHERE {old}", bound)
    newest = "SELECT max(seq) FROM saved_profile GROUP BY pipeline"
    connection.execute(
        f"DELETE FROM saved_profile WHERE leaf <= ? AND {_NOT_STAYING} AND window_end_at < ? AND seq NOT IN ({newest})",
        bound,
    )
    # Window by window: one NOT IN over pairs looks, for each row that goes, through all that stay for a NULL.
    connection.executemany(f"DELETE FROM measurement {OF_ONE_WINDOW}", gone)


def _drop_segments(connection: sqlite.Connection, upto: int, pipeline: str, before: datetime, staying: str) -> None:
    """Take old segments off the manifest, but for the newest, which says what the pipeline's columns are."""
    newest = (
        "SELECT seq FROM segment WHERE pipeline = ? AND content = 'predictions' ORDER BY end_at DESC, seq DESC LIMIT 1"
    )
    connection.execute(
        f"DELETE FROM segment WHERE leaf <= ? AND {_NOT_STAYING} AND pipeline = ? AND end_at < ? "
        f"AND seq NOT IN ({newest})",
        [upto, staying, pipeline, stamp(before), pipeline],
    )


def _rewrite_row(connection: sqlite.Connection, seq: int, form: bytes) -> None:
    """Write the row that a leaf last wrote as the leaf now has it."""
    said = msgspec.json.decode(form, type=_Claim)
    if said.table in _NAMES:
        sql = f'UPDATE "{said.table}" SET body = ? WHERE leaf = ?'
        connection.execute(sql, [bytes(said.record).decode(), seq])


class _Claim(msgspec.Struct):
    table: str | None
    record: msgspec.Raw


@contextmanager
def _open_to_change(connection: sqlite.Connection) -> Iterator[None]:
    """Lift the guard against accidents for a moment, inside the transaction."""
    names = ("audit_leaf_no_update",)
    texts = [connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", [name]).fetchone()[0] for name in names]
    for name in names:
        connection.execute(f"DROP TRIGGER {name}")
    yield
    for text in texts:
        connection.execute(text)
