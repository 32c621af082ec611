"""What plain ways of doing without healerd reach on the same rows. Must never see a label before its time.

A baseline that learns does so at the end of a window, from the labels that healerd has by then. All run on the clean
data, whatever a demo does to healerd's.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from healerd.actions import Model
from healerd.columns import Column, is_missing
from healerd.errors import ConfigError
from healerd.offline.stream import Stream
from healerd.profiles import Loss, losses
from healerd.profiles.losses import Losses
from healerd.segments.times import naive

__all__ = ["Fit", "Line", "never", "periodic", "previous_label", "same_count"]

Fit = Callable[[Mapping[str, Column], Column], Model]
"""Trains a model on columns of n rows and their n labels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """One way of serving: the loss of each served row (NaN where no label is known), and its retrainings."""

    name: str
    losses: Losses
    retrains: int

    def quality(self, judged: Column) -> float:
        """Give the share of rows that were right, among the labelled ones that `judged` marks."""
        known = self.losses[judged & ~np.isnan(self.losses)]
        return float(1.0 - known.mean()) if len(known) else float("nan")


def never(stream: Stream, model: Model, loss: Loss) -> Line:
    """Keep the first model for ever."""
    rows = slice(stream.first, len(stream))
    return Line(name="never", losses=losses(loss, model.predict(stream.inputs(rows)), stream.label[rows]), retrains=0)


def periodic(
    stream: Stream, model: Model, loss: Loss, *, every: int, fit: Fit, train_windows: int, rows_min: int
) -> Line:
    """Retrain every so many windows on the newest ones, blindly; a fit without enough labels, or that fails, is left
    out.
    """
    found, retrains = list[Losses](), 0
    for start_at, end_at in _stretches(stream, every):
        rows = stream.served(start_at, end_at)
        found.append(losses(loss, _predicted(model, stream, rows), stream.label[rows]))
        if end_at < stream.end_at and (learned := _learned(stream, end_at, fit, train_windows, rows_min)):
            model, retrains = learned, retrains + 1
    return Line(name=f"every {every} windows", losses=np.concatenate(found), retrains=retrains)


def previous_label(stream: Stream, loss: Loss) -> Line:
    """Say of each row what the labelled row before it was: the habit to beat where classes last.

    As in the literature it knows that label at once, before healerd does.
    """
    known = ~is_missing(stream.label)
    place = np.maximum.accumulate(np.where(known, np.arange(len(stream)), 0))
    rows = slice(stream.first, len(stream))
    outputs = stream.label[place[stream.first - 1 : -1]]
    return Line(name="previous label", losses=losses(loss, outputs, stream.label[rows]), retrains=0)


def same_count(stream: Stream, retrains: int) -> int | None:
    """Choose the period that retrains about as often; None when that is never."""
    return max(1, round(stream.windows / (retrains + 1))) if retrains else None


def _stretches(stream: Stream, every: int) -> Iterator[tuple[datetime, datetime]]:
    length = timedelta(seconds=stream.window_s * every)
    start = stream.start_at
    while start < stream.end_at:
        yield start, min(start + length, stream.end_at)
        start += length


def _predicted(model: Model, stream: Stream, rows: slice) -> Column:
    if rows.start == rows.stop:
        return stream.label[rows]  # no row, of the label's kind
    return model.predict(stream.inputs(rows))


def _learned(stream: Stream, now: datetime, fit: Fit, train_windows: int, rows_min: int) -> Model | None:
    """Fit on the newest windows as known now; None when that cannot be learned from: the model before goes on."""
    rows = stream.between(now - timedelta(seconds=stream.window_s * train_windows), now)
    known = ~is_missing(stream.label[rows]) & (stream.known_at[rows] <= naive(now))
    label = stream.label[rows][known]
    if len(label) < rows_min or np.all(label == label[0]):
        return None
    try:
        return fit({name: column[known] for name, column in stream.inputs(rows).items()}, label)
    except (ValueError, ArithmeticError, ConfigError):
        return None
