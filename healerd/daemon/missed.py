"""Windows in which no row was found are looked at again: a source that was down may bring their rows hours later.

Must never hold a window up: what cannot be read again now is tried at the next one. The rows are kept as late ones,
and judge nothing.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from healerd.columns import Predictions, take, window_starts
from healerd.daemon.kinds import aligned
from healerd.daemon.pipeline import Pipeline
from healerd.errors import SourceError
from healerd.model import Window
from healerd.segments import Segment

__all__ = ["apart", "look_again"]

log = logging.getLogger("healerd")

Stretch = tuple[datetime, datetime]
STRETCHES_MAX = 8
"""Empty stretches that are looked at again at one tick, the newest first: each costs a query."""


def look_again(pipeline: Pipeline, window: Window) -> Sequence[Predictions]:
    """Read the rows of judged windows that had none, as far back as `source.catch_up`; mostly there are none."""
    found = list[Predictions]()
    for start, end in _empty(pipeline, window)[-STRETCHES_MAX:]:
        try:
            found.append(aligned(pipeline, pipeline.source.fetch(start, end)))
        except SourceError as error:
            log.warning("`%s`: what may have been missed from %s on cannot be read: %s", pipeline.name, start, error)
    return [each for each in found if len(each)]


def apart(rows: Predictions, window_s: float) -> Iterator[Predictions]:
    """Cut rows where a window between them has none, so that no segment reaches over an empty window."""
    numbers = window_starts(rows.at, window_s)
    kept = np.unique(numbers)
    for run in np.split(kept, np.flatnonzero(np.diff(kept) > 1) + 1):
        yield take(rows, (numbers >= run[0]) & (numbers <= run[-1]))


def _empty(pipeline: Pipeline, window: Window) -> Sequence[Stretch]:
    """List the stretches of judged windows that no segment reaches into, the oldest first."""
    source, window_s = pipeline.settings.source, pipeline.settings.window
    own = window.start_at.timestamp()
    # What `late` covers is read anyway.
    first, end = int((own - source.catch_up) // window_s), int((own - source.late_s) // window_s)
    if first >= end:
        return ()
    held = pipeline.store.segments(pipeline.name, start_at=_at(first, window_s), end_at=_at(end, window_s))
    full = {number for each in held for number in _numbers(each, window_s)}
    empty = [number for number in range(first, end) if number not in full]
    begun = _begun(pipeline) if empty else None
    since = 0.0 if begun is None else begun.timestamp()
    return _joined([number for number in empty if number * window_s >= since], window_s)


def _numbers(segment: Segment, window_s: float) -> range:
    """Number the windows that a segment reaches into; its end lies behind its last row."""
    last = segment.end_at - timedelta(microseconds=1)
    return range(int(segment.start_at.timestamp() // window_s), int(last.timestamp() // window_s) + 1)


def _joined(numbers: Sequence[int], window_s: float) -> Sequence[Stretch]:
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number:
            found[-1] = (found[-1][0], number + 1)
        else:
            found.append((number, number + 1))
    return [(_at(start, window_s), _at(end, window_s)) for start, end in found]


def _at(number: int, window_s: float) -> datetime:
    return datetime.fromtimestamp(number * window_s, UTC)


def _begun(pipeline: Pipeline) -> datetime | None:
    """Tell from when on windows of the pipeline are judged: its first watermark; None where nobody can tell."""
    first = pipeline.store.leaves(kind="watermark", pipeline=pipeline.name, limit=1)
    said = first[0].record if first else None
    return datetime.fromisoformat(said["end_at"]) if isinstance(said, dict) and "end_at" in said else None
