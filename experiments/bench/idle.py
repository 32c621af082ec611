"""What a daemon costs that has nothing to do: 100 pipelines between two windows, nobody asking anything.

The real daemon, as `healerd run` starts it, on a folder of its own; its CPU is read from the kernel over a minute, and
its memory at the end, of the process and of all that it started. Must never judge a window while it measures.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from healerd.clock import SystemClock

PIPELINES, ROWS, FEATURES = 100, 1000, 10
MEASURED_S, PATIENCE_S = 60.0, 600.0
SHARE_MAX, MEMORY_MAX_MB = 0.01, 200
CONFIG = """
[pipeline.model{number:03}]
window = "12h"
source = {{ path = "served.csv", id = "id", label = "label" }}
reference = {{ path = "reference.csv" }}
"""


def main() -> bool:
    """Print one JSON line; True if both bars held."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        with (folder / "log").open("wb") as log:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "healerd", "run", "--log", "plain"],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdout=log,
                stderr=log,
            )
        try:
            _wait_for(daemon, folder / "log", "running on")
            line = _measured(daemon.pid)
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(PATIENCE_S)
    print(json.dumps(line))
    return bool(line["held"])


def _measured(pid: int) -> dict[str, Any]:
    """Read the CPU over a minute, and then the memory."""
    time.sleep(15)  # the first ticks still load what later ones find loaded
    before, began = _cpu_s(pid), time.monotonic()
    time.sleep(MEASURED_S)
    share, memory = (_cpu_s(pid) - before) / (time.monotonic() - began), _memory_mb(pid)
    return {
        "bench": f"idle daemon, {PIPELINES} pipelines",
        "share_of_a_core": round(share, 4),
        "at_most": SHARE_MAX,
        "memory_mb": round(memory),
        "memory_at_most_mb": MEMORY_MAX_MB,
        "held": share <= SHARE_MAX and memory <= MEMORY_MAX_MB,
    }


def _prepare(folder: Path) -> None:
    now = SystemClock().now().replace(tzinfo=None)
    rng = np.random.Generator(np.random.Philox(1))
    for name, end in (("reference.csv", now - timedelta(days=10)), ("served.csv", now - timedelta(days=1))):
        x = rng.normal(size=(ROWS, FEATURES)).round(3)
        label = (x[:, 0] > 0) ^ (rng.random(ROWS) < 0.1)
        with (folder / name).open("w", encoding="utf-8") as file:
            file.write(f"id,time,prediction,label,{','.join(f'x{each}' for each in range(FEATURES))}\n")
            for row in range(ROWS):
                at = end - timedelta(minutes=ROWS - row)
                values = ",".join(map(str, x[row]))
                file.write(f"{name[0]}{row},{at.isoformat()},{int(x[row, 0] > 0)},{int(label[row])},{values}\n")
    text = "".join(CONFIG.format(number=number) for number in range(PIPELINES))
    (folder / "healerd.toml").write_text(text, encoding="utf-8")


def _wait_for(daemon: "subprocess.Popen[bytes]", log: Path, said: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while said not in log.read_text(encoding="utf-8"):
        if daemon.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the daemon does not run:\n{log.read_text(encoding='utf-8')[-2000:]}")
        time.sleep(0.5)


def _family(pid: int) -> list[int]:
    """The process and all that came of it."""
    found = [pid]
    for each in found:
        for path in Path(f"/proc/{each}/task").glob("*/children"):
            found += [int(child) for child in path.read_text().split()]
    return found


def _cpu_s(pid: int) -> float:
    ticks = 0
    for each in _family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    """What is resident of the whole family; pages that they share count once each."""
    sizes = (re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{each}/status").read_text()) for each in _family(pid))
    return sum(int(size[1]) for size in sizes if size) / 1024
