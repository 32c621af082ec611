"""Plain models and columns for the tests of actions, and trainers in a module that a job can import."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np

from healerd.actions.registry import Draft
from healerd.actions.safe_model import SafeModel, fit_safe_model
from healerd.columns import Column
from healerd.model import VersionKind

R = TypeVar("R")

START = datetime(2026, 1, 1, tzinfo=UTC)

TRAINERS = """
import os, signal, subprocess, sys, time
import numpy as np

class Constant:
    def __init__(self, value):
        self.value = value
    def predict(self, features):
        return np.full(len(next(iter(features.values()))), self.value)

class Hanging(Constant):
    def predict(self, features):
        if len(next(iter(features.values()))) > 20:
            time.sleep(60)
        return super().predict(features)

class Raising(Constant):
    def predict(self, features):
        raise RuntimeError("no weights")

def mean(features, label):
    return Constant(float(label.mean()))

def hanging(features, label):
    return Hanging(0.0)

def plain(features, label):
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(np.column_stack(list(features.values())), label)

def raising(features, label):
    raise RuntimeError("no such column")

def dying(features, label):
    os.kill(os.getpid(), signal.SIGKILL)

def sleeping(features, label):
    print("asleep", flush=True)
    open(os.environ["HEALERD_TEST_CHILD"], "w").write(
        str(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid)
    )
    time.sleep(60)

def shapeless(features, label):
    return object()
"""


def constant(value: float) -> SafeModel:
    """A model that always says `value`."""
    return fit_safe_model({}, np.array([value]))


def features(n: int) -> Mapping[str, Column]:
    """Columns of n rows."""
    return {"x": np.arange(n, dtype=np.float64)}


def filled(registry: R) -> R:
    """Give a registry versions `a` (says 0) and `b` (says 1), `a` active; returns it."""
    registry.prepare()
    for name, value in (("a", 0.0), ("b", 1.0)):
        registry.add(constant(value), Draft(name=name, kind=VersionKind.MODEL, created_at=START))
    registry.set_alias("a", if_current=None, key="first", epoch=1, by="healerd", at=START)
    return registry
