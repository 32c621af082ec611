"""The only reader of the wall clock. Must never be bypassed: everything else is handed a `Clock`."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

__all__ = ["Clock", "Instant", "ManualClock", "SystemClock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """One reading of a clock: wall time (aware UTC), seconds since boot, and which boot."""

    at: datetime
    boot_s: float
    boot_id: str


class Clock(Protocol):
    """What tells the time."""

    def read(self) -> Instant:
        """Read wall time, boot time and boot id together."""
        ...

    def now(self) -> datetime:
        """Read the wall time as an aware UTC datetime."""
        ...


class SystemClock:
    """The machine's clocks; boot time keeps counting while the machine sleeps."""

    def __init__(self) -> None:
        source = Path("/proc/sys/kernel/random/boot_id")
        self._boot_id = source.read_text(encoding="ascii").strip() if source.exists() else "unknown"

    def read(self) -> Instant:
        """Read wall time, boot time and boot id together."""
        return Instant(at=self.now(), boot_s=_boot_s(), boot_id=self._boot_id)

    def now(self) -> datetime:
        """Read the wall time as an aware UTC datetime."""
        return datetime.now(UTC)  # noqa: TID251 - the one place


class ManualClock:
    """A clock that moves when told: for tests, `try` and the demo."""

    def __init__(self, at: datetime, *, boot_s: float = 0.0, boot_id: str = "manual") -> None:
        if at.tzinfo is None:
            raise ValueError("a clock needs an aware datetime")
        self._at, self._boot_s, self._boot_id = at.astimezone(UTC), boot_s, boot_id

    def read(self) -> Instant:
        """Read wall time, boot time and boot id together."""
        return Instant(at=self._at, boot_s=self._boot_s, boot_id=self._boot_id)

    def now(self) -> datetime:
        """Read the wall time as an aware UTC datetime."""
        return self._at

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass on both clocks."""
        if seconds < 0:
            raise ValueError("time passes forwards; use `jump` for a wall clock that is set back")
        self._at += timedelta(seconds=seconds)
        self._boot_s += seconds

    def advance_to(self, at: datetime) -> None:
        """Let time pass until `at`; nothing happens when `at` is already past."""
        self.advance(max(0.0, (at - self._at).total_seconds()))

    def jump(self, seconds: float) -> None:
        """Set the wall clock forwards or back while no time passes."""
        self._at += timedelta(seconds=seconds)

    def reboot(self, boot_id: str) -> None:
        """Start counting boot time anew, as after a restart of the machine."""
        self._boot_s, self._boot_id = 0.0, boot_id


def _boot_s() -> float:
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
