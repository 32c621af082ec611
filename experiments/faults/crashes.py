"""Every schedule of up to three crashes, over all actions and over stories of several heals."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from experiments.faults.sizes import Size
from tests.faults.explored import explore
from tests.faults.simulated import SCRIPTS, STORIES
from tests.faults.tally import Tally

WANTED = 100_000


def row(size: Size) -> Iterator[Tally]:
    """Explore each script (three crashes), and in the long form each story."""
    total = Tally(fault="crash at every commit and effect point", wanted=">= 100,000 schedules, none wrong")
    names = [*SCRIPTS] if size.quick else [*SCRIPTS, *STORIES]
    whole = True
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            for schedule, wrong in explore(Path(folder), name, crashes=2 if size.quick else 3):
                total.count(wrong, f"`{name}`, crashes at {schedule}")
                if size.over():
                    whole = False
                    break
    total.reached = f"{total.tries:,} schedules" + ("" if whole else ", cut off by time")
    total.held = total.held and (size.quick or total.tries >= WANTED)
    yield total
