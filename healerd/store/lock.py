"""Hold the state folder for one daemon. Must never break another's lock: the kernel frees it when its owner dies.

A process that is stopped, or hangs, still owns its lock: nobody can tell whether it would go on. Should the file itself
be taken away, two may believe that they hold the folder; then the epoch tells which is the newer one.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from healerd.errors import LockHeld, StoreAway, StoreError
from healerd.store.owners import give_open

__all__ = ["LOCK", "held"]

LOCK = "lock"
"""Name of the file that the daemon holds."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold `folder/lock` until the block ends.

    Raises:
        LockHeld: another daemon holds it; the message names its process.
        StoreAway: the file cannot be opened or written.
        StoreError: a link bears its name, which might lead root to a file of anybody's.
    """
    with _named(folder):
        lock = _locked(folder / LOCK)
    try:
        with _named(folder):
            os.ftruncate(lock, 0)
            os.write(lock, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(lock)


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise StoreAway(
            f"the state folder `{folder}` cannot be held: {problem.strerror}; free some disk space, or see who may "
            "write there"
        ) from problem


def _locked(path: Path) -> int:
    """Open and lock the file that bears the name: one that was replaced meanwhile keeps nobody out."""
    while True:
        lock = _opened(path)
        give_open(lock, like=path.parent)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise LockHeld(
                f"the state folder `{path.parent}` is held by another healerd (process {owner}): "
                "stop it first, name another folder, or wait with `healerd run --standby`"
            ) from None
        if _bears_the_name(lock, path):
            return lock
        os.close(lock)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    except OSError as problem:
        if problem.errno == errno.ELOOP:
            raise StoreError(f"the lock `{path}` is a link: take it away; healerd makes a file of its own") from None
        raise


def _bears_the_name(lock: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except FileNotFoundError:
        return False
