"""At any point of a heal the disk has no room, or the database is read-only: act on nothing, recover by itself.

Every phase of every heal of `PHASES` is played: training, judging, promoting, verifying, undoing, the way back.
Without room every write of this process fails, in the database and in the registry (a limit on the size of files).
A disk that answers EIO is not made here; to the code it is the same error of the same call.
"""

import resource
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from healerd.actions import EFFECTS
from healerd.errors import HealerdError
from healerd.model import Intent, IntentState
from healerd.store import Store
from tests.faults.simulated import SCRIPTS, WORLD, Fuse, Simulation, wrongs

FAULTS = ("no room", "read-only")
PHASES = ("rollback helps", "rollback harms", "retrain and refit", "recalibrate", "fallback and return")
"""The scripts whose every phase is played."""
ENDS = frozenset({IntentState.VERIFIED, IntentState.UNDONE, IntentState.INCONCLUSIVE, IntentState.FAILED})
STEPS = 2
"""Steps that the executor makes while writes fail."""


class Points(Store):
    """The store, with points before and after each commit."""

    fuse: Fuse

    @contextmanager
    def transaction(self) -> Iterator[object]:
        with super().transaction() as tx:
            yield tx
            self.fuse()
        self.fuse()


@contextmanager
def failing(kind: str, store: Store) -> Iterator[Callable[[], None]]:
    """Give what makes writes fail from then on, until the block ends."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def begin() -> None:
        if kind == "no room":
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        else:
            store._writer.execute("PRAGMA query_only = ON")

    try:
        yield begin
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        store._writer.execute("PRAGMA query_only = OFF")
        signal.signal(signal.SIGXFSZ, before)


class Failing(Simulation):
    """A simulation on a real store, whose writes fail for some steps of the executor from a point on."""

    def __init__(self, folder: Path, kind: str, at: int) -> None:
        super().__init__(folder, files=True, disk=True, settings=WORLD)
        self.store.fuse, self.store.__class__ = self.fuse, Points
        self.kind, self.at, self.unpromised = kind, at, 0

    def step(self, *, channel_open: bool = True) -> None:
        """Step; when the point comes, this step and the next ones are made while nothing can be written."""
        if self.fuse.points >= self.at:
            super().step(channel_open=channel_open)
            return
        with failing(self.kind, self.store) as begin:
            self.fuse.watch = lambda: begin() if self.fuse.points == self.at else None
            for _ in range(STEPS):
                with suppress(HealerdError):
                    super().step(channel_open=channel_open)
                if self.fuse.points < self.at:
                    return
        self.unpromised += sum(
            self.registry.alias().moved_by(intent.key) is not None and intent.executed_at is None
            for intent in self.store.find(Intent)
        )

    def wrongs(self, name: str) -> Counter[str]:
        """Count what was done without a promise, twice or in part, and what is neither healed nor said to be otherwise.

        A heal may fail, or be judged a window later and then be unsure, because nothing could be written in time: then
        it says so, and what serves is what its record tells.
        """
        found = wrongs(self.ended(), name)
        intents = self.store.find(Intent)
        moves = {move.key for move in self.registry.alias().moves} - {"first", "k"}
        served = {each.key for each in intents if each.effect_at is not None and EFFECTS[each.action].serves}
        if moves == served and all(each.state in ENDS and each.reason for each in intents):
            found["lost"] = 0
        problem = self.store.verify().problem
        return +(found + Counter(unpromised=self.unpromised, unverified=int(problem is not None)))


def play(folder: Path, name: str, kind: str, at: int) -> tuple[bool, Counter[str]]:
    """Let a script run while writes fail from a point on, then succeed; tell whether the point was reached."""
    bench = Failing(folder, kind, at)
    try:
        script = SCRIPTS[name]
        bench.play((*script, script[-1]))  # a look that failed to be written down is repeated on the next window
        return bench.fuse.points >= at, bench.wrongs(name)
    finally:
        bench.store.close()


def every(folder: Path, names: Sequence[str] = PHASES) -> Iterator[tuple[str, Counter[str]]]:
    """Play each fault from each point of each script on."""
    for name in names:
        for kind in FAULTS:
            at, reached = 1, True
            while reached:
                reached, wrong = play(folder / f"{name}-{kind}-{at}", name, kind, at)
                yield f"{name}: {kind} from point {at}", wrong
                at += 1
