"""What pipelines need of a machine: CPU, memory and disk of a window of 1,000 rows x 20 features from Parquet.

The whole core runs, as in production, on 2 pipelines and on 20, each number in a process of its own; what one more
pipeline takes is the difference. Then what the gateway's record takes of a row. CPU time, so that neighbours count
little. Must never be read as a bound: an incident, labels that come late and long histories cost more.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np

from healerd.actions import InlineWorker
from healerd.clock import ManualClock
from healerd.columns import Predictions
from healerd.config import parse_config
from healerd.daemon.core import Core
from healerd.segments.spool import SpoolWriter

ROWS, FEATURES, WINDOWS, WARM, HELD = 1000, 20, 8, 2, 4
FEW, MANY = 2, 20
START, LENGTH = datetime(2026, 1, 1, tzinfo=UTC), timedelta(minutes=30)
ONE = """
[pipeline.p{number}]
source = {{ path = "rows.parquet", id = "id", label = "label" }}
window = "30m"
label_horizon = 0
loss = "absolute 1"
trusted = ["experiments.bench.sizing.Sum"]
"""


class Sum:
    """A model that adds its features up."""

    def predict(self, features: dict[str, np.ndarray]) -> np.ndarray:
        """Predict n sums."""
        return np.sum(list(features.values()), axis=0)


def main() -> bool:
    """Print one JSON line a figure; none of them is a claim."""
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder, "rows.parquet"))
        few, many = (_child(folder, count) for count in (FEW, MANY))
        spool = _spool(Path(folder, "spool"))
    more = MANY - FEW
    lines = {
        "cpu of a window, ms": round(1000 * many["cpu_s"] / (MANY * (WINDOWS - WARM)), 1),
        f"memory with {FEW} pipelines, MB": round(few["rss_mb"]),
        "memory of one more pipeline, MB": round((many["rss_mb"] - few["rss_mb"]) / more, 2),
        "database of a window, kB": round(many["db_kb"] / (MANY * WINDOWS), 1),
        "stored rows of a window, kB": round(many["segments_kb"] / (MANY * WINDOWS), 1),
        "the gateway's record of a row of 10 numbers, bytes": round(spool),
    }
    for what, value in lines.items():
        print(
            json.dumps({"bench": f"sizing: {what}", "rows": ROWS, "features": FEATURES, "value": value, "held": None})
        )
    return True


def run(folder: str, count: int) -> None:
    """Judge some windows of so many pipelines; print what it took."""
    place = Path(folder, f"state{count}")
    place.mkdir()
    (place / "rows.parquet").symlink_to(Path(folder, "rows.parquet"))
    text = "".join(ONE.format(number=number) for number in range(count))
    clock = ManualClock(START + LENGTH * HELD)
    config = parse_config(text, path=place / "healerd.toml")
    core = Core.open(config, clock, worker=InlineWorker(), start_at=clock.now())
    for name, pipeline in core.pipelines.items():
        rows = pipeline.source.fetch(START, clock.now())
        at = {"trained_from_at": START - LENGTH, "trained_to_at": START}
        core.add_version(name, Sum(), name="first", rows=rows, held_out=rows, **at)
    before = _kb(config.state / "healerd.db")
    spent = []
    for _ in range(WINDOWS):
        clock.advance(LENGTH.total_seconds())
        begun = time.process_time()
        core.run_due()
        spent.append(time.process_time() - begun)
    rss = _rss_mb()
    core.close()
    segments = sum(_kb(path) for path in (config.state / "segments").rglob("*.parquet"))
    told = {"cpu_s": sum(spent[WARM:]), "rss_mb": rss, "db_kb": _kb(config.state / "healerd.db") - before}
    print(json.dumps({**told, "segments_kb": segments}))


def _child(folder: str, count: int) -> dict[str, float]:
    command = [sys.executable, "-c", f"from experiments.bench.sizing import run; run({folder!r}, {count})"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _write(path: Path) -> None:
    """Write the rows of all windows; the features are numbers that do not repeat, which compress badly."""
    columns = ", ".join(f"random() AS x{k}" for k in range(FEATURES))
    total = " + ".join(f"x{k}" for k in range(FEATURES))
    step_us = round(LENGTH.total_seconds() * 1e6 / ROWS)
    sql = f"""SELECT 'r' || i AS id, TIMESTAMP '{START:%Y-%m-%d}' + to_microseconds(i * {step_us}) AS time, *,
        {total} AS prediction, {total} + random() - 0.5 AS label
        FROM (SELECT i, {columns} FROM range({ROWS * (WINDOWS + HELD)}) r(i))"""
    with duckdb.connect(":memory:") as duck:
        duck.execute("SELECT setseed(0.5)")
        duck.execute(f"COPY (SELECT * EXCLUDE (i) FROM ({sql})) TO '{path}'")


def _spool(folder: Path) -> float:
    """Write a second of a gateway that answers a thousand rows in it."""
    folder.mkdir()
    writer, n = SpoolWriter(folder, "0" * 12), 1000
    rng = np.random.Generator(np.random.Philox(1))
    rows = Predictions(
        ids=np.array([f"{'0' * 12}-{number}" for number in range(n)], np.object_),
        at=np.datetime64("2026-01-01", "us") + np.arange(n),
        version=np.full(n, "v1", np.object_),
        output=rng.normal(size=n),
        label=np.full(n, np.nan),
        features={f"x{k}": rng.normal(size=n) for k in range(10)},
    )
    writer.add_rows(rows, last_number=n)
    writer.close()
    return sum(path.stat().st_size for path in folder.iterdir()) / n


def _kb(path: Path) -> float:
    return sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*")) / 1000


def _rss_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1000
