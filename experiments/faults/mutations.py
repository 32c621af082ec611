"""The suite itself: each safeguard is taken away in turn, and the fault it is there for must show."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from experiments.faults.sizes import Size
from tests.faults.mutations import FAULTS, MUTATIONS
from tests.faults.tally import Tally


def row(size: Size) -> Iterator[Tally]:
    """One row a mutation: what its fault shows."""
    for mutation in MUTATIONS:
        tally = Tally(fault=f"without {mutation.taken}", wanted=f"`{mutation.shows}` is red", tries=1)
        with tempfile.TemporaryDirectory() as folder, mutation.away():
            found: Counter[str] = +FAULTS[mutation.shows](Path(folder))
        tally.held = bool(found)
        tally.reached = ", ".join(f"{what} {count}" for what, count in found.items()) or "nothing shows"
        yield tally
