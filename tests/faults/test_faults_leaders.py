"""Two daemons on one folder: whoever was overtaken cannot act, however it came about."""

import os
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from healerd.clock import ManualClock
from healerd.errors import LockHeld, StaleEpoch
from healerd.model import IntentState
from healerd.store import Store
from tests.faults.leaders import play
from tests.faults.lives import Life
from tests.healerd.daemon.bench import START, Bench


def test_s14_a_leader_that_was_stopped_and_overtaken_cannot_act(tmp_path: Path) -> None:
    """Stopped, robbed of its lock, overtaken and continued: real processes end without a doubled or lost effect."""
    wrong, went = play(tmp_path, 3, np.random.Generator(np.random.Philox(3)))
    assert wrong == Counter()
    assert went["overtaken"] + went["kept out"] == 3


def test_a_stopped_leader_keeps_its_lock(tmp_path: Path) -> None:
    """Nobody takes the folder from a process that may go on: the other is turned away, and the first goes on."""
    life = Life(tmp_path)
    life.windows(1)
    assert life.process.pid is not None
    os.kill(life.process.pid, signal.SIGSTOP)
    with pytest.raises(LockHeld, match=f"process {life.process.pid}"):
        Store.open(tmp_path / "state", clock=ManualClock(START))
    os.kill(life.process.pid, signal.SIGCONT)
    life.windows(1)
    life.kill()


def test_s14_a_daemon_overtaken_between_its_promise_and_its_effect_does_nothing(tmp_path: Path) -> None:
    """Stopped right after the commit that allows the effect, it finds out before the effect; the other one does it."""
    older = Bench(tmp_path).with_versions()
    older.close_windows(2, label=1.0)
    older.propose("rollback")
    begun = older.store.transaction
    newer: list[Bench] = []

    class Overtaken(type(older.store)):
        """A store that is overtaken as soon as the intent executes."""

        def check_epoch(self) -> None:
            if not newer:
                (tmp_path / "state" / "lock").unlink()
                newer.append(Bench(tmp_path, registry=older.registry))
            super().check_epoch()

    older.store.__class__ = Overtaken
    with pytest.raises(StaleEpoch):
        older.step()
    assert begun is not None
    (second,) = newer
    assert (second.registry.active, second.intent().state) == ("zero", IntentState.EXECUTING)
    second.served, second.clock = older.served, older.clock
    second.start_anew()
    second.step()
    assert (second.registry.active, second.intent().attempt) == ("one", 2)
    assert second.store.verify().problem is None
    second.store.close()
