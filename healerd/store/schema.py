"""The schema of the control database, as a list of migrations that only ever grows.

Must never change a migration that was released, and never derive one from today's records: a migration is history.
To change the schema, append a function to `MIGRATIONS`; its name is what the database remembers.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from healerd.audit.tree import Frontier
from healerd.errors import StoreError
from healerd.store.library import sqlite

if TYPE_CHECKING:
    from sqlite_utils import Database

__all__ = ["MIGRATIONS", "check_version", "is_older", "migrate"]

APPLICATION_ID = 0x6865616C  # "heal", in the file's header
_SET = "healerd"


def migrate(connection: sqlite.Connection, path: Path) -> None:
    """Bring the database up to this version's schema; an open database of the same version costs one query.

    Raises:
        StoreError: the file belongs to another program, or a newer healerd wrote it.
    """
    _check_owner(connection, path)
    if not _pending(connection, path):
        return
    # sqlite-utils takes a quarter of a second to load, which only a change of schema is worth.
    from sqlite_utils import Database, Migrations

    migrations = Migrations(_SET)
    for step in MIGRATIONS:
        migrations(name=step.__name__)(step)
    migrations.apply(Database(connection))


def check_version(connection: sqlite.Connection, path: Path) -> None:
    """Refuse to read a database of another schema than this version's.

    Raises:
        StoreError: the file belongs to another program, or to a newer or older healerd.
    """
    _check_owner(connection, path)
    if _pending(connection, path):
        raise StoreError(
            f"the database `{path}` is of an older healerd: start the daemon once, it brings it up to date"
        )


def is_older(connection: sqlite.Connection, path: Path) -> bool:
    """Tell whether a database is of an older schema than this version's, which a start brings up to date.

    Raises:
        StoreError: the file belongs to another program, or a newer healerd wrote it.
    """
    _check_owner(connection, path)
    return bool(_pending(connection, path))


def _check_owner(connection: sqlite.Connection, path: Path) -> None:
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if owner != APPLICATION_ID and (owner or tables):
        raise StoreError(f"`{path}` is a database of another program: name another state folder")


def _pending(connection: sqlite.Connection, path: Path) -> Sequence[Callable[["Database"], None]]:
    known = [step.__name__ for step in MIGRATIONS]
    applied = _applied(connection)
    newer = [name for name in applied if name not in known]
    if newer:
        raise StoreError(
            f"the database `{path}` is of a newer healerd (it has `{newer[0]}`): install that version, "
            "or restore a backup of before the upgrade"
        )
    return [step for step in MIGRATIONS if step.__name__ not in applied]


def _applied(connection: sqlite.Connection) -> list[str]:
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = '_sqlite_migrations'").fetchone():
        return []
    rows = connection.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = ? ORDER BY id", [_SET])
    return [name for (name,) in rows]


def _m0001_leaves(db: "Database") -> None:
    """Make the audit log: its columns for searching are computed from the body, so they cannot disagree with it.

    AUTOINCREMENT remembers the highest number ever given, which shows when the newest leaves were cut off.
    """
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(
        """CREATE TABLE audit_leaf (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            body TEXT NOT NULL,
            leaf_hash BLOB NOT NULL,
            chain BLOB NOT NULL,
            "at" TEXT GENERATED ALWAYS AS (body ->> '$.at') VIRTUAL,
            kind TEXT GENERATED ALWAYS AS (body ->> '$.kind') VIRTUAL,
            actor TEXT GENERATED ALWAYS AS (body ->> '$.actor') VIRTUAL,
            pipeline TEXT GENERATED ALWAYS AS (body ->> '$.pipeline') VIRTUAL
        ) STRICT"""
    )
    db.execute("CREATE INDEX audit_leaf_kind ON audit_leaf (kind)")
    db.execute("CREATE INDEX audit_leaf_pipeline ON audit_leaf (pipeline)")
    for change in ("UPDATE", "DELETE"):
        db.execute(
            f"CREATE TRIGGER audit_leaf_no_{change.lower()} BEFORE {change} ON audit_leaf "
            "BEGIN SELECT RAISE(ABORT, 'audit leaves are never changed'); END"
        )


def _m0002_records(db: "Database") -> None:
    """Make a table for each record type that has state."""
    _record_table(db, "epoch", "number INTEGER, at", "at")
    _record_table(
        db,
        "intent",
        "id, key, pipeline, incident_id, decision_id, parent_id, action, target, state, version INTEGER, "
        "created_at, effect_at, ended_at",
        "pipeline, state",
        "incident_id",
        "parent_id",
        "decision_id",
        "key",
    )
    _record_table(db, "incident", "id, pipeline, opened_at, kind, severity INTEGER, closed_at", "pipeline, opened_at")
    _record_table(
        db,
        "decision",
        "id, pipeline, at, window_end_at, stage, incident_id, chosen, level, author",
        "pipeline, at",
        "incident_id",
    )
    _record_table(db, "answer", "id, intent_id, pipeline, kind, author, at", "intent_id", "pipeline, at")
    _record_table(db, "bar", "id, pipeline, action, incident_id, since_at, lifted_at", "pipeline, action")
    _record_table(db, "outcome", "intent_id, at, result, paired INTEGER", "at")
    _record_table(db, "pause", "pipeline, since_at, ended_at, author", "pipeline, since_at")
    _record_table(db, "stage_change", "pipeline, at, stage, author", "pipeline, at")
    _record_table(db, "version", "pipeline, name, kind, created_at, key, sha256", "pipeline, created_at")
    _record_table(db, "reference", "id, pipeline, version, at", "pipeline, version")
    _record_table(
        db,
        "cohort",
        "pipeline, version, window_start_at, window_end_at, mature_at, rows INTEGER, labelled INTEGER",
        "pipeline, window_end_at",
        "pipeline, mature_at",
    )
    _record_table(db, "watermark", "pipeline, end_at")
    _record_table(
        db,
        "segment",
        "path, pipeline, content, rows INTEGER, start_at, end_at, schema_hash",
        "pipeline, content, end_at",
    )


def _m0003_values(db: "Database") -> None:
    """Make tables for bytes: detector and policy state, profiles; their records hold the hash of the value."""
    _record_table(db, "saved", "pipeline, name, size INTEGER, sha256", with_value=True)
    _record_table(
        db,
        "saved_profile",
        "pipeline, version, window_start_at, window_end_at, size INTEGER, sha256",
        "pipeline, window_end_at",
        with_value=True,
    )


def _m0004_measurements(db: "Database") -> None:
    """Make the table of measurements, clustered for the series of one name; the decision's leaf holds them as proof."""
    db.execute(
        """CREATE TABLE measurement (
            pipeline TEXT NOT NULL,
            name TEXT NOT NULL,
            subject TEXT NOT NULL,
            window_end_at TEXT NOT NULL,
            value REAL,
            alarm INTEGER,
            body TEXT NOT NULL,
            PRIMARY KEY (pipeline, name, subject, window_end_at)
        ) STRICT, WITHOUT ROWID"""
    )
    db.execute("CREATE INDEX measurement_window ON measurement (pipeline, window_end_at)")


def _m0005_tree(db: "Database") -> None:
    """Make the Merkle tree over the leaves that are there, and tables for signed checkpoints and their keys.

    A node is stored for each 256 leaves, for each 65,536, and so on. The salt of a leaf goes when it is erased.
    """
    db.execute("ALTER TABLE audit_leaf ADD COLUMN salt BLOB")
    db.execute(
        """CREATE TABLE audit_node (
            level INTEGER NOT NULL,
            "index" INTEGER NOT NULL,
            hash BLOB NOT NULL,
            PRIMARY KEY (level, "index")
        ) STRICT, WITHOUT ROWID"""
    )
    db.execute("CREATE TABLE checkpoint (number INTEGER PRIMARY KEY, size INTEGER NOT NULL, note TEXT NOT NULL) STRICT")
    db.execute("CREATE INDEX checkpoint_size ON checkpoint (size)")
    frontier = Frontier()
    for (hashed,) in db.execute("SELECT leaf_hash FROM audit_leaf ORDER BY seq"):
        for node in frontier.add(hashed):
            db.execute('INSERT INTO audit_node (level, "index", hash) VALUES (?, ?, ?)', node)
    _record_table(db, "signing_key", "id, at, how")


def _m0006_intents(db: "Database") -> None:
    """Find open, newest and recent intents of a whole fleet by an index: every step of the executor asks for them."""
    for columns in ("state", "action, created_at", "created_at"):
        _index(db, "intent", columns)


def _record_table(db: "Database", table: str, columns: str, *indexes: str, with_value: bool = False) -> None:
    """Make a table of records: `seq` is the leaf that made the row, `leaf` the one that last wrote it.

    Every other column is computed from the record in `body`, so that none can disagree with it.
    """
    lines = [
        "seq INTEGER PRIMARY KEY REFERENCES audit_leaf (seq)",
        "row_key TEXT NOT NULL UNIQUE",
        "leaf INTEGER NOT NULL REFERENCES audit_leaf (seq)",
        "body TEXT NOT NULL",
        *(["value BLOB NOT NULL"] if with_value else []),
    ]
    for column in columns.split(", "):
        name, _, kind = column.partition(" ")
        lines.append(f"\"{name}\" {kind or 'TEXT'} GENERATED ALWAYS AS (body ->> '$.{name}') VIRTUAL")
    db.execute(f'CREATE TABLE "{table}" ({", ".join(lines)}) STRICT')
    for index in indexes:
        _index(db, table, index)


def _index(db: "Database", table: str, columns: str) -> None:
    quoted = ", ".join(f'"{column}"' for column in columns.split(", "))
    db.execute(f'CREATE INDEX "{table}_{columns.replace(", ", "_")}" ON "{table}" ({quoted})')


MIGRATIONS: tuple[Callable[["Database"], None], ...] = (
    _m0001_leaves,
    _m0002_records,
    _m0003_values,
    _m0004_measurements,
    _m0005_tree,
    _m0006_intents,
)
