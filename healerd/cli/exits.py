"""What a verb ends with. Must never be reused with another meaning: scripts depend on it.

`healerd run` alone has codes of its own, those of sysexits.h (`healerd.daemon.app.RunExit`).
"""

from enum import IntEnum

__all__ = ["Exit"]


class Exit(IntEnum):
    """The exit codes of every verb but `run`."""

    OK = 0
    FAILED = 1
    USAGE = 2
    """A wrong option or a wrong configuration."""
    AWAY = 3
    """The daemon cannot be reached."""
    NOT_ALLOWED = 4
    NOT_FOUND = 5
    CONFLICT = 6
    """Already decided, or changed since it was looked at."""
    CHECK_FAILED = 7
    """The audit log, the rules or the installation did not pass."""
    CONDITION_TRUE = 8
    """With --exit-status: something waits for a person, is wrong, or is not proven better."""
    TIMED_OUT = 124
    INTERRUPTED = 130
