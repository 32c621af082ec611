"""The power fails: of every file only what was synced is left, under the names that were synced.

`Disk` keeps what is durable: the bytes of a file at its last fsync, the names of a folder at its last fsync, and the
database with its log at each commit of a connection that syncs at commits. After every one of these moments the power
can fail; `cuts` starts a daemon on what is left and lets the heal go on. Not covered: a cut in the middle of a
checkpoint of the database, and disks that say they have written what they have not.
"""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from healerd.actions import FolderRegistry
from healerd.actions.model_files import ModelFiles
from healerd.clock import ManualClock
from healerd.model import Intent, IntentState
from healerd.store import Store
from healerd.store.library import DATABASE
from tests.healerd.daemon.bench import Bench

FULL = 2


@dataclass
class Disk:
    """What of `root` would be there after a power failure; `synced` is called after each change of that."""

    root: Path
    names: dict[int, dict[str, int]] = field(default_factory=dict)
    data: dict[int, bytes] = field(default_factory=dict)
    moments: list[tuple[dict[int, dict[str, int]], dict[int, bytes]]] = field(default_factory=list)

    def settle(self) -> None:
        """Take everything that is there as durable."""
        for path in (self.root, *self.root.rglob("*")):
            self._take(path)

    def file(self, path: Path) -> None:
        """A file or a folder was synced."""
        if self.root == path or self.root in path.parents:
            self._take(path)
            self.moments.append(({ino: dict(held) for ino, held in self.names.items()}, dict(self.data)))

    def committed(self, store: Store) -> None:
        """A transaction ended; a connection that syncs has written the log and its name."""
        if store._writer.execute("PRAGMA synchronous").fetchone()[0] >= FULL:
            for path in (store.folder / DATABASE, store.folder / f"{DATABASE}-wal"):
                self._take(path)
            self.file(store.folder)

    def _take(self, path: Path) -> None:
        if path.is_dir():
            self.names[path.stat().st_ino] = {each.name: each.stat().st_ino for each in path.iterdir()}
        elif path.is_file():
            self.data[path.stat().st_ino] = path.read_bytes()

    def left_at(self, moment: int, target: Path) -> None:
        """Write what is left of the root after a power failure at a moment."""
        names, data = self.moments[moment]

        def build(ino: int, place: Path) -> None:
            place.mkdir(parents=True)
            for name, child in names.get(ino, {}).items():
                if child in names:
                    build(child, place / name)
                else:
                    (place / name).touch(mode=0o600)  # a key that others can read is refused
                    (place / name).write_bytes(data.get(child, b""))

        build(self.root.stat().st_ino, target)


@contextmanager
def recorded(disk: Disk) -> Iterator[None]:
    """Record every sync of this process, and every commit."""
    true_fsync, true_transaction = os.fsync, Store.transaction

    def fsync(handle: int) -> None:
        true_fsync(handle)
        disk.file(Path(f"/proc/self/fd/{handle}").readlink())

    @contextmanager
    def transaction(self: Store) -> Iterator[Any]:
        with true_transaction(self) as tx:
            yield tx
        disk.committed(self)

    os.fsync, Store.transaction = fsync, transaction  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        os.fsync, Store.transaction = true_fsync, true_transaction  # type: ignore[method-assign]


def _bench(root: Path) -> Bench:
    registry = FolderRegistry(root / "registry", "flights", ModelFiles(allow_pickle=True))
    return Bench(root, registry=registry)


def _go_on(bench: Bench) -> None:
    bench.step()
    bench.close_windows(2, label=1.0)
    bench.step()
    bench.step()


def cuts(folder: Path) -> tuple[int, Counter[str]]:
    """Let a rollback run, cut the power at every sync, go on from what is left; give the cuts, and what was wrong."""
    bench = _bench(folder / "world").with_versions()
    bench.close_windows(2, label=1.0)
    disk = Disk(folder / "world")
    disk.settle()
    with recorded(disk):
        bench.propose("rollback")
        bench.step()
    wrong, last = Counter[str](), len(disk.moments)
    promised = bench.store.find(Intent)[0]
    assert promised.state in {IntentState.CONFIRMED, IntentState.VERIFYING}
    bench.store.close()
    for moment in range(last):
        place = folder / f"cut-{moment}"
        disk.left_at(moment, place)
        wrong.update(_after(place, bench, must_know=moment == last - 1))
        shutil.rmtree(place)
    if not last:
        wrong["lost"] += 1  # the heal ran, and no moment of it would be there after a power failure
    return last, +wrong


def _after(place: Path, before: Bench, *, must_know: bool) -> Counter[str]:
    """Start on what a cut left, and let it heal."""
    try:
        bench = _bench(place)
    except Exception:  # what cannot be opened is lost
        return Counter(lost=1)
    bench.clock, bench.served = ManualClock(before.clock.now()), list(before.served)
    bench.start_anew()
    try:
        moves = Counter(move.key for move in bench.registry.alias().moves)
        known = {intent.key for intent in bench.store.find(Intent) if intent.executed_at is not None}
        wrong = Counter(doubled=len(set(moves) - known - {"first"}))  # an effect without a durable intent
        if must_know and not known:
            wrong["lost"] += 1
        if bench.store.find(Intent):
            _go_on(bench)
            state = bench.store.find(Intent)[0].state
            wrong["lost"] += int(state is not IntentState.VERIFIED or bench.registry.active != "one")
            moves = Counter(move.key for move in bench.registry.alias().moves)
            wrong["doubled"] += sum(count - 1 for count in moves.values())
        wrong["unverified"] += int(bench.store.verify().problem is not None)
        return wrong
    except Exception:  # a file that is half there
        return Counter(lost=1)
    finally:
        bench.store.close()
