"""Put a backup in the place of a state folder: checked whole beside it first, then swapped in at one moment.

Must never touch the state that stands before the backup has been proved, and never put one in force on which a daemon
could act as if nothing had happened since: the restored state is stopped until a person has looked.
"""

import ctypes
import errno
import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from dataclasses import replace as changed
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec

from healerd.clock import Clock
from healerd.errors import StoreError
from healerd.store.backup import ARCHIVES, FORMAT, MANIFEST, ROOM, Manifest, Stored
from healerd.store.journal import Store
from healerd.store.keys import KEY, RESTORED, KeyPlace, settle_restored
from healerd.store.library import DATABASE, connect_to_read, guarded
from healerd.store.lock import LOCK, held
from healerd.store.owners import give
from healerd.store.read import ReadStore
from healerd.store.schema import is_older
from healerd.store.tables import Epoch, SigningKey

__all__ = ["Restored", "restore"]

STOP = "STOP"
STARTS_SINCE = 1000
"""Starts that the lost daemon may have made after the backup; the restored one counts on from above them, so that a
registry outside the state folder does not take it for an older daemon."""
MANIFEST_BYTES_MAX = 256 * 2**20
_CHUNK = 2**20
_EXCHANGE = 2
_HERE = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was done: `replaced` is where the state that stood before lies now; None where there was none.

    `key` signs the log from now on.
    """

    manifest: Manifest
    leaves: int
    head: str
    epoch: int
    key: SigningKey
    replaced: Path | None


def restore(
    backup: Path,
    state: Path,
    *,
    clock: Clock,
    actor: str,
    reason: str,
    replace: bool = False,
    key: Path | None = None,
    lost: bool = False,
    dry_run: bool = False,
) -> Restored:
    """Check a backup beside the state folder, then put it there. With `dry_run`, check it and change nothing.

    `replace` allows to put it in the place of a state that stands, which is kept under another name. `key` is the file
    of the signing key where it is not in the backup; `lost` goes on with a new one.

    A new key changes places with the old one at `key` only after the swap: should this process end in between, the next
    start does it.

    Raises:
        LockHeld: a daemon runs on the state folder.
        StoreError: there is a state already, or the backup is broken, incomplete or of a newer healerd.
    """
    state = state.absolute()
    place = KeyPlace.of(state, key, lost=lost)
    _check_target(state, replace=replace or dry_run)
    staging = state.with_name(f".{state.name}.restoring-{os.getpid()}")
    with ExitStack() as stack:
        if (state / LOCK).exists():
            stack.enter_context(held(state))
        stack.callback(shutil.rmtree, staging, ignore_errors=True)
        manifest = _unpack(backup, staging)
        _check_database(staging / DATABASE, backup)
        done = _settle(staging, manifest, state, clock=clock, actor=actor, reason=reason, place=place, backup=backup)
        if dry_run:
            return done
        if place.elsewhere is None or not lost:
            return _swap_in(staging, state, done, at=clock.now())
        stack.enter_context(held(staging))  # it comes along: until the key lies in its place, nobody starts
        done = _swap_in(staging, state, done, at=clock.now())
        try:
            settle_restored(state / RESTORED, place.elsewhere, newest=done.key, at=clock.now())
        except StoreError as problem:
            raise StoreError(f"the state is restored, but {problem}") from problem
        return done


def _check_target(state: Path, *, replace: bool) -> None:
    if state.exists() and not state.is_dir():
        raise StoreError(f"`{state}` is a file: name a folder for the state")
    if not state.parent.is_dir() or not os.access(state.parent, os.W_OK | os.X_OK):
        raise StoreError(f"`{state.parent}` cannot be written: a restored state is made beside the old one, in it")
    if state.is_mount() or state.is_symlink():
        said = "a mount point" if state.is_mount() else "a link"
        raise StoreError(
            f"the state folder `{state}` is {said} and cannot be swapped: use a folder below it as `state`"
        )
    if not replace and state.is_dir() and any(state.iterdir()):
        raise StoreError(
            f"there is a state in `{state}` already: say --replace to put the backup there and keep the old"
        )


# reading a backup


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    size: int
    open: Callable[[], IO[bytes]]


@contextmanager
def _opened(backup: Path) -> Iterator[Iterator[_File]]:
    """Open a folder or an archive, and give its files one after another, the manifest first."""
    try:
        if backup.is_dir():
            yield _of_folder(backup)
        elif backup.name.endswith(ARCHIVES):
            with tarfile.open(backup) as archive:
                yield _of_archive(archive, backup)
        else:
            raise StoreError(f"`{backup}` is no backup: name a folder or a file that `healerd backup` made")
    except (tarfile.TarError, EOFError) as problem:
        raise StoreError(f"the backup `{backup}` is broken: {problem}; take another") from problem
    except OSError as problem:
        said = problem.strerror or str(problem)
        raise StoreError(f"the backup `{backup}` cannot be read: {said}; name another") from problem


def _of_folder(backup: Path) -> Iterator[_File]:
    names = [str(path.relative_to(backup)) for path in sorted(backup.rglob("*")) if path.is_file()]
    for name in sorted(names, key=lambda name: name != MANIFEST):
        file = backup / name
        yield _File(name, file.stat().st_size, lambda file=file: file.open("rb"))  # type: ignore[misc]


def _of_archive(archive: tarfile.TarFile, backup: Path) -> Iterator[_File]:
    for member in archive:
        if not member.isreg():
            raise StoreError(
                f"the backup `{backup}` holds `{member.name}`, which is no plain file: it is not healerd's"
            )
        content = archive.extractfile(member)
        assert content is not None, "a plain file has content"
        yield _File(member.name, member.size, lambda content=content: content)  # type: ignore[misc]


def _first(files: Iterator[_File], backup: Path) -> Manifest:
    first = next(files, None)
    if first is None or first.path != MANIFEST or first.size > MANIFEST_BYTES_MAX:
        raise StoreError(f"`{backup}` is no backup of healerd: it does not begin with `{MANIFEST}`")
    with first.open() as content:
        raw = content.read(MANIFEST_BYTES_MAX)
    try:
        found = msgspec.json.decode(raw, type=_Formatted).format
        if found > FORMAT:
            raise StoreError(f"the backup `{backup}` is of a newer healerd (form {found}): install that version first")
        return msgspec.json.decode(raw, type=Manifest)
    except msgspec.MsgspecError as problem:
        raise StoreError(f"the backup `{backup}` is broken: its `{MANIFEST}`: {problem}; take another") from problem


class _Formatted(msgspec.Struct):
    format: int


def _unpack(backup: Path, staging: Path) -> Manifest:
    """Copy every file of a backup into a folder beside the state, each held against the manifest."""
    with _opened(backup) as files:
        manifest = _first(files, backup)
        _check_room(staging.parent, manifest.size)
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o750)
        wanted = {stored.path: stored for stored in manifest.files}
        for file in files:
            stored = wanted.pop(file.path, None)
            if stored is None or not _is_inside(file.path):
                raise StoreError(f"the backup `{backup}` holds `{file.path}`, which it does not list: it was changed")
            _copy(file, stored, staging / file.path, backup)
    if wanted:
        raise StoreError(f"the backup `{backup}` is incomplete: `{min(wanted)}` is missing; take another")
    if not (staging / DATABASE).exists():
        raise StoreError(f"the backup `{backup}` holds no database; take another")
    return manifest


def _is_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and path not in {LOCK, STOP}


def _check_room(parent: Path, size: int) -> None:
    if shutil.disk_usage(parent).free < size + ROOM:
        raise StoreError(f"the backup holds {size / 2**20:.0f} MB, more than `{parent}` has free: free some room")


def _copy(file: _File, stored: Stored, target: Path, backup: Path) -> None:
    target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    hashed = hashlib.sha256()
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(out, "wb") as copy, file.open() as content:
        while chunk := content.read(_CHUNK):
            hashed.update(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    if hashed.hexdigest() != stored.sha256:
        raise StoreError(f"the backup `{backup}` is broken: `{file.path}` is not as it was written; take another")


def _check_database(path: Path, backup: Path) -> None:
    try:
        with guarded(path), closing(connect_to_read(path, frozen=True)) as connection:
            is_older(connection, path)
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except StoreError as problem:
        raise StoreError(f"the backup `{backup}` cannot be restored: {_said(problem, path, backup)}") from problem
    if answer != "ok":
        raise StoreError(f"the backup `{backup}` is broken: its database says {answer}; take another")


def _said(problem: StoreError, path: Path, backup: Path) -> str:
    """Speak of the backup, not of the folder in which it was looked at."""
    return str(problem).replace(str(path), f"{backup}/{DATABASE}").replace(str(path.parent), str(backup))


# putting it in force


def _settle(
    staging: Path,
    manifest: Manifest,
    state: Path,
    *,
    clock: Clock,
    actor: str,
    reason: str,
    place: KeyPlace,
    backup: Path,
) -> Restored:
    """Bring the copy up to this version, verify its log, and write into it that and why it was restored."""
    try:
        with ExitStack() as stack:
            key = stack.enter_context(place.lent(staging))
            if not place.lost and not key.exists():
                said = f"the key `{KEY}` that signs its log is not in it: put it where `audit.key` says"
                raise StoreError(f"{said}; {_LOST}")
            lost = actor if place.lost else ""
            store = stack.enter_context(Store.open(staging, clock=clock, create=False, key=key, lost=lost))
            report = store.verify()
            if report.first_bad is not None:
                said = f"its log does not verify from leaf {report.first_bad} on: {report.problem}"
                raise StoreError(f"{said}; take another backup")
            now = clock.read()
            number = max(store.epoch, _epoch_of(state)) + STARTS_SINCE
            told = {"made_at": manifest.at, "leaves": manifest.leaves, "without": manifest.without, "reason": reason}
            with store.transaction() as tx:
                tx.note("restored", told, actor=actor)
                tx.put(Epoch(number=number, at=now.at, boot_id=now.boot_id, process=os.getpid()), kind="restored")
            leaves, head = store.head()
            newest = store.find(SigningKey, order="-seq", limit=1)[0]
    except StoreError as problem:
        said = _said(problem, staging / DATABASE, backup)
        raise StoreError(f"the backup `{backup}` cannot be restored: {said}") from problem
    (staging / LOCK).unlink(missing_ok=True)
    stop = f"{actor}: restored from a backup of {manifest.at:%Y-%m-%d %H:%M} UTC: {reason}\n"
    (staging / STOP).write_text(stop, encoding="utf-8")
    return Restored(manifest=manifest, leaves=leaves, head=head, epoch=number, key=newest, replaced=None)


_LOST = "or say --lost-key to go on with a new one, which the log will tell"


def _epoch_of(state: Path) -> int:
    """Read how often daemons have started on the state that stands; 0 where it cannot be read."""
    try:
        with ReadStore.open(state) as reader:
            newest = reader.find(Epoch, order="-number", limit=1)
    except StoreError:
        return 0
    return newest[0].number if newest else 0


def _swap_in(staging: Path, state: Path, done: Restored, *, at: datetime) -> Restored:
    """Let the restored folder and the old one change places at one moment; the old one keeps the name beside it."""
    kept = state.with_name(f"{state.name}.replaced-{at:%Y%m%dT%H%M%S%f}")
    like = state if state.exists() else state.parent
    try:
        give(*staging.rglob("*"), staging, like=like)  # the folder last: until then nobody else reaches into it
    except OSError as problem:
        said = problem.strerror or str(problem)
        raise StoreError(f"`{staging}` cannot be handed over to the owner of `{like}`: {said}") from problem
    os.sync()
    try:
        if not state.exists() or not any(state.iterdir()):
            staging.rename(state)  # over an empty folder, which the system allows
            return done
        # INVARIANT: an_interrupted_restore_leaves_the_old_state: it has its name until the one call that swaps, and
        # a name that nobody cleans up from that call on.
        staging.rename(kept)
        try:
            _exchange(kept, state)
        except OSError:
            kept.rename(staging)
            raise
    except OSError as problem:
        said = problem.strerror or str(problem)
        raise StoreError(f"the state folder `{state}` cannot be replaced: {said}; it is as it was") from problem
    os.sync()
    return changed(done, replaced=kept)


def _exchange(one: Path, other: Path) -> None:
    """Let two folders change names at one moment: at no time is there none. Raises OSError where that cannot be."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        raise OSError(errno.ENOSYS, "this system cannot swap two folders at one moment: move the old one away first")
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) != 0:
        code = ctypes.get_errno()
        mend = "; move the old one away first" if code in {errno.EINVAL, errno.ENOSYS, errno.EXDEV} else ""
        raise OSError(code, os.strerror(code) + mend)
