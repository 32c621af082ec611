"""What a log may lawfully miss: personal values that were erased, and bodies that were dropped, each by a leaf's word.

Must never take a gap for lawful that no leaf speaks of. A dropped body leaves a stub, and the leaf that dropped it
holds a hash over all its stubs, so a stub that somebody else put there is found.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgspec

from healerd.audit.canonical import canonical

__all__ = ["DROPPED", "ERASED", "PRUNED", "Gaps", "Stub", "digest_of", "make_stub", "stub_of"]

DROPPED = "dropped"
"""The kind that a stub has in the place of its leaf's own."""
PRUNED = "pruned"
"""The kind of the leaf that says which bodies were dropped."""
ERASED = "erased"
"""The kind of the leaf that says of which leaves the personal values were erased: the tombstone."""


class Stub(msgspec.Struct):
    """What is left of a dropped body: enough to number it, to date it, and to know which row it was about."""

    seq: int
    kind: str
    record: "_By"


class _By(msgspec.Struct):
    statement: int


class _Pruned(msgspec.Struct):
    leaves: int
    stubs: str


class _Erased(msgspec.Struct):
    leaves: list[int]


_stub = msgspec.json.Decoder(Stub).decode
_pruned = msgspec.json.Decoder(_Pruned).decode
_erased = msgspec.json.Decoder(_Erased).decode


def stub_of(body: bytes) -> Stub | None:
    """Read a body as a stub; None when it is none."""
    try:
        found = _stub(body)
    except msgspec.MsgspecError:
        return None
    return found if found.kind == DROPPED else None


def make_stub(body: bytes, *, statement: int) -> bytes:
    """Write what stays of a body that the leaf `statement` drops."""
    said: dict[str, Any] = msgspec.json.decode(body)
    return canonical({**said, "kind": DROPPED, "actor": "", "record": {"statement": statement}})


def digest_of(stubs: Sequence[bytes]) -> str:
    """Hash stubs in the order of their leaves, each with its length before it."""
    hashed = sha256()
    for stub in stubs:
        hashed.update(len(stub).to_bytes(8, "big") + stub)
    return hashed.hexdigest()


@dataclass(slots=True)
class _Tally:
    """The stubs that name one statement."""

    first: int
    count: int = 0
    hashed: Any = field(default_factory=sha256)


class Gaps:
    """The gaps that one pass has met, and the words for them."""

    def __init__(self) -> None:
        self.emptied, self.dropped = list[int](), 0
        self._tombs, self._tallies = set[int](), dict[int, _Tally]()
        self._statements = dict[int, _Pruned]()

    def drop(self, seq: int, stub: Stub, body: bytes) -> None:
        """Take in a stub."""
        tally = self._tallies.setdefault(stub.record.statement, _Tally(first=seq))
        tally.count += 1
        tally.hashed.update(len(body).to_bytes(8, "big") + body)
        self.dropped += 1

    def listen(self, kind: str, record: msgspec.Raw, seq: int) -> None:
        """Hear a leaf that may be the word for a gap. Raises msgspec.MsgspecError."""
        if kind == ERASED:
            self._tombs.update(_erased(record).leaves)
        elif kind == PRUNED:
            self._statements[seq] = _pruned(record)

    def end(self, *, last: int, whole: bool, to_end: bool) -> tuple[int, str] | None:
        """Name the first gap that no leaf speaks of, for a pass that ended with the leaf `last`.

        A pass that does not go on to the log's end has not met the leaves that speak of its last gaps, and one that is
        not `whole` up to there, not all stubs of a statement: it takes those for lawful, and a whole pass tells.
        """
        found = list[tuple[int, str]]()
        if alone := [seq for seq in self.emptied if seq not in self._tombs and to_end]:
            found.append((alone[0], f"the personal values of leaf {alone[0]} are gone, and no leaf says by whom"))
        for number, tally in self._tallies.items():
            said = self._statements.get(number)
            outside = number > last and not to_end if said is None else not whole and tally.count < said.leaves
            if outside:
                continue
            if said is None or (said.leaves, said.stubs) != (tally.count, tally.hashed.hexdigest()):
                words = f"leaf {tally.first} or a later one stands in for a body, and leaf {number} does not say so"
                found.append((tally.first, words))
        return min(found, default=None)
