"""Play a stream through the product's own closed loop, and count what it did: what the experiments on streams share.

Must never re-implement a part of the loop: rows are served, judged, healed and verified by `healerd.offline`.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from healerd.columns import is_missing
from healerd.config import parse_config
from healerd.daemon.core import Core
from healerd.model import Incident, Intent, Outcome, Result
from healerd.offline.operators import SimulatedOperator
from healerd.offline.player import Feed, as_it_is
from healerd.offline.score import Done, audit_of, done_in, line_of
from healerd.offline.session import open_session
from healerd.offline.settings import CONFIG, COSTS, RETRAIN_COST, Settings, make_config
from healerd.offline.setup import Setup, prepare
from healerd.offline.stream import Stream
from healerd.offline.teller import Teller

__all__ = ["Played", "by_window", "play", "silent"]

Share = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Played:
    """A finished run: the loss of each served row, what took effect and how it was judged, and the incidents."""

    setup: Setup
    losses: npt.NDArray[np.float64]
    done: Done
    outcomes: tuple[Outcome, ...]
    incidents: tuple[Incident, ...]
    verified: bool
    corrections: tuple[Intent, ...] = ()

    @property
    def accuracy(self) -> float:
        """Share of the served, labelled rows that were right."""
        return float(1 - np.nanmean(self.losses))

    @property
    def worse(self) -> int:
        """Heals and steps that their paired test found worse than what they replaced."""
        return sum(outcome.result is Result.WORSE for outcome in self.outcomes)

    @property
    def action_cost(self) -> float:
        """Cost of everything that was done, in windows served with the harm."""
        others = sum(cost * len(self.done.of(action)) for action, cost in COSTS.items())
        return RETRAIN_COST * self.done.fits + others

    def opened(self, start_at: datetime, end_at: datetime, *, kinds: Sequence[str]) -> tuple[Incident, ...]:
        """Incidents of some kinds that were opened in [start_at, end_at)."""
        return tuple(one for one in self.incidents if one.kind.value in kinds and start_at <= one.opened_at < end_at)

    def heals(self, start_at: datetime, end_at: datetime) -> tuple[Intent, ...]:
        """What moved the alias in [start_at, end_at): a fit alone serves nothing and is no heal."""
        serving = self.done.of("promote", "rollback", "fallback")
        return tuple(one for one in serving if one.effect_at is not None and start_at <= one.effect_at < end_at)


def play(
    stream: Stream,
    *,
    truth: Stream | None = None,
    feed: Feed = as_it_is,
    estimator: str | None = None,
    rules: Path | None = None,
    more: str = "",
    horizon_s: float | None = None,
) -> Played:
    """Play a whole stream; `truth` has the labels that losses are counted by where those of the stream are not true.

    `rules` stands in place of the pack `default`, `more` is added to the configuration, such as another action;
    `horizon_s` is how long labels may take, by default the longest that one does.
    The operator is simulated, and recorded as such (SAFETY S19). Everything lies in a folder that is removed.
    """
    settings = Settings(
        pipeline=stream.name,
        window_s=stream.window_s,
        label_horizon_s=_horizon_s(stream) if horizon_s is None else horizon_s,
        loss="zero-one",
        rows_min=min(200, stream.first // 2),
        retrain_cost=None,
        rules=rules,
        estimator=estimator,
        task=stream.task,
    )
    setup = prepare(stream, settings, silent())
    with TemporaryDirectory(prefix="healerd-") as folder:
        config = make_config(setup.settings, Path(folder))
        if more:
            path = Path(folder) / CONFIG
            path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
            config = parse_config(path.read_text(encoding="utf-8"), path=path)
        with open_session(stream, config, setup.first, operator=SimulatedOperator(), feed=feed) as session:
            session.play(silent(), lambda event: None)
            return _read(session.core, setup, truth or stream)


def by_window(stream: Stream, losses: Share) -> Share:
    """Mean loss of each served window; NaN where no row is labelled."""
    number = (stream.at[stream.first :] - stream.at[stream.first]) // np.timedelta64(round(stream.window_s * 1e6), "us")
    known = ~np.isnan(losses)
    sums = np.bincount(number[known], losses[known], minlength=stream.windows)
    counts = np.bincount(number[known], minlength=stream.windows)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / counts)


def silent() -> Teller:
    """A teller that nobody hears."""
    return Teller(out=io.StringIO(), err=io.StringIO())


def _read(core: Core, setup: Setup, truth: Stream) -> Played:
    store, name = core.store, truth.name
    done = done_in(store, name)
    outcomes = (store.get(Outcome, intent.id) for intent in done.intents)
    return Played(
        setup=setup,
        losses=line_of(store, truth, setup.loss, retrains=0).losses,
        done=done,
        outcomes=tuple(one for one in outcomes if one is not None),
        incidents=store.find(Incident, pipeline=name, order="opened_at"),
        verified=audit_of(store).verified,
        corrections=store.find(Intent, pipeline=name, action="recalibrate"),
    )


def _horizon_s(stream: Stream) -> float:
    """The longest that a served label comes after the end of its window."""
    served = slice(stream.first, len(stream))
    known = ~is_missing(stream.label[served])
    length = np.timedelta64(round(stream.window_s * 1e6), "us")
    late = stream.known_at[served][known] - stream.at[served][known] - length
    return max(0.0, float(late.max() / np.timedelta64(1, "s"))) if known.any() else 0.0
