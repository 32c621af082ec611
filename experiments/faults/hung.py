"""Trainings that hang, crash, lie, fork or are stopped, in real processes."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from experiments.faults.sizes import Size
from tests.faults.hung import LIMIT_S, every
from tests.faults.tally import Tally

LATE_S = 1.0


def row(size: Size) -> Iterator[Tally]:
    """Play each kind, several times in the long form, and measure how long it lived."""
    tally = Tally(
        fault="training hangs, crashes, lies, forks, is stopped", wanted=f"killed within the limit + {LATE_S:g} s"
    )
    longest = 0.0
    for _ in range(size.pick(1, 10)):
        with tempfile.TemporaryDirectory() as folder:
            for kind, took, wrong in every(Path(folder)):
                tally.count(wrong, kind)
                longest = max(longest, took)
        if size.over():
            break
    tally.reached = f"at most {longest:.2f} s with a limit of {LIMIT_S:g} s"
    tally.held = tally.held and longest <= LIMIT_S + LATE_S
    yield tally
