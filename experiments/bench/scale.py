"""The cost of a profile grows with rows and with features, and its memory with neither.

Rows and features are doubled three times; the slope of log time over log size is told: 1 is linear. Then windows of 1
and of 10 million rows x 50 features are profiled in chunks that are merged, each in a process of its own, and the peak
of its memory is told, beside what it was once the first chunk had been drawn. Must never hold a window as a whole.
"""

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from healerd.profiles import fit, merge, profile

FEATURES, CHUNK = 50, 100_000
SIZES = (1_000_000, 10_000_000)
SLOPE_MAX, GROWTH_MAX = 1.1, 1.1
"""A slope over this is not linear; a peak that grew by more from 1 to 10 million rows is not bounded."""


def main() -> bool:
    """Print one JSON line a claim; True if all held."""
    lines = [
        _slope("rows", {rows: _timed(rows, 5) for rows in (200_000, 400_000, 800_000, 1_600_000)}),
        _slope("features", {features: _timed(50_000, features) for features in (10, 20, 40, 80)}),
        _memory([_child(rows) for rows in SIZES]),
    ]
    for line in lines:
        print(json.dumps(line))
    return all(line["held"] for line in lines)


def chunked(rows: int) -> None:
    """Profile so many rows a chunk at a time, and print the peak of this process in MB before and after."""
    rng = np.random.Generator(np.random.Philox(1))
    maps = fit(_chunk(rng))
    before, begun = _peak_mb(), time.process_time()
    whole = reduce(merge, (profile(_chunk(rng), maps) for _ in range(rows // CHUNK)))
    assert whole.rows == rows
    assert all(one.n == rows for one in whole.features.values()), "a row was dropped"
    print(json.dumps({"rows": rows, "before": before, "peak": _peak_mb(), "cpu_s": time.process_time() - begun}))


def _chunk(rng: np.random.Generator) -> dict[str, Any]:
    return {f"x{k}": rng.random(CHUNK) for k in range(FEATURES)}


def _peak_mb() -> float:
    """The most this process held. What `getrusage` says begins at the size of the process that forked it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    assert found is not None
    return int(found[1]) / 1024


def _child(rows: int) -> dict[str, float]:
    command = [sys.executable, "-c", f"from experiments.bench.scale import chunked; chunked({rows})"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(told.stdout)
    return found


def _memory(found: list[dict[str, float]]) -> dict[str, Any]:
    small, large = found
    return {
        "bench": f"profile {SIZES[1]} rows x {FEATURES} features in chunks of {CHUNK}, merged",
        "peak_mb": round(large["peak"]),
        "peak_mb_at_a_tenth": round(small["peak"]),
        "mb_with_one_chunk": round(large["before"]),
        "mb_of_the_rows": round(SIZES[1] * FEATURES * 8 / 2**20),
        "cpu_s_with_drawing_the_rows": round(large["cpu_s"], 1),
        "at_most_times_the_peak_at_a_tenth": GROWTH_MAX,
        "held": large["peak"] <= GROWTH_MAX * small["peak"],
    }


def _timed(rows: int, features: int) -> float:
    """The least CPU of nine: a busy machine only ever adds."""
    rng = np.random.Generator(np.random.Philox(2))
    columns = {f"x{k}": rng.normal(size=rows) for k in range(features)}
    maps = fit({name: column[:10_000] for name, column in columns.items()})
    profile(columns, maps)
    return min(_seconds(lambda: profile(columns, maps)) for _ in range(9))


def _slope(of: str, seconds: dict[int, float]) -> dict[str, Any]:
    slope = float(np.polyfit(np.log(list(seconds)), np.log(list(seconds.values())), 1)[0])
    return {
        "bench": f"profile, growth of CPU with {of}, {min(seconds)} to {max(seconds)}",
        "slope": round(slope, 2),
        "at_most": SLOPE_MAX,
        "held": slope <= SLOPE_MAX,
    }


def _seconds(thing: Callable[[], object]) -> float:
    before = time.process_time()
    thing()
    return time.process_time() - before
