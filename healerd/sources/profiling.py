"""From a source to counts: a stretch of time in parts, each read and counted where there is a worker, then merged.

Must never hold more rows than a part has, nor let the order or the place of the parts change a count.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from itertools import pairwise
from pathlib import Path

from healerd.config import SourceSettings
from healerd.errors import SourceError
from healerd.profiles import Maps, Profile, fit, from_bytes, merge, profile, to_bytes
from healerd.sources.table import TableSource

__all__ = ["PART_ROWS", "Part", "fit_maps", "parts_of", "profile_part", "profile_parts"]

PART_ROWS = 250_000
"""Rows of a part: 20 numeric columns of them are 40 MB, and reading costs more than beginning to read."""
PARTS_MAX = 100_000
AHEAD = 2
"""Parts in the hands of each worker: while one is counted, the next is there."""
TRIES = 3
"""Times that a pool is opened anew when its workers die, before their death counts as the parts' own fault."""

Open = Callable[[], AbstractContextManager[Executor]]


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


def profile_parts(parts: Sequence[Part], maps: Maps, open_workers: Open | None = None, *, workers: int = 1) -> Profile:
    """Count every part and add the counts up: the same profile however many workers, and whoever of them dies.

    Raises:
        SourceError: a part cannot be read, or workers die again and again.
    """
    assert parts, "there is something to count"
    if open_workers is None:
        return reduce(merge, (from_bytes(profile_part(part, maps)) for part in parts))
    done: list[bytes] = []
    for _ in range(TRIES):
        try:
            with open_workers() as executor:
                for counted in _in_turn(executor, parts[len(done) :], maps, ahead=AHEAD * workers):
                    done.append(counted)  # noqa: PERF402 - what is done survives the pool
            return reduce(merge, map(from_bytes, done))
        except BrokenExecutor:
            continue  # a worker died, and the pool with it: the rest is done by a fresh one
    raise SourceError(
        f"workers died {TRIES} times while `{parts[len(done)].folder}` was counted: is there memory for them?"
    )


def _in_turn(executor: Executor, parts: Sequence[Part], maps: Maps, *, ahead: int) -> Iterator[bytes]:
    """Give the counts in the order of the parts, with at most so many of them under way."""
    waiting: deque[Future[bytes]] = deque()
    for part in parts:
        waiting.append(executor.submit(profile_part, part, maps))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _table(settings: SourceSettings, folder: Path) -> TableSource:
    if settings.kind not in {"table", "duckdb"}:
        raise SourceError(f"a source of kind `{settings.kind}` is not read in parts: `table` and `duckdb` are")
    return TableSource(settings, folder, lambda: "unknown")
