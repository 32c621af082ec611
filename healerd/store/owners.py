"""Gives what root made in a state to the account whose state it is. Must never give away what anybody else made.

Root's verbs (`restore`, `audit key --rotate`, `prune`) work on the folder of a daemon that runs under an account of its
own, and it could not open what they leave.
"""

import os
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
        os.lchown(path, owner.st_uid, owner.st_gid)


def give_open(file: int, *, like: Path) -> None:
    """Let an open file that root has made belong to the owner and group of `like`, if this is root. Raises OSError."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)
