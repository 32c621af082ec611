"""The power fails after every sync of a heal; what is left is what was synced."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from experiments.faults.sizes import Size
from tests.faults.power import cuts
from tests.faults.tally import Tally


def row(size: Size) -> Iterator[Tally]:
    """Cut at each sync boundary of a rollback; there are few, so both forms are the same."""
    tally = Tally(fault="power cut at every sync", wanted="0 doubled, 0 lost")
    with tempfile.TemporaryDirectory() as folder:
        count, wrong = cuts(Path(folder))
    tally.count(wrong, "a cut", tries=count)
    tally.reached = f"{count} cuts of one rollback"
    yield tally
