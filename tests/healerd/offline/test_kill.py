"""A run that is killed at any moment, and started again, does nothing twice and loses nothing."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from healerd.actions import FolderRegistry
from healerd.model import Intent
from healerd.store import ReadStore
from tests.healerd.offline.tables import drifting


def command(file: Path, folder: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "healerd", "try", str(file), "--target", "wins", "--time", "time"),
        *("--train-rows", "600", "--state", str(folder / "state"), "--json", str(folder / "out.json")),
    ]


def served(state: Path, pipeline: str) -> list[tuple[str, object]]:
    with ReadStore.open(state) as store:
        mark = store.watermark(pipeline)
        assert mark is not None
        rows = store.rows(pipeline, mark.replace(year=2023), mark)
        return sorted(zip(rows.ids, rows.output, strict=True))


@pytest.mark.slow
def test_s14_a_run_that_is_killed_again_and_again_acts_once(tmp_path: Path) -> None:
    """Killed with -9 at five moments, every effect took place once, no row is lost, and the log verifies."""
    file = drifting(tmp_path / "games.csv", days=40, turn=22)
    draw = np.random.Generator(np.random.Philox(11))
    killed = 0
    for wait_s in draw.uniform(1.5, 4.0, 5):
        process = subprocess.Popen(command(file, tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
    assert killed
    last = subprocess.run(command(file, tmp_path), capture_output=True, text=True, check=False)
    assert last.returncode == 0, last.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["audit"]["verified"]
    state = tmp_path / "state"
    assert [name for name, _ in served(state, "games")] == sorted(f"row-{n}" for n in range(600, 2400))
    with ReadStore.open(state) as store:
        intents = store.find(Intent)
    moves = FolderRegistry(state / "registry" / "games", "games").alias().moves
    assert max(Counter(move.key for move in moves).values()) == 1
    moved = {intent.key for intent in intents if intent.effect_at is not None and intent.action != "retrain"}
    assert {move.key for move in moves[1:]} == moved
