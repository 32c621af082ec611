"""Gives what root made in a state to the account whose state it is. Must never give away what anybody else made.

Root's verbs (`restore`, `audit key --rotate`, `prune`) work on the folder of a daemon that runs under an account of its
own, and it could not open what they leave. The root of a user namespace cannot give anything to an account from outside
it, nor one without the capability to anybody: then it is root's own daemon that has written there before.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["give", "give_open"]


def give(*paths: Path, like: Path) -> None:
    """Let paths, of links the links themselves, belong to the owner and group of `like`, if this is root.

    Raises OSError.
    """
    if os.geteuid() != 0:
        return
    owner = like.stat()
    for path in paths:
        with _if_it_may():
            os.lchown(path, owner.st_uid, owner.st_gid)


def give_open(file: int, *, like: Path) -> None:
    """Let an open file that root made, and that has no other name, belong to the owner and group of `like`.

    Raises OSError.
    """
    found = os.fstat(file)
    if os.geteuid() == found.st_uid == 0 and found.st_nlink == 1:
        owner = like.stat()
        with _if_it_may():
            os.fchown(file, owner.st_uid, owner.st_gid)


@contextmanager
def _if_it_may() -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        if problem.errno not in {errno.EINVAL, errno.EPERM}:
            raise
