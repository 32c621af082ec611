"""The files of the key that signs checkpoints: made once, readable by nobody else, replaced without a gap.

Must never overwrite a key, nor go on with another than the log names without being told that it is lost.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from healerd.audit.notes import VerifierKey, read_key
from healerd.errors import StoreError
from healerd.store.tables import SigningKey

if TYPE_CHECKING:
    from healerd.audit.signatures import Signer

__all__ = [
    "KEY",
    "MadeKey",
    "check_key",
    "first_key",
    "keep_key",
    "next_path",
    "rotated",
    "settle_key",
    "take_key",
]

KEY = "audit.key"
"""Name of the file in the state folder; only the daemon's user may read it."""
_TO_READ = 0o077
_PEM_BYTES_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A key with the record that makes it known."""

    signer: "Signer"
    record: SigningKey


def take_key(path: Path, *, newest: SigningKey | None) -> "Signer | None":
    """Read the key that the log names; None when the log names none yet.

    Raises:
        StoreError: the file is missing, is readable by others, or holds another key.
    """
    if newest is None:
        return None
    wanted = read_key(newest.key)
    if (waiting := next_path(path)).exists() and _read(waiting, wanted.name).key == wanted:
        settle_key(path)  # a rotation was committed, and the process ended before the file moved
    return check_key(path, newest=newest)


def check_key(path: Path, *, newest: SigningKey) -> "Signer":
    """Read the key that the log names, and change nothing. Raises StoreError as `take_key` does."""
    wanted = read_key(newest.key)
    if not path.exists():
        raise StoreError(f"the key `{path}` that signs the audit log's checkpoints is missing: {_MEND}")
    found = _read(path, wanted.name)
    if found.key != wanted:
        raise StoreError(
            f"the key `{path}` is not the one that signs this audit log (it has id {found.key.id.hex()}, "
            f"the log names {newest.id}): {_MEND}"
        )
    return found


_MEND = "put the right one back from a backup, or go on with a new one by `healerd audit key --lost` (the log says so)"


def first_key(path: Path, origin: str, *, at: datetime, before: SigningKey | None, lost: bool) -> MadeKey:
    """Make the key of a log, or take the one that lies there; after a loss, make a new one beside what is there."""
    from healerd.audit.signatures import Signer

    if before is not None and not lost:
        raise StoreError(f"the audit log names a key: {_MEND}")
    if path.exists() and not lost:
        signer = _read(path, origin)
    else:
        signer = Signer.make(name=origin)
        if path.exists():
            path.replace(path.with_name(f"{path.name}.lost-{at:%Y%m%dT%H%M%S%f}"))
        keep_key(signer, path)
    how = "lost" if before is not None else "first"
    return MadeKey(signer=signer, record=_record(signer, signer, how=how, at=at, before=before.id if before else None))


def rotated(old: "Signer", *, at: datetime) -> MadeKey:
    """Make the key that follows `old`, which signs it."""
    from healerd.audit.signatures import Signer

    signer = Signer.make(name=old.key.name)
    return MadeKey(signer=signer, record=_record(signer, old, how="rotated", at=at, before=old.key.id.hex()))


def keep_key(signer: "Signer", path: Path) -> None:
    """Write a new key file that only its owner can read, and see that it is on the disk.

    Raises:
        StoreError: it cannot be written, or there is one already.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(out, "wb") as file:
            file.write(signer.pem())
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except OSError as problem:
        raise StoreError(
            f"the key `{path}` cannot be written: {problem.strerror}; name a file that can be"
        ) from problem


def next_path(path: Path) -> Path:
    """Say where a key lies that is not yet in force."""
    return path.with_name(f"{path.name}.next")


def settle_key(path: Path) -> None:
    """Put the key that waits in force, in place of the old one. Raises StoreError."""
    try:
        next_path(path).replace(path)
    except OSError as problem:
        raise StoreError(
            f"the key `{path}` cannot be replaced: {problem.strerror}; move `{next_path(path)}` there"
        ) from problem


def _record(signer: "Signer", signed_by: "Signer", *, how: str, at: datetime, before: str | None) -> SigningKey:
    key = VerifierKey(name=signer.key.name, public=signer.key.public)
    statement = signed_by.sign(f"healerd signing key\n{key}\n{how}\n")
    return SigningKey(id=key.id.hex(), key=str(key), at=at, how=how, before=before, statement=str(statement))


def _read(path: Path, name: str) -> "Signer":
    from healerd.audit.signatures import Signer

    try:
        found = path.stat()
        # A credential that a service manager hands over belongs to somebody else, who sees to its mode.
        if found.st_mode & _TO_READ and found.st_uid == os.getuid() and os.access(path, os.W_OK):
            raise StoreError(f"the key `{path}` can be read by others: `chmod 600 {path}`")
        with path.open("rb") as file:
            return Signer.of(file.read(_PEM_BYTES_MAX), name=name)
    except OSError as problem:
        raise StoreError(
            f"the key `{path}` cannot be read: {problem.strerror}; it must belong to the daemon's user"
        ) from problem
    except ValueError as problem:
        raise StoreError(f"the key `{path}` cannot be used: {problem}; {_MEND}") from problem
