"""What somebody is still writing at the end of a CSV file. Must never take half a line for a row: half a number is one.

A reading takes a file as it is at some moment between its beginning and its end, so what was not a whole line before,
or came meanwhile, may have been read in part.
"""

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

from healerd.clock import SystemClock
from healerd.errors import SourceError

__all__ = ["QUIET_S", "ends_of", "lies_before", "written_since"]

Row = Mapping[str, str]
"""The fields of a line, as far as it goes, by the names of their columns."""

QUIET_S = 60.0
"""A file that nobody has changed for so long is done, whether its last line has an end or not."""
TAIL_BYTES = 2**20
"""The most that may be written during a reading, and the longest line that is looked for."""


def ends_of(files: Sequence[str]) -> Mapping[Path, int]:
    """Find where the whole lines of each file of plain text end; of one that lies quiet, all that it holds is whole.

    Raises:
        SourceError: a file cannot be read any more.
    """
    ends = {}
    for file in map(Path, files):
        if file.suffix in {".gz", ".parquet", ".pq"}:
            continue
        with _read(file), file.open("rb") as opened:
            about = os.fstat(opened.fileno())
            ends[file] = about.st_size
            if abs(SystemClock().now().timestamp() - about.st_mtime) <= QUIET_S:
                start = max(0, about.st_size - TAIL_BYTES)
                opened.seek(start)
                ends[file] = start + opened.read(about.st_size - start).rfind(b"\n") + 1
    return ends


def written_since(ends: Mapping[Path, int], header_of: Callable[[Path], tuple[str, list[str]]]) -> list[Row]:
    """Give each line, whole or not, that stands beyond the ends found before; `header_of` tells delimiter and names.

    Raises:
        SourceError: a file cannot be read any more, was cut, or grew by more than 1 MiB meanwhile.
    """
    rows: list[Row] = []
    for file, end in ends.items():
        with _read(file), file.open("rb") as opened:
            opened.seek(end)
            tail = opened.read(TAIL_BYTES)
            if len(tail) == TAIL_BYTES or os.fstat(opened.fileno()).st_size < end:
                raise SourceError(f"`{file}` is written faster than it can be read; let its writer close it first")
        if tail:
            delimiter, names = header_of(file)
            lines = csv.reader(StringIO(tail.decode("utf-8", "replace")), delimiter=delimiter)
            rows += [dict(zip(names, fields, strict=False)) for fields in lines if fields]
    return rows


def lies_before(row: Row, time: str, end_at: datetime) -> bool:
    """Tell whether a line may be of before `end_at`: its time is, or cannot be read."""
    try:
        at = datetime.fromisoformat(row.get(time, ""))
    except ValueError:
        return True
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) < end_at


@contextmanager
def _read(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise SourceError(f"the file `{file}` cannot be read: {problem.strerror}") from problem
