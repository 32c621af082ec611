"""A small installation on disk: a model, its served rows with labels in a CSV, and a configuration.

The model says whether `x` is positive. The labels agree, but for one in ten; in the newest windows they do not.
"""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import joblib
import numpy as np

WINDOWS, WRONG, ROWS = 10, 6, 100
PATIENCE_S = 40.0

HEALERD = (sys.executable, "-c", "from healerd.cli import main; main()")
"""As the installed command does it: without the working directory on the path."""
MODELS = """
import numpy as np


class Threshold:
    def __init__(self, sign):
        self.sign = sign

    def predict(self, features):
        return (self.sign * features["x"] > 0).astype(float)


def train(features, label):
    agrees = np.mean((features["x"] > 0) == (label == 1.0))
    return Threshold(1.0 if agrees >= 0.5 else -1.0)
"""

CONFIG = """
[daemon]
state = "state"
tick = "200ms"

[pipeline.spam]
window = "1h"
label_horizon = "0s"
start = {start}
model = "model.joblib"
allow_pickle = true
source = {{ path = "served.csv", id = "id", label = "label", features = ["x"] }}
reference = {{ path = "reference.csv" }}

[pipeline.spam.actions.retrain]
cost = 40
failure = 0.25
entry = "models:train"

[pipeline.spam.healing]
train_windows = 4
judge_windows = 2
rows_min = 100
"""


@dataclass(frozen=True)
class Called:
    """What a verb printed and ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Installation:
    """A folder with everything in it, and how to call healerd there."""

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def call(self, *arguments: str) -> Called:
        """Run one verb."""
        done = subprocess.run(
            [*HEALERD, *arguments],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        return Called(code=done.returncode, out=done.stdout, err=done.stderr)

    def use_rules(self, text: str) -> Path:
        """Put a rule file in the place of the pack `default`."""
        config, rules = self.folder / "healerd.toml", self.folder / "my.heal"
        model = 'model = "model.joblib"'
        config.write_text(config.read_text().replace(model, f'{model}\nrules = ["my.heal"]'))
        rules.write_text(text)
        return rules

    @contextlib.contextmanager
    def running(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run the daemon until the block ends; wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            daemon = subprocess.Popen(
                [*HEALERD, "run", "--log", "plain", *options],
                cwd=self.folder,
                env=self._environment(),
                stdout=log,
                stderr=log,
            )
        try:
            self.wait_for(lambda: self.call("status", "--json").json["daemon"]["state"] == "live", daemon)
            yield daemon
        finally:
            daemon.kill()
            daemon.wait()

    def wait_for(self, holds: Any, daemon: "subprocess.Popen[bytes]") -> None:
        """Wait until `holds()` does; what goes wrong meanwhile counts as not yet."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            assert daemon.poll() is None, f"the daemon has ended with {daemon.returncode}:\n{self.log}"
            with contextlib.suppress(ValueError, KeyError):
                if holds():
                    return
            time.sleep(0.2)
        raise AssertionError(f"it never happened; the daemon's log:\n{self.log}")

    def wait_for_question(self, daemon: "subprocess.Popen[bytes]") -> Any:
        """Wait until something waits for a person, and give it."""
        self.wait_for(lambda: self.call("inbox", "--json").json["intents"], daemon)
        return self.call("inbox", "--json").json["intents"][0]

    def _environment(self) -> dict[str, str]:
        own = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "XDG_CACHE_HOME": str(self.folder / "cache")}
        return {**os.environ, **own, "OMP_NUM_THREADS": "1"}


def end(daemon: "subprocess.Popen[bytes]", number: int = signal.SIGTERM) -> int:
    """Send a signal and wait for the end."""
    daemon.send_signal(number)
    return daemon.wait(PATIENCE_S)


def install(folder: Path) -> Installation:
    """Write everything that a daemon needs."""
    (folder / "models.py").write_text(MODELS)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=WINDOWS)  # noqa: TID251
    rng = np.random.default_rng(7)  # noqa: TID251
    _write(folder / "reference.csv", start - timedelta(hours=60), 50, 50, rng)
    _write(folder / "served.csv", start, WINDOWS, WINDOWS - WRONG, rng)
    (folder / "healerd.toml").write_text(CONFIG.format(start=start.isoformat()))
    sys.path.insert(0, str(folder))
    try:
        import models

        joblib.dump(models.Threshold(1.0), folder / "model.joblib")
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("models", None)
    return Installation(folder)


def write_reference(folder: Path, start: datetime, *, every_s: float) -> None:
    """Write the labelled rows that the daemon compares with, one every `every_s` seconds."""
    _write(folder / "reference.csv", start, 50, 50, np.random.default_rng(7), every_s=every_s)  # noqa: TID251


def _write(
    path: Path, start: datetime, windows: int, right: int, rng: np.random.Generator, *, every_s: float = 30.0
) -> None:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["time", "id", "prediction", "label", "x"])
        for window in range(windows):
            for row, x in enumerate(rng.normal(size=ROWS)):
                truth = bool(x > 0) ^ bool(rng.random() < 0.1) ^ (window >= right)
                at = start + timedelta(hours=window) * (every_s / 30) + timedelta(seconds=every_s * row)
                table.writerow([at.isoformat(), f"{path.stem}-{window}-{row}", float(x > 0), float(truth), x])
