"""Take a closed window's predictions, and the labels that came since, out of the source and into segments.

Must never count a row twice, drop one silently, or let a file count before the manifest has it.
"""

from collections.abc import Container, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from healerd.columns import Column, Kind, Labels, Mask, Predictions, Strings, is_missing, kind_of, take
from healerd.daemon.kinds import aligned, number_in
from healerd.daemon.missed import apart, look_again
from healerd.daemon.pipeline import Pipeline
from healerd.model import Window
from healerd.segments import Segment
from healerd.segments.spool import SUBSTITUTE
from healerd.segments.times import aware, naive
from healerd.sources import Lossy

__all__ = ["Arrived", "ingest"]

NAMED_MIN = 20
"""Ids of a window that can tell what ids name: some rows that are sent again are no pattern."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrived:
    """What a tick took in: the window's own rows, the segments to put on the manifest, and what was noticed.

    `ids` are those of all rows in the segments, to be remembered once these are on the manifest. `late` rows belong to
    windows that are judged already, some of which had none before: they are kept and counted, and may be labelled and
    trained on, but no window is judged twice. `repeated` rows of the window have an id that is known already, and are
    left out; those of earlier windows are only looked at again. `doubled` ones have the id of another row that was read
    with them, whichever was known before. `early` are the ids of the window's rows whose label was known before they
    were predicted: that is no truth about a prediction, and left out.
    `unreadable` are the ids of rows whose label cannot be read as the kind of the outputs: it is left out too.
    Of the `named` ids of the window's rows, `recurring` ones were served in an earlier window. `lost` rows were served
    in the window and could not be recorded; `substituted` ones no model answered. `alone` says that `rows`, with the
    labels that they brought, are all that is stored of the window.
    """

    rows: Predictions
    segments: tuple[Segment, ...]
    ids: tuple[Strings, ...]
    late: int
    repeated: int
    doubled: int
    named: int
    recurring: int
    labels: int
    early: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    lost: int = 0
    substituted: int = 0
    alone: bool = False

    @property
    def irregular(self) -> bool:
        """Tell whether there is anything to say about the rows."""
        told = self.early or self.unreadable
        return bool(self.late or self.repeated or told or self.lost or self.substituted)

    @property
    def names_no_rows(self) -> bool:
        """Tell whether most ids came in an earlier window: as a customer's does, who is asked about each day."""
        return self.named >= NAMED_MIN and 2 * self.recurring > self.named


def ingest(pipeline: Pipeline, window: Window, *, now: datetime) -> Arrived:
    """Read the window's rows and the labels that may have come, and write what is not stored yet as segments.

    Raises SourceError when the source cannot be read, StoreError when a segment cannot be written.
    """
    store, source, settings = pipeline.store, pipeline.source, pipeline.settings
    fetched = source.fetch(window.start_at - timedelta(seconds=settings.source.late_s), window.end_at)
    fetched = aligned(pipeline, fetched)
    before = store.segments(window.pipeline, start_at=window.start_at, end_at=window.end_at)
    fresh = _unknown(pipeline, window, fetched)
    own = fresh.at >= naive(window.start_at)
    read = fetched.ids[fetched.at >= naive(window.start_at)]
    named = set(read)
    fresh, *missed = _as_known(pipeline, window, (fresh, *_missed(pipeline, window, fresh)), now)
    came_late = [each for each in (take(fresh, ~own), *missed) if len(each)]
    parts = [take(fresh, own), *(part for each in came_late for part in apart(each, settings.window))]
    parts = [part for part in parts if len(part)]
    segments = [store.keep_rows(window.pipeline, part) for part in parts]
    labels, early, unreadable = _new_labels(pipeline, window, now=now, fresh=(fresh, *missed))
    if len(labels):
        segments.append(store.keep_labels(window.pipeline, labels))
    return Arrived(
        rows=take(fresh, own),
        segments=tuple(segments),
        ids=tuple(part.ids for part in parts),
        late=sum(map(len, came_late)),
        repeated=len(read) - int(own.sum()),
        doubled=len(read) - len(named),
        named=len(named),
        recurring=len(_recurring(pipeline, window, named - set(fresh.ids[own]))),
        labels=len(labels) + sum(int((~is_missing(each.label)).sum()) for each in (fresh, *missed)),
        early=early,
        unreadable=unreadable,
        lost=source.lost(window.start_at, window.end_at) if isinstance(source, Lossy) else 0,
        substituted=int(np.count_nonzero(fresh.version[own] == SUBSTITUTE)),
        alone=bool(own.any()) and not before and not set(labels.ids) & set(fresh.ids[own]),
    )


def _missed(pipeline: Pipeline, window: Window, fresh: Predictions) -> Sequence[Predictions]:
    """Read what windows without rows hold now, beside the rows that are `fresh`: of all of it, each id once."""
    found, beside = list[Predictions](), set(fresh.ids)
    for each in look_again(pipeline, window):
        found.append(_unknown(pipeline, window, each, beside))
        beside |= set(found[-1].ids)
    return found


def _unknown(
    pipeline: Pipeline, window: Window, fetched: Predictions, beside: AbstractSet[str] = frozenset()
) -> Predictions:
    """Keep the first row of each id that is neither stored yet, as far back as rows and labels are waited for, nor
    among those that are taken in `beside` them."""
    if not len(fetched):
        return fetched
    once = take(fetched, _firsts(fetched.ids))
    known = pipeline.recent.known(pipeline.store, once, window.start_at) | beside
    return take(once, np.fromiter((each not in known for each in once.ids), np.bool_, len(once)))


def _recurring(pipeline: Pipeline, window: Window, left_out: AbstractSet[str]) -> AbstractSet[str]:
    """Keep the ids that were served before the window: its own are left out too, where it is tried once more."""
    return left_out - pipeline.store.known_ids(window.pipeline, left_out, window.start_at, window.end_at)


def _as_known(pipeline: Pipeline, window: Window, parts: Sequence[Predictions], now: datetime) -> Sequence[Predictions]:
    """Leave out the labels of a column while windows are caught up on: which of them were known by the end of this one
    nobody can tell, and `_new_labels` finds them all. A `label_horizon` of 0 says that rows come with theirs."""
    source = pipeline.settings.source
    filled_in = source.label and not source.labels and pipeline.settings.label_horizon
    if not filled_in or _closed_at(pipeline, window, now) == window.end_at:
        return parts
    nothing = {"categorical": None, "numeric": np.nan}
    return [replace(rows, label=np.full_like(rows.label, nothing[kind_of(rows.label)])) for rows in parts]


def _firsts(ids: Strings) -> npt.NDArray[np.intp]:
    """The places at which ids stand first: an array of fixed width would pay the length of the longest for each."""
    first: dict[str, int] = {}
    for place, name in enumerate(ids):
        first.setdefault(name, place)
    return np.fromiter(first.values(), np.intp, len(first))


def _new_labels(
    pipeline: Pipeline, window: Window, *, now: datetime, fresh: Sequence[Predictions]
) -> tuple[Labels, tuple[str, ...], tuple[str, ...]]:
    """Keep the first label of each row that has none yet, as the kind of the outputs.

    Names as well the fresh rows whose label came before them, and the rows whose label cannot be read as that kind.
    """
    patience_s = pipeline.settings.label_horizon + pipeline.settings.source.late_s
    since = min([window.start_at - timedelta(seconds=patience_s), *(aware(one.at.min()) for one in fresh if len(one))])
    found = pipeline.source.labels(since, window.end_at, now)
    if not len(found):
        return found, (), ()
    stored = pipeline.rows(since, window.start_at, as_of=now)
    unlabelled = (take(rows, is_missing(rows.label)) for rows in (stored, *fresh))
    waiting = {id_: at for rows in unlabelled for id_, at in zip(rows.ids, rows.at, strict=True)}
    found, unreadable = _of_kind(found, _kind(stored, *fresh))
    before = (at < waiting.get(id_, at) for id_, at in zip(found.ids, found.at, strict=True))
    early = np.fromiter(before, np.bool_, len(found))
    too_soon = set(found.ids[early])
    told = tuple(id_ for rows in fresh for id_ in rows.ids if id_ in too_soon)
    found = _first_seen(_which(found, ~early), _closed_at(pipeline, window, now), now)
    by_time = np.argsort(found.at, kind="stable")
    kept = np.sort(by_time[_firsts(found.ids[by_time])])
    kept = kept[np.fromiter((each in waiting for each in found.ids[kept]), np.bool_, len(kept))]
    misread = _new(unreadable, waiting, {id_ for rows in fresh for id_ in rows.ids}, window, now)
    return _which(found, kept), told, misread


def _closed_at(pipeline: Pipeline, window: Window, now: datetime) -> datetime:
    """Tell when the newest window that is closed by now ended: mostly this one, a later one while catching up."""
    length = window.end_at - window.start_at
    return window.end_at + length * max(0, (now - pipeline.settle - window.end_at) // length)


def _first_seen(labels: Labels, closed_at: datetime, now: datetime) -> Labels:
    """Let the labels that say no time of their own count from the newest closed window on, and in no earlier one.

    A window is looked at after its end. With the time of the reading they would count in no look but the next one,
    which is too late for the cohort that matures here.
    """
    return replace(labels, at=np.where(labels.at >= naive(now), naive(closed_at), labels.at))


def _kind(*parts: Predictions) -> Kind | None:
    """Tell the kind of the outputs, which is that of all rows once they are aligned; None where there are none."""
    return next((kind_of(rows.output) for rows in parts if len(rows)), None)


def _of_kind(labels: Labels, kind: Kind | None) -> tuple[Labels, Labels]:
    """Give the labels as the kind of the outputs, and those apart that cannot be read as that: a label of another kind
    among the stored ones would make all of them unreadable."""
    if kind in {None, kind_of(labels.label)}:
        return labels, _which(labels, np.zeros(len(labels), np.bool_))
    if kind == "categorical":
        gone = is_missing(labels.label)
        texts = [None if none else f"{value:.17g}" for value, none in zip(labels.label, gone, strict=True)]
        return replace(labels, label=np.array(texts, np.object_)), _which(labels, np.zeros(len(labels), np.bool_))
    numbers = [number_in(value) for value in labels.label]
    bad = np.fromiter((number is None for number in numbers), np.bool_, len(labels))
    read = np.array([np.nan if number is None else number for number in numbers], np.float64)
    return _which(replace(labels, label=read), ~bad), _which(labels, bad)


def _which(labels: Labels, which: Mask | Column) -> Labels:
    return Labels(ids=labels.ids[which], label=labels.label[which], at=labels.at[which])


def _new(
    labels: Labels, waiting: Container[str], fresh: Container[str], window: Window, now: datetime
) -> tuple[str, ...]:
    """Name the unlabelled rows whose label is seen first in this window: it is found again in those that follow.

    A label without a time of its own has that of the reading, and is named each time.
    """
    start, end, read_at = naive(window.start_at), naive(window.end_at), naive(now)
    told = (
        id_
        for id_, at in zip(labels.ids, labels.at, strict=True)
        if id_ in waiting and (at >= read_at or (at < end and (at >= start or id_ in fresh)))
    )
    return tuple(dict.fromkeys(told))
