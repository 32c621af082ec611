"""One byte of the database is changed, at random offsets; the daemon is started and may step."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from experiments.faults.sizes import Size
from tests.faults.corrupted import Ready, spots
from tests.faults.tally import Tally


def row(size: Size) -> Iterator[Tally]:
    """Damage copies of one state folder in which a heal is ready."""
    wanted = size.pick(100, 1000)
    tally = Tally(fault="one byte of the database changed", wanted=f"{wanted:,} offsets, 0 acted on, all reported")
    how: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        ready = Ready(Path(folder))
        for offset, mask in spots(ready.size, wanted, np.random.Generator(np.random.Philox(size.seed))):
            told, wrong = ready.try_with(offset, mask)
            tally.count(wrong, f"offset {offset}, bits {mask:08b}: {told}")
            how[told] += 1
            if size.over():
                break
    tally.reached = ", ".join(f"{count} {told}" for told, count in how.most_common())
    tally.held = tally.held and tally.tries >= wanted
    yield tally
