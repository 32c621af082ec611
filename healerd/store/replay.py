"""The control database as it stood at one leaf of its audit log, made from that log. Must never change the file.

Views of the moment stand in the way of the tables of the same names, in a schema that lives in memory only: whatever
reads the store reads the past without knowing. A row that was written once, or not again after the moment, is taken as
it lies; of any other the record is that of its newest leaf up to then. Bytes (profiles, saved state) are kept in their
newest form alone: one that has been replaced since is not there.
"""

# ruff: noqa: S608 - the names in SQL are those of TABLES; every value is bound

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from healerd.audit import AuditReport
from healerd.audit.gaps import DROPPED
from healerd.audit.notes import Note, VerifierKey
from healerd.store.check import check
from healerd.store.library import connect_to_read, guarded, sqlite
from healerd.store.lock import LOCK
from healerd.store.read import Reader
from healerd.store.schema import check_version
from healerd.store.tables import TABLES, Table

__all__ = ["ReplayStore"]

MEASURED = "measurement"


class ReplayStore(Reader):
    """A database file read as of a leaf; `move` goes to another. May be used by several threads, one at a time."""

    _of_one_window = "WHERE pipeline = ? AND window_end_at = ?"
    """What is asked of a view can name no index."""

    def __init__(self, path: Path) -> None:
        self.folder, self._path, self._turn = path.parent, path, threading.RLock()
        self.seq = 0
        with guarded(path):
            self._opened = self._connect()
            check_version(self._opened, path)
            # Only the views are temporary; the file stays as it is (`mode=ro`).
            self._opened.execute("PRAGMA query_only = OFF")
            self._opened.execute("PRAGMA temp_store = MEMORY")
            self._prepare()

    def close(self) -> None:
        """Let go of the file."""
        self._opened.close()

    def move(self, seq: int) -> None:
        """Show everything as it stood after the leaf `seq`."""
        with self._turn, guarded(self._path):
            self.seq = seq
            self._opened.execute("UPDATE temp.moment SET seq = ?", [seq])
            for table in TABLES.values():
                if not table.once:
                    self._rewind(table)

    def verify(
        self,
        progress: Callable[[int], None] | None = None,
        *,
        after: int = 0,
        saved: Sequence[Note] = (),
        pinned: Sequence[VerifierKey] = (),
    ) -> AuditReport:
        """Check the audit log of the file, and every row against it, whatever the moment."""
        with guarded(self._path), closing(self._connect()) as connection:
            return check(connection, progress, after=after, saved=saved, pinned=pinned)

    def last(self) -> int:
        """Give the number of the newest leaf in the file."""
        return int(self._query("SELECT coalesce(max(seq), 0) FROM main.audit_leaf", [])[0][0])

    def stamp_of(self, seq: int) -> str | None:
        """Give the time of a leaf as it is written; None when there is no such leaf."""
        rows = self._query('SELECT "at" FROM main.audit_leaf WHERE seq = ?', [seq])
        return str(rows[0][0]) if rows else None

    def _connect(self) -> sqlite.Connection:
        """A copy that lies alone is nobody's to write; in a state folder a daemon may start at any time."""
        wal = self._path.with_name(f"{self._path.name}-wal")
        return connect_to_read(self._path, frozen=not wal.exists() and not (self.folder / LOCK).exists())

    def _connection(self) -> sqlite.Connection:
        return self._opened

    def _query(self, sql: str, values: list[Any]) -> list[Any]:
        with self._turn, guarded(self._path):
            return self._opened.execute(sql, values).fetchall()

    def _prepare(self) -> None:
        run = self._opened.execute
        run("CREATE TEMP TABLE moment (seq INTEGER NOT NULL)")
        run("INSERT INTO moment VALUES (0)")
        once = {table.name for table in TABLES.values() if table.once}
        # Every rewriting of a row, so that the newest one up to a moment is found at once.
        run(
            "CREATE TEMP TABLE written (of_table TEXT, row_key TEXT, seq INTEGER, PRIMARY KEY (of_table, row_key, seq))"
        )
        run(
            "INSERT INTO written SELECT body ->> '$.table', body ->> '$.key', seq FROM main.audit_leaf "
            f"WHERE kind NOT IN ({', '.join('?' * (len(once) + 1))}) AND body ->> '$.table' IS NOT NULL",
            [*sorted(once), DROPPED],
        )
        run("CREATE TEMP VIEW audit_leaf AS SELECT * FROM main.audit_leaf WHERE seq <= (SELECT seq FROM moment)")
        run("CREATE TEMP VIEW checkpoint AS SELECT * FROM main.checkpoint WHERE size <= (SELECT seq FROM moment)")
        for table in TABLES.values():
            if table.once:
                upto = f'SELECT * FROM main."{table.name}" WHERE seq <= (SELECT seq FROM moment)'
                run(f'CREATE TEMP VIEW "{table.name}" AS {upto}')
            else:
                self._copy(table)
        run(
            f"CREATE TEMP VIEW {MEASURED} AS SELECT m.* FROM main.{MEASURED} m WHERE m.window_end_at <= "
            "(SELECT coalesce(max(w.end_at), '') FROM temp.watermark w WHERE w.pipeline = m.pipeline)"
        )

    def _copy(self, table: Table) -> None:
        """Make a table like the file's, with the same computed columns and indexes, for the rows of the moment."""
        made = self._opened.execute("SELECT sql FROM main.sqlite_schema WHERE name = ?", [table.name]).fetchone()[0]
        self._opened.execute(
            made.replace("CREATE TABLE", "CREATE TEMP TABLE", 1).replace("value BLOB NOT NULL", "value BLOB")
        )
        sql = "SELECT name, sql FROM main.sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
        for name, index in self._opened.execute(sql, [table.name]).fetchall():
            self._opened.execute(index.replace(f'"{name}"', f'temp."{name}"', 1))

    def _rewind(self, table: Table) -> None:
        run = self._opened.execute
        run(f'DELETE FROM temp."{table.name}"')
        # What an export does not hold is empty in a database made from it.
        value, taken = (", value", ", nullif(value, x'')") if table.with_value else ("", "")
        run(
            f'INSERT INTO temp."{table.name}" (seq, row_key, leaf, body{value}) '
            f'SELECT seq, row_key, leaf, body{taken} FROM main."{table.name}" WHERE leaf <= ?',
            [self.seq],
        )
        gone = ", NULL" if table.with_value else ""
        run(
            f'INSERT INTO temp."{table.name}" (seq, row_key, leaf, body{value}) '
            f"SELECT t.seq, t.row_key, l.seq, l.body -> '$.record'{gone} FROM main.\"{table.name}\" t "
            "JOIN main.audit_leaf l ON l.seq = (SELECT max(w.seq) FROM temp.written w "
            "WHERE w.of_table = ? AND w.row_key = t.row_key AND w.seq <= ?) WHERE t.seq <= ? AND t.leaf > ?",
            [table.name, self.seq, self.seq, self.seq],
        )
