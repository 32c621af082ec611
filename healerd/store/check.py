"""Check the audit log in the database, and every recorded row against it.

Must never write, nor hold the log in memory.
"""

# ruff: noqa: S608 - the names in SQL are those of TABLES and of checked fields; every value is bound

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256

import msgspec

from healerd.audit import AuditReport, Leaf, Row, verify_leaves
from healerd.audit.notes import Note, VerifierKey
from healerd.audit.seals import SIGNING_KEY, Seals
from healerd.audit.tree import TILE, Frontier
from healerd.audit.verify import Start, row_flaw
from healerd.store.library import sqlite
from healerd.store.measured import measured_flaws
from healerd.store.seal import nodes_of
from healerd.store.tables import TABLES

__all__ = ["check", "check_slice", "first_bad_row"]

_NAMES = frozenset(table.name for table in TABLES.values())
_MANY = frozenset({"decision", "segment", "cohort", "saved_profile"})
"""Tables that grow with every window; of these only the newest rows can still lead to an action."""
_NEWEST = 20_000
"""How many leaves back, and rows of these, are looked at on a start: a day of some hundred pipelines."""


def check(
    connection: sqlite.Connection,
    progress: Callable[[int], None] | None = None,
    *,
    after: int = 0,
    saved: Sequence[Note] = (),
    pinned: Sequence[VerifierKey] = (),
) -> AuditReport:
    """Verify chain, tree, checkpoints and rows; then look for what no leaf describes: rows added, leaves cut off.

    `after` leaves are taken by their hashes alone, as their stored nodes say; what no leaf describes is then not looked
    for. `saved` are checkpoints that were kept outside, `pinned` the keys that are trusted.
    """
    try:
        start, seals = _start(connection, after, saved=saved, pinned=pinned)
    except LookupError as problem:
        return _unusable(problem)
    leaves = _leaves(connection, after=start.after)
    report = _verified(connection, leaves, seals=seals, start=start, progress=progress)
    if report.first_bad is not None or start.after:
        return report
    for flaw in (
        *_cut_off(connection, report),
        *_added(connection, report),
        *_replaced(connection),
        *_nodes_added(connection, report),
        *measured_flaws(connection),
    ):
        return replace(report, first_bad=flaw[0], problem=flaw[1])
    return report


def check_slice(connection: sqlite.Connection, start: Start, upto: int) -> tuple[AuditReport, Start]:
    """Verify the leaves above `start` up to `upto` as `check` does; give where the next slice begins.

    The slices of one pass cover what one state of the log would: a row that a later leaf has written since is as good.
    """
    try:
        seals = _seals(connection, start.after, upto=upto, due=False)
    except LookupError as problem:
        return _unusable(problem), start
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM audit_leaf").fetchone()
    leaves = _leaves(connection, after=start.after, upto=upto)
    report = _verified(connection, leaves, seals=seals, start=start, to_end=upto >= last)
    frontier = Frontier(start.after, start.peaks)
    chain = start.chain
    for leaf in _leaves(connection, after=start.after, upto=upto):
        frontier.add(leaf.leaf_hash)
        chain = leaf.chain
    return report, Start(after=frontier.size, chain=chain, peaks=tuple(frontier.peaks))


def _unusable(problem: LookupError) -> AuditReport:
    return AuditReport(leaves=0, head="", first_bad=1, problem=str(problem))


def _verified(
    connection: sqlite.Connection,
    leaves: Iterator[Leaf],
    *,
    seals: Seals,
    start: Start,
    to_end: bool = True,
    progress: Callable[[int], None] | None = None,
) -> AuditReport:
    def row_of(table: str, key: str) -> Row | None:
        if table not in _NAMES:
            return None
        sql = f'SELECT seq, leaf, CAST(body AS BLOB) FROM "{table}" WHERE row_key = ?'
        found = connection.execute(sql, [key]).fetchone()
        return Row(first=found[0], leaf=found[1], body=found[2]) if found else None

    def node_of(level: int, index: int) -> bytes | None:
        sql = 'SELECT CAST(hash AS BLOB) FROM audit_node WHERE level = ? AND "index" = ?'
        found = connection.execute(sql, [level, index]).fetchone()
        return bytes(found[0]) if found else None

    return verify_leaves(
        leaves, row_of=row_of, node_of=node_of, seals=seals, start=start, to_end=to_end, progress=progress
    )


def _start(
    connection: sqlite.Connection, after: int, *, saved: Sequence[Note], pinned: Sequence[VerifierKey]
) -> tuple[Start, Seals]:
    """Take up the check after so many leaves; the keys known by then are read from their own leaves.

    Raises:
        LookupError: a leaf or a node that this needs is missing or damaged; the message is for people.
    """
    seals = _seals(connection, after, saved=saved, pinned=pinned)
    if not after:
        return Start(), seals
    chain = _leaf(connection, after).chain
    try:
        peaks = Frontier.of(after, nodes_of(connection)).peaks
    except LookupError as problem:
        raise LookupError(f"the stored tree is damaged: {problem}") from problem
    return Start(after=after, chain=chain, peaks=tuple(peaks)), seals


def _seals(
    connection: sqlite.Connection,
    after: int,
    *,
    upto: int | None = None,
    saved: Sequence[Note] = (),
    pinned: Sequence[VerifierKey] = (),
    due: bool = True,
) -> Seals:
    """Take up the checkpoints above `after` leaves, with the keys that were known by then. Raises LookupError."""
    seals = Seals(_checkpoints(connection, after, upto), saved=saved, pinned=pinned, due=due)
    if after:
        newest = "SELECT number FROM checkpoint WHERE size <= ? ORDER BY size DESC, number DESC LIMIT 1"
        (number,) = connection.execute(newest, [after]).fetchone() or (0,)
        seals.begin(_leaf(connection, 1).leaf_hash, number=number)
        for (seq,) in connection.execute("SELECT seq FROM signing_key WHERE seq <= ? ORDER BY seq", [after]).fetchall():
            _listen(seals, _leaf(connection, seq))
    return seals


def _checkpoints(connection: sqlite.Connection, after: int, upto: int | None) -> Iterator[tuple[int, int, str]]:
    """Read the checkpoints of a part of the log by the index of their sizes, which rise with the numbers.

    Of the whole log every one is read in the order of the numbers: sorting them would hold them all.
    """
    if not after and upto is None:
        return connection.execute("SELECT number, size, note FROM checkpoint ORDER BY number")
    sql = "SELECT number, size, note FROM checkpoint WHERE size > ? AND size <= ? ORDER BY size, number"
    return connection.execute(sql, [after, upto or _LAST])


def _listen(seals: Seals, leaf: Leaf) -> None:
    try:
        seals.listen(leaf, SIGNING_KEY, msgspec.json.decode(leaf.body, type=_Recorded).record)
    except (msgspec.MsgspecError, UnicodeError) as problem:
        raise LookupError(f"the key in leaf {leaf.seq} cannot be read: {problem}") from problem


class _Recorded(msgspec.Struct):
    record: msgspec.Raw


def _leaves(connection: sqlite.Connection, *, after: int = 0, upto: int | None = None) -> Iterator[Leaf]:
    sql = (
        "SELECT seq, CAST(body AS BLOB), CAST(leaf_hash AS BLOB), CAST(chain AS BLOB), CAST(salt AS BLOB) "
        "FROM audit_leaf WHERE seq > ? AND seq <= ? ORDER BY seq"
    )
    for seq, body, leaf_hash, chain, salt in connection.execute(sql, [after, upto or _LAST]):
        yield Leaf(seq=seq, body=body or b"{}", leaf_hash=leaf_hash, chain=chain, salt=salt)


def _leaf(connection: sqlite.Connection, seq: int) -> Leaf:
    for leaf in _leaves(connection, after=seq - 1, upto=seq):
        return leaf
    raise LookupError(f"leaf {seq} is missing")


_LAST = 2**62


def _nodes_added(connection: sqlite.Connection, report: AuditReport) -> Iterator[tuple[int, str]]:
    (count,) = connection.execute("SELECT count(*) FROM audit_node").fetchone()
    due = sum(report.leaves >> level for level in range(TILE, 64, TILE))
    if count != due:
        yield report.leaves + 1, f"the tree over {report.leaves} leaves has {due} stored nodes, but {count} are there"


def first_bad_row(connection: sqlite.Connection) -> str | None:
    """Find a row that is not as its leaf wrote it, among all that an action may still rest on; None if there is none.

    Of the leaves it reads the newest, and those that describe such a row: a second where `check` takes minutes.
    """
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM audit_leaf").fetchone()
    after = max(0, last - _NEWEST)
    try:
        start, seals = _start(connection, after, saved=(), pinned=())
    except LookupError as problem:
        return str(problem)
    report = _verified(connection, _leaves(connection, after=after), seals=seals, start=start)
    older = (flaw for name in sorted(_NAMES - _MANY) for flaw in _old_flaws(connection, name, after))
    others = (*_replaced(connection, newest=after), *measured_flaws(connection, after=after))
    return report.problem or next(older, None) or next((said for _, said in others), None)


def _old_flaws(connection: sqlite.Connection, name: str, upto: int) -> Iterator[str]:
    """Compare the rows that older leaves wrote last with these leaves."""
    sql = f"""SELECT t.row_key, CAST(t.body AS BLOB), a.seq, CAST(a.body AS BLOB), CAST(a.leaf_hash AS BLOB),
            CAST(a.salt AS BLOB)
        FROM "{name}" t LEFT JOIN audit_leaf a ON a.seq = t.leaf WHERE t.leaf <= ?"""
    for key, row, seq, body, hashed, salt in connection.execute(sql, [upto]):
        if seq is None:
            yield f"the {name} `{key}` was added: no leaf describes it"
            continue
        leaf = Leaf(seq=seq, body=body or b"{}", leaf_hash=hashed, chain=b"", salt=salt)
        if flaw := row_flaw(leaf, name, key, row):
            yield flaw


def _cut_off(connection: sqlite.Connection, report: AuditReport) -> Iterator[tuple[int, str]]:
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit_leaf'").fetchone()
    given = found[0] if found else 0
    if given != report.leaves:
        yield report.leaves + 1, f"the log ends after leaf {report.leaves}, but {given} were written"


def _added(connection: sqlite.Connection, report: AuditReport) -> Iterator[tuple[int, str]]:
    """Find rows that no leaf describes: those that one does were counted, so the counts tell whether to look."""
    for name in sorted(_NAMES):
        (count,) = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()
        if count != report.rows.get(name, 0):
            yield _stranger(connection, name, "leaf")
        if count != report.made.get(name, 0):
            yield _stranger(connection, name, "seq")


def _stranger(connection: sqlite.Connection, name: str, pointer: str) -> tuple[int, str]:
    """Name the first row whose leaf (its last, or its first) describes another row, or none."""
    sql = f"""SELECT t.{pointer}, t.row_key FROM "{name}" t LEFT JOIN audit_leaf a ON a.seq = t.{pointer}
        WHERE a.seq IS NULL OR a.body ->> '$.table' IS NOT ? OR a.body ->> '$.key' IS NOT t.row_key
        ORDER BY t.{pointer} LIMIT 1"""
    leaf, key = connection.execute(sql, [name]).fetchone()
    return leaf, f"the {name} `{key}` was added, renamed or moved: leaf {leaf} does not describe it"


def _replaced(connection: sqlite.Connection, *, newest: int = 0) -> Iterator[tuple[int, str]]:
    """Find the first value without the hash that its row says; with `newest`, of tables that grow only above it."""
    names = sorted(table.name for table in TABLES.values() if table.with_value)
    first = min((flaw for name in names for flaw in _replaced_in(connection, name, newest)), default=None)
    if first is not None:
        yield first


def _replaced_in(connection: sqlite.Connection, name: str, newest: int) -> Iterator[tuple[int, str]]:
    # In the order of the rows, not of their leaves: sorting would hold every value.
    sql = f'SELECT leaf, row_key, body, value FROM "{name}" WHERE leaf > ? ORDER BY seq'
    for leaf, key, body, value in connection.execute(sql, [newest if name in _MANY else -1]):
        if sha256(value).hexdigest() != _hash_in(body):
            yield leaf, f"the value of the {name} `{key}` was changed: it does not have the hash in leaf {leaf}"


def _hash_in(body: str) -> str | None:
    """Read the hash that a row says of its value; None where the row itself cannot be read."""
    try:
        return msgspec.json.decode(body, type=_Hashed).sha256
    except (msgspec.MsgspecError, UnicodeError):
        return None


class _Hashed(msgspec.Struct):
    sha256: str
