"""Writes fail from every point of every phase on: without room, and with a database that is read-only."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from experiments.faults.sizes import Size
from tests.faults.disks import PHASES, every
from tests.faults.tally import Tally


def row(size: Size) -> Iterator[Tally]:
    """Play each fault from each point; both forms are the same."""
    tally = Tally(fault="disk full, database read-only", wanted="no action without a durable intent; recovers")
    with tempfile.TemporaryDirectory() as folder:
        for name, wrong in every(Path(folder)):
            tally.count(wrong, name)
    tally.reached = f"{tally.tries} points of {len(PHASES)} heals: {', '.join(PHASES)}"
    yield tally
