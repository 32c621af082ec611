"""From a source to counts: a stretch of time in parts, each read and counted where there is a worker, then merged.

Must never hold more rows than a part has, nor let the order or the place of the parts change a count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial, reduce
from itertools import pairwise
from pathlib import Path

from healerd.config import SourceSettings
from healerd.errors import SourceError
from healerd.profiles import Maps, Profile, fit, from_bytes, merge, profile, to_bytes
from healerd.sources.table import TableSource
from healerd.workers import ALONE, Crew, carry_out

__all__ = ["PART_ROWS", "Part", "fit_maps", "parts_of", "profile_part", "profile_parts"]

PART_ROWS = 250_000
"""Rows of a part: 20 numeric columns of them are 40 MB, and reading costs more than beginning to read."""
PARTS_MAX = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one worker reads and counts: [start_at, end_at) of a source. The worker must find the source's files."""

    settings: SourceSettings
    folder: str
    start_at: datetime
    end_at: datetime


def parts_of(
    settings: SourceSettings, folder: Path, start_at: datetime, end_at: datetime, *, rows: int = PART_ROWS
) -> Sequence[Part]:
    """Cut a stretch of time into parts of about so many rows; rows are taken to come at an even rate.

    Raises:
        SourceError: the source is no table, cannot be read, or has no rows there.
    """
    count, oldest, newest = _table(settings, folder).span(start_at, end_at)
    if not count:
        raise SourceError(f"no rows from {start_at:%Y-%m-%d %H:%M} to {end_at:%Y-%m-%d %H:%M}: see `source probe`")
    number = min(PARTS_MAX, -(-count // rows))
    length = (newest - oldest) / number
    cuts = [oldest + length * k for k in range(number)] + [newest + timedelta(microseconds=1)]
    return [
        Part(settings=settings, folder=str(folder), start_at=start, end_at=end)
        for start, end in pairwise(cuts)
        if start < end
    ]


def fit_maps(parts: Sequence[Part]) -> Maps:
    """Fit how values are counted to the rows of the first part that has some."""
    for part in parts:
        columns = _table(part.settings, Path(part.folder)).inputs(part.start_at, part.end_at)
        if columns and len(next(iter(columns.values()))):
            return fit(columns)
    raise SourceError("no part has rows to fit to")


def profile_part(part: Part, maps: Maps) -> bytes:
    """Read and count one part; a worker's whole task."""
    columns = _table(part.settings, Path(part.folder)).inputs(part.start_at, part.end_at)
    return to_bytes(profile(columns, maps))


def profile_parts(parts: Sequence[Part], maps: Maps, crew: Crew = ALONE) -> Profile:
    """Count every part and add the counts up: the same profile however many workers, and whoever of them dies.

    Raises:
        SourceError: a part cannot be read, or workers die again and again.
    """
    assert parts, "there is something to count"
    return reduce(merge, map(from_bytes, carry_out(partial(profile_part, maps=maps), parts, crew)))


def _table(settings: SourceSettings, folder: Path) -> TableSource:
    if settings.kind not in {"table", "duckdb"}:
        raise SourceError(f"a source of kind `{settings.kind}` is not read in parts: `table` and `duckdb` are")
    return TableSource(settings, folder, lambda: "unknown")
