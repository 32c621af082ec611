"""Two real processes on one folder: the leader is stopped, its lock is lost, another takes over, and it is continued.

Without the loss of the lock nobody takes over from a stopped process at all. A leader that is stopped inside a
transaction holds the database's own lock, which keeps the other out as well; one that is stopped while it moves the
alias holds the registry's, beside which the other (unlike the whole daemon, which waits and judges on) ends.
"""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import numpy as np

from tests.faults.lives import Life, wrongs_of


def play(folder: Path, rounds: int, draw: np.random.Generator) -> tuple[Counter[str], Counter[str]]:
    """Play rounds; count what was wrong, and how the rounds went."""
    wrong, went = Counter[str](), Counter[str]()
    leader = Life(folder)
    for _ in range(rounds):
        leader.windows(int(draw.integers(1, 4)))
        time.sleep(float(draw.uniform(0.0, 0.15)))
        leader = _overtaken(folder, leader, draw, wrong, went)
    leader.kill()
    found, effects = wrongs_of(folder)
    wrong.update(found)
    went["effects"] = effects
    return +wrong, went


def _overtaken(folder: Path, older: Life, draw: np.random.Generator, wrong: Counter[str], went: Counter[str]) -> Life:
    """Stop the leader, let another take over, continue it: it has to end. Gives who leads then."""
    assert older.process.pid is not None
    os.kill(older.process.pid, signal.SIGSTOP)
    (folder / "state" / "lock").unlink()
    newer = Life(folder)
    try:
        newer.windows(int(draw.integers(1, 4)))
    except EOFError:  # the older one was stopped with the lock of the database, or of the registry
        newer.end()
        went["kept out"] += 1
        os.kill(older.process.pid, signal.SIGCONT)
        return older if _goes_on(older) else Life(folder)
    os.kill(older.process.pid, signal.SIGCONT)
    code = older.end()
    if code is None:
        wrong["went on"] += 1
        older.kill()
    went["overtaken"] += 1
    return newer


def _goes_on(life: Life) -> bool:
    """Tell whether it leads still; one that was overtaken in the database has to end."""
    try:
        life.windows(1)
    except EOFError:
        life.end()
        return False
    return True
