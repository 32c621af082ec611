"""What one leaf of the audit log is, how it is hashed, and how it hangs on the one before.

What is about a person is hashed as a salted commitment (`personal`), so that it can be erased without breaking a proof.

Must never keep state: the head of the chain is handed in and a new one comes out.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from healerd.audit.canonical import canonical
from healerd.audit.personal import hashed_form

__all__ = ["EMPTY", "Entry", "Leaf", "entry_of", "leaf_hash", "link", "make_leaf"]

EMPTY = sha256(b"").digest()
"""The head of an empty log, as RFC 6962 defines the hash of an empty tree."""

# One byte before what is hashed keeps leaves (RFC 6962: 0), inner nodes of a tree (1) and links of the chain apart.
_LEAF, _LINK = b"\x00", b"\x02"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One leaf as it lies in the log: its number, its canonical bytes, its hash and the head of the chain after it.

    With a `salt`, the hash is of the form in which personal values are commitments; without one, of the bytes.
    """

    seq: int
    body: bytes
    leaf_hash: bytes
    chain: bytes
    salt: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a leaf says: who did what to which row, and the row's whole record after it.

    `table` and `key` are None for a note, which describes no row; `epoch` numbers the daemon's starts.
    """

    seq: int
    at: datetime
    boot_id: str
    boot_s: float
    epoch: int
    kind: str
    actor: str
    pipeline: str | None
    table: str | None
    key: str | None
    record: Any


def leaf_hash(body: bytes) -> bytes:
    """Hash the canonical bytes of one leaf (RFC 6962, section 2.1)."""
    return sha256(_LEAF + body).digest()


def link(chain: bytes, leaf: bytes) -> bytes:
    """Hang a leaf's hash on the head of the chain, and give the next head."""
    return sha256(_LINK + chain + leaf).digest()


def make_leaf(entry: Entry, chain: bytes, *, salt: bytes | None = None) -> Leaf:
    """Write an entry as the leaf that follows the head `chain`; `salt` is kept when something in it is personal.

    Raises:
        ValueError: the record holds something that has no exact form in JSON.
    """
    body = canonical({name: getattr(entry, name) for name in Entry.__dataclass_fields__})
    form = body if salt is None else hashed_form(body, salt)
    hashed = leaf_hash(form)
    kept = None if form is body else salt
    return Leaf(seq=entry.seq, body=body, leaf_hash=hashed, chain=link(chain, hashed), salt=kept)


def entry_of(leaf: Leaf) -> Entry:
    """Read what a leaf says."""
    return msgspec.json.decode(leaf.body, type=Entry)
