"""Check a proof that somebody hands over: a leaf in a log, or a log that goes on from a checkpoint.

Must never take a proof's own keys for trusted when other ones were given, nor raise anything but ValueError.
"""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from healerd.audit.leaves import leaf_hash
from healerd.audit.notes import Checkpoint, Note, VerifierKey, origin_of, read_checkpoint, read_key, read_notes
from healerd.audit.personal import hashed_form
from healerd.audit.signatures import is_signed
from healerd.audit.tree import verify_consistency, verify_inclusion

__all__ = ["check_growth", "check_proof"]


def check_proof(proof: Mapping[str, Any], *, pinned: Sequence[VerifierKey] = ()) -> str | None:
    """Say what is wrong with the proof of a leaf; None when it holds.

    Raises:
        ValueError: it is no such proof at all.
    """
    try:
        note, said, keys = _signed(proof)
        place, body, salt = proof["proof"], str(proof["body"]).encode(), proof["salt"]
        hashed = leaf_hash(hashed_form(body, bytes.fromhex(salt)) if salt else body)
        index, size, path = int(place["leaf"]) - 1, int(place["size"]), _path(place["path"])
    except (KeyError, TypeError, AttributeError, msgspec.MsgspecError) as problem:
        raise ValueError(f"it is not what `healerd audit prove` writes: {problem!r}") from problem
    if not is_signed(note, pinned or keys):
        return "its checkpoint is not signed by a key that is trusted"
    if size != said.size or not verify_inclusion(hashed, index, size, path, said.root):
        return f"leaf {index + 1}, as it stands here, is not in the log of {said.size} leaves that was signed"
    if index == 0 and origin_of(hashed) != said.origin:
        return "the first leaf is not the one that the log is named by"
    return None


def check_growth(proof: Mapping[str, Any], old: Note, *, pinned: Sequence[VerifierKey] = ()) -> str | None:
    """Say why the log of a proof does not go on from the checkpoint `old`; None when it does. Raises ValueError."""
    try:
        note, said, keys = _signed(proof)
        place, before = proof["growth"], read_checkpoint(old)
        first, second, path = int(place["from"]), int(place["to"]), _path(place["path"])
    except (KeyError, TypeError, AttributeError) as problem:
        raise ValueError(f"it is not what `healerd audit prove --from` writes: {problem!r}") from problem
    trusted = pinned or keys
    if not is_signed(note, trusted) or not is_signed(old, trusted):
        return "one of the two checkpoints is not signed by a key that is trusted"
    if before.origin != said.origin:
        return f"the checkpoints are of two logs, `{before.origin}` and `{said.origin}`"
    same = (first, second) == (before.size, said.size)
    if not same or not verify_consistency(first, second, before.root, said.root, path):
        return f"the log of {said.size} leaves does not begin with the {before.size} that were signed before"
    return None


def _signed(proof: Mapping[str, Any]) -> tuple[Note, Checkpoint, list[VerifierKey]]:
    (note,) = read_notes(proof["checkpoint"])
    return note, read_checkpoint(note), [read_key(key) for key in proof["keys"]]


def _path(text: str) -> list[bytes]:
    data = b64decode(text, validate=True)
    return [data[at : at + 32] for at in range(0, len(data), 32)]
