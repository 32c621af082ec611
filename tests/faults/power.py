"""The power fails: of every file only what was synced is left, under the names that were synced.

`Disk` keeps what is durable: the bytes of a file at its last fsync, the names of a folder at its last fsync, and the
database with its log at each commit of a connection that syncs at commits. After every one of these moments the power
can fail; `cuts` starts a daemon on what is left and lets the script go on from there. Not covered: a cut in the middle
of a checkpoint of the database, and disks that say they have written what they have not.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from healerd.clock import ManualClock
from healerd.model import Intent, Quality
from healerd.store import Store
from healerd.store.library import DATABASE
from tests.faults.simulated import LIVES, SCRIPTS, WORLD, Simulation, wrongs

FULL = 2


@dataclass
class Disk:
    """What of `root` would be there after a power failure, at each of its `moments`; `about` says where those are."""

    root: Path
    about: Callable[[], Any] = lambda: None
    names: dict[int, dict[str, int]] = field(default_factory=dict)
    data: dict[int, bytes] = field(default_factory=dict)
    moments: list[tuple[dict[int, dict[str, int]], dict[int, bytes], Any]] = field(default_factory=list)

    def settle(self) -> None:
        """Take everything that is there as durable."""
        for path in (self.root, *self.root.rglob("*")):
            self._take(path)

    def file(self, path: Path) -> None:
        """A file or a folder was synced."""
        if self.root == path or self.root in path.parents:
            self._take(path)
            self.moments.append(({ino: dict(held) for ino, held in self.names.items()}, dict(self.data), self.about()))

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
        names, data, _ = self.moments[moment]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where a script stood at a moment; `waits` while one of its steps was being made."""

    step: int
    waits: bool
    served: int
    at: datetime
    quality: Quality


def _where(bench: Simulation) -> Where:
    return Where(
        step=bench.step_number,
        waits=not bench.left,
        served=len(bench.served),
        at=bench.clock.now(),
        quality=bench.quality,
    )


def _simulation(folder: Path) -> Simulation:
    return Simulation(folder, files=True, disk=True, settings=WORLD)


def cuts(folder: Path, name: str = "rollback helps") -> tuple[int, Counter[str]]:
    """Play a script, cut the power at every sync, go on from what is left; give the cuts, and what was wrong."""
    bench = _simulation(folder / "world")
    disk = Disk(folder / "world", about=lambda: _where(bench))
    disk.settle()
    with recorded(disk):
        bench.play(SCRIPTS[name])
    wrong, last = wrongs(bench.ended(), name), len(disk.moments)
    bench.store.close()
    for moment in range(last):
        place = folder / f"cut-{moment}"
        disk.left_at(moment, place)
        wrong.update(_after(place, bench, disk.moments[moment][-1], name))
        shutil.rmtree(place)
    if not last:
        wrong["lost"] += 1  # the heal ran, and no moment of it would be there after a power failure
    return last, +wrong


def _after(place: Path, before: Simulation, where: Where, name: str) -> Counter[str]:
    """Start on what a cut left, and let the script go on."""
    try:
        bench = _simulation(place)
    except Exception:  # what cannot be opened is lost
        return Counter(lost=1)
    try:
        _go_on_from(bench, before, where)
        moves = {move.key for move in bench.registry.alias().moves} - {"first", "k"}
        known = {intent.key for intent in bench.store.find(Intent) if intent.executed_at is not None}
        bench.play(SCRIPTS[name])
        wrong = wrongs(bench.ended(), name)
        wrong["doubled"] += len(moves - known)  # an effect without a durable intent
        wrong["unverified"] += int(bench.store.verify().problem is not None)
        return wrong
    except Exception:  # a file that is half there
        return Counter(lost=1)
    finally:
        bench.store.close()


def _go_on_from(bench: Simulation, before: Simulation, where: Where) -> None:
    """Put a script where it stood: a step that was under way is made again, unless its heal is promised already."""
    bench.clock, bench.served = ManualClock(where.at), before.served[: where.served]
    bench.quality = where.quality
    promised = where.waits and where.step == 0 and bench.store.find(Intent)
    bench.step_number = where.step + bool(promised)
    bench.left = 0 if where.waits and not promised else LIVES
    bench.start_anew()
    bench.executor.recover(["flights"])
