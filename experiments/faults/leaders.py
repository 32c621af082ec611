"""Two real processes on one folder: the leader is stopped, overtaken, and continued."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from experiments.faults.sizes import Size
from tests.faults.leaders import play
from tests.faults.tally import Tally

BATCH = 20


def row(size: Size) -> Iterator[Tally]:
    """Play rounds in batches, each on a folder of its own."""
    wanted = size.pick(10, 200)
    tally = Tally(fault="two daemons, leader stopped and continued", wanted=f"{wanted} rounds, 0 doubled")
    draw = np.random.Generator(np.random.Philox(size.seed))
    seen: Counter[str] = Counter()
    while tally.tries < wanted and not size.over():
        with tempfile.TemporaryDirectory() as folder:
            rounds = min(BATCH, wanted - tally.tries)
            wrong, went = play(Path(folder), rounds, draw)
        tally.count(wrong, f"rounds {tally.tries}-{tally.tries + rounds}", tries=rounds)
        seen.update(went)
    tally.reached = f"{tally.tries} rounds: " + ", ".join(f"{count} {what}" for what, count in seen.items())
    tally.held = tally.held and tally.tries >= wanted
    yield tally
