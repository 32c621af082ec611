"""Notices that the wall clock was set: while a daemon runs, and between the newest line of its record and its start.

Must never take it that time passed because the wall clock says so: the time since boot tells, which nobody can set, and
over a reboot nothing does (SAFETY S16).
"""

from dataclasses import dataclass

from healerd.audit import Entry
from healerd.clock import Instant
from healerd.daemon.situations import CLOCK_SET, REBOOTED
from healerd.store import Reader

__all__ = ["ClockGuard", "Meanwhile", "meanwhile"]

JUMP_S = 2.0
"""Clocks that are kept by slewing never differ by so much at once; one that was set does."""
OF_A_DAEMON = ("watermark", CLOCK_SET, REBOOTED)
"""Leaves that only a daemon writes, whose own guard watched the clock until then; a verb's leaf would hide a jump."""


class ClockGuard:
    """Compares the wall clock with the time since boot, which nobody can set (SAFETY S16)."""

    def __init__(self, start: Instant) -> None:
        self._last = self._before = start

    def check(self, now: Instant) -> float:
        """Say by how many seconds the wall clock was set since the last jump, or 0.0; negative is backwards.

        Small steps add up until they are a jump. A machine that slept has not jumped: both clocks went on.
        """
        wall_s = (now.at - self._last.at).total_seconds()
        jumped_s = wall_s - (now.boot_s - self._last.boot_s)
        if abs(jumped_s) <= JUMP_S:
            return 0.0
        self._before, self._last = self._last, now
        return jumped_s

    def tell_again(self) -> None:
        """Take back the newest jump: it could not be written down, and the next check tells it again."""
        self._last = self._before


@dataclass(frozen=True, slots=True, kw_only=True)
class Meanwhile:
    """What the clocks did while no daemon ran: by how much the wall clock was set, or how long nobody knows anything.

    `uncounted_s` is what the wall clock alone says of the time since the record, beyond the time since boot: it may
    have been set, and the cautious reading is that it did not pass. Negative where the clock is behind the record.
    """

    set_s: float = 0.0
    uncounted_s: float = 0.0


def meanwhile(reader: Reader, now: Instant) -> Meanwhile:
    """Compare the clocks with those of the newest leaves; nothing where the record begins or tells nothing."""
    # One kind after the other: for several at once all of their leaves would be sorted, which are the record's windows.
    newest = [leaf for kind in OF_A_DAEMON for leaf in reader.leaves(kind=kind, newest_first=True, limit=1)]
    last = max(newest, key=lambda leaf: leaf.seq, default=None)
    if last is None:
        return Meanwhile()
    if _same_boot(last, now):
        return Meanwhile(set_s=ClockGuard(_instant(last)).check(now))
    later = reader.leaves(after=last.seq, newest_first=True)
    before = next((leaf for leaf in later if not _same_boot(leaf, now)), last)
    passed_s = (now.at - before.at).total_seconds()
    # A boot that is older than the record may be another machine's: of the time since the record it then says nothing.
    uncounted_s = passed_s - (now.boot_s if now.boot_s <= passed_s else 0.0)
    # Behind the record every step counts: a line in the future would stay there when the clock is set right.
    return Meanwhile(uncounted_s=uncounted_s if uncounted_s < 0.0 or uncounted_s > JUMP_S else 0.0)


def _same_boot(leaf: Entry, now: Instant) -> bool:
    return leaf.boot_id == now.boot_id and leaf.boot_s <= now.boot_s


def _instant(leaf: Entry) -> Instant:
    return Instant(at=leaf.at, boot_s=leaf.boot_s, boot_id=leaf.boot_id)
