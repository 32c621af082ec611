"""Disks without room, read-only databases, trainings that hang, crash or lie: nothing is done without a record."""

from collections import Counter
from pathlib import Path

import pytest

from healerd.model import IntentState
from tests.faults import disks, hung


@pytest.mark.parametrize("name", disks.PHASES)
def test_s14_without_a_durable_intent_nothing_is_done_at_any_point(tmp_path: Path, name: str) -> None:
    """Writes fail from any point of a heal on: it acts on nothing unpromised, and recovers by itself."""
    played = dict(disks.every(tmp_path, [name]))
    assert len(played) >= 12
    assert {what: wrong for what, wrong in played.items() if wrong} == {}


@pytest.mark.parametrize("kind", ["hangs", "crashes", "lies", "is_stopped"])
def test_a_training_that_goes_wrong_is_ended_and_told(tmp_path: Path, kind: str) -> None:
    """A process that hangs, dies, leaves nothing or is stopped ends its retraining with a reason, and serves none."""
    assert hung.play(tmp_path, kind)[1] == Counter()


def test_a_daemon_that_is_stopped_in_a_training_leaves_it_to_the_next(tmp_path: Path) -> None:
    """An upgrade in the middle of a training is no failure of the heal: it is trained anew, and stands confirmed."""
    before, after = hung.play_a_restart(tmp_path)
    assert before is IntentState.EXECUTING
    assert after in {IntentState.CONFIRMED, IntentState.VERIFYING}
