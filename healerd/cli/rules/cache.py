"""Keeps loaded rule sets between calls of `healerd rules`, in a folder of the user's own.

Must never be an error or change an answer: an entry that is broken, foreign or out of date is as good as none. It lies
outside what `decision` imports, because it writes files.

An entry is a pickle, and reading a pickle runs whatever its writer wished. So the folder must belong to this user and
be writable by nobody else, and so must each entry; where that does not hold, nothing is kept and nothing is read.
"""

import hashlib
import os
import pickle
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import healerd
import healerd_rules
from healerd_rules import Loaded
from healerd_rules.sources import Trail

__all__ = ["MAX_BYTES", "MAX_ENTRIES", "cached", "folder"]

MAX_ENTRIES = 40
"""The least recently used go first; one per set of files that somebody works on is plenty."""
MAX_BYTES = 64 * 1024 * 1024
_SUFFIX = ".rules"
_BROKEN = (
    OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError,
)  # fmt: skip


def cached(named: tuple[str, ...], load: Callable[[], Loaded]) -> Loaded:
    """What `load` gives, from the cache when nothing it would read has changed.

    `named` tells apart what is loaded: the files as they were named, or a text. It is joined with the working
    directory, since findings name files as the caller did.
    """
    entry = _entry(named)
    if entry is None:
        return load()
    kept = _read(entry)
    if kept is None:
        kept = load()
        if kept.trail.whole:
            _write(entry, kept)
    return kept


def folder() -> Path | None:
    """The private folder, made when it is not there; None when there can be none."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    try:
        place = (Path(home) if Path(home).is_absolute() else Path.home() / ".cache") / "healerd"
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return place if _private(os.lstat(place), stat.S_ISDIR) else None
    except (OSError, RuntimeError):
        return None


def _entry(named: tuple[str, ...]) -> Path | None:
    place = folder()
    try:
        return None if place is None else place / (_key(named) + _SUFFIX)
    except OSError:  # no working directory, or a program that does not lie in files
        return None


def _private(found: os.stat_result, kind: Callable[[int], bool]) -> bool:
    """Whether it is of that kind, no link, ours, and writable by nobody else."""
    return kind(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def _key(named: tuple[str, ...]) -> str:
    parts = (healerd.__version__, sys.version, _program(), str(Path.cwd()), *named)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:40]


def _program() -> str:
    """The text of everything that makes a rule set of a text, with the schema: rules loaded by other code miss.

    The schema itself is not looked at, because making it costs more than all the rest; the code that makes it stands
    for it.
    """
    digest = hashlib.sha256()
    for path in sorted(_code()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _code() -> Iterator[Path]:
    package, language = Path(healerd.__file__).parent, Path(healerd_rules.__file__).parent
    yield package / "model.py"
    yield package / "decision" / "facts.py"
    yield from language.rglob("*.py")
    yield from language.rglob("*.lark")
    yield from language.rglob("*.heal")


def _read(entry: Path) -> Loaded | None:
    """The entry, if it is ours, whole, and nothing it was made of has changed."""
    try:
        with os.fdopen(os.open(entry, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            if not _private(os.fstat(file.fileno()), stat.S_ISREG):
                return None
            digest, raw = file.read(32), file.read()
        if hashlib.sha256(raw).digest() != digest:
            return None
        trail, loaded = pickle.loads(raw)  # noqa: S301 - our own file, see the top
        if not isinstance(trail, Trail) or not trail.unchanged():
            return None
        kept = pickle.loads(loaded)  # noqa: S301 - as above
        os.utime(entry)
        return kept if isinstance(kept, Loaded) else None
    except _BROKEN:
        return None


def _write(entry: Path, loaded: Loaded) -> None:
    """Keep an entry; a full disk or a read-only one is no reason to fail."""
    try:
        raw = pickle.dumps((loaded.trail, pickle.dumps(replace(loaded, modules=()))))
        handle, name = tempfile.mkstemp(dir=entry.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(raw).digest() + raw)
        Path(name).replace(entry)
        _sweep(entry.parent)
    except (OSError, RecursionError, pickle.PicklingError):
        return


def _sweep(place: Path) -> None:
    """Remove the least recently used entries beyond the bounds, and what a killed call left behind."""
    found = sorted(
        ((path.stat().st_mtime_ns, path) for path in place.iterdir() if path.suffix in (_SUFFIX, ".part")),
        reverse=True,
    )
    total = 0
    for number, (_, path) in enumerate(found):
        total += path.stat().st_size
        if number >= MAX_ENTRIES or total > MAX_BYTES:
            path.unlink(missing_ok=True)
