"""The faults end well; with a safeguard taken away, the one that it is there for does not."""

from collections import Counter
from pathlib import Path

import pytest

from tests.faults.mutations import FAULTS, MUTATIONS, Mutation


@pytest.mark.parametrize("name", FAULTS)
def test_s14_a_fault_ends_well(tmp_path: Path, name: str) -> None:
    """Crashes, a successor, a late veto, a moved alias, power cut at each sync: nothing doubled, lost or ignored."""
    assert +FAULTS[name](tmp_path) == Counter()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.taken)
def test_a_safeguard_that_is_taken_away_is_missed(tmp_path: Path, mutation: Mutation) -> None:
    """Without the fence, observe, fsync or compare-and-set, the suite is red."""
    with mutation.away():
        assert +FAULTS[mutation.shows](tmp_path) != Counter()
