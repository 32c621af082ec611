"""The power fails after every sync of every phase of a heal; what is left is what was synced."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from experiments.faults.sizes import Size
from tests.faults.disks import PHASES
from tests.faults.power import cuts
from tests.faults.tally import Tally


def row(size: Size) -> Iterator[Tally]:
    """Cut at each sync boundary of each script; the short form plays the first."""
    names = PHASES[:1] if size.quick else PHASES
    tally = Tally(fault="power cut at every sync", wanted="0 doubled, 0 lost")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            count, wrong = cuts(Path(folder), name)
        tally.count(wrong, f"a cut of `{name}`", tries=count)
    tally.reached = f"{tally.tries} cuts of {len(names)} heals: {', '.join(names)}"
    yield tally
