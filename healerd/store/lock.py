"""Hold the state folder for one daemon. Must never break another's lock: the kernel frees it when its owner dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from healerd.errors import LockHeld

__all__ = ["LOCK", "held"]

LOCK = "lock"
"""Name of the file that the daemon holds."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold `folder/lock` until the block ends.

    Raises:
        LockHeld: another daemon holds it; the message names its process.
    """
    path = folder / LOCK
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 20).decode("ascii", "replace").strip() or "unknown"
            raise LockHeld(
                f"the state folder `{folder}` is held by another healerd (process {owner}): "
                "stop it first, or name another folder"
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(lock)
