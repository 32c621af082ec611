"""Copy a state folder while its daemon runs: the database in one consistent state, and every file that it speaks of.

Must never say that a copy is good that was not read again, nor leave half a copy under the name that was asked for.
"""

import hashlib
import os
import shutil
import tarfile
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from healerd.errors import StoreError
from healerd.segments import FOLDER, Segment
from healerd.store.check import check
from healerd.store.keys import KEY
from healerd.store.library import DATABASE, connect_to_read, guarded, sqlite
from healerd.store.lock import LOCK
from healerd.store.read import ReadStore
from healerd.store.schema import is_older

__all__ = [
    "ARCHIVES",
    "FORMAT",
    "MANIFEST",
    "ROOM",
    "Manifest",
    "Stored",
    "back_up",
    "copy_file",
    "plan_backup",
]

MANIFEST = "backup.json"
"""Name of the file, first in an archive, that lists the others."""
"""What may be left out: segments; the registry and whatever else lies in the folder; the key that signs the log."""
ARCHIVES = (".tar", ".tar.gz", ".tgz")
"""Endings of OUT that ask for one file; with any other, a folder is made."""
FORMAT = 1
ROOM = 64 * 2**20
"""Bytes that must stay free after a copy."""
_CHUNK = 2**20
_NOT_COPIED = frozenset({LOCK, "STOP", FOLDER, KEY, MANIFEST})
_UNFINISHED = ("registry", "staging")
"""`registry/PIPELINE/staging` holds versions that are being made; a pipeline or a version may have that name too."""


class Stored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of a backup: its path in the state folder, its size in bytes and the sha256 of its content."""

    path: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backup holds. `audited` is the head of the verified log; empty where an older healerd wrote it."""

    format: int
    made_by: str
    at: datetime
    leaves: int
    audited: str
    without: list[str]
    files: list[Stored]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A file to be copied: where it lies, its path in the backup, and the sha256 it must have, where one is known."""

    file: Path
    path: str
    sha256: str | None = None


def plan_backup(folder: Path, *, without: Collection[str] = (), key: Path | None = None) -> tuple[int, int]:
    """Say how many files a backup would hold, and their bytes. Raises StoreError when there is nothing to copy."""
    sources = list(_files(folder, _segments(folder, without), without=without, key=key))
    return 1 + len(sources), (folder / DATABASE).stat().st_size + sum(_size(each.file) for each in sources)


def back_up(
    folder: Path, out: Path, *, at: datetime, made_by: str, without: Collection[str] = (), key: Path | None = None
) -> Manifest:
    """Write a backup of a state folder to `out`: a folder, or one file where its name ends like an archive's.

    The copy of the database is checked page by page, and its log leaf by leaf, before anything has the name `out`.
    `without` names the parts to leave out (`rows`, `models`, `key`), `key` the signing key where the configuration
    gives it another place: one that lies outside the folder is never part of a backup.

    Raises:
        StoreError: `out` is there, or cannot be written, or the state is damaged, or a file of it is missing.
    """
    _check_place(out, folder)
    _, size = plan_backup(folder, without=without, key=key)
    archive = out.name.endswith(ARCHIVES)
    _check_room(out.parent, size * (2 if archive else 1))
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(mode=0o700)
        manifest = _fill(partial, folder, at=at, made_by=made_by, without=without, key=key)
        if archive:
            packed = partial.with_name(f"{partial.name}.tar")
            try:
                _pack(partial, packed, manifest, compressed=not out.name.endswith(".tar"))
                packed.rename(out)
            finally:
                packed.unlink(missing_ok=True)
        else:
            partial.rename(out)
        _sync_folder(out.parent)
    except OSError as problem:
        said = problem.strerror or str(problem)
        raise StoreError(f"the backup `{out}` cannot be written: {said}; nothing is left of it") from problem
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def _check_place(out: Path, folder: Path) -> None:
    if out.resolve().is_relative_to(folder.resolve()):
        raise StoreError(f"`{out}` lies inside the state: name a place outside, or the next backup would hold this one")
    if out.exists() or out.is_symlink():
        raise StoreError(f"`{out}` is there already: name another, a backup never replaces anything")
    if not out.parent.is_dir():
        raise StoreError(f"there is no folder `{out.parent}`: make it, or name another place")
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise StoreError(f"the folder `{out.parent}` is read-only: name a place that can be written")


def _check_room(parent: Path, size: int) -> None:
    free = shutil.disk_usage(parent).free
    if free < size + ROOM:
        need, there = (size + ROOM) / 2**20, free / 2**20
        raise StoreError(f"the backup needs {need:.0f} MB, and `{parent}` has {there:.0f} MB free: free some room")


def _fill(
    into: Path, folder: Path, *, at: datetime, made_by: str, without: Collection[str], key: Path | None
) -> Manifest:
    """Copy the database first: whatever it speaks of was there before, and is copied after it."""
    leaves, head = _copy_database(folder / DATABASE, into / DATABASE)
    segments = () if "rows" in without else _manifested(into / DATABASE)
    files = [Stored(path=DATABASE, size=_size(into / DATABASE), sha256=_sha256(into / DATABASE))]
    for source in _files(folder, segments, without=without, key=key):
        stored = _copied(source, into)
        if stored is not None:
            files.append(stored)
    manifest = Manifest(
        format=FORMAT,
        made_by=made_by,
        at=at,
        leaves=leaves,
        audited=head,
        without=sorted(without),
        files=files,
    )
    _write(into / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
    return manifest


def _copy_database(source: Path, target: Path) -> tuple[int, str]:
    """Copy the database in one consistent state, check the copy, and give its number of leaves and verified head."""
    if not source.exists():
        raise StoreError(f"there is no healerd state in `{source.parent}`: name the state folder with --state DIR")
    target.touch(mode=0o600)
    with guarded(source), closing(connect_to_read(source)) as live, closing(sqlite.connect(target)) as copy:
        older = is_older(live, source)
        live.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # so that the copy is one file
    with guarded(target), closing(connect_to_read(target, frozen=True)) as copy:
        _check_pages(copy, source)
        (leaves,) = copy.execute("SELECT count(*) FROM audit_leaf").fetchone()
        return leaves, "" if older else _check_log(copy, source)


def _check_pages(copy: sqlite.Connection, source: Path) -> None:
    (answer,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise StoreError(f"the database `{source}` is damaged: {answer}; keep earlier backups, and restore one")


def _check_log(copy: sqlite.Connection, source: Path) -> str:
    report = check(copy)
    if report.first_bad is not None:
        raise StoreError(
            f"the log in `{source}` does not verify from leaf {report.first_bad} on: {report.problem}; "
            "no backup was made, see `healerd audit verify`"
        )
    return report.head


def _segments(folder: Path, without: Collection[str]) -> tuple[Segment, ...]:
    with guarded(folder / DATABASE):
        if not (folder / DATABASE).exists() or not _size(folder / DATABASE):
            raise StoreError(f"there is no healerd state in `{folder}`: name the state folder with --state DIR")
    return () if "rows" in without else _manifested(folder / DATABASE)


def _manifested(database: Path) -> tuple[Segment, ...]:
    """Read the manifest of segments; an older schema has had it in the same form since the first release."""
    store = ReadStore(database.parent)
    try:
        return store.find(Segment)
    finally:
        store.close()


def _files(
    folder: Path, segments: Collection[Segment], *, without: Collection[str], key: Path | None
) -> Iterator[_Source]:
    for segment in segments:
        yield _Source(file=folder / FOLDER / segment.path, path=f"{FOLDER}/{segment.path}", sha256=segment.sha256)
    keys = {folder / KEY}
    if key is not None and key.absolute().is_relative_to(folder.absolute()):
        keys.add(folder / key.absolute().relative_to(folder.absolute()))
    if "key" not in without:
        yield from (_Source(file=each, path=str(each.relative_to(folder))) for each in sorted(keys) if each.is_file())
    if "models" not in without:
        yield from _others(folder, keys)


def _others(folder: Path, keys: Collection[Path]) -> Iterator[_Source]:
    """Everything else that a pipeline keeps in the folder: plain files; links and what is unfinished stay out."""
    for root, folders, names in os.walk(folder):
        at_top = Path(root) == folder
        above = Path(root).relative_to(folder).parts
        folders[:] = sorted(name for name in folders if not _stays_out((*above, name)))
        for name in sorted(names):
            file = Path(root, name)
            if at_top and (name in _NOT_COPIED or name.startswith(DATABASE)):
                continue
            # What is none any more, a registry may have just dropped.
            if not file.is_symlink() and file.is_file() and not any(_is_of(each, file) for each in keys):
                yield _Source(file=file, path=str(file.relative_to(folder)))


def _is_of(key: Path, file: Path) -> bool:
    """Tell whether a file is the key, or one that waits, was lost or was restored beside it."""
    return file.parent == key.parent and (file.name == key.name or file.name.startswith(f"{key.name}."))


def _stays_out(parts: tuple[str, ...]) -> bool:
    """Tell whether a folder, by the names that lead to it, is copied in another way or not at all."""
    return (len(parts) == 1 and parts[0] in _NOT_COPIED) or (len(parts) == 3 and parts[::2] == _UNFINISHED)


def _copied(source: _Source, into: Path) -> Stored | None:
    target = into / source.path
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        size, found = copy_file(source.file, target)
    except FileNotFoundError:
        if source.sha256 is None:
            return None  # a registry has just dropped it
        raise StoreError(f"the segment `{source.file}` is missing: back up with `--without rows`, or restore") from None
    if source.sha256 not in {None, found}:
        raise StoreError(f"the segment `{source.file}` is not as it was written: back up with `--without rows`")
    return Stored(path=source.path, size=size, sha256=found)


def copy_file(source: Path, target: Path) -> tuple[int, str]:
    """Copy a file to a new one that only its owner can read, durably; give its size and sha256."""
    with source.open("rb") as file:
        out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        hashed, size = hashlib.sha256(), 0
        with os.fdopen(out, "wb") as copy:
            while chunk := file.read(_CHUNK):
                hashed.update(chunk)
                size += copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
    return size, hashed.hexdigest()


def _pack(folder: Path, out: Path, manifest: Manifest, *, compressed: bool) -> None:
    """Put a filled folder into one archive, the manifest first."""
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz" if compressed else "w") as archive:
            for name in (MANIFEST, *(stored.path for stored in manifest.files)):
                archive.add(folder / name, arcname=name, recursive=False)
        file.flush()
        os.fsync(file.fileno())


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
