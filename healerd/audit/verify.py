"""Check a whole log: the numbering, every hash, chain and tree, what was signed, and the rows that the leaves describe.

Must never stop at a malformed leaf with an exception: whatever is wrong is said in the report, with its number.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from healerd.audit.gaps import Gaps, Stub, stub_of
from healerd.audit.leaves import EMPTY, Leaf, leaf_hash, link
from healerd.audit.personal import hashed_form, is_erased
from healerd.audit.seals import Seals
from healerd.audit.tree import Frontier

__all__ = ["AuditReport", "NodeOf", "Row", "Start", "replay", "row_flaw", "verify_leaves"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table as it stands: the leaf that made it, the one that last wrote it, and its canonical record."""

    first: int
    leaf: int
    body: bytes


RowOf = Callable[[str, str], Row | None]
NodeOf = Callable[[int, int], bytes | None]
"""(level, index) -> the stored node, or None when it is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a check begins: after how many leaves, with which head of the chain and which tree over them."""

    after: int = 0
    chain: bytes = EMPTY
    peaks: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What a check found: `leaves` counts those that hold, `head` is the chain after the last of them, `root` the tree.

    `rows` counts, for each table, the rows that are as their last leaf says, and `made` those whose first leaf made
    them. `first_bad` is the number of the first leaf that does not hold or whose row was changed, and `problem` says
    how; both are None for a sound log. `checkpoints` were checked with their signatures, `saved` of them came from
    outside; of `erased` leaves the personal values are gone, of `dropped` ones the whole body. `after` leaves were
    taken by their hashes alone. `remarks` are what a reader should know of a sound log.
    """

    leaves: int
    head: str
    root: str = ""
    rows: Mapping[str, int] = field(default_factory=dict)
    made: Mapping[str, int] = field(default_factory=dict)
    first_bad: int | None = None
    problem: str | None = None
    after: int = 0
    checkpoints: int = 0
    saved: int = 0
    newest: str | None = None
    erased: int = 0
    dropped: int = 0
    left_out: int = 0
    remarks: tuple[str, ...] = ()


class _Claim(msgspec.Struct):
    """The part of a leaf's body that describes a row; `record` keeps its exact bytes."""

    seq: int
    kind: str
    table: str | None
    key: str | None
    record: msgspec.Raw


_decode = msgspec.json.Decoder(_Claim).decode


@dataclass(slots=True, kw_only=True)
class _Pass:
    """What one pass over the leaves carries along."""

    chain: bytes
    frontier: Frontier
    row_of: RowOf | None
    node_of: NodeOf | None
    seals: Seals | None
    rows: Counter[str] = field(default_factory=Counter)
    made: Counter[str] = field(default_factory=Counter)
    gaps: Gaps = field(default_factory=Gaps)
    left_out: int = 0


def verify_leaves(
    leaves: Iterable[Leaf],
    *,
    row_of: RowOf | None = None,
    node_of: NodeOf | None = None,
    seals: Seals | None = None,
    start: Start | None = None,
    to_end: bool = True,
    progress: Callable[[int], None] | None = None,
) -> AuditReport:
    """Check numbering, hashes, chain and tree from the first leaf on; with `row_of`, the rows as well.

    `row_of(table, key)` gives the row as it stands now. Each leaf in turn must find its row there, as it wrote it
    or written again by a later leaf. `node_of` gives the stored nodes, `seals` the signed checkpoints and the keys.
    A leaf with an empty body was left out of an export: its hash stands for it. `to_end` says whether the last of
    `leaves` is the newest of the log. Memory stays constant, however long the log.
    """
    begin = start or Start()
    frontier = Frontier(begin.after, begin.peaks)
    state = _Pass(chain=begin.chain, frontier=frontier, row_of=row_of, node_of=node_of, seals=seals)
    for leaf in leaves:
        expected = frontier.size + 1
        problem, bad = _leaf_flaw(leaf, expected, state), expected
        if problem is None and seals is not None:
            problem, bad = seals.after(frontier)
        if problem:
            return _report(state, begin, first_bad=bad, problem=problem)
        if progress:
            progress(expected)
    whole = not begin.after and not state.left_out
    flaw = seals.end(frontier.size) if seals is not None else None
    end = flaw or state.gaps.end(last=frontier.size, whole=whole, to_end=to_end)
    return _report(state, begin, first_bad=end[0] if end else None, problem=end[1] if end else None)


def row_flaw(leaf: Leaf, table: str, key: str, body: bytes) -> str | None:
    """Say how a row differs from the leaf that wrote it last: that is never dropped. One left out says nothing."""
    if not leaf.body:
        return None
    if _hash(leaf) != leaf.leaf_hash:
        return f"leaf {leaf.seq} was changed: its bytes do not have its hash"
    claim = _decode(leaf.body)
    same = (claim.table, claim.key, bytes(claim.record)) == (table, key, body)
    return None if same else f"the {table} `{key}` is not as leaf {leaf.seq} wrote it"


def replay(leaves: Iterable[Leaf]) -> dict[tuple[str, str], Row]:
    """Rebuild the rows that the leaves describe, by (table, key): what the tables should hold."""
    rows = dict[tuple[str, str], Row]()
    for leaf in leaves:
        claim = _decode(leaf.body)
        if claim.table is not None and claim.key is not None:
            place = (claim.table, claim.key)
            first = rows[place].first if place in rows else leaf.seq
            rows[place] = Row(first=first, leaf=leaf.seq, body=bytes(claim.record))
    return rows


def _report(state: _Pass, begin: Start, *, first_bad: int | None, problem: str | None) -> AuditReport:
    seals, size = state.seals, state.frontier.size
    bad = problem is not None
    return AuditReport(
        leaves=size if first_bad is None else min(size, first_bad - 1),
        head=state.chain.hex(),
        root=state.frontier.root().hex(),
        rows={} if bad else state.rows,
        made={} if bad else state.made,
        first_bad=first_bad,
        problem=problem,
        after=begin.after,
        checkpoints=seals.count if seals else 0,
        saved=seals.agreed if seals else 0,
        newest=seals.newest if seals else None,
        erased=len(state.gaps.emptied),
        dropped=state.gaps.dropped,
        left_out=state.left_out,
        remarks=tuple(seals.remarks) if seals else (),
    )


def _leaf_flaw(leaf: Leaf, expected: int, state: _Pass) -> str | None:
    """Say what is wrong with the next leaf, and take it in."""
    flaw, stub = _flaw(leaf, expected, state.chain)
    flaw = flaw or _taken_in(leaf, stub, state)
    if flaw is None:
        state.chain = leaf.chain
    return flaw


def _flaw(leaf: Leaf, expected_seq: int, chain: bytes) -> tuple[str | None, Stub | None]:
    if leaf.seq != expected_seq:
        return f"leaf {expected_seq} is missing: the log goes on with {leaf.seq}", None
    stub = None
    if leaf.body and _hash(leaf) != leaf.leaf_hash:
        stub = stub_of(leaf.body)
        if stub is None:
            return f"leaf {leaf.seq} was changed: its bytes do not have its hash", None
    if link(chain, leaf.leaf_hash) != leaf.chain:
        return f"leaf {leaf.seq} does not follow the leaf before it: a leaf was changed, moved or taken out", None
    return None, stub


def _hash(leaf: Leaf) -> bytes:
    if leaf.salt is None:
        return leaf_hash(leaf.body)
    try:
        return leaf_hash(hashed_form(leaf.body, leaf.salt))
    except msgspec.MsgspecError:
        return b""


def _taken_in(leaf: Leaf, stub: Stub | None, state: _Pass) -> str | None:
    """Grow the tree by a leaf, and look at what it says."""
    if stub is not None:
        state.gaps.drop(leaf.seq, stub, leaf.body)
    elif leaf.salt is None and is_erased(leaf.body):
        state.gaps.emptied.append(leaf.seq)
    for level, index, hashed in state.frontier.add(leaf.leaf_hash):
        if state.node_of is not None and state.node_of(level, index) != hashed:
            return f"a stored node of the tree over the leaves from {(index << level) + 1} on was changed or is gone"
    if leaf.seq == 1 and state.seals is not None:
        state.seals.begin(leaf.leaf_hash)
    if not leaf.body:
        state.left_out += 1
        return None
    if state.row_of is None and state.seals is None:
        return None
    try:
        claim = _decode(leaf.body)
        if claim.seq != leaf.seq:
            return f"leaf {leaf.seq} says that it is leaf {claim.seq}"
        state.gaps.listen(claim.kind, claim.record, leaf.seq)
        if state.seals is not None:
            said = state.seals.listen(leaf, claim.table, claim.record, kind=claim.kind)
            if said:
                return said
    except msgspec.MsgspecError as problem:
        return f"leaf {leaf.seq} cannot be read: {problem}"
    return _row_flaw(claim, state, dropped=stub is not None) if state.row_of is not None else None


def _row_flaw(claim: _Claim, state: _Pass, *, dropped: bool) -> str | None:
    """Compare the row that a leaf describes with the row as it stands; count the rows that are as written."""
    seq, table, key = claim.seq, claim.table, claim.key
    if table is None or key is None or state.row_of is None:
        return None
    row, name = state.row_of(table, key), f"the {table} `{key}`"
    if row is None:
        return None if dropped else f"{name}, written by leaf {seq}, is gone"
    if row.leaf < seq:
        return f"{name} is older than leaf {seq} says: it was put back or edited"
    if row.first > seq:
        return f"{name} was there at leaf {seq}, before it says that it was made"
    if row.leaf == seq and (dropped or row.body != bytes(claim.record)):
        return f"{name} was changed: it is not what leaf {seq} wrote"
    state.rows[table] += row.leaf == seq
    state.made[table] += row.first == seq
    return None
