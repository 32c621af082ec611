"""Real processes that heal, and daemons as people run them, are killed with SIGKILL at random moments."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from experiments.faults.batches import Batch, draw_of, play_batches
from experiments.faults.sizes import Size
from tests.faults.daemons import PIPELINES, play
from tests.faults.lives import Life, wrongs_of
from tests.faults.tally import Tally

KILLS = 25
"""Kills of one folder; what it holds is checked after each batch, and its log verified."""


def row(size: Size) -> Iterator[Tally]:
    """Kill in batches, each on a folder of its own: the executor in a loop, then `healerd run` itself."""
    wanted = size.pick(25, 1000)
    healing = Tally(fault="kill -9 of a healing process", wanted=f"{wanted:,} kills, 0 doubled, 0 lost")
    seen = play_batches(size, healing, wanted, batch)
    healing.reached = f"{healing.tries:,} kills, {seen['effects']:,} effects"
    yield healing
    wanted = size.pick(PIPELINES, 1000)
    running = Tally(fault="kill -9 of `healerd run`", wanted=f"{wanted:,} kills, 0 doubled, 0 lost")
    seen = play_batches(size, running, wanted, daemons)
    running.reached = f"{running.tries:,} kills, {seen['effects']:,} effects, the log verified after each"
    yield running


def batch(seed: int, number: int) -> Batch:
    """Kill one healing process after the other on one folder."""
    draw = draw_of(seed, number)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(KILLS):
            life = Life(Path(folder))
            life.windows(int(draw.integers(1, 6)))
            time.sleep(float(draw.uniform(0.0, 0.2)))
            life.kill()
        wrong, effects = wrongs_of(Path(folder))
    return Batch(tries=KILLS, wrong=wrong, said=f"kills of batch {number}", seen=Counter(effects=effects))


def daemons(seed: int, number: int) -> Batch:
    """Kill one daemon after the other on one folder."""
    with tempfile.TemporaryDirectory() as folder:
        wrong, effects = play(Path(folder), PIPELINES, draw_of(seed, number))
    return Batch(tries=PIPELINES, wrong=wrong, said=f"daemons of batch {number}", seen=Counter(effects=effects))
