"""One byte of the database is changed, at random offsets; the daemon is started and may step."""

import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from experiments.faults.batches import Batch, draw_of, play_batches
from experiments.faults.sizes import Size
from tests.faults.corrupted import Ready, spots
from tests.faults.tally import Tally

OFFSETS = 50
"""Offsets of a batch; each has a state folder of its own to damage."""


def row(size: Size) -> Iterator[Tally]:
    """Damage copies of a state folder in which a heal is ready."""
    wanted = size.pick(100, 1000)
    tally = Tally(fault="one byte of the database changed", wanted=f"{wanted:,} offsets, 0 acted on, all reported")
    how = play_batches(size, tally, wanted, batch)
    tally.reached = ", ".join(f"{count} {told}" for told, count in how.most_common())
    yield tally


def batch(seed: int, number: int) -> Batch:
    """Damage one folder at some offsets, one after the other."""
    logging.getLogger("healerd").setLevel(logging.CRITICAL)
    how, wrong, said = Counter[str](), Counter[str](), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        ready = Ready(Path(folder))
        for offset, mask in spots(ready.size, OFFSETS, draw_of(seed, number)):
            told, found = ready.try_with(offset, mask)
            how[told] += 1
            wrong.update(+found)
            said += [f"offset {offset}, bits {mask:08b}: {told}"] if +found else []
    return Batch(tries=OFFSETS, wrong=wrong, said="; ".join(said), seen=how)
