"""Simulated days with everything that can go wrong at once: nothing must be doubled or lost.

Long form: `python -m experiments.faults days`.
"""

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from healerd.store.library import DATABASE, sqlite
from tests.faults.days import play

MEMORY = Path("/dev/shm")
SEEDS, DAYS = 16, 63


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    logging.getLogger("healerd").setLevel(logging.CRITICAL)
    made = MEMORY / f"healerd-{os.getpid()}-{tmp_path.name}" if os.access(MEMORY, os.W_OK) else tmp_path / "runs"
    made.mkdir()
    yield made
    shutil.rmtree(made)
    logging.getLogger("healerd").setLevel(logging.NOTSET)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_s7_s8_s10_s14_s15_s16_days_full_of_faults(folder: Path, seed: int) -> None:
    """Over 1,000 days in all: no effect doubled or lost, none within a cooldown, none vetoed, none under stop-all."""
    world = play(folder, seed, DAYS)
    try:
        assert world.wrongs() == {}, "\n".join((f"python -m experiments.faults days --seed {seed}", *world.history))
    finally:
        world.core.close()


def test_a_seed_replays_exactly(folder: Path) -> None:
    """The same seed gives the same schedule, and the same audit log to the last byte but for the key that is drawn."""
    told = []
    for _ in range(2):
        shutil.rmtree(folder / "world", ignore_errors=True)  # its path is in some messages
        world = play(folder / "world", 3, 12)
        told.append((world.history, _said(world.core.config.state / DATABASE)))
        world.core.close()
    assert told[0][0] == told[1][0]
    assert told[0][1] == told[1][1]
    assert len(told[0][1]) > 50


def _said(path: Path) -> list[bytes]:
    with contextlib.closing(sqlite.connect(f"file:{path}?mode=ro", uri=True)) as opened:
        rows = opened.execute("SELECT CAST(body AS BLOB) FROM audit_leaf ORDER BY seq").fetchall()
    return [bytes(body) for (body,) in rows if b'"table":"signing_key"' not in bytes(body)]
