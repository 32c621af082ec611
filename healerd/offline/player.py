"""Serves a stream's rows to a core in event time, window by window, with whatever model the alias names.

Must never show the core a label before its time, and never remember anything that a crash could lose: where to go on
is read from the store, and which version served a moment from the moves of the alias.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from healerd.clock import ManualClock
from healerd.columns import Column, Labels, Predictions, Times, is_missing
from healerd.daemon.core import Core
from healerd.model import ANSWERABLE, Intent
from healerd.offline.operators import Operator
from healerd.offline.stream import Stream
from healerd.sources import MemorySource

__all__ = ["Feed", "Player", "as_it_is"]

Feed = Callable[[Mapping[str, Column], Times], Mapping[str, Column]]
"""What lies between the world and the model: features and times of n rows in, the features that arrive out."""
ROUNDS_MAX = 20
"""Answers and moves at one moment; more would be a circle."""


def as_it_is(features: Mapping[str, Column], at: Times) -> Mapping[str, Column]:
    """Hand on what the world says."""
    return features


@dataclass(slots=True, kw_only=True)
class Player:
    """Plays one stream to one pipeline of a core. `source` must be the pipeline's, and empty."""

    core: Core
    stream: Stream
    source: MemorySource
    clock: ManualClock
    operator: Operator
    feed: Feed = as_it_is
    _served_until: datetime = field(init=False)

    def __post_init__(self) -> None:
        """Go on where the store says; what was served before is served again, for the labels that are still to come."""
        self._served_until = self._mark()
        earlier = self.core.store.rows(self.stream.name, self._since(self._served_until), self._served_until)
        self._push(earlier, self.stream.between(self._since(self._served_until), self._served_until))

    @property
    def over(self) -> bool:
        """Whether every window has been judged."""
        return self._mark() >= self.stream.end_at

    def play_window(self) -> None:
        """Serve one window, stopping at each moment at which something falls due, and let it be judged."""
        end = self._mark() + timedelta(seconds=self.stream.window_s)
        while (due := self._due_before(end)) is not None:
            self._play_until(due)
        self._play_until(end)
        self.source.forget(self._since(end))

    def _play_until(self, moment: datetime) -> None:
        self._serve(moment)
        self.clock.advance_to(moment)
        self.stand()

    def stand(self) -> None:
        """Let everything happen that can at this moment; after a start, what a stop broke off begins anew here."""
        for _ in range(ROUNDS_MAX):
            self.operator.look(self.core, self.stream.name)
            self.core.run_due()
            self.core.settle()
            if not self.operator.attend(self.core, self.stream.name):
                break

    def _serve(self, until: datetime) -> None:
        """Predict the rows up to a moment, each by the version that the alias named at its time."""
        moves = self.core.pipelines[self.stream.name].registry.alias().moves
        inside = [move.at for move in moves if self._served_until < move.at < until]
        for start, end in _stretches(self._served_until, until, inside):
            version = next((move.version for move in reversed(moves) if move.at <= start), moves[0].version)
            self._serve_by(version, start, end)
        self._served_until = max(until, self._served_until)

    def _serve_by(self, version: str, start: datetime, end: datetime) -> None:
        rows = self.stream.served(start, end)
        if rows.start == rows.stop:
            return
        registry = self.core.pipelines[self.stream.name].registry
        at, features = self.stream.at[rows], self.feed(self.stream.inputs(rows), self.stream.at[rows])
        served = Predictions(
            ids=self.stream.ids(rows),
            at=at,
            version=np.full(len(at), version, dtype=np.object_),
            output=registry.load(version).predict(features),
            label=_unknown(self.stream.label[rows]),
            features=features,
        )
        self._push(served, rows)

    def _push(self, served: Predictions, rows: slice) -> None:
        """Hand over predictions, and their labels with the time at which each becomes known."""
        self.source.push(served)
        known = ~is_missing(self.stream.label[rows])
        self.source.push_labels(
            Labels(
                ids=self.stream.ids(rows)[known],
                label=self.stream.label[rows][known],
                at=self.stream.known_at[rows][known],
            )
        )

    def _due_before(self, end: datetime) -> datetime | None:
        """Find the next moment before `end` at which the silence of people runs out."""
        waiting = self.core.store.find(Intent, pipeline=self.stream.name, state=ANSWERABLE)
        deadlines = [intent.deadline_at for intent in waiting if intent.deadline_at is not None]
        return min((at for at in deadlines if self.clock.now() < at < end), default=None)

    def _since(self, at: datetime) -> datetime:
        """Give the time before which no label is waited for any more."""
        settings = self.core.pipelines[self.stream.name].settings
        return at - timedelta(seconds=settings.label_horizon + settings.source.late_s + 2 * self.stream.window_s)

    def _mark(self) -> datetime:
        return self.core.store.watermark(self.stream.name) or self.stream.start_at


def _stretches(start: datetime, end: datetime, cuts: list[datetime]) -> list[tuple[datetime, datetime]]:
    edges = [start, *sorted(set(cuts)), end]
    return list(pairwise(edges))


def _unknown(label: Column) -> Column:
    """Make a column of n missing labels, of the label's kind."""
    return np.full(len(label), None if label.dtype == np.object_ else np.nan, dtype=label.dtype)
