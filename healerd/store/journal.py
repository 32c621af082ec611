"""The single writer of the control database: each change and its audit leaf, in one durable transaction.

Must never write a record without its leaf, and never let a second writer in.
"""

# ruff: noqa: S608 - the names in SQL are those of TABLES and of checked fields; every value is bound

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from healerd.audit import EMPTY, Entry, canonical, make_leaf, stamp
from healerd.clock import Clock
from healerd.errors import Conflict, StaleEpoch, StoreError
from healerd.model import Intent, Measurement, Window
from healerd.segments import FOLDER, Segment
from healerd.segments.sweep import sweep
from healerd.store.check import first_bad_row
from healerd.store.library import DATABASE, connect_to_write, guarded, sqlite
from healerd.store.lock import held
from healerd.store.read import Reader, ReadStore
from healerd.store.schema import migrate
from healerd.store.tables import Epoch, Saved, SavedProfile, Table, Watermark, key_of, plain, table_of

__all__ = ["Store", "Transaction"]

RECORD_BYTES_MAX = 4 * 2**20
VALUE_BYTES_MAX = 64 * 2**20


class Store(ReadStore):
    """A state folder held by the one daemon that may write to it; what it reads is what is committed."""

    epoch: int
    """How many times a daemon has started on this folder; raised by opening it."""

    def __init__(self, folder: Path, clock: Clock, writer: sqlite.Connection, stack: ExitStack) -> None:
        super().__init__(folder)
        self._clock, self._writer, self._stack = clock, writer, stack
        self._turn, self._owner = threading.Lock(), 0
        self._head = _head(writer)
        self.epoch = 0

    @classmethod
    def open(cls, folder: Path, *, clock: Clock, create: bool = True) -> "Store":  # type: ignore[override]
        """Take the folder's lock, check the database, bring its schema up to date, raise the epoch, sweep orphans.

        Raises:
            LockHeld: another daemon holds the folder.
            StoreError: the folder cannot be written, or its database is missing, damaged, foreign or newer.
        """
        path = folder / DATABASE
        with ExitStack() as stack, guarded(path):
            _prepare(folder, create=create)
            stack.enter_context(held(folder))
            _check_present(folder, create=create)
            writer = connect_to_write(path)
            stack.callback(writer.close)
            _check_sound(writer, path)
            migrate(writer, path)
            _check_rows(writer, path)
            store = cls(folder, clock, writer, stack)
            store._start()
            sweep(folder / FOLDER, {segment.path for segment in store.find(Segment)})
            store._stack = stack.pop_all()
        return store

    def close(self) -> None:
        """Fold the write-ahead log into the file, close every connection, and free the folder."""
        super().close()
        with self._turn, guarded(self.folder / DATABASE), self._stack:
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def __enter__(self) -> "Store":
        return self

    @contextmanager
    def transaction(self) -> Iterator["Transaction"]:
        """Open the one transaction: committed at the end of the block, gone without trace when the block raises.

        Another thread waits its turn; opening a second one inside the first is a mistake. Raises StaleEpoch when
        another daemon has written since.
        """
        assert self._owner != threading.get_ident(), "a transaction is already open"
        with self._turn, guarded(self.folder / DATABASE):
            self._writer.execute("BEGIN IMMEDIATE")
            self._owner = threading.get_ident()  # only now: a BEGIN that fails leaves nothing open
            transaction = Transaction(self.folder, self._writer, self._clock, self._head, self.epoch)
            try:
                self._check_newest(self._writer)
                yield transaction
                self._writer.execute("COMMIT")
                self._head = transaction.end()
            finally:
                self._owner = 0
                transaction.end()
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    def check_epoch(self) -> None:
        """See, right before an effect, that this is still the newest daemon. Raises StaleEpoch."""
        with guarded(self.folder / DATABASE):
            self._check_newest(self._connection())

    def _check_newest(self, connection: sqlite.Connection) -> None:
        # INVARIANT: whoever finds leaves that it did not write is no longer the leader, whatever its lock says.
        seq, _ = _head(connection)
        if seq > self._head[0]:
            raise StaleEpoch(
                f"epoch {self.epoch} is over: another daemon has written leaf {seq} of `{self.folder / DATABASE}`; "
                "stop this one"
            )

    def _start(self) -> None:
        newest = self.find(Epoch, order="-number", limit=1)
        self.epoch = newest[0].number + 1 if newest else 1
        now = self._clock.read()
        with self.transaction() as tx:
            tx.put(Epoch(number=self.epoch, at=now.at, boot_id=now.boot_id, process=os.getpid()), kind="started")


class Transaction(Reader):
    """Changes that become true together. What it reads includes its own changes."""

    def __init__(
        self, folder: Path, writer: sqlite.Connection, clock: Clock, head: tuple[int, bytes], epoch: int
    ) -> None:
        self.folder = folder
        self._writer, self._clock, self._head, self._epoch = writer, clock, head, epoch
        self._over = False

    def put(
        self, record: object, *, kind: str | None = None, actor: str = "daemon", pipeline: str | None = None
    ) -> int:
        """Write a record and the leaf that says so; give the leaf's number.

        `kind` is the word for what happened (by default the table's name). An intent that exists is moved by
        `replace` alone.

        Raises:
            Conflict: the row exists, and rows of its table are written once.
        """
        table = table_of(type(record))
        if table.once or isinstance(record, Intent):
            self._check_absent(table, record)
        return self._write(table, record, kind=kind or table.name, actor=actor, pipeline=pipeline)

    def replace(self, intent: Intent, *, expect: Intent, kind: str = "intent", actor: str = "daemon") -> Intent:
        """Move an intent, if it still stands as `expect`: same state, same version. The new one counts one more.

        Raises:
            Conflict: somebody else moved it; the message says where it stands now.
        """
        assert intent.id == expect.id, "an intent is replaced by itself"
        found = self.get(Intent, expect.id)
        if found is None:
            raise Conflict(f"the intent `{expect.id}` does not exist")
        if (found.state, found.version) != (expect.state, expect.version):
            raise Conflict(
                f"the intent `{found.id}` is `{found.state}` by now (move {found.version}), "
                f"not `{expect.state}` (move {expect.version}): read it again"
            )
        moved = replace(intent, version=expect.version + 1)
        self._write(table_of(Intent), moved, kind=kind, actor=actor)
        return moved

    def note(self, kind: str, body: Mapping[str, Any], *, pipeline: str | None = None, actor: str = "daemon") -> int:
        """Write a leaf that describes no row, such as a clock jump; give its number."""
        return self._append(kind=kind, actor=actor, pipeline=pipeline, record=plain(body))[0]

    def save_state(self, pipeline: str, name: str, value: bytes | Mapping[str, Any], *, actor: str = "daemon") -> str:
        """Keep bytes, or a JSON object in its canonical bytes, under a name; give the sha256 that the leaf holds."""
        data = value if isinstance(value, bytes) else canonical(plain(value))
        digest = sha256(data).hexdigest()
        saved = Saved(pipeline=pipeline, name=name, sha256=digest, size=len(data))
        self._write(table_of(Saved), saved, kind="saved", actor=actor, value=data)
        return digest

    def put_profile(self, window: Window, version: str, data: bytes) -> str:
        """Keep the profile of one window's predictions by one version; give the sha256 that the leaf holds."""
        digest = sha256(data).hexdigest()
        profile = SavedProfile(
            pipeline=window.pipeline,
            version=version,
            window_start_at=window.start_at,
            window_end_at=window.end_at,
            sha256=digest,
            size=len(data),
        )
        self._write(table_of(SavedProfile), profile, kind="profile", value=data)
        return digest

    def put_measurements(self, window: Window, measurements: Iterable[Measurement]) -> None:
        """Keep what was measured on a window, for charts and reports; the decision's leaf is the proof of it."""
        rows = [(window.pipeline, stamp(window.end_at), *_measurement_row(each)) for each in measurements]
        self._writer.executemany(
            "INSERT OR REPLACE INTO measurement (pipeline, window_end_at, name, subject, value, alarm, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    def add_segment(self, segment: Segment) -> int:
        """Put a written file on the manifest: from now on its rows exist."""
        return self.put(segment)

    def set_watermark(self, pipeline: str, end_at: datetime) -> int:
        """Say that every window of the pipeline up to `end_at` has been judged."""
        mark = self.watermark(pipeline)
        assert mark is None or mark <= end_at, "a watermark never goes back"
        return self.put(Watermark(pipeline=pipeline, end_at=end_at))

    def end(self) -> tuple[int, bytes]:
        """Take no more changes, and give the head of the chain; the store calls it."""
        self._over = True
        return self._head

    def _connection(self) -> sqlite.Connection:
        assert not self._over, "the transaction is over"
        return self._writer

    def _check_absent(self, table: Table, record: object) -> None:
        key = _key(table, record)
        if self._query(f'SELECT 1 FROM "{table.name}" WHERE row_key = ?', [key]):
            raise Conflict(f"the {table.name} `{key}` is already recorded")

    def _write(
        self,
        table: Table,
        record: object,
        *,
        kind: str,
        actor: str = "daemon",
        pipeline: str | None = None,
        value: bytes | None = None,
    ) -> int:
        key, data = _key(table, record), plain(record)
        assert value is None or len(value) <= VALUE_BYTES_MAX, f"{key} is larger than {VALUE_BYTES_MAX} bytes"
        pipeline = pipeline or data.get("pipeline") or self._pipeline_of(data.get("intent_id"))
        seq, body = self._append(kind=kind, actor=actor, pipeline=pipeline, table=table.name, key=key, record=data)
        columns = "seq, row_key, leaf, body" + (", value" if table.with_value else "")
        values = [seq, key, seq, body, *([value] if table.with_value else [])]
        update = "leaf = excluded.leaf, body = excluded.body" + (", value = excluded.value" if table.with_value else "")
        self._connection().execute(
            f'INSERT INTO "{table.name}" ({columns}) VALUES ({", ".join("?" * len(values))}) '
            f"ON CONFLICT (row_key) DO UPDATE SET {update}",
            values,
        )
        return seq

    def _pipeline_of(self, intent_id: str | None) -> str | None:
        intent = self.get(Intent, intent_id) if intent_id else None
        return intent.pipeline if intent else None

    def _append(
        self,
        *,
        kind: str,
        actor: str,
        pipeline: str | None,
        record: object,
        table: str | None = None,
        key: str | None = None,
    ) -> tuple[int, str]:
        """Append a leaf; give its number and the record's canonical text."""
        now, (seq, chain) = self._clock.read(), self._head
        entry = Entry(
            seq=seq + 1,
            at=now.at,
            boot_id=now.boot_id,
            boot_s=now.boot_s,
            epoch=self._epoch,
            kind=kind,
            actor=actor,
            pipeline=pipeline,
            table=table,
            key=key,
            record=record,
        )
        leaf = make_leaf(entry, chain)
        if len(leaf.body) > RECORD_BYTES_MAX:
            raise StoreError(f"a leaf of kind `{kind}` has {len(leaf.body)} bytes, the limit is {RECORD_BYTES_MAX}")
        self._connection().execute(
            "INSERT INTO audit_leaf (seq, body, leaf_hash, chain) VALUES (?, ?, ?, ?)",
            [leaf.seq, leaf.body.decode(), leaf.leaf_hash, leaf.chain],
        )
        self._head = (leaf.seq, leaf.chain)
        return leaf.seq, bytes(msgspec.json.decode(leaf.body, type=_Recorded).record).decode()


class _Recorded(msgspec.Struct):
    record: msgspec.Raw


def _key(table: Table, record: object) -> str:
    return key_of(table, tuple(getattr(record, field) for field in table.key))


def _measurement_row(each: Measurement) -> tuple[object, ...]:
    body = msgspec.json.encode(each).decode()  # not a leaf: it need not be canonical
    return each.name, each.subject or "", each.value, None if each.alarm is None else int(each.alarm), body


def _prepare(folder: Path, *, create: bool) -> None:
    if not create and not (folder / DATABASE).exists():
        raise StoreError(f"there is no healerd state in `{folder}`: start the daemon once, or name its state folder")
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as problem:
        raise StoreError(f"the state folder `{folder}` cannot be made: {problem.strerror}; name another") from problem
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(f"the state folder `{folder}` is read-only: make it writable for the daemon's user")


def _check_present(folder: Path, *, create: bool) -> None:
    """Never make a new database where an older one must have been."""
    path = folder / DATABASE
    lost = not path.exists() or path.stat().st_size == 0
    if lost and (not create or (folder / FOLDER).exists()):
        raise StoreError(
            f"the database `{path}` is missing or empty while the folder holds data: restore a backup, "
            "or move the state folder away to start anew"
        )


def _check_sound(writer: sqlite.Connection, path: Path) -> None:
    (answer,) = writer.execute("PRAGMA integrity_check(1)").fetchone()
    if answer != "ok":
        raise StoreError(f"the database `{path}` is damaged: {answer}; restore a backup, healerd does not act on it")


def _check_rows(writer: sqlite.Connection, path: Path) -> None:
    if flaw := first_bad_row(writer):
        raise StoreError(
            f"the database `{path}` is damaged: {flaw}; see `healerd audit verify`, and restore a backup: "
            "healerd does not act on it"
        )


def _head(writer: sqlite.Connection) -> tuple[int, bytes]:
    row = writer.execute("SELECT seq, chain FROM audit_leaf ORDER BY seq DESC LIMIT 1").fetchone()
    return (row[0], row[1]) if row else (0, EMPTY)
