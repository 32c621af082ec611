"""The example of the trial: a model whose world can be turned upside down, its rows, its training, its configuration.

Must never be read by healerd's own code: it is what a user of the project would write.
"""

import shutil
from pathlib import Path

import numpy as np
import skl2onnx
from sklearn.linear_model import LogisticRegression

from tests.booted.machine import Machine

__all__ = ["CONFIG", "FILES", "GREEDY", "RULES", "TURNED", "begin", "place"]

HOME, DATA = "/etc/healerd", "/srv/site"
TURNED = f"{DATA}/turned"
"""While this file is there, the labels are the other way round."""
GREEDY = f"{DATA}/greedy"
"""While this file is there, a training takes memory without end."""

RULES = 'import "base"\npropose again: retrain when alarm(harm) priority 50 severity high\n'
"""The shipped guards; a proposal that needs no waiting for a veto once somebody has said yes."""
CONFIG = """
[daemon]
state = "/var/lib/healerd/state"
socket = "/run/healerd/control.sock"
tick = "1s"
roles = { operator = ["group:healerd"], approver = ["group:healerd"] }
[audit]
key = "credential:audit"
[pipeline.sign]
source = { path = "/srv/site/predictions.csv", id = "id", label = "label" }
reference = { path = "/srv/site/reference.csv" }
model = "model.skops"
rules = ["sign.heal"]
window = "5s"
label_horizon = "5s"
healing = { train_windows = 4, judge_windows = 1, choose_windows = 2, choose_rows = 200, rows_min = 100 }
[pipeline.sign.actions]
retrain = { entry = "training:fit", cost = 1, failure = 0.2 }
rollback = { cost = 0, failure = 0.3 }
"""

TRAINING = """
import os

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression


def fit(features, label):
    taken = []
    while os.path.exists("/srv/site/greedy"):
        taken.append(np.ones(4_000_000))
    rows = np.column_stack(list(features.values()))
    np.linalg.svd(np.random.default_rng(0).normal(size=(400, 400)))  # OpenBLAS and its threads
    HistGradientBoostingClassifier(max_iter=10).fit(rows, label)  # OpenMP and its threads
    return LogisticRegression().fit(rows, label)
"""

SERVE = """
import csv
import datetime
import itertools
import os
import sys
import time

import numpy as np
import skops.io
from training import fit

rng = np.random.default_rng(7)


def world(n, turned):
    x = rng.normal(size=(n, 2))
    return x, ((x[:, 0] + 0.2 * rng.normal(size=n) > 0) != turned).astype(int)


def write(path, mode, model, served, x, y, first):
    said = model.predict(x)
    with open(path, mode, newline="") as file:
        if mode == "w":
            csv.writer(file).writerow(["id", "time", "x", "z", "prediction", "label"])
        for i, at in enumerate(served):
            csv.writer(file).writerow([first + i, at.isoformat(), x[i, 0], x[i, 1], said[i], y[i]])


if sys.argv[1:] == ["begin"]:
    x, y = world(1000, False)
    model = fit({"x": x[:, 0], "z": x[:, 1]}, y)
    skops.io.dump(model, "/etc/healerd/model.skops")
    past = [datetime.datetime(2026, 1, 1) + datetime.timedelta(seconds=i / 40) for i in range(4000)]
    write("/srv/site/reference.csv", "w", model, past, *world(4000, False), first=-4000)
    write("/srv/site/predictions.csv", "w", model, [], *world(1, False), first=0)
else:
    model, first = skops.io.load("/etc/healerd/model.skops"), int(time.time()) * 1000
    for second in itertools.count():
        now = datetime.datetime.now(datetime.UTC)
        served = [now + datetime.timedelta(milliseconds=25 * i) for i in range(40)]
        turned = os.path.exists("/srv/site/turned")
        if os.path.isfile("/srv/site/predictions.csv"):
            write("/srv/site/predictions.csv", "a", model, served, *world(40, turned), first=first + 40 * second)
        time.sleep(1)
"""

FILES = {"healerd.toml": CONFIG, "training.py": TRAINING, "serve.py": SERVE, "sign.heal": RULES}


def place(root: Path) -> None:
    """Write the files into a root; what an earlier trial left there is gone."""
    for old in (HOME, DATA, "/var/lib/healerd", "/srv/own", "/srv/keep", "/var/log/journal"):
        shutil.rmtree(root / old.lstrip("/"), ignore_errors=True)
    for unit in (root / "etc/systemd/system").rglob("healerd.service*"):
        shutil.rmtree(unit) if unit.is_dir() and not unit.is_symlink() else unit.unlink()
    folder = root / HOME.lstrip("/")
    folder.mkdir(parents=True)
    (root / DATA.lstrip("/")).mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "model.onnx").write_bytes(graph())


def graph() -> bytes:
    """Write a model of the world that is not turned as an ONNX graph."""
    rows = np.array([[-1.0, 0.0], [1.0, 0.0]])
    kind = skl2onnx.common.data_types.FloatTensorType([None, 2])
    fitted = LogisticRegression().fit(rows, [0, 1])
    written: bytes = skl2onnx.to_onnx(
        fitted, initial_types=[("X", kind)], options={"zipmap": False}
    ).SerializeToString()
    return written


def begin(machine: Machine) -> None:
    """Let the model answer, as a service of its own; the first time it is made, with healthy rows."""
    first = "cd /etc/healerd && test -e model.skops || python serve.py begin"
    machine.must(f"{first}; rm -f {TURNED} {GREEDY}")
    machine.must(
        "systemd-run --quiet --unit=serve --property=WorkingDirectory=/etc/healerd /opt/healerd/bin/python serve.py"
    )
