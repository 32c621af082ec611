"""Real processes that heal are killed with SIGKILL at random moments."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from experiments.faults.sizes import Size
from tests.faults.lives import Life, wrongs_of
from tests.faults.tally import Tally

BATCH = 25
"""Kills of one folder; what it holds is checked after each batch, and its log verified."""


def row(size: Size) -> Iterator[Tally]:
    """Kill in batches, each on a folder of its own."""
    wanted = size.pick(25, 1000)
    tally = Tally(fault="kill -9 of a healing process", wanted=f"{wanted:,} kills, 0 doubled, 0 lost")
    draw = np.random.Generator(np.random.Philox(size.seed))
    effects = 0
    while tally.tries < wanted and not size.over():
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(BATCH):
                life = Life(Path(folder))
                life.windows(int(draw.integers(1, 6)))
                time.sleep(float(draw.uniform(0.0, 0.2)))
                life.kill()
            wrong, done = wrongs_of(Path(folder))
        tally.count(wrong, f"kills {tally.tries}-{tally.tries + BATCH}", tries=BATCH)
        effects += done
    tally.reached = f"{tally.tries:,} kills, {effects:,} effects"
    tally.held = tally.held and tally.tries >= wanted
    yield tally
