"""Predictions and labels handed over inside this process, for `try`, the demo and tests.

Must never reach outside of the process.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from healerd.columns import Column, Labels, Predictions, Times, take
from healerd.config import SourceSettings
from healerd.segments.times import naive

__all__ = ["MemorySource"]


class MemorySource:
    """A source that is pushed to: it gives back what was served in a stretch of time, and the labels known by then."""

    def __init__(
        self,
        settings: SourceSettings | None = None,
        folder: Path | None = None,
        active: Callable[[], str] | None = None,
    ) -> None:
        """Start empty. The arguments are those of every source; this one needs none of them."""
        self._served: list[Predictions] = []
        self._known: list[Labels] = []

    def push(self, rows: Predictions) -> None:
        """Serve predictions. All pushes have the same features, of the same kinds."""
        if len(rows):
            self._served.append(rows)

    def push_labels(self, labels: Labels) -> None:
        """Let labels become known, each at its own time."""
        if len(labels):
            self._known.append(labels)

    def forget(self, before_at: datetime) -> None:
        """Let go of what was served, and what became known, before a time."""
        self._served = [kept for rows in self._served if len(kept := take(rows, rows.at >= naive(before_at)))]
        self._known = [left for each in self._known if len(left := _chosen(each, each.at >= naive(before_at)))]

    def fetch(self, start_at: datetime, end_at: datetime) -> Predictions:
        """Give the predictions of [start_at, end_at), in the order of the pushes; see `Source`."""
        return _joined([take(rows, _within(rows.at, start_at, end_at)) for rows in self._served])

    def labels(self, start_at: datetime, end_at: datetime, now: datetime) -> Labels:
        """Give the labels known at `now` of the predictions of [start_at, end_at); see `Source`."""
        ids = set(self.fetch(start_at, end_at).ids)
        wanted = [_chosen(each, _among(each.ids, ids) & (each.at <= naive(now))) for each in self._known]
        return Labels(
            ids=_stacked([each.ids for each in wanted], np.object_),
            label=_stacked([each.label for each in wanted], np.float64),
            at=_stacked([each.at for each in wanted], "datetime64[us]"),
        )


def _within(at: Times, start_at: datetime, end_at: datetime) -> Column:
    return (at >= naive(start_at)) & (at < naive(end_at))


def _among(ids: Column, wanted: set[str]) -> Column:
    return np.fromiter((each in wanted for each in ids), np.bool_, len(ids))


def _chosen(labels: Labels, which: Column) -> Labels:
    return Labels(ids=labels.ids[which], label=labels.label[which], at=labels.at[which])


def _joined(parts: Sequence[Predictions]) -> Predictions:
    features = parts[0].features if parts else ()
    return Predictions(
        ids=_stacked([each.ids for each in parts], np.object_),
        at=_stacked([each.at for each in parts], "datetime64[us]"),
        version=_stacked([each.version for each in parts], np.object_),
        output=_stacked([each.output for each in parts], np.float64),
        label=_stacked([each.label for each in parts], np.float64),
        features={name: _stacked([each.features[name] for each in parts], np.float64) for name in features},
        score=_scores(parts),
    )


def _scores(parts: Sequence[Predictions]) -> Column | None:
    scored = [each.score for each in parts if each.score is not None]
    return _stacked(scored, np.float64) if scored and len(scored) == len(parts) else None


def _stacked(parts: Sequence[Column], dtype: object) -> Column:
    """Put columns one below the other; without any, an empty one of the given type."""
    return np.concatenate(parts) if parts else np.empty(0, dtype)  # type: ignore[call-overload]
