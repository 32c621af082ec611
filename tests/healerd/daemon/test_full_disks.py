"""A disk that is full from any phase of a heal on: nothing unpromised, nothing twice, the record sound, all told."""

from contextlib import suppress
from pathlib import Path

import pytest

from healerd.errors import HealerdError
from healerd.model import TERMINAL_STATES, IntentState
from tests.faults.disks import Points, failing
from tests.faults.simulated import FolderWithPoints, Fuse
from tests.healerd.daemon.bench import Bench

PHASES = {"retrain": (1, 30), "fallback": (1, 16), "undo": (1, 16)}
"""The heals by what is played, with the first points at which the disk fills: at every third of them."""


@pytest.mark.parametrize("action", PHASES)
def test_s14_a_disk_that_fills_in_any_phase_leaves_the_heal_whole_or_told(tmp_path: Path, action: str) -> None:
    """Fit, store, judge, move, verify and undo: with room again each heal ends once, and what it did is on record."""
    first, last = PHASES[action]
    reached = [at for at in range(first, last, 3) if play(tmp_path / str(at), action, at)]
    assert len(reached) >= 4, "the disk filled in several phases"


def play(folder: Path, action: str, at: int) -> bool:
    """Play a heal whose disk is full from a point on, for two steps; tell whether the point was reached."""
    fuse = Fuse()
    registry = FolderWithPoints(folder / "registry", fuse)
    bench = Bench(folder, registry=registry).with_versions()
    bench.close_windows(4, label=1.0)
    if action == "undo":
        bench.propose("rollback")
        bench.step()
        bench.close_windows(3, label=0.0)
    else:
        bench.propose(action)
    bench.store.fuse, bench.store.__class__ = fuse, Points
    with failing("no room", bench.store) as begin:
        fuse.watch = lambda: begin() if fuse.points == at else None
        fuse.armed = True
        for _ in range(2):
            with suppress(HealerdError):
                bench.step()
        fuse.armed = False
    moved = {move.key for move in registry.alias().moves} - {"first"}
    promised = {each.key for each in bench.store.find(type(bench.intent())) if each.executed_at is not None}
    assert moved <= promised, f"{action} at {at}: nothing is moved without its intent"
    for _ in range(3):
        bench.step()
        bench.close_windows(2, label=0.0 if action == "undo" else 1.0)
        bench.step()
    intent = bench.intent()
    assert intent.state in TERMINAL_STATES, f"{action} at {at}: {intent.state} {intent.reason}"
    healed = intent.state in {IntentState.VERIFIED, IntentState.UNDONE}
    assert healed or intent.reason, f"{action} at {at}: what did not go well is told"
    assert max(registry.carried_out.values(), default=1) == 1, f"{action} at {at}: once"
    assert bench.store.verify().problem is None, f"{action} at {at}"
    bench.store.close()
    return fuse.points >= at
