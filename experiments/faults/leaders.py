"""Two real processes on one folder: the leader is stopped, overtaken, and continued."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from experiments.faults.batches import Batch, draw_of, play_batches
from experiments.faults.sizes import Size
from tests.faults.leaders import play
from tests.faults.tally import Tally

ROUNDS = 10


def row(size: Size) -> Iterator[Tally]:
    """Play rounds in batches, each on a folder of its own."""
    wanted = size.pick(10, 200)
    tally = Tally(fault="two daemons, leader stopped and continued", wanted=f"{wanted} rounds, 0 doubled")
    seen = play_batches(size, tally, wanted, batch)
    tally.reached = f"{tally.tries} rounds: " + ", ".join(f"{count} {what}" for what, count in seen.items())
    yield tally


def batch(seed: int, number: int) -> Batch:
    """Play some rounds on one folder."""
    with tempfile.TemporaryDirectory() as folder:
        wrong, went = play(Path(folder), ROUNDS, draw_of(seed, number))
    return Batch(tries=ROUNDS, wrong=wrong, said=f"rounds of batch {number}", seen=went)
