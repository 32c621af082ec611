"""The files of the key that signs checkpoints: made once, readable by nobody else, replaced without a gap.

Must never overwrite a key, nor go on with another than the log names without being told that it is lost.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from healerd.audit.notes import VerifierKey, read_key
from healerd.errors import StoreError
from healerd.store.owners import give_open
from healerd.store.tables import SigningKey

if TYPE_CHECKING:
    from healerd.audit.signatures import Signer

__all__ = [
    "KEY",
    "RESTORED",
    "KeyPlace",
    "MadeKey",
    "check_key",
    "first_key",
    "keep_key",
    "next_path",
    "rotated",
    "set_aside",
    "settle_key",
    "settle_restored",
    "take_key",
]

KEY = "audit.key"
"""Name of the file in the state folder; only the daemon's user may read it."""
RESTORED = f"{KEY}.restored"
"""Where a restored state brings a new key along, until that lies where the configuration says."""
_LENT = f"{KEY}.lent"
_TO_READ = 0o077
_PEM_BYTES_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A key with the record that makes it known; one that `waits` is put in force by `settle_key` after the commit."""

    signer: "Signer"
    record: SigningKey
    waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlace:
    """Where the key of a state lies that is restored: under `name` in it, or `elsewhere`, where nothing is changed."""

    name: Path
    elsewhere: Path | None
    lost: bool

    @classmethod
    def of(cls, state: Path, key: Path | None, *, lost: bool) -> "KeyPlace":
        """Find it for a configured key. Raises StoreError when a new key could not be put there."""
        key = key.absolute() if key else state / KEY
        if key.is_relative_to(state):
            return cls(name=key.relative_to(state), elsewhere=None, lost=lost)
        parent = next(folder for folder in key.parents if folder.exists())
        if lost and not os.access(parent, os.W_OK | os.X_OK):
            raise StoreError(f"the new key cannot be put at `{key}`: make `{parent}` writable, or name another place")
        return cls(name=Path(RESTORED if lost else _LENT), elsewhere=key, lost=lost)

    @contextmanager
    def lent(self, copy: Path) -> Iterator[Path]:
        """Give where a start on the copy of a state finds its key; links stand there for one that lies elsewhere.

        Whatever the start does with them, the files that they name stay as they are. A new key stays in the copy.
        """
        path = copy / self.name
        if self.elsewhere is None or self.lost:
            yield path
            return
        links = {path: self.elsewhere, next_path(path): next_path(self.elsewhere)}
        try:
            for link, target in links.items():
                if target.exists():
                    link.symlink_to(target)
            yield path
        except StoreError as problem:
            raise StoreError(str(problem).replace(str(path), str(self.elsewhere))) from problem
        finally:
            for link in links:
                link.unlink(missing_ok=True)


def take_key(path: Path, *, newest: SigningKey | None, restored: Path, at: datetime) -> "Signer | None":
    """Read the key that the log names; None when the log names none yet. `restored` is where a restore leaves one.

    Raises:
        StoreError: the file is missing, is readable by others, or holds another key.
    """
    if newest is None:
        return None
    if _holds(next_path(path), read_key(newest.key)):
        settle_key(path)  # a rotation was committed, and the process ended before the file moved
    settle_restored(restored, path, newest=newest, at=at)  # as a restore that ended before it did
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


def first_key(
    path: Path, origin: str, *, state: Path, at: datetime, before: SigningKey | None, lost: bool, begun: bool = False
) -> MadeKey:
    """Make the key of a log, or take the one that lies there; after a loss, make a new one beside what is there.

    A log that was `begun` without a key takes none that lies there: it may stand in the place of one that was signed.
    Its own waits until the log names it, so that a start which is cut off leaves none there.
    """
    from healerd.audit.signatures import Signer

    if before is not None and not lost:
        raise StoreError(f"the audit log names a key: {_MEND}")
    if begun and path.exists() and not lost:
        raise StoreError(
            f"the audit log names no key, but `{path}` is there: somebody without it may have written the log anew; "
            "restore a backup, or, if this state was never signed, go on with a new key by `healerd audit key --lost`"
        )
    waits = begun and not lost
    if path.exists() and not lost:
        signer = _read(path, origin)
    else:
        signer, place = Signer.make(name=origin), next_path(path) if waits else path
        set_aside(place, at=at)
        keep_key(signer, place, like=state)
    how = "lost" if before is not None else "first"
    record = _record(signer, signer, how=how, at=at, before=before.id if before else None)
    return MadeKey(signer=signer, record=record, waits=waits)


def rotated(old: "Signer", *, at: datetime) -> MadeKey:
    """Make the key that follows `old`, which signs it."""
    from healerd.audit.signatures import Signer

    signer = Signer.make(name=old.key.name)
    return MadeKey(signer=signer, record=_record(signer, old, how="rotated", at=at, before=old.key.id.hex()))


def keep_key(signer: "Signer", path: Path, *, like: Path) -> None:
    """Write a new key file that only its owner, that of `like`, can read, and see that it is on the disk.

    Raises:
        StoreError: it cannot be written, or there is one already.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(out, "wb") as file:
                file.write(signer.pem())
                file.flush()
                give_open(file.fileno(), like=like)
                os.fsync(file.fileno())
            _sync(path.parent)
        except OSError:
            path.unlink()  # on a full disk half a key would stand in the way of a whole one
            raise
    except OSError as problem:
        raise StoreError(
            f"the key `{path}` cannot be written: {problem.strerror}; name a file that can be"
        ) from problem


def set_aside(path: Path, *, at: datetime) -> None:
    """Give a key that is not in force, if one is there, another name beside its place. Raises StoreError."""
    aside = path.with_name(f"{path.name}.lost-{at:%Y%m%dT%H%M%S%f}")
    while aside.exists():
        aside = aside.with_name(f"{aside.name}-")
    try:
        if path.exists():
            path.rename(aside)
    except OSError as problem:
        raise StoreError(
            f"the key `{path}` cannot be moved aside: {problem.strerror}; move it to another name yourself"
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


def settle_restored(waiting: Path, path: Path, *, newest: SigningKey, at: datetime) -> None:
    """Put the new key that a restored state brought along in force; the one that lies there is set aside.

    Ended at any step, it can be called again: the key that waits goes last, once it lies at `path`. Raises StoreError.
    """
    wanted = read_key(newest.key)
    if not _holds(waiting, wanted):
        return
    try:
        if not _holds(path, wanted):
            fresh = path.with_name(f"{path.name}.new")
            fresh.unlink(missing_ok=True)  # half of a copy of the one that waits
            keep_key(_read(waiting, wanted.name), fresh, like=path if path.exists() else waiting)
            set_aside(path, at=at)
            fresh.replace(path)
            _sync(path.parent)
        waiting.unlink()
    except OSError as problem:
        raise StoreError(
            f"the new key `{waiting}` cannot be put at `{path}`: {problem.strerror}; the next start tries it again"
        ) from problem


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    os.fsync(opened)
    os.close(opened)


def _holds(path: Path, wanted: VerifierKey) -> bool:
    """Tell whether a file is there and holds this key; one that was written by half holds none."""
    try:
        return path.exists() and _read(path, wanted.name).key == wanted
    except StoreError:
        return False


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
