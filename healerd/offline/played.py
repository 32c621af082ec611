"""A store whose rows live in memory, for offline runs that are played to their end at once, many times over.

Must never differ from the store on disk in anything that is read back: records, leaves and the order of rows are the
same; only the files of rows are not written. A run that is broken off cannot go on.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from healerd.columns import Labels, Mask, Predictions, Strings, Times, concatenate, is_missing, kind_of, take
from healerd.segments import ColumnSpec, Content, Segment
from healerd.segments.read import Selection, no_rows
from healerd.segments.times import aware, naive
from healerd.store import Store

__all__ = ["PlayedStore"]

NEVER = np.datetime64("NaT", "us")


@dataclass(slots=True, kw_only=True, eq=False)
class Part:
    """Rows that were taken in together, with the labels that came since, and when each became known."""

    rows: Predictions
    known_at: Times


class PlayedStore(Store):
    """Keeps records on disk as every store does, and rows in memory."""

    def __init__(self, *args: Any) -> None:
        """Start without rows. The arguments are those of every store."""
        super().__init__(*args)
        self._parts: dict[str, list[Part]] = defaultdict(list)
        self._places: dict[str, dict[str, tuple[Part, int]]] = defaultdict(dict)

    def keep_rows(self, pipeline: str, rows: Predictions) -> Segment:
        """Keep predictions (at least one) as the newest part."""
        kept = replace(rows, label=rows.label.copy())
        part = Part(rows=kept, known_at=np.full(len(rows), NEVER, dtype="datetime64[us]"))
        self._parts[pipeline].append(part)
        places = self._places[pipeline]
        for place, name in enumerate(rows.ids):
            places.setdefault(name, (part, place))
        columns = {"output": rows.output, **rows.features}
        specs = tuple(ColumnSpec(name=name, stored=name, kind=kind_of(column)) for name, column in columns.items())
        return self._segment(pipeline, Content.PREDICTIONS, rows.at, specs)

    def keep_labels(self, pipeline: str, labels: Labels) -> Segment:
        """Write late labels (at least one) beside their rows; the first that became known counts."""
        places = self._places[pipeline]
        for name, label, at in zip(labels.ids, labels.label, labels.at, strict=True):
            part, place = places[name]
            there = part.rows.label[place]
            if there is None or there != there:  # noqa: PLR0124 - missing: None, or NaN, which no number equals
                part.rows.label[place], part.known_at[place] = label, at
        specs = (ColumnSpec(name="label", stored="label", kind=kind_of(labels.label)),)
        return self._segment(pipeline, Content.LABELS, labels.at, specs)

    def ids(self, segment: Segment) -> Strings:
        """Give the ids of all predictions of the segment's pipeline: nobody asks which are whose."""
        return np.array(list(self._places[segment.pipeline]), np.object_)

    def known_ids(
        self,
        pipeline: str,
        ids: Collection[str],
        start_at: datetime,
        end_at: datetime | None = None,
        *,
        content: Content = Content.PREDICTIONS,
    ) -> frozenset[str]:
        """Tell which of the ids have a prediction already."""
        assert content is Content.PREDICTIONS, "labels are asked for by their rows"
        return frozenset(self._places[pipeline].keys() & set(ids))

    def _rows(self, pipeline: str, selection: Selection) -> Predictions:
        """Read rows in the order of time, as the store on disk does."""
        parts = self._parts[pipeline]
        if not parts:
            return no_rows()
        low, high = naive(selection.start_at), naive(selection.end_at)
        near = [part for part in parts if part.rows.at[0] < high and part.rows.at[-1] >= low] or parts[-1:]
        rows = concatenate([_as_of(part, selection.as_of) for part in near])
        rows = take(rows, np.argsort(rows.at, kind="stable"))
        found = take(rows, _wanted(rows, selection, low=low, high=high))
        newest = selection.newest
        return found if newest is None else take(found, np.arange(max(0, len(found) - newest), len(found)))

    def _segment(self, pipeline: str, content: Content, at: Times, columns: tuple[ColumnSpec, ...]) -> Segment:
        number = len(self._parts[pipeline])
        start_at = aware(at.min())
        return Segment(
            path=f"memory/{content}-{number}-{start_at:%Y%m%dT%H%M%S}",
            pipeline=pipeline,
            content=content,
            rows=len(at),
            start_at=start_at,
            end_at=aware(at.max()) + timedelta(microseconds=1),
            sha256="",
            schema_hash="",
            columns=columns,
        )


def _as_of(part: Part, as_of: datetime | None) -> Predictions:
    """Hide the labels that became known later."""
    if as_of is None:
        return part.rows
    late = part.known_at > naive(as_of)
    if not late.any():
        return replace(part.rows, label=part.rows.label.copy())
    label = part.rows.label.copy()
    label[late] = None if label.dtype == np.object_ else np.nan
    return replace(part.rows, label=label)


def _wanted(rows: Predictions, selection: Selection, *, low: np.datetime64, high: np.datetime64) -> Mask:
    wanted: Mask = (rows.at >= low) & (rows.at < high)
    if selection.version is not None:
        wanted &= rows.version == selection.version
    if selection.labelled:
        wanted &= ~is_missing(rows.label)
    return wanted
