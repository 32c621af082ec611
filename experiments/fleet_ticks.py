"""How long one machine needs to tick many pipelines, window after window.

    python -m experiments.fleet_ticks [PIPELINES...] [--rows R] [--features F]

One core holds all of them, as in production; each has a version, a reference and a window of rows with labels, with
nothing wrong. Prints a line for each number of pipelines: seconds of CPU and of wall time from the closed windows to
the committed decisions, and the share of a window of 30 minutes that is.
"""

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from healerd.actions import InlineWorker
from healerd.clock import ManualClock
from healerd.columns import Predictions
from healerd.config import parse_config
from healerd.daemon.core import Core
from healerd.sources import MemorySource

START = datetime(2025, 1, 1, tzinfo=UTC)
LENGTH = timedelta(minutes=30)
WINDOWS = 3
ONE = """
[pipeline.{name}]
source = {{ kind = "memory" }}
window = "30m"
label_horizon = 0
loss = "absolute 1"
trusted = ["__main__.Sum", "experiments.fleet_ticks.Sum"]
"""


class Sum:
    """A model that adds its features up."""

    def predict(self, features: dict[str, np.ndarray]) -> np.ndarray:
        """Predict n sums."""
        return np.sum(list(features.values()), axis=0)


def main() -> None:
    """Measure each number of pipelines."""
    parser = argparse.ArgumentParser()
    parser.add_argument("pipelines", nargs="*", type=int, default=[100, 1_000, 10_000])
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--features", type=int, default=5)
    asked = parser.parse_args()
    for count in asked.pipelines:
        print(json.dumps(measure(count, asked.rows, asked.features)), flush=True)


def measure(count: int, rows: int, features: int) -> dict[str, float | int]:
    """Tick `count` pipelines for a few windows; give the least of them."""
    rng = np.random.default_rng(0)  # noqa: TID251 - a measurement seeds itself
    names = [f"p{number:05d}" for number in range(count)]
    text = '[daemon]\nstate = "state"\n' + "".join(ONE.format(name=name) for name in names)
    with tempfile.TemporaryDirectory() as folder:
        clock = ManualClock(START)
        sources = {name: MemorySource() for name in names}
        config = parse_config(text, path=Path(folder, "healerd.toml"))
        core = Core.open(config, clock, sources=sources, worker=InlineWorker(), start_at=START)
        held = _rows(rng, START - LENGTH * 4, rows * 4, features)
        for name in names:
            times = {"trained_from_at": START - LENGTH * 4, "trained_to_at": START}
            core.add_version(name, Sum(), name="first", rows=held, held_out=held, **times)
        spent = []
        for _ in range(WINDOWS):
            for source in sources.values():
                source.forget(clock.now())
                source.push(_rows(rng, clock.now(), rows, features))
            clock.advance(LENGTH.total_seconds())
            cpu, wall = time.process_time(), time.monotonic()
            core.run_due()
            spent.append((time.process_time() - cpu, time.monotonic() - wall))
        core.close()
    cpu_s, wall_s = min(spent)
    return {
        "pipelines": count,
        "rows": rows,
        "features": features,
        "cpu_s": round(cpu_s, 2),
        "wall_s": round(wall_s, 2),
        "cpu_ms_each": round(1000 * cpu_s / count, 2),
        "share_of_window": round(cpu_s / LENGTH.total_seconds(), 4),
    }


def _rows(rng: np.random.Generator, start: datetime, n: int, features: int) -> Predictions:
    held = {f"x{k}": rng.normal(size=n) for k in range(features)}
    output = np.sum(list(held.values()), axis=0)
    step = np.timedelta64(round(LENGTH.total_seconds() * 1e6 / n), "us")
    return Predictions(
        ids=np.array([f"{start:%d%H%M}-{i}" for i in range(n)], dtype=object),
        at=np.datetime64(start.replace(tzinfo=None), "us") + np.arange(n) * step,
        version=np.full(n, "first", dtype=object),
        output=output,
        label=output + rng.normal(size=n) * 0.5,
        features=held,
    )


if __name__ == "__main__":
    main()
