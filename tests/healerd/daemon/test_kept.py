"""What is kept while there is room: bounded in bytes, the newest first, and never the only copy."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healerd.daemon.kept import EACH, Kept, bytes_of
from healerd.daemon.references import References
from tests.healerd.daemon.loop import NAME, Loop

MOST = 10 * EACH


@dataclass(frozen=True)
class Held:
    """A record that holds arrays in several ways."""

    one: np.ndarray
    more: dict[str, tuple[np.ndarray, ...]]


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 12 * EACH // 8))))
def test_no_more_is_kept_than_there_is_room_for(uses: list[tuple[str, int]]) -> None:
    """After any uses the arrays kept fit the bound, but for a newest one that alone does not; it is always there."""
    kept: Kept[np.ndarray] = Kept(MOST)
    for name, size in uses:
        made = kept.put(name, np.zeros(size))
        assert kept.get(name, lambda: pytest.fail("the newest was let go of")) is made
        assert len(kept) == 1 or sum(EACH + value.nbytes for value, _ in kept._values.values()) <= MOST


def test_what_was_used_longest_ago_goes_first() -> None:
    """A value that is asked for again and again stays, while those beside it go."""
    kept: Kept[np.ndarray] = Kept(3 * EACH)
    favourite = kept.put("favourite", np.zeros(0))
    for number in range(20):
        kept.put(str(number), np.zeros(0))
        assert kept.get("favourite", lambda: pytest.fail("it was in use")) is favourite
    assert len(kept) == 3


def test_arrays_are_counted_once_wherever_they_lie() -> None:
    """Arrays in records, mappings and tuples count; the same one twice counts once."""
    one, two = np.zeros(100), np.zeros(50)
    assert bytes_of(Held(one=one, more={"a": (one, two), "b": ()})) == 150 * 8
    assert bytes_of(None) == 0


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    found = Loop(tmp_path)
    yield found
    found.core.close()


def test_a_yardstick_that_was_let_go_of_is_made_again_the_same(loop: Loop) -> None:
    """With room for nothing, every window is held against the very numbers that it is with room for all."""
    roomy, narrow = References(loop.core.store), References(loop.core.store, _made=Kept(0))
    pipeline, now = loop.core.pipelines[NAME], loop.clock.now()
    for _ in range(2):
        first, second = roomy.of(pipeline, "first", now), narrow.of(pipeline, "first", now)
        narrow._made.put("another", second.yardstick)  # type: ignore[union-attr]
        assert first is not None
        assert second is not None
        assert first.reference == second.reference
        for mine, theirs in zip(first.yardstick.features, second.yardstick.features, strict=True):
            assert np.array_equal(mine.cells, theirs.cells)
            assert np.array_equal(mine.places.of, theirs.places.of, equal_nan=True)
            assert (mine.margin, mine.quartiles) == (theirs.margin, theirs.quartiles)
