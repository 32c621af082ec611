"""Which ids were taken in lately: their hashes are kept, so that files are read only where an id may have come again.

Must never call an id new that is stored: a hash that is known is looked up in the files, and one that is not was never
taken in, unless with a file that cannot be read: that is told. Eight bytes an id; reading the ids of a day of
one-minute windows at each of them would take .25 s of CPU.
"""

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from healerd.columns import Mask, Predictions, Strings
from healerd.errors import SegmentError
from healerd.segments import Segment
from healerd.segments.times import aware
from healerd.store import Reader

__all__ = ["RecentIds"]

log = logging.getLogger("healerd")

PARTS = 16
"""Parts in which what is remembered is forgotten again: each id is looked for in every one."""
Hashes = npt.NDArray[np.int64]


@dataclass(slots=True, kw_only=True)
class RecentIds:
    """The ids of one pipeline that were taken in within `patience`: each part by the time since when it grows.

    `unread` says of segments why their ids are not among them; they are tried again.
    """

    pipeline: str
    patience: timedelta
    unread: dict[Segment, str] = field(default_factory=dict)
    _parts: dict[datetime, Hashes] | None = field(default=None)

    def known(self, reader: Reader, rows: Predictions, at: datetime) -> frozenset[str]:
        """Tell which ids of rows (at least one) are stored, as far back as `patience` before the window of `at`."""
        since = at - self.patience
        if self._parts is None:
            self._parts = {at: np.sort(self._read(reader, reader.segments(self.pipeline, start_at=since)))}
        elif self.unread:
            self._add(self._read(reader, [each for each in self.unread if each.end_at > since]), at)
        self._parts = {start: part for start, part in self._parts.items() if start >= since - self._span}
        hashes = _hashes(rows.ids)
        met = np.zeros(len(hashes), np.bool_)
        for part in self._parts.values():
            met |= _within(hashes, part)
        found = frozenset[str]()
        # What came late before stands among rows of its own time; only what is sent again is looked for in all files.
        for start in (aware(rows.at.min()), since):
            left = tuple(name for name in rows.ids[met] if name not in found)
            found |= self._look_up(reader, left, start) if left else frozenset()
        return found

    def _look_up(self, reader: Reader, met: tuple[str, ...], start: datetime) -> frozenset[str]:
        try:
            return reader.known_ids(self.pipeline, met, start)
        except SegmentError:
            return frozenset(met)  # their hashes were taken in: that another id has one of them is next to impossible

    def add(self, ids: Strings, at: datetime) -> None:
        """Remember ids that were stored with the window of `at`: no earlier, or each new try would add them again."""
        self._add(_hashes(ids), at)

    def _add(self, hashes: Hashes, at: datetime) -> None:
        assert self._parts is not None, "they were looked up before"
        newest = max(self._parts, default=at)
        start = newest if at - newest < self._span else at
        self._parts[start] = np.sort(np.concatenate((self._parts.get(start, _hashes(())), hashes)))

    def _read(self, reader: Reader, segments: Iterable[Segment]) -> Hashes:
        """Read the ids of segments, of one at a time: as text those of days take hundreds of megabytes.

        A file that cannot be read takes its ids with it, not the pipeline: most windows need none of its rows.
        """
        parts, unread = [_hashes(())], dict[Segment, str]()
        for segment in segments:
            try:
                parts.append(_hashes(reader.ids(segment)))
            except SegmentError as error:
                if segment not in self.unread:
                    log.error("`%s`: ids are not known again: %s", self.pipeline, error)
                unread[segment] = str(error)
        self.unread = unread
        return np.concatenate(parts)

    @property
    def _span(self) -> timedelta:
        return self.patience / PARTS


def _hashes(ids: Collection[str]) -> Hashes:
    return np.fromiter(map(hash, ids), np.int64, len(ids))


def _within(wanted: Hashes, part: Hashes) -> Mask:
    """Mark the hashes that stand in a sorted part."""
    return np.searchsorted(part, wanted, side="right") > np.searchsorted(part, wanted, side="left")
