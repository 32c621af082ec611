"""At any point of a heal the disk has no room, or the database is read-only: act on nothing, recover by itself.

Without room every write of this process fails, in the database and in the registry (a limit on the size of files).
A disk that answers EIO is not made here; to the code it is the same error of the same call.
"""

import resource
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from healerd.errors import HealerdError
from healerd.model import Intent, IntentState
from healerd.store import Store
from tests.faults.simulated import FolderWithPoints, Fuse
from tests.healerd.daemon.bench import Bench

FAULTS = ("no room", "read-only")


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


def play(folder: Path, kind: str, at: int) -> tuple[bool, Counter[str]]:
    """Let a rollback run while writes fail from a point on, then succeed; tell whether the point was reached."""
    fuse = Fuse()
    registry = FolderWithPoints(folder / "registry", fuse)
    bench = Bench(folder, registry=registry).with_versions()
    bench.close_windows(2, label=1.0)
    bench.propose("rollback")
    bench.store.fuse, bench.store.__class__ = fuse, Points
    with failing(kind, bench.store) as begin:
        fuse.watch = lambda: begin() if fuse.points == at else None
        fuse.armed = True
        for _ in range(2):
            with suppress(HealerdError):
                bench.step()
        fuse.armed = False
    moved = registry.alias().moved_by(bench.intent().key) is not None
    unpromised = moved and bench.intent().executed_at is None
    bench.step()
    bench.close_windows(2, label=1.0)
    bench.step()
    bench.step()
    intent = bench.store.find(Intent)[0]
    whole = intent.state is IntentState.VERIFIED and registry.active == "one"
    told = intent.state is IntentState.FAILED and registry.active == "zero" and bool(intent.reason)
    wrong = Counter(
        unpromised=int(unpromised),
        doubled=sum(count - 1 for count in registry.carried_out.values()),
        lost=int(not (whole or told)),
        unverified=int(bench.store.verify().problem is not None),
    )
    bench.store.close()
    return fuse.points >= at, +wrong


def every(folder: Path) -> Iterator[tuple[str, Counter[str]]]:
    """Play each fault from each point on."""
    for kind in FAULTS:
        at, reached = 1, True
        while reached:
            reached, wrong = play(folder / f"{kind}-{at}", kind, at)
            yield f"{kind} from point {at}", wrong
            at += 1
