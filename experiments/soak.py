"""Let one daemon live through very many windows in accelerated time, and see whether anything grows that must not.

    python -m experiments.soak [--windows N] [--pipelines P] [--rows R] [--every N] [--keep-days D] [--state DIR]
        [--keep DIR] [--minutes M]

It is the daemon as `healerd run` starts it (its event loop, ticker, threads and control socket) under a manual clock:
at each tick windows of rows are served and their time passes before the core does what is due. Prints a JSON line at
intervals: windows, CPU, memory (RSS, now and at most since the line before), open files, threads, the write-ahead log,
the database and the whole folder; and one at the end with the growth of each per 1,000 windows over the second half,
and whether the claims held: memory grows by less than 1 MB per 10,000 windows, open files and the write-ahead log do
not grow at all. Exit 1 if not. Of a life that is shorter than memory takes to settle nothing is said (`held` is null).

With `--minutes` it ends when they are over, and the claims are about the windows that were reached. With `--keep DIR`
what was reached is kept: the next run is the next life of that daemon, on the same state, and the claims are about each
life; what is kept must never be of another shape (pipelines).

What an operator would do once a day is done as well: with `--keep-days` the bodies of older entries are let go of.
"""

import argparse
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from experiments.fleet_ticks import Sum
from healerd.actions import InlineWorker
from healerd.clock import Clock, Instant, ManualClock
from healerd.columns import Predictions
from healerd.config import Config, parse_config
from healerd.daemon.app import run
from healerd.daemon.core import Core
from healerd.sources import MemorySource
from healerd.store.library import DATABASE
from healerd.store.retention import let_go

__all__ = ["Sample", "main", "soak"]

START = datetime(2025, 1, 1, tzinfo=UTC)
LENGTH = timedelta(minutes=30)
SAMPLES = "samples.jsonl"
"""The file of a folder that is kept in which each sample is a line."""
BATCH_S = 1.0
"""How long one tick of the daemon may go on serving windows."""
ROOM = 2 * 2**30
"""Bytes that stay free on the disk: the run ends, and says so, before it takes them."""
SETTLED = 50_000
"""Windows after which a life's memory was flat in the first long one: its claims are about a second half from then on.
"""
GROWTH_MAX = {"rss_mb": 0.1, "files": 0.001, "wal_mb": 0.001}
"""The most that may be added per 1,000 windows; of files and log that is nothing, but for rounding."""
CONFIG = """
[daemon]
state = "state"
tick = "20ms"
"""
ONE = """
[pipeline.p{number}]
source = {{ kind = "memory" }}
window = "30m"
label_horizon = 0
loss = "absolute 1"
trusted = ["experiments.fleet_ticks.Sum"]
"""

Sample = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, print what was measured, and say whether the claims held."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--windows", type=int, default=1_000_000)
    parser.add_argument("--pipelines", type=int, default=10)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--every", type=int, default=0, help="windows between two lines [default: a fortieth of all]")
    parser.add_argument("--keep-days", type=float, default=7.0, help="days of entries that are kept; 0 keeps all")
    parser.add_argument("--state", type=Path, default=None, help="a folder to work in [default: a temporary one]")
    parser.add_argument("--minutes", type=float, default=None, help="end after so long, however far it came")
    parser.add_argument("--keep", type=Path, default=None, help="a folder that stays: go on from what it has reached")
    asked = parser.parse_args(arguments)
    with _folder(asked.keep, asked.state) as folder:
        samples = soak(
            folder,
            windows=asked.windows,
            pipelines=asked.pipelines,
            rows=asked.rows,
            every=asked.every or max(1, asked.windows // 40),
            keep_days=asked.keep_days,
            minutes=asked.minutes,
        )
    told = claims(samples)
    print(json.dumps(told))
    return 1 if told["held"] is False else 0


@contextmanager
def _folder(kept: Path | None, below: Path | None) -> Iterator[Path]:
    """Give the folder that is kept, or one that goes away."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
    else:
        with tempfile.TemporaryDirectory(dir=below) as folder:
            yield Path(folder)


def soak(
    folder: Path,
    *,
    windows: int,
    pipelines: int,
    rows: int,
    every: int,
    keep_days: float = 0.0,
    minutes: float | None = None,
) -> list[Sample]:
    """Let a daemon live through so many windows of all pipelines together; give a sample each `every` windows.

    In a folder that has been soaked it goes on where that ended, and the samples of earlier lives come first.
    """
    text = CONFIG + "".join(ONE.format(number=number) for number in range(pipelines))
    config = parse_config(text, path=folder / "healerd.toml")
    log = folder / SAMPLES
    samples: list[Sample] = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    reached = int(samples[-1]["windows"]) if samples else 0

    def open_core(config: Config, clock: Clock) -> Core:
        assert isinstance(clock, Accelerated), "time is made here"
        core = Served.made(config, clock, rows=rows)
        core.windows, core.every, core.keep_days, core.samples = windows, every, keep_days, samples
        core.log, core.life = log, 1 + int(max((sample["life"] for sample in samples), default=0))
        core.until_s = None if minutes is None else time.monotonic() + 60 * minutes
        return core

    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # its clock is the wall's: ticks are always late here
    run(config, open_core=open_core, clock=Accelerated(START + LENGTH * (reached // pipelines)))
    return samples


class Accelerated(ManualClock):
    """A clock that goes on by itself as well: what has a budget of time sees it pass."""

    def __init__(self, at: datetime) -> None:
        super().__init__(at)
        self._since_s = time.monotonic()

    def read(self) -> Instant:
        """Read both clocks, with the time that has really passed on each."""
        read, passed_s = super().read(), time.monotonic() - self._since_s
        return Instant(at=read.at + timedelta(seconds=passed_s), boot_s=read.boot_s + passed_s, boot_id=read.boot_id)

    def now(self) -> datetime:
        """Read the wall clock."""
        return self.read().at

    def advance_to(self, at: datetime) -> None:
        """Let time pass until `at`; nothing happens when `at` is already past."""
        self.advance(max(0.0, (at - self.now()).total_seconds()))


class Served(Core):
    """A core whose pipelines are served: before each look at what is due, a window passes."""

    windows: int
    every: int
    keep_days: float
    samples: list[Sample]
    log: Path
    life: int
    until_s: float | None

    @classmethod
    def made(cls, config: Config, clock: Accelerated, *, rows: int) -> "Served":
        """Open it, with a version in each pipeline."""
        served = {name: MemorySource() for name in config.pipeline}
        core = cls.open(config, clock, sources=served, worker=InlineWorker(), start_at=START)
        assert isinstance(core, cls), "opened as what it is"
        core._time, core._served, core._rows, core._asked = clock, served, rows, False
        core._window_at = max(core.store.watermark(name) or START for name in served)
        core._began_at = core._passed = len(served) * ((core._window_at - START) // LENGTH)
        clock.advance_to(core._window_at)
        core._rng = np.random.Generator(np.random.Philox([1, core._passed]))
        core._began_s = time.process_time()
        if core._passed:
            return core
        held = core._some_rows(START - LENGTH * 4, 400)
        times = {"trained_from_at": START - LENGTH * 4, "trained_to_at": START}
        for name in served:
            core.add_version(name, Sum(), name="first", rows=held, held_out=held, **times)
        return core

    def run_due(self) -> tuple[object, ...]:
        """Let windows pass for a while, each judged as it closes; at the end ask the daemon to stop."""
        told: list[object] = []
        until_s = time.monotonic() + BATCH_S
        while time.monotonic() < until_s and not self._is_over():
            for source in self._served.values():
                source.forget(self._window_at)
                source.push(self._some_rows(self._window_at, self._rows))
            self._window_at += LENGTH
            self._time.advance_to(self._window_at)
            told += super().run_due()
            self._passed += len(self._served)
            if self._passed % self.every < len(self._served):
                self._look()
        if self._is_over() and not self._asked:
            self._asked = True
            self._look()
            os.kill(os.getpid(), signal.SIGTERM)
        return tuple(told)

    def _is_over(self) -> bool:
        late = self.until_s is not None and time.monotonic() > self.until_s
        return self._asked or late or self._passed >= self.windows or shutil.disk_usage(self.config.state).free < ROOM

    def _look(self) -> None:
        if self.samples and self.samples[-1]["windows"] == self._passed:
            return
        sample = {"life": self.life, "windows": self._passed, "lived": self._passed - self._began_at}
        sample |= {"cpu_s": round(time.process_time() - self._began_s, 1)} | measured(self.config.state)
        self.samples.append(sample)
        print(json.dumps(sample), flush=True)
        with self.log.open("a", encoding="ascii") as log:
            log.write(json.dumps(sample) + "\n")
        if self.keep_days:
            before = self._time.now() - timedelta(days=self.keep_days)
            rows_before = dict.fromkeys(self.pipelines, before)
            let_go(self.store, before, rows_before=rows_before, actor="soak", reason="a week is kept")

    def _some_rows(self, start: datetime, n: int) -> Predictions:
        x = {"x0": self._rng.normal(size=n), "x1": self._rng.normal(size=n)}
        output = x["x0"] + x["x1"]
        step = np.timedelta64(round(LENGTH.total_seconds() * 1e6 / n), "us")
        return Predictions(
            ids=np.array([f"{start:%y%m%d%H%M}-{i}" for i in range(n)], dtype=object),
            at=np.datetime64(start.replace(tzinfo=None), "us") + np.arange(n) * step,
            version=np.full(n, "first", dtype=object),
            output=output,
            label=output + self._rng.normal(size=n) * 0.5,
            features=x,
        )


def measured(state: Path) -> Sample:
    """Read what this process holds, and what lies in its state folder."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    database, wal = state / DATABASE, state / f"{DATABASE}-wal"
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here on: proc(5)
    whole = sum(path.stat().st_size for path in state.rglob("*") if path.is_file())
    return {
        "rss_mb": round(int(status["VmRSS"].split()[0]) / 1024, 1),
        "peak_mb": round(int(status["VmHWM"].split()[0]) / 1024, 1),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "threads": int(status["Threads"]),
        "wal_mb": _mb(wal),
        "database_mb": _mb(database),
        "disk_mb": round(whole / 2**20, 2),
    }


def _mb(path: Path) -> float:
    return round(path.stat().st_size / 2**20, 2) if path.exists() else 0.0


def claims(samples: Sequence[Sample]) -> dict[str, object]:
    """Give what each measure grew by per 1,000 windows over the second half of each life, and whether it may.

    `held` is about the lives that were long enough to tell, with `windows_judged` windows in all; None without any.
    """
    lives = [_life([one for one in samples if one["life"] == life]) for life in sorted({s["life"] for s in samples})]
    told = [life for life in lives if life["held"] is not None]
    return {
        "windows": samples[-1]["windows"],
        "windows_judged": sum(life["windows"] for life in told),
        "lives": lives,
        "held": all(life["held"] for life in told) if told else None,
    }


def _life(samples: Sequence[Sample]) -> dict[str, Any]:
    half, last = samples[len(samples) // 2 :], samples[-1]
    slopes = {name: slope(half, name) for name in ("rss_mb", "files", "threads", "wal_mb", "database_mb", "disk_mb")}
    flat = len(half) > 1 and all(slopes[name] <= most for name, most in GROWTH_MAX.items())
    return {
        "windows": last["lived"],
        "cpu_ms_each": round(1000 * last["cpu_s"] / max(1, last["lived"]), 2),
        "per_1000_windows": {name: round(value, 4) for name, value in slopes.items()},
        "held": flat if half[0]["lived"] >= SETTLED else None,
    }


def slope(samples: Sequence[Sample], name: str) -> float:
    """Fit a line by least squares; give what it rises by per 1,000 windows."""
    if len(samples) < 2:
        return 0.0
    x = np.array([sample["windows"] for sample in samples]) / 1000
    return float(np.polyfit(x, np.array([sample[name] for sample in samples]), 1)[0])


if __name__ == "__main__":
    sys.exit(main())
