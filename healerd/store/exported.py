"""Read an exported log and verify it, whether or not the database it came from still is. Must never change the file."""

# ruff: noqa: S608 - the names in SQL are those of `exportform`; every value is bound

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import msgspec

from healerd.audit import EMPTY, AuditReport, Leaf, link, verify_leaves
from healerd.audit.notes import Note, VerifierKey
from healerd.audit.seals import Seals
from healerd.errors import StoreError
from healerd.store.exportform import EXPORT_ID, FORMAT, REASON, VIEWS, WANTED
from healerd.store.library import connect_to_read, sqlite

__all__ = ["ExportedLog", "is_export"]


def is_export(path: Path) -> bool:
    """Tell whether a file is an exported log; False for anything else that is there.

    Raises:
        StoreError: there is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise StoreError(f"there is no file `{path}`: name an export, or leave it out to check the state folder")
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError as problem:
        raise StoreError(f"`{path}` cannot be read: {problem.strerror}; make it readable for this user") from problem
    return len(head) == 100 and head[:15] == b"SQLite format 3" and head[68:72] == EXPORT_ID.to_bytes(4, "big")


class ExportedLog:
    """One export, opened for reading."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def verify(
        self,
        progress: Callable[[int], None] | None = None,
        *,
        saved: Sequence[Note] = (),
        pinned: Sequence[VerifierKey] = (),
    ) -> AuditReport:
        """Check every leaf, the tree, the checkpoints and keys; then what is derived: reasons, rule texts, views.

        Raises:
            StoreError: the file is not an export, is damaged or cut off, or is of a newer healerd.
        """
        with self.opened() as connection:
            seals = Seals(
                connection.execute("SELECT number, size, note FROM checkpoint ORDER BY number"),
                saved=saved,
                pinned=pinned,
            )
            report = verify_leaves(_leaves(connection), seals=seals, progress=progress)
            if report.first_bad is not None:
                return report
            flaw = next(_derived(connection, report), None)
            return replace(report, first_bad=flaw[0], problem=flaw[1]) if flaw else report

    @contextmanager
    def opened(self) -> Iterator[sqlite.Connection]:
        """Open the file. Raises StoreError as `verify` does."""
        if not is_export(self.path):
            raise StoreError(f"`{self.path}` is not an exported log: make one with `healerd audit export OUT.db`")
        with _guarded(self.path), closing(connect_to_read(self.path, frozen=True)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > FORMAT:
                raise StoreError(
                    f"`{self.path}` is an export of form {version}, this healerd knows up to {FORMAT}: use a newer one"
                )
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
            if answer != "ok" or not tables >= WANTED:
                raise StoreError(_damaged(self.path, answer))
            yield connection


@contextmanager
def _guarded(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite.DatabaseError as problem:
        raise StoreError(_damaged(path, str(problem))) from problem


def _damaged(path: Path, problem: str) -> str:
    return f"the export `{path}` is damaged or cut off ({problem}): copy it again, or export it again"


def _leaves(connection: sqlite.Connection) -> Iterator[Leaf]:
    """Give each leaf; the chain, which an export does not hold, is made anew."""
    chain = EMPTY
    for seq, body, hashed, salt in connection.execute(
        "SELECT seq, CAST(body AS BLOB), CAST(leaf_hash AS BLOB), CAST(salt AS BLOB) FROM leaf ORDER BY seq"
    ):
        chain = link(chain, hashed)
        yield Leaf(seq=seq, body=body or b"", leaf_hash=hashed, chain=chain, salt=salt)


def _derived(connection: sqlite.Connection, report: AuditReport) -> Iterator[tuple[int, str]]:
    after = report.leaves + 1
    views = dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'view'"))
    for name, sql in VIEWS.items():
        if views.get(name) != f'CREATE VIEW "{name}" AS {sql}':
            yield after, f"the view `{name}` was changed: it no longer asks the leaves what it should"
    for table, wanted in (("reason", REASON), ("signing_key", _KEYS)):
        for way in (f"SELECT * FROM {table} EXCEPT {wanted}", f"{wanted} EXCEPT SELECT * FROM {table}"):
            found = connection.execute(f"SELECT * FROM ({way}) LIMIT 1").fetchone()
            if found:
                yield found[0], f"the table `{table}` does not say what leaf {found[0]} does"
    for leaf, id_, value, body in connection.execute(_RULES):
        said = msgspec.json.decode(body)["record"] if body else {}
        if said.get("sha256") != sha256(value).hexdigest() or said.get("name") != f"rules {id_}":
            yield leaf, f"the text of the rules `{id_}` was changed: it does not have the hash in leaf {leaf}"


_KEYS = (
    "SELECT seq, body ->> '$.record.id', body ->> '$.record.key', body ->> '$.record.how' FROM leaf "
    "WHERE of_table = 'signing_key'"
)
_RULES = (
    "SELECT r.leaf, r.id, CAST(r.value AS BLOB), CAST(l.body AS BLOB) "
    "FROM rule_set r LEFT JOIN leaf l ON l.seq = r.leaf"
)
