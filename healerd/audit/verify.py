"""Check a whole log: the numbering, every hash, the chain, and the rows that the leaves describe.

Must never stop at a malformed leaf with an exception: whatever is wrong is said in the report, with its number.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from healerd.audit.leaves import EMPTY, Leaf, leaf_hash, link

__all__ = ["AuditReport", "Row", "replay", "verify_leaves"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table as it stands: the leaf that made it, the one that last wrote it, and its canonical record."""

    first: int
    leaf: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What a check found: `leaves` counts those that hold, `head` is the chain after the last of them.

    `rows` counts, for each table, the rows that are as their last leaf says, and `made` those whose first leaf made
    them. `first_bad` is the number of the first leaf that does not hold or whose row was changed, and `problem` says
    how; both are None for a sound log.
    """

    leaves: int
    head: str
    rows: Mapping[str, int] = field(default_factory=dict)
    made: Mapping[str, int] = field(default_factory=dict)
    first_bad: int | None = None
    problem: str | None = None


class _Claim(msgspec.Struct):
    """The part of a leaf's body that describes a row; `record` keeps its exact bytes."""

    seq: int
    table: str | None
    key: str | None
    record: msgspec.Raw


_decode = msgspec.json.Decoder(_Claim).decode


def verify_leaves(
    leaves: Iterable[Leaf],
    *,
    row_of: Callable[[str, str], Row | None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> AuditReport:
    """Check numbering, hashes and chain from the first leaf on; with `row_of`, the rows as well.

    `row_of(table, key)` gives the row as it stands now. Each leaf in turn must find its row there, as it wrote it
    or written again by a later leaf. Memory stays constant, however long the log.
    """
    chain, count, rows, made = EMPTY, 0, Counter[str](), Counter[str]()
    for count, leaf in enumerate(leaves, start=1):
        problem = _flaw(leaf, count, chain) or (row_of and _row_flaw(leaf, row_of, rows, made))
        if problem:
            return AuditReport(leaves=count - 1, head=chain.hex(), first_bad=count, problem=problem)
        chain = leaf.chain
        if progress:
            progress(count)
    return AuditReport(leaves=count, head=chain.hex(), rows=rows, made=made)


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


def _flaw(leaf: Leaf, expected_seq: int, chain: bytes) -> str | None:
    if leaf.seq != expected_seq:
        return f"leaf {expected_seq} is missing: the log goes on with {leaf.seq}"
    if leaf_hash(leaf.body) != leaf.leaf_hash:
        return f"leaf {leaf.seq} was changed: its bytes do not have its hash"
    if link(chain, leaf.leaf_hash) != leaf.chain:
        return f"leaf {leaf.seq} does not follow the leaf before it: a leaf was changed, moved or taken out"
    return None


def _row_flaw(
    leaf: Leaf, row_of: Callable[[str, str], Row | None], rows: Counter[str], made: Counter[str]
) -> str | None:
    """Compare the row that a leaf describes with the row as it stands; count the rows that are as written."""
    try:
        claim = _decode(leaf.body)
    except msgspec.MsgspecError as problem:
        return f"leaf {leaf.seq} cannot be read: {problem}"
    if claim.seq != leaf.seq:
        return f"leaf {leaf.seq} says that it is leaf {claim.seq}"
    if claim.table is None or claim.key is None:
        return None
    row, name = row_of(claim.table, claim.key), f"the {claim.table} `{claim.key}`"
    if row is None:
        return f"{name}, written by leaf {leaf.seq}, is gone"
    if row.leaf < leaf.seq:
        return f"{name} is older than leaf {leaf.seq} says: it was put back or edited"
    if row.first > leaf.seq:
        return f"{name} was there at leaf {leaf.seq}, before it says that it was made"
    if row.leaf == leaf.seq and row.body != bytes(claim.record):
        return f"{name} was changed: it is not what leaf {leaf.seq} wrote"
    rows[claim.table] += row.leaf == leaf.seq
    made[claim.table] += row.first == leaf.seq
    return None
