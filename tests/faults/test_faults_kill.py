"""A real process that heals, and the daemon itself, are killed with SIGKILL again and again in the middle of heals.

Long form: `python -m experiments.faults kills`.
"""

import time
from collections import Counter
from pathlib import Path

import numpy as np

from tests.faults import daemons
from tests.faults.lives import Life, wrongs_of

KILLS = 25
DAEMONS = 6
"""Daemons that are killed: each is a whole start, which takes half a second of CPU."""


def test_s14_kill_9_doubles_nothing_and_loses_nothing(tmp_path: Path) -> None:
    """After 25 kills each key has moved the alias at most once, every effect is known, and the audit log verifies."""
    draw = np.random.Generator(np.random.Philox(9))
    for _ in range(KILLS):
        life = Life(tmp_path)
        life.windows(int(draw.integers(1, 6)))
        time.sleep(float(draw.uniform(0.0, 0.2)))
        life.kill()
    wrong, effects = wrongs_of(tmp_path)
    assert wrong == Counter()
    assert effects >= 5


def test_s14_kill_9_of_the_daemon_doubles_nothing_and_loses_nothing(tmp_path: Path) -> None:
    """`healerd run` is killed at random moments and run again: each heal that was due happened once, and is told."""
    wrong, effects = daemons.play(tmp_path, DAEMONS, np.random.Generator(np.random.Philox(3)))
    assert wrong == Counter()
    assert effects == DAEMONS
