"""Trainings that hang, crash, lie or are stopped, in real processes: killed in time, and told."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from healerd.action_settings import ActionSettings
from healerd.actions import ProcessWorker
from healerd.actions.safe_model import fit_safe_model
from healerd.config import Duration
from healerd.model import IntentState
from tests.healerd.daemon.bench import SETTINGS, Bench

LIMIT_S = 1.0


def hangs(features: Any, label: Any) -> Any:
    time.sleep(3600)


def crashes(features: Any, label: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def raises(features: Any, label: Any) -> Any:
    raise RuntimeError("no")


def lies(features: Any, label: Any) -> Any:
    return None


def forks(features: Any, label: Any) -> Any:
    if os.fork() == 0:
        time.sleep(3600)
    time.sleep(3600)


def is_stopped(features: Any, label: Any) -> Any:
    os.kill(os.getpid(), signal.SIGSTOP)


def waits(features: Any, label: Any, until: str) -> Any:
    while not Path(until).exists():
        time.sleep(0.02)
    return fit_safe_model({}, np.array([1.0]))


KINDS = ("hangs", "crashes", "raises", "lies", "forks", "is_stopped")


def play(folder: Path, kind: str) -> tuple[float, Counter[str]]:
    """Retrain with a training that goes wrong; give how long it lived beyond nothing, and what was wrong."""
    settings = ActionSettings(entry=f"tests.faults.hung:{kind}", deadline=Duration(LIMIT_S))
    worker = ProcessWorker(folder / "jobs", folder / "logs", preload=("healerd.actions.job", "tests.faults.hung"))
    bench = Bench(
        folder, worker=worker, settings=msgspec.structs.replace(SETTINGS, actions={"retrain": settings})
    ).with_versions()
    bench.close_windows(6, label=1.0)
    bench.propose("retrain")
    bench.step()
    began = time.monotonic()
    worker.wait(bench.intent().key)
    took = time.monotonic() - began
    bench.step()
    intent = bench.intent()
    wrong = Counter(
        lost=int(intent.state is not IntentState.FAILED or not intent.reason),
        served=int(bench.registry.active != "zero" or bench.registry.names() != ("one", "zero")),
    )
    worker.close()
    bench.store.close()
    return took, +wrong


def play_a_restart(folder: Path) -> Sequence[IntentState]:
    """Stop the daemon in a training, in order, and start the next one; give where the heal stood before and after."""
    go = folder / "go"
    settings = ActionSettings(entry="tests.faults.hung:waits", args={"until": str(go)}, deadline=Duration(60))
    settings = msgspec.structs.replace(SETTINGS, actions={"retrain": settings})
    preload = ("healerd.actions.job", "tests.faults.hung")
    workers = [ProcessWorker(folder / "jobs", folder / "logs", preload=preload) for _ in range(2)]
    bench = Bench(folder, worker=workers[0], settings=settings).with_versions()
    bench.close_windows(6, label=1.0)
    bench.propose("retrain")
    bench.step()
    before = bench.intent().state
    workers[0].close()
    go.touch()
    bench.worker = workers[1]
    bench.start_anew()
    bench.executor.recover(["flights"])
    bench.step()
    workers[1].wait(bench.intent().key)
    bench.step()
    after = bench.intent().state
    workers[1].close()
    bench.store.close()
    return before, after


def every(folder: Path) -> Iterator[tuple[str, float, Counter[str]]]:
    """Play each kind."""
    for kind in KINDS:
        took, wrong = play(folder / kind, kind)
        yield kind, took, wrong
