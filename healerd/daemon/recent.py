"""Which ids were taken in lately: their hashes are kept, so that files are read only where an id may have come again.

Must never call an id new that is stored: a hash that is known is looked up in the files, and one that is not was never
taken in. Eight bytes an id; reading the ids of a day of one-minute windows at each of them would take .25 s of CPU.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from healerd.columns import Mask, Predictions, Strings
from healerd.segments.times import aware
from healerd.store import Reader

__all__ = ["RecentIds"]

PARTS = 16
"""Parts in which what is remembered is forgotten again: each id is looked for in every one."""
Hashes = npt.NDArray[np.int64]


@dataclass(slots=True, kw_only=True)
class RecentIds:
    """The ids of one pipeline that were taken in within `patience`: each part by the time since when it grows."""

    pipeline: str
    patience: timedelta
    _parts: dict[datetime, Hashes] | None = field(default=None)

    def known(self, reader: Reader, rows: Predictions, at: datetime) -> frozenset[str]:
        """Tell which ids of rows (at least one) are stored, as far back as `patience` before the window of `at`."""
        since = at - self.patience
        if self._parts is None:
            self._parts = {at: self._stored(reader, since)}
        self._parts = {start: part for start, part in self._parts.items() if start >= since - self._span}
        hashes = _hashes(rows.ids)
        met = np.zeros(len(hashes), np.bool_)
        for part in self._parts.values():
            met |= _within(hashes, part)
        found = frozenset[str]()
        # What came late before stands among rows of its own time; only what is sent again is looked for in all files.
        for start in (aware(rows.at.min()), since):
            left = tuple(name for name in rows.ids[met] if name not in found)
            found |= reader.known_ids(self.pipeline, left, start) if left else frozenset()
        return found

    def add(self, ids: Strings, at: datetime) -> None:
        """Remember ids that were stored with the window of `at`: no earlier, or each new try would add them again."""
        assert self._parts is not None, "they were looked up before"
        newest = max(self._parts, default=at)
        start = newest if at - newest < self._span else at
        self._parts[start] = np.sort(np.concatenate((self._parts.get(start, _hashes(())), _hashes(ids))))

    def _stored(self, reader: Reader, since: datetime) -> Hashes:
        """Read what is stored, a segment at a time: as text the ids of days take hundreds of megabytes."""
        parts = [_hashes(reader.ids(each)) for each in reader.segments(self.pipeline, start_at=since)]
        return np.sort(np.concatenate([_hashes(()), *parts]))

    @property
    def _span(self) -> timedelta:
        return self.patience / PARTS


def _hashes(ids: Collection[str]) -> Hashes:
    return np.fromiter(map(hash, ids), np.int64, len(ids))


def _within(wanted: Hashes, part: Hashes) -> Mask:
    """Mark the hashes that stand in a sorted part."""
    return np.searchsorted(part, wanted, side="right") > np.searchsorted(part, wanted, side="left")
