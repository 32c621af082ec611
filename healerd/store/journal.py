"""The single writer of the control database: each change and its audit leaf, in one durable transaction.

Must never write a record without its leaf, and never let a second writer in. It is long because everything that
changes the database stands in it: who wants to know that nothing else does reads one file.
"""

# ruff: noqa: S608 - the names in SQL are those of TABLES and of checked fields; every value is bound

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from healerd.audit import EMPTY, Entry, canonical, make_leaf, stamp
from healerd.audit.notes import origin_of
from healerd.audit.personal import SALT_BYTES
from healerd.clock import Clock
from healerd.errors import Conflict, StaleEpoch, StoreError, TooLong
from healerd.model import DAEMON, Intent, Measurement, Window
from healerd.segments import FOLDER, Segment
from healerd.segments.sweep import sweep
from healerd.store.check import first_bad_row
from healerd.store.keys import KEY, RESTORED, first_key, keep_key, next_path, rotated, set_aside, settle_key, take_key
from healerd.store.library import DATABASE, connect_to_read, connect_to_write, guarded, sqlite
from healerd.store.lock import held
from healerd.store.read import Reader, ReadStore
from healerd.store.schema import migrate
from healerd.store.seal import Seal
from healerd.store.tables import Epoch, Saved, SavedProfile, SigningKey, Table, Watermark, key_of, plain, table_of

if TYPE_CHECKING:
    from healerd.audit.signatures import Signer
    from healerd.columns import Labels, Predictions

__all__ = ["Store", "Transaction"]

COMPACT = f"{DATABASE}.compact"
"""Where the database is written anew without what was taken out."""
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
        self._seal = Seal.of(writer, self._head[0])
        self.epoch = 0

    @classmethod
    def open(  # type: ignore[override]
        cls, folder: Path, *, clock: Clock, create: bool = True, key: Path | None = None, lost: str = ""
    ) -> "Store":
        """Take the folder's lock, check the database, bring its schema up to date, raise the epoch, sweep orphans.

        `key` is the file of the key that signs checkpoints, by default one in the folder. `lost` says who goes on
        with a new key because the old one is gone.

        Raises:
            LockHeld: another daemon holds the folder.
            StoreError: the folder cannot be written, its database is missing, damaged, foreign or newer, or the key
                that signs its checkpoints is not there.
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
            store._start(key or folder / KEY, lost=lost)
            sweep(folder / FOLDER, store.manifest())
            store._stack = stack.pop_all()
        return store

    def close(self) -> None:
        """Fold the write-ahead log into the file, close every connection, and free the folder."""
        super().close()
        with self._turn, guarded(self.folder / DATABASE), self._stack:
            self._seal.last(self._writer)
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
            seal = self._seal.copy()
            transaction = Transaction(self.folder, self._writer, self._clock, self._head, self.epoch, seal=seal)
            try:
                self._check_newest(self._writer)
                yield transaction
                seal.write(self._writer)
                self._writer.execute("COMMIT")
                self._head, self._seal = transaction.end(), seal
            finally:
                self._owner = 0
                transaction.end()
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    def rotate(self, key: Path | None = None, *, actor: str) -> SigningKey:
        """Sign with a new key from now on; the old one signs it, and the log says so. Gives the new one.

        Raises:
            StoreError: the file cannot be replaced.
        """
        path, old = key or self.folder / KEY, self._seal.signer
        assert old is not None, "an open store has a key"
        made = rotated(old, at=self._clock.now())
        # One that waits still was never named: its rotation was cut short before the log heard of it.
        set_aside(next_path(path), at=made.record.at)
        keep_key(made.signer, next_path(path), like=self.folder)
        with self.transaction() as tx:
            tx.put(made.record, kind="key rotated", actor=actor)
            tx.sign_with(made.signer)
        settle_key(path)
        return made.record

    def shrink(self) -> None:
        """Give back the room of what was taken out, so that nothing of it stays in the file.

        Takes up to twice the room of what stays until it is done, on the disk: a plain VACUUM would take it in memory,
        because the bundled library keeps every temporary file there.

        Raises:
            StoreError: the disk cannot hold it; the record is as it was, and so is the file.
        """
        compact = self.folder / COMPACT
        try:
            with self._turn, guarded(self.folder / DATABASE):
                compact.unlink(missing_ok=True)  # of a process that was ended here
                self._writer.execute("VACUUM INTO ?", [str(compact.absolute())])
                with closing(connect_to_read(compact, frozen=True)) as copy:
                    copy.backup(self._writer)
                # The whole database went through the log; a reader of the old state keeps it from becoming the file.
                (busy, _, _) = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if busy:
                    raise StoreError(
                        f"the database `{self.folder / DATABASE}` is being read: end what reads it, such as a "
                        "`healerd audit verify`"
                    )
        except StoreError as problem:
            raise StoreError(
                f"{problem}; what was taken out of the record still lies in the file until it is called again"
            ) from problem
        finally:
            compact.unlink(missing_ok=True)

    def keep_rows(self, pipeline: str, rows: "Predictions") -> Segment:
        """Write predictions (at least one) where they last; they exist once the manifest has the segment."""
        from healerd.segments.write import write  # DuckDB is heavy: only where rows are written

        return write(self.folder / FOLDER, pipeline, rows)

    def keep_labels(self, pipeline: str, labels: "Labels") -> Segment:
        """Write late labels (at least one) where they last; see `keep_rows`."""
        from healerd.segments.write import write_labels  # DuckDB is heavy: only where rows are written

        return write_labels(self.folder / FOLDER, pipeline, labels)

    def check_epoch(self) -> None:
        """See, right before an effect, that this is still the newest daemon. Raises StaleEpoch.

        Another thread of this daemon that is writing ends its transaction first: for a moment, its leaves are
        committed and not yet known as our own.
        """
        assert self._owner != threading.get_ident(), "an effect is never inside a transaction"
        with self._turn, guarded(self.folder / DATABASE):
            self._check_newest(self._connection())

    def _check_newest(self, connection: sqlite.Connection) -> None:
        # INVARIANT: whoever finds leaves that it did not write is no longer the leader, whatever its lock says.
        seq, _ = _head(connection)
        if seq > self._head[0]:
            raise StaleEpoch(
                f"epoch {self.epoch} is over: another daemon has written leaf {seq} of `{self.folder / DATABASE}`; "
                "stop this one"
            )

    def _start(self, key: Path, *, lost: str) -> None:
        newest = self.find(Epoch, order="-number", limit=1)
        self.epoch = newest[0].number + 1 if newest else 1
        keys = self.find(SigningKey, order="-seq", limit=1)
        now, newest_key, begun = self._clock.read(), keys[0] if keys else None, self._head[0] > 0
        held = None if lost else take_key(key, newest=newest_key, restored=self.folder / RESTORED, at=now.at)
        waits = False
        with self.transaction() as tx:
            tx.put(Epoch(number=self.epoch, at=now.at, boot_id=now.boot_id, process=os.getpid()), kind="started")
            if held is None:
                origin = origin_of(self._seal.origin or tx.first_leaf())
                made = first_key(
                    key, origin, state=self.folder, at=now.at, before=newest_key, lost=bool(lost), begun=begun
                )
                tx.put(made.record, kind="key lost" if newest_key else "key", actor=lost or DAEMON)
                held, waits = made.signer, made.waits
            tx.sign_with(held)
        if waits:
            settle_key(key)


class Transaction(Reader):
    """Changes that become true together. What it reads includes its own changes."""

    def __init__(
        self,
        folder: Path,
        writer: sqlite.Connection,
        clock: Clock,
        head: tuple[int, bytes],
        epoch: int,
        *,
        seal: Seal,
    ) -> None:
        self.folder, self._seal = folder, seal
        self._writer, self._clock, self._head, self._epoch = writer, clock, head, epoch
        self._over = False

    def put(self, record: object, *, kind: str | None = None, actor: str = DAEMON, pipeline: str | None = None) -> int:
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

    def replace(self, intent: Intent, *, expect: Intent, kind: str = "intent", actor: str = DAEMON) -> Intent:
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

    def note(self, kind: str, body: Mapping[str, Any], *, pipeline: str | None = None, actor: str = DAEMON) -> int:
        """Write a leaf that describes no row, such as a clock jump; give its number."""
        return self._append(kind=kind, actor=actor, pipeline=pipeline, record=plain(body))[0]

    def save_state(self, pipeline: str, name: str, value: bytes | Mapping[str, Any], *, actor: str = DAEMON) -> str:
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
        self._connection().executemany(
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

    def writer(self) -> sqlite.Connection:
        """Give the writer's connection, for what changes no record but takes something out of the log (`care`)."""
        return self._connection()

    def first_leaf(self) -> bytes:
        """Give the hash of the log's first leaf, which names the log."""
        return bytes(self._query("SELECT leaf_hash FROM audit_leaf WHERE seq = 1", [])[0][0])

    def sign_with(self, signer: "Signer") -> None:
        """Sign this transaction's checkpoint, and those after it, with this key."""
        self._seal.sign_with(signer)

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
        actor: str = DAEMON,
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
        leaf = make_leaf(entry, chain, salt=os.urandom(SALT_BYTES))
        if len(leaf.body) > RECORD_BYTES_MAX:
            raise TooLong(
                f"a leaf of kind `{kind}` has {len(leaf.body):,} bytes, the limit is {RECORD_BYTES_MAX:,}: a decision "
                f"grows with the features{_bytes_of(leaf.body, 'measurements')}, some kilobytes each, and with the "
                f"action log that its rules count{_bytes_of(leaf.body, 'log')}; name fewer as `source.features`, or "
                "let limits count less far back, or their own pipeline alone, and start the daemon anew"
            )
        self._connection().execute(
            "INSERT INTO audit_leaf (seq, body, leaf_hash, chain, salt) VALUES (?, ?, ?, ?, ?)",
            [leaf.seq, leaf.body.decode(), leaf.leaf_hash, leaf.chain, leaf.salt],
        )
        self._seal.add(leaf.leaf_hash, table=table, kind=kind)
        self._head = (leaf.seq, leaf.chain)
        return leaf.seq, bytes(msgspec.json.decode(leaf.body, type=_Recorded).record).decode()


class _Recorded(msgspec.Struct):
    record: msgspec.Raw


def _bytes_of(body: bytes, part: str) -> str:
    """Say how long a part of the situation of a decision is, in brackets; empty where a leaf has no such part."""
    found: Any = msgspec.json.decode(body)
    for name in ("record", "trace", "situation", part):
        found = found.get(name) if isinstance(found, dict) else None
    return f" ({len(msgspec.json.encode(found)):,} bytes)" if found else ""


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
            f"the database `{path}` is damaged: {flaw}; `healerd audit verify` names the first bad leaf; restore a "
            "backup: healerd does not act on it"
        )


def _head(writer: sqlite.Connection) -> tuple[int, bytes]:
    row = writer.execute("SELECT seq, chain FROM audit_leaf ORDER BY seq DESC LIMIT 1").fetchone()
    return (row[0], row[1]) if row else (0, EMPTY)
