"""Read records, leaves, state and profiles out of the control database. Must never change anything."""

# ruff: noqa: S608 - the names in SQL are those of TABLES and of checked fields; every value is bound

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from healerd.audit import AuditReport, Entry, stamp
from healerd.audit.notes import Note, VerifierKey, read_checkpoint
from healerd.audit.verify import Start
from healerd.errors import StoreError
from healerd.model import Measurement
from healerd.segments import FOLDER, Content, Segment
from healerd.store.bodies import Bodies
from healerd.store.check import check, check_slice
from healerd.store.filters import Checked, Holding, Range, order_by, where
from healerd.store.library import DATABASE, connect_to_read, guarded, sqlite
from healerd.store.measured import OF_ONE_WINDOW
from healerd.store.schema import check_version
from healerd.store.survey import Survey
from healerd.store.tables import Key, Saved, SavedProfile, Table, Watermark, decode, key_of, table_of

if TYPE_CHECKING:
    # Rows are columns of numpy, read by DuckDB: half the start-up time of a verb that shows no rows.
    from healerd.columns import Predictions, Strings
    from healerd.segments.read import Selection
    from healerd.store.export import Exported

__all__ = ["Checked", "Holding", "Range", "ReadStore", "Reader"]

R = TypeVar("R")
LEAVES_MAX = 10_000
_COLUMNS: dict[str, frozenset[str]] = {}
"""The columns of tables that were searched: every database that is open has those of the newest schema."""


class Reader(Bodies, Survey):
    """What can be asked of a state folder; a store, a read-only store and an open transaction all answer it."""

    folder: Path
    _of_one_window = OF_ONE_WINDOW

    def _connection(self) -> sqlite.Connection:
        raise NotImplementedError

    def get(self, record: type[R], key: Key) -> R | None:
        """Read one record by its key, a tuple where the key has several fields; None when there is none."""
        table = table_of(record)
        rows = self._query(f'SELECT CAST(body AS BLOB) FROM "{table.name}" WHERE row_key = ?', [key_of(table, key)])
        return decode(record, rows[0][0]) if rows else None

    def find(
        self, record: type[R], *, order: str = "seq", limit: int | None = None, **filters: object
    ) -> tuple[R, ...]:
        """Read the records whose fields have the given values.

        A filter is a value, None, a collection of values (any of them), a `Range`, or one of these `Checked`; of
        `body`, a `Holding`. `order` is a field, with `-` before it for the newest or largest first; without it, the
        order in which the rows were first written.
        """
        table = table_of(record)
        self._check_fields(table, {*filters, order.removeprefix("-")})
        clause, values = where(filters)
        sql = f'SELECT CAST(body AS BLOB) FROM "{table.name}" {clause} ORDER BY {order_by(order)} LIMIT ?'
        rows = self._query(sql, [*values, -1 if limit is None else limit])
        return tuple(decode(record, body) for (body,) in rows)

    def leaves(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 1000,
        kind: str | Collection[str] | None = None,
        pipeline: str | None = None,
        newest_first: bool = False,
    ) -> tuple[Entry, ...]:
        """Read a page of the audit log: the leaves numbered above `after` and below `before`."""
        filters: dict[str, object] = {"seq": Range(after + 1, before)}
        filters |= {"kind": kind} if kind is not None else {}
        filters |= {"pipeline": pipeline} if pipeline is not None else {}
        clause, values = where(filters)
        order = order_by("-seq" if newest_first else "seq")
        sql = f"SELECT CAST(body AS BLOB) FROM audit_leaf {clause} ORDER BY {order} LIMIT ?"
        rows = self._query(sql, [*values, min(limit, LEAVES_MAX)])
        return tuple(decode(Entry, body) for (body,) in rows)

    def head(self) -> tuple[int, str]:
        """Read the number of the newest leaf and the head of the chain after it, in hexadecimal."""
        rows = self._query("SELECT seq, lower(hex(chain)) FROM audit_leaf ORDER BY seq DESC LIMIT 1", [])
        return rows[0] if rows else (0, "")

    def watermark(self, pipeline: str) -> datetime | None:
        """Read up to when the pipeline's windows have been judged."""
        mark = self.get(Watermark, pipeline)
        return mark.end_at if mark else None

    def state(self, pipeline: str, name: str) -> bytes | None:
        """Read what was last saved under a name."""
        return self._value(table_of(Saved), (pipeline, name))

    def profile(self, pipeline: str, version: str, window_end_at: datetime) -> bytes | None:
        """Read the profile of one window's predictions by one version."""
        return self._value(table_of(SavedProfile), (pipeline, version, window_end_at))

    def measurements(self, pipeline: str, window_end_at: datetime) -> tuple[Measurement, ...]:
        """Read what was measured on one window, by name and subject."""
        sql = f"SELECT CAST(body AS BLOB) FROM measurement {self._of_one_window} ORDER BY name, subject"
        return tuple(decode(Measurement, body) for (body,) in self._query(sql, [pipeline, stamp(window_end_at)]))

    def series(
        self, pipeline: str, name: str, *, subject: str | None = None, limit: int = 1000
    ) -> tuple[tuple[datetime, Measurement], ...]:
        """Read the newest values of one measurement, oldest first, each with its window's end."""
        sql = (
            "SELECT window_end_at, CAST(body AS BLOB) FROM measurement "
            "WHERE pipeline = ? AND name = ? AND subject = ? ORDER BY window_end_at DESC LIMIT ?"
        )
        rows = self._query(sql, [pipeline, name, subject or "", limit])
        return tuple((datetime.fromisoformat(at), decode(Measurement, body)) for at, body in reversed(rows))

    def manifest(self) -> set[str]:
        """Read the names of all segments, below the folder of segments: those of a long life, without their records."""
        return {path for (path,) in self._query("SELECT path FROM segment", [])}

    def segments(
        self,
        pipeline: str,
        *,
        start_at: datetime | None = None,
        end_at: datetime | None = None,
        content: Content = Content.PREDICTIONS,
    ) -> tuple[Segment, ...]:
        """Read the manifest of the segments that may hold rows of [start_at, end_at)."""
        return self.find(
            Segment, pipeline=pipeline, content=content, end_at=Range(start_at), start_at=Range(None, end_at)
        )

    def shapes(self, pipeline: str) -> tuple[Segment, ...]:
        """Read the newest segment of predictions of each shape, the oldest first: .1 s of CPU for 60,000 segments."""
        sql = """SELECT CAST(body AS BLOB) FROM segment WHERE seq IN (
                SELECT max(seq) FROM segment WHERE pipeline = ? AND content = ? GROUP BY schema_hash
            ) ORDER BY seq"""
        rows = self._query(sql, [pipeline, Content.PREDICTIONS.value])
        return tuple(decode(Segment, body) for (body,) in rows)

    def rows(
        self,
        pipeline: str,
        start_at: datetime,
        end_at: datetime,
        *,
        as_of: datetime | None = None,
        version: str | None = None,
    ) -> "Predictions":
        """Read the predictions of [start_at, end_at) in the order of time, each id once (the first written counts).

        Labels are joined by id; with `as_of`, only those known then. `version` keeps the rows of one model version.
        """
        from healerd.segments.read import Selection

        return self._rows(pipeline, Selection(start_at=start_at, end_at=end_at, as_of=as_of, version=version))

    def labelled(
        self,
        pipeline: str,
        start_at: datetime,
        end_at: datetime,
        *,
        as_of: datetime | None = None,
        version: str | None = None,
        newest: int | None = None,
    ) -> "Predictions":
        """Read the rows that have a label, as `rows` does; with `newest`, that many of the latest."""
        from healerd.segments.read import Selection

        selection = Selection(
            start_at=start_at, end_at=end_at, as_of=as_of, version=version, labelled=True, newest=newest
        )
        return self._rows(pipeline, selection)

    def ids(self, segment: Segment) -> "Strings":
        """Read the ids of one segment, as often as they stand there. Raises SegmentError."""
        from healerd.segments.read import read_ids

        return read_ids(self.folder / FOLDER, segment)

    def known_ids(
        self,
        pipeline: str,
        ids: Collection[str],
        start_at: datetime,
        end_at: datetime | None = None,
        *,
        content: Content = Content.PREDICTIONS,
    ) -> frozenset[str]:
        """Tell which of the ids have a prediction (or a label that became known) from `start_at` on already."""
        from healerd.segments.read import read_known

        segments = self.segments(pipeline, start_at=start_at, end_at=end_at, content=content)
        return read_known(self.folder / FOLDER, segments, ids)

    def verify(
        self,
        progress: Callable[[int], None] | None = None,
        *,
        after: int = 0,
        saved: Sequence[Note] = (),
        pinned: Sequence[VerifierKey] = (),
    ) -> AuditReport:
        """Check the audit log, its checkpoints, and every row against it; of each window it holds the name and end.

        `after` leaves are taken by their hashes alone; `saved` are checkpoints kept outside, `pinned` trusted keys.
        """
        with self._reading() as connection:
            return check(connection, progress, after=after, saved=saved, pinned=pinned)

    def verify_slice(self, start: Start, *, upto: int) -> tuple[AuditReport, Start]:
        """Check the leaves above `start` up to `upto`, and give where the next slice begins."""
        with self._reading() as connection:
            return check_slice(connection, start, upto)

    def export(
        self,
        out: Path,
        *,
        since: datetime | None = None,
        pipelines: Collection[str] = (),
        progress: Callable[[int], None] | None = None,
    ) -> "Exported":
        """Write the log into one file that verifies by itself. Raises StoreError when it is there already."""
        from healerd.store.export import export_log  # only who exports pays for it

        with self._reading() as connection:
            return export_log(connection, out, since=since, pipelines=pipelines, progress=progress)

    def prove(self, name: str) -> dict[str, Any]:
        """Prove that a leaf, or the newest about a row, is in the log. Raises NotFound, StoreError."""
        from healerd.store.proofs import leaf_number, prove_leaf  # only who proves pays for it

        with self._reading() as connection:
            return prove_leaf(connection, leaf_number(connection, name))

    def prove_growth(self, old: Note) -> dict[str, Any]:
        """Prove that the log goes on from an older checkpoint. Raises StoreError."""
        from healerd.store.proofs import prove_growth  # as above

        with self._reading() as connection:
            return prove_growth(connection, read_checkpoint(old))

    def would_erase(self, leaves: Collection[int], person: str | None) -> tuple[int, int]:
        """Count the leaves that an erasure would change, and those that it would leave until a later one."""
        from healerd.store.care import in_use, mentions, would_erase  # as above

        with self._reading() as connection:
            wanted = {*leaves, *(mentions(connection, person) if person else ())}
            return would_erase(connection, wanted), len(wanted & in_use(connection))

    def would_prune(self, before: datetime) -> int:
        """Count how many bodies a pruning would drop at most."""
        from healerd.store.care import would_prune  # as above

        with self._reading() as connection:
            return would_prune(connection, before)

    def checkpoint(self) -> str | None:
        """Read the newest signed checkpoint; None where nothing was signed yet."""
        rows = self._query("SELECT note FROM checkpoint ORDER BY number DESC LIMIT 1", [])
        return rows[0][0] if rows else None

    def _rows(self, pipeline: str, selection: "Selection") -> "Predictions":
        from healerd.segments.read import no_rows, read

        start_at, end_at = selection.start_at, selection.end_at
        segments = self.segments(pipeline, start_at=start_at, end_at=end_at)
        # An empty stretch of time still has the pipeline's columns: those of its newest segment.
        segments = segments or self._newest_segment(pipeline)
        if not segments:
            return no_rows()
        until_at = selection.as_of + timedelta(microseconds=1) if selection.as_of else None
        labels = self.segments(pipeline, start_at=start_at, end_at=until_at, content=Content.LABELS)
        return read(self.folder / FOLDER, segments, selection, labels=labels)

    def _newest_segment(self, pipeline: str) -> tuple[Segment, ...]:
        return self.find(Segment, pipeline=pipeline, content=Content.PREDICTIONS, order="-end_at", limit=1)

    def _check_fields(self, table: Table, fields: set[str]) -> None:
        # SQLite takes a quoted name that is no column for a text, and would answer wrongly instead of failing.
        known = _COLUMNS.get(table.name) or _COLUMNS.setdefault(table.name, self._columns(table))
        assert fields <= known, f"{table.name} cannot be searched by {sorted(fields - known)}"

    def _columns(self, table: Table) -> frozenset[str]:
        return frozenset(name for (name,) in self._query("SELECT name FROM pragma_table_xinfo(?)", [table.name]))

    def _value(self, table: Table, key: Key) -> bytes | None:
        rows = self._query(f'SELECT value FROM "{table.name}" WHERE row_key = ?', [key_of(table, key)])
        return rows[0][0] if rows else None

    def _query(self, sql: str, values: list[Any]) -> list[Any]:
        with guarded(self.folder / DATABASE):
            return self._connection().execute(sql, values).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[sqlite.Connection]:
        """Hold one unchanging view of the database."""
        with guarded(self.folder / DATABASE):
            connection = self._connection()
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")


class ReadStore(Reader):
    """A state folder opened for reading, by any number of threads, while a daemon may be writing to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._threads = threading.local()
        self._opened: list[sqlite.Connection] = []

    @classmethod
    def open(cls, folder: Path) -> "ReadStore":
        """Open a state folder for reading.

        Raises:
            StoreError: there is none, it is damaged, or a healerd of another version made it.
        """
        store, path = cls(folder), folder / DATABASE
        if not path.exists():
            raise StoreError(
                f"there is no healerd state in `{folder}`: start the daemon once, or name its state folder"
            )
        try:
            with guarded(path):
                check_version(store._connection(), path)
        except StoreError:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._opened:
            self._opened.pop().close()

    def __enter__(self) -> "ReadStore":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _connection(self) -> sqlite.Connection:
        connection: sqlite.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = connect_to_read(self.folder / DATABASE)
            self._threads.connection = connection
            self._opened.append(connection)
        return connection
