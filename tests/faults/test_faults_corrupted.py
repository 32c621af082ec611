"""A byte of the database is another one: whoever starts on it acts on nothing that is bad, and says so.

Long form: `python -m experiments.faults corrupted`.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from healerd.clock import ManualClock
from healerd.errors import StoreError
from healerd.store import Store
from healerd.store.library import DATABASE
from tests.faults.corrupted import Ready, spots
from tests.healerd.store.records import START, an_intent

TRIES = 60


def test_nothing_acts_on_a_damaged_database(tmp_path: Path) -> None:
    """Whatever byte is changed, the daemon refuses to start, reports it, or the byte meant nothing."""
    ready = Ready(tmp_path)
    assert ready.try_with(0, 0)[0] == "nothing was hit", "undamaged, it acts"
    how: Counter[str] = Counter()
    for offset, mask in spots(ready.size, TRIES, np.random.Generator(np.random.Philox(11))):
        told, wrong = ready.try_with(offset, mask)
        how[told] += 1
        assert +wrong == Counter(), (offset, mask, told)
    assert how["refused"] > 0


@pytest.mark.parametrize("which", [0, 1], ids=["leaf", "row"])
def test_a_start_finds_an_intent_that_says_something_else(tmp_path: Path, which: int) -> None:
    """A letter of an intent that is still a sound database is found on the next start, by name."""
    clock = ManualClock(START)
    with Store.open(tmp_path, clock=clock) as store, store.transaction() as tx:
        tx.put(an_intent(id="act-1", target="version-seven"))
    path = tmp_path / DATABASE
    parts = path.read_bytes().split(b"version-seven")
    assert len(parts) >= 3
    kept = [b"version-seven"] * (len(parts) - 1)
    kept[which] = b"version-eight"[:13]
    path.write_bytes(b"".join(each for pair in zip(parts, [*kept, b""], strict=True) for each in pair))
    with pytest.raises(StoreError, match="leaf 3"):
        Store.open(tmp_path, clock=clock)
