"""One offline run on one state folder: the daemon's own core under a manual clock, from its first model to its result.

Must never keep anything outside the state folder that a run needs to go on after a crash.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from healerd.actions import InlineWorker
from healerd.actions.registry import Registry
from healerd.clock import ManualClock
from healerd.config import Config
from healerd.daemon.core import Core
from healerd.errors import ConfigError
from healerd.offline.baselines import Fit
from healerd.offline.chronicle import Chronicle
from healerd.offline.contract import EventRecord
from healerd.offline.estimator import fit
from healerd.offline.first import FIRST, First
from healerd.offline.operators import Operator
from healerd.offline.player import Feed, Player, as_it_is
from healerd.offline.stream import Stream
from healerd.offline.teller import Teller
from healerd.segments.times import aware
from healerd.sources import MemorySource
from healerd.store import ReadStore, Store
from healerd.store.library import DATABASE

__all__ = ["Hear", "Meddle", "Session", "check_places", "fit_for", "open_session", "state_folder"]

Hear = Callable[[EventRecord], None]
"""Is told each thing that happened, in order."""
Meddle = Callable[["Session", datetime], None]
"""May change the world before the window that starts then: how a demo injects a fault."""


@dataclass(slots=True, kw_only=True)
class Session:
    """A run that is open: its core, what it plays, and where it has come to."""

    stream: Stream
    core: Core
    clock: ManualClock
    player: Player
    chronicle: Chronicle

    @property
    def registry(self) -> Registry:
        """The pipeline's registry."""
        return self.core.pipelines[self.stream.name].registry

    @property
    def mark(self) -> datetime:
        """Start of the next window."""
        return self.core.store.watermark(self.stream.name) or self.stream.start_at

    def play(self, teller: Teller, hear: Hear, meddle: Meddle | None = None) -> tuple[EventRecord, ...]:
        """Play to the end of the stream; tell what happens, and give it all, from the very start of the run."""
        told = list(self.chronicle.news())
        while not self.player.over:
            if meddle:
                meddle(self, self.mark)
            self.player.play_window()
            for event in self.chronicle.news():
                told.append(event)
                hear(event)
            teller.reach(self._done(), self.stream.windows, f"{self.mark:%Y-%m-%d}")
        return tuple(told)

    def _done(self) -> int:
        return round((self.mark - self.stream.start_at) / timedelta(seconds=self.stream.window_s))


@contextmanager
def open_session(
    stream: Stream,
    config: Config,
    first: First,
    *,
    operator: Operator,
    feed: Feed = as_it_is,
    store_kind: type[Store] = Store,
) -> Iterator[Session]:
    """Open a run, or go on with the one that is in the state folder.

    `store_kind` may be `PlayedStore`, which keeps rows in memory: several times as fast, and nothing to go on with.

    Raises LockHeld when another process has the folder, StoreError, ConfigError, RulesError, ActionError.
    """
    clock, source = _clock(config.state, stream), MemorySource()
    core = Core.open(
        config,
        clock,
        sources={stream.name: source},
        worker=InlineWorker(),
        start_at=stream.start_at,
        open_store=store_kind.open,
    )
    try:
        _store_first(core, stream, first)
        player = Player(core=core, stream=stream, source=source, clock=clock, operator=operator, feed=feed)
        player.stand()
        yield Session(stream=stream, core=core, clock=clock, player=player, chronicle=Chronicle(core.store))
    finally:
        core.close()


@contextmanager
def state_folder(wanted: Path | None) -> Iterator[Path]:
    """Give the folder that a person named, or a temporary one that is removed in the end."""
    if wanted is not None:
        yield wanted
        return
    with TemporaryDirectory(prefix="healerd-") as folder:
        yield Path(folder)


def check_places(*files: Path | None) -> None:
    """Check that results can be written where a person wants them, before anything is done. Raises ConfigError."""
    for file in files:
        if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
            raise ConfigError(f"`{file}` cannot be written: name a file in a folder that exists")


def fit_for(stream: Stream, estimator: str | None) -> Fit:
    """Make the training function of a stream: the one that the configuration names, with the same arguments."""
    return partial(fit, estimator=estimator, task=stream.task)


def _store_first(core: Core, stream: Stream, first: First) -> None:
    """Store the first version and let it serve, unless an earlier start of this run has."""
    if core.pipelines[stream.name].registry.alias().version is not None:
        return
    core.add_version(
        stream.name,
        first.model,
        name=FIRST,
        rows=first.rows,
        held_out=first.held_out,
        trained_from_at=aware(stream.at[0]),
        trained_to_at=aware(stream.at[stream.first]),
        note="the model before healerd",
    )


def _clock(state: Path, stream: Stream) -> ManualClock:
    """Make a clock that stands where the run stopped; each start counts as a boot of its own (SAFETY S16)."""
    if not (state / DATABASE).exists():
        return ManualClock(stream.start_at, boot_id="start 1")
    with ReadStore.open(state) as store:
        newest = store.leaves(newest_first=True, limit=1)
        at = max([stream.start_at, *(entry.at for entry in newest)])
        starts = max([0, *(entry.epoch for entry in newest)]) + 1
    return ManualClock(at, boot_id=f"start {starts}")
