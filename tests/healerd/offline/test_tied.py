"""Programs that end with the process that started them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from healerd.offline.tied import tied

CHILD = """
import os, subprocess, time
below = subprocess.Popen(["sleep", "600"])
print(os.getpid(), below.pid, flush=True)
time.sleep(600)
"""
STARTER = f"""
import os, sys, time
from healerd.offline.tied import tied
with open(sys.argv[1], "wb") as log, tied([sys.executable, "-c", {CHILD!r}], log=log, env=os.environ):
    time.sleep(600)
"""


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Whether a process runs; one that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids(log: Path) -> list[int]:
    until(lambda: log.exists() and log.read_text(encoding="utf-8").endswith("\n"))
    return [int(each) for each in log.read_text(encoding="utf-8").split()]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does it, and only Linux's")
def test_a_program_ends_with_a_starter_that_is_killed(tmp_path: Path) -> None:
    """Of a starter that is killed neither the program nor what that has started lives on."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path / "log")], env=env)
    found = pids(tmp_path / "log")
    assert all(lives(pid) for pid in found)
    starter.kill()
    starter.wait()
    until(lambda: not any(lives(pid) for pid in found))


def test_a_program_ends_with_its_block(tmp_path: Path) -> None:
    """When the block ends, so does the program, with what it has started."""
    with (tmp_path / "log").open("wb") as log, tied([sys.executable, "-c", CHILD], log=log, env=os.environ):
        found = pids(tmp_path / "log")
    until(lambda: not any(lives(pid) for pid in found))
