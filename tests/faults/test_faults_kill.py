"""A real daemon is killed with SIGKILL again and again in the middle of its heals."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from healerd.actions import EFFECTS
from healerd.actions.durable import read_json
from healerd.actions.job import started_at
from healerd.model import Intent, IntentState
from tests.faults.healing_loop import Loop

ROOT = Path(__file__).parents[2]
KILLS = 25


def live_and_die(folder: Path, *, windows: int, seconds: float) -> None:
    """Let a daemon live through some windows and a moment more, then kill it."""
    command = [sys.executable, "-m", "tests.faults.healing_loop", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        assert daemon.stderr is not None
        for _ in range(windows):
            assert daemon.stdout.readline() == b"alive\n", daemon.stderr.read().decode()
        time.sleep(seconds)
        alive = daemon.poll() is None
        daemon.kill()
        assert alive, daemon.stderr.read().decode()


def test_s14_kill_9_doubles_nothing_and_loses_nothing(tmp_path: Path) -> None:
    """After 25 kills each key has moved the alias at most once, every effect is known, and the audit log verifies."""
    draw = np.random.Generator(np.random.Philox(9))
    for _ in range(KILLS):
        live_and_die(tmp_path, windows=int(draw.integers(1, 6)), seconds=float(draw.uniform(0.0, 0.2)))
    loop = Loop(tmp_path)
    try:
        loop.live()
        intents = loop.store.find(Intent)
        moves = Counter(move.key for move in loop.registry.alias().moves if move.key != "first")
        served = {intent.key for intent in intents if EFFECTS[intent.action].serves and intent.effect_at is not None}
        assert len([intent for intent in intents if intent.effect_at is not None]) >= 5
        assert set(moves.values()) <= {1}, "an alias move was doubled"
        assert set(moves) == served, "an effect was lost, or took place without an intent"
        assert not [intent for intent in intents if intent.state is IntentState.EXECUTING]
        assert not any(intent.state in {IntentState.FAILED, IntentState.NEEDS_PERSON} for intent in intents)
        assert loop.store.verify().problem is None
        assert not orphans(tmp_path), "a job outlived its daemon"
    finally:
        loop.worker.close()
        loop.store.close()


def orphans(folder: Path) -> list[int]:
    """Find the processes of jobs that still run."""
    notes = [read_json(path) or {} for path in (folder / "jobs").glob("*.json")]
    return [note["pid"] for note in notes if "pid" in note and started_at(note["pid"]) == note["started"]]
