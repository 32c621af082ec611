"""What an examination is told in: one finding a line, of one patient, and the few mends that are safe to make.

Must never mend what could lose anything or let somebody in: a mend here only takes rights away.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healerd.client.access import Client

if TYPE_CHECKING:
    from healerd.config import Config

__all__ = ["FIXES", "Finding", "Fix", "Patient", "fix_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """A mend that is safe: its name in FIXES, and what it is done to."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report; `mend` is what to do, and empty when all is well; `fix` does it, where that is safe."""

    check: str
    level: str
    said: str
    mend: str = ""
    fix: Fix | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is examined. `config` is None when only a state folder was named; `status` when no daemon answered."""

    state: Path
    client: Client
    config: "Config | None"
    status: Mapping[str, Any] | None
    now: datetime


def fix_of(fix: Fix) -> str:
    """Carry out a mend; give what went wrong, or nothing."""
    try:
        FIXES[fix.name](fix.path)
    except OSError as problem:
        return f"`{fix.path}` cannot be changed: {problem.strerror}; run this as its owner"
    return ""


def _close(path: Path) -> None:
    path.chmod(path.stat().st_mode & 0o770)


def _only_owner_writes(path: Path) -> None:
    path.chmod(path.stat().st_mode & ~0o022)


def _only_owner_reads(path: Path) -> None:
    path.chmod(path.stat().st_mode & 0o700)


FIXES: Mapping[str, Callable[[Path], None]] = {
    "close to others": _close,
    "only its owner writes": _only_owner_writes,
    "only its owner reads": _only_owner_reads,
}
"""What `doctor --fix` may do. Each only takes rights away from others than the owner."""
