"""Pick the one SQLite library of this process, and open connections with it.

Must never let a second SQLite library touch the file: two in one process break each other's file locks.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from healerd.errors import StoreAway, StoreError

if TYPE_CHECKING:
    import sqlite3 as sqlite
else:
    # The bundled library of pysqlite3 is free of the WAL-reset bug of SQLite 3.7.0 to 3.51.2, and sqlite-utils
    # picks it as well.
    try:
        import pysqlite3.dbapi2 as sqlite
    except ImportError:
        import sqlite3 as sqlite

__all__ = ["DATABASE", "connect_to_read", "connect_to_write", "guarded", "sqlite"]

DATABASE = "healerd.db"
_BUSY_S = 5.0


def connect_to_write(path: Path) -> sqlite.Connection:
    """Open the file for the single writer, making it when it is not there; durable at every commit."""
    connection = _connect(path, "rwc")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def connect_to_read(path: Path, *, frozen: bool = False) -> sqlite.Connection:
    """Open the file for one reader, who sees each commit of the writer and can change nothing.

    `frozen` promises that nobody writes: then no file appears beside it, and its folder may be read-only.
    """
    connection = _connect(path, "ro&immutable=1" if frozen else "ro")
    connection.execute("PRAGMA query_only = ON")
    return connection


def _connect(path: Path, mode: str) -> sqlite.Connection:
    # Threads are kept apart by the callers: one lock around the writer, one connection for each reading thread.
    return sqlite.connect(
        f"file:{quote(os.fsencode(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=_BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Name the file and the mend when SQLite fails.

    Raises:
        StoreAway: the file is locked, or the disk is full or cannot be read or written.
        StoreError: the file is not a database, or is damaged.
    """
    try:
        yield
    except sqlite.OperationalError as problem:
        mend = _mend(str(problem))
        kind = StoreAway if mend else StoreError
        raise kind(f"the database `{path}` cannot be used: {problem}; {mend or 'see `healerd doctor`'}") from problem
    except (sqlite.NotSupportedError, sqlite.IntegrityError, sqlite.ProgrammingError, sqlite.DataError):
        raise  # a bug, not the world
    except (sqlite.DatabaseError, UnicodeDecodeError) as problem:
        raise StoreError(
            f"the database `{path}` is damaged: {problem}; restore a backup, or move the state folder away to "
            "start anew (healerd never makes a new database over a damaged one)"
        ) from problem


def _mend(problem: str) -> str:
    """Say what mends a database that is whole, and cannot be used; empty where nobody knows that it is."""
    mends = {
        "readonly": "make the state folder writable for the daemon's user",
        "unable to open": "check that the state folder exists and that this user may read and write in it",
        "full": "free some disk space",
        "locked": "end the other program that holds the database open",
        "disk I/O": "check the disk, then restore a backup if the problem stays",
    }
    return next((mend for sign, mend in mends.items() if sign in problem), "")
