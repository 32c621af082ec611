"""Every schedule of crashes of a script, each played out: a tree whose branches share what they have in common.

A schedule is a set of points at which the process ends. What a crash leaves is what is durable (records, alias,
calls outside) and the moment; at every point that is kept, so that a schedule costs only what follows its last
crash. Each end is judged by `simulated.wrongs`.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from healerd.clock import ManualClock
from tests.faults.simulated import SCRIPTS, STORIES, WORLD, Simulation, wrongs

CRASHES_MAX = 3
Choose = Callable[[tuple[int, ...]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a crash at one point leaves behind."""

    point: int
    records: dict[Any, Any]
    mark: Any
    epoch: int
    alias: Any
    stored: dict[str, Any]
    carried_out: Counter[str]
    called: Counter[str]
    clock: tuple[Any, ...]
    served: int
    quality: Any
    step_number: int
    left: int


def look(bench: Simulation) -> Left:
    read = bench.clock.read()
    return Left(
        point=bench.fuse.points,
        records=bench.store.durable,
        mark=bench.store.mark,
        epoch=bench.store.epoch,
        alias=bench.registry.aliased.now,
        stored=dict(bench.registry.stored),
        carried_out=bench.registry.carried_out.copy(),
        called=bench.called.copy(),
        clock=(read.at, read.boot_s, read.boot_id),
        served=len(bench.served),
        quality=bench.quality,
        step_number=bench.step_number,
        left=bench.left,
    )


def restore(bench: Simulation, left: Left, served: list[Any]) -> None:
    """Put the bench where the crash left it, and start the daemon anew."""
    at, boot_s, boot_id = left.clock
    bench.clock = ManualClock(at, boot_s=boot_s, boot_id=boot_id)
    bench.store.records = bench.store.durable = left.records
    bench.store.mark, bench.store.epoch = left.mark, left.epoch
    bench.registry.aliased.now, bench.registry.stored = left.alias, dict(left.stored)
    bench.registry.carried_out, bench.called = left.carried_out.copy(), left.called.copy()
    bench.served, bench.quality = served[: left.served], left.quality
    bench.step_number, bench.left = left.step_number, left.left
    bench.fuse.points = left.point
    bench.begin_anew()


def explore(folder: Path, name: str, *, crashes: int = CRASHES_MAX, choose: Choose = lambda _: True) -> Iterator[Any]:
    """Play every schedule of up to so many crashes; give each with what was wrong at its end.

    `choose` leaves out branches: it is asked for each schedule before it is played.
    """
    bench = Simulation(folder, frozenset(), settings=WORLD)
    seen: list[Left] = []
    bench.fuse.watch = lambda: seen.append(look(bench))

    script = {**SCRIPTS, **STORIES}[name]

    def branch(schedule: tuple[int, ...]) -> Iterator[Any]:
        bench.play(script)
        yield schedule, wrongs(bench.ended(), name)
        if len(schedule) == crashes:
            seen.clear()
            return
        points, served = list(seen), list(bench.served)
        seen.clear()
        for left in points:
            longer = (*schedule, left.point)
            if choose(longer):
                restore(bench, left, served)
                seen.clear()
                yield from branch(longer)

    yield from branch(())
