"""Take a closed window's predictions, and the labels that came since, out of the source and into segments.

Must never count a row twice, drop one silently, or let a file count before the manifest has it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from healerd.columns import Labels, Predictions, is_missing, take
from healerd.daemon.pipeline import Pipeline
from healerd.model import Window
from healerd.segments import Segment
from healerd.segments.times import naive
from healerd.store import Reader

__all__ = ["Arrived", "ingest"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrived:
    """What a tick took in: the window's own rows, the segments to put on the manifest, and what was noticed.

    `late` rows belong to windows that are judged already: they are kept and counted, and may be labelled and trained
    on, but no window is judged twice. `repeated` rows of the window have an id that is known already, and are left out;
    those of earlier windows are only looked at again.
    """

    rows: Predictions
    segments: tuple[Segment, ...]
    late: int
    repeated: int
    labels: int


def ingest(pipeline: Pipeline, window: Window, *, now: datetime) -> Arrived:
    """Read the window's rows and the labels that may have come, and write what is not stored yet as segments.

    Raises SourceError when the source cannot be read, StoreError when a segment cannot be written.
    """
    store, source, settings = pipeline.store, pipeline.source, pipeline.settings
    fetched = source.fetch(window.start_at - timedelta(seconds=settings.source.late), window.end_at)
    fresh = _unknown(store, window, fetched)
    own = fresh.at >= naive(window.start_at)
    segments = [store.keep_rows(window.pipeline, take(fresh, which)) for which in (own, ~own) if which.any()]
    labels = _new_labels(pipeline, window, now=now, fresh=fresh)
    if len(labels):
        segments.append(store.keep_labels(window.pipeline, labels))
    return Arrived(
        rows=take(fresh, own),
        segments=tuple(segments),
        late=int((~own).sum()),
        repeated=int((fetched.at >= naive(window.start_at)).sum() - own.sum()),
        labels=len(labels) + int((~is_missing(fresh.label)).sum()),
    )


def _unknown(reader: Reader, window: Window, fetched: Predictions) -> Predictions:
    """Keep the first row of each id that is not stored yet."""
    if not len(fetched):
        return fetched
    _, first = np.unique(fetched.ids.astype(str), return_index=True)
    once = take(fetched, np.sort(first))
    start = once.at.min().astype("datetime64[us]").astype(datetime)
    known = reader.known_ids(window.pipeline, tuple(once.ids), start.replace(tzinfo=window.start_at.tzinfo))
    return take(once, np.fromiter((each not in known for each in once.ids), np.bool_, len(once)))


def _new_labels(pipeline: Pipeline, window: Window, *, now: datetime, fresh: Predictions) -> Labels:
    """Keep the first label of each row that has none yet."""
    patience_s = pipeline.settings.label_horizon + pipeline.settings.source.late
    since = window.start_at - timedelta(seconds=patience_s)
    found = pipeline.source.labels(since, window.end_at, now)
    if not len(found):
        return found
    stored = pipeline.rows(since, window.start_at, as_of=now)
    waiting = {*stored.ids[is_missing(stored.label)], *fresh.ids[is_missing(fresh.label)]}
    _, first = np.unique(found.ids.astype(str), return_index=True)
    kept = np.sort(first)
    kept = kept[np.fromiter((each in waiting for each in found.ids[kept]), np.bool_, len(kept))]
    return Labels(ids=found.ids[kept], label=found.label[kept], at=found.at[kept])
