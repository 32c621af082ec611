"""Simulated days of a whole core, with faults drawn from seeds; a seed that fails prints its schedule."""

import logging
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from experiments.faults.batches import Batch, play_batches
from experiments.faults.sizes import Size
from tests.faults.days import play
from tests.faults.tally import Tally

DAYS = 100
MEMORY = Path("/dev/shm")


def row(size: Size) -> Iterator[Tally]:
    """Play seeds of 100 days each, from `--seed` on, until there are enough days or the time is over."""
    wanted = size.pick(1_000, 100_000)
    tally = Tally(fault="simulated days with every fault", wanted=f"{wanted:,} days, none wrong")
    seen = play_batches(size, tally, wanted, batch)
    told = ", ".join(f"{count:,} {what}" for what, count in seen.items())
    tally.reached = f"{tally.tries:,} days from seed {size.seed}: {told}"
    yield tally


def batch(first: int, number: int) -> Batch:
    """Play one seed."""
    logging.getLogger("healerd").setLevel(logging.CRITICAL)
    seed = first + number
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.exists() else None) as folder:
        world = play(Path(folder), seed, DAYS)
        wrong = world.wrongs()
        world.core.close()
        shutil.rmtree(folder, ignore_errors=True)
        Path(folder).mkdir()
    if wrong:
        print(f"seed {seed}:", *world.history, sep="\n  ", file=sys.stderr, flush=True)
    seen = Counter(crashes=world.crashes, heals=world.heals, vetoes=len(world.vetoed), moves=len(world.moves))
    return Batch(tries=DAYS, wrong=wrong, said=f"seed {seed}", seen=seen)
