"""Make proofs out of the stored tree: that one leaf is in the log, and that the log goes on from a checkpoint.

Must never prove against what nobody signed: every proof leads to a signed checkpoint. They are checked by
`healerd.audit.proofs`.
"""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from healerd.audit.notes import Checkpoint, read_checkpoint, read_notes
from healerd.audit.tree import consistency_path, inclusion_path
from healerd.errors import NotFound, StoreError
from healerd.store.library import sqlite
from healerd.store.seal import nodes_of

__all__ = ["leaf_number", "prove_growth", "prove_leaf"]


def leaf_number(connection: sqlite.Connection, name: str) -> int:
    """Read what people call a leaf: its number, or the id of a decision, an intent or another row (its newest leaf).

    Raises:
        NotFound: there is no such leaf or row.
    """
    (count,) = connection.execute("SELECT coalesce(max(seq), 0) FROM audit_leaf").fetchone()
    if name.isascii() and name.isdigit() and 1 <= int(name) <= count:
        return int(name)
    for table in ("decision", "intent", "answer", "incident", "bar", "version", "reference", "outcome"):
        found = connection.execute(f'SELECT leaf FROM "{table}" WHERE row_key = ?', [name]).fetchone()  # noqa: S608
        if found:
            return int(found[0])
    raise NotFound(
        f"no leaf or row `{name}`: the log has leaves 1 to {count}; `healerd audit list` and `healerd trace list` "
        "name them"
    )


def prove_leaf(connection: sqlite.Connection, seq: int) -> dict[str, Any]:
    """Prove that leaf `seq` is in the log, against the newest checkpoint.

    Raises:
        StoreError: no checkpoint covers the leaf yet.
    """
    note, said = _newest(connection, at_least=seq)
    with _whole():
        path = inclusion_path(seq - 1, said.size, nodes_of(connection))
    body, salt = connection.execute("SELECT body, salt FROM audit_leaf WHERE seq = ?", [seq]).fetchone()
    return {
        "proof": {"leaf": seq, "size": said.size, "path": b64encode(b"".join(path)).decode()},
        "body": body,
        "salt": salt.hex() if salt else None,
        "checkpoint": note,
        "keys": _keys(connection),
    }


def prove_growth(connection: sqlite.Connection, old: Checkpoint) -> dict[str, Any]:
    """Prove that the log, up to its newest checkpoint, begins with what an older checkpoint covers.

    Raises:
        StoreError: the older one covers more than the log has signed.
    """
    note, said = _newest(connection, at_least=old.size)
    with _whole():
        path = consistency_path(old.size, said.size, nodes_of(connection))
    return {
        "growth": {"from": old.size, "to": said.size, "path": b64encode(b"".join(path)).decode()},
        "checkpoint": note,
        "keys": _keys(connection),
    }


@contextmanager
def _whole() -> Iterator[None]:
    try:
        yield
    except LookupError as problem:
        raise StoreError(
            f"nothing can be proved, the stored tree is damaged ({problem}): `healerd audit verify` names the first "
            "bad leaf"
        ) from problem


def _newest(connection: sqlite.Connection, *, at_least: int) -> tuple[str, Checkpoint]:
    found = connection.execute("SELECT note FROM checkpoint ORDER BY number DESC LIMIT 1").fetchone()
    (note,) = read_notes(found[0]) if found else (None,)
    said = read_checkpoint(note) if note else None
    if found is None or said is None or said.size < at_least:
        size = said.size if said else 0
        raise StoreError(
            f"the newest checkpoint covers {size} leaves, not {at_least}: wait for the next window to be signed, or "
            "look whether an old copy lies in the state folder (`healerd audit verify --checkpoint FILE`)"
        )
    return found[0], said


def _keys(connection: sqlite.Connection) -> list[str]:
    return [key for (key,) in connection.execute("SELECT body ->> '$.key' FROM signing_key ORDER BY leaf")]
