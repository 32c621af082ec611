"""A daemon that heals without end, on a real store, registry and jobs: to be killed. `python -m` with a folder.

The truth turns every eight windows, so that there is always something to heal. What was served is kept in a file.
"""

import json
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from healerd.actions import ACTIONS, Plan, ProcessWorker
from healerd.model import OPEN_STATES, Intent
from tests.healerd.daemon.bench import Bench

TURN = 8


class Loop(Bench):
    """A bench that goes on where the last process ended."""

    def __init__(self, folder: Path) -> None:
        worker = ProcessWorker(folder / "jobs", folder / "logs", preload=("healerd.actions.job", "joblib"))
        super().__init__(folder, worker=worker)
        if not self.registry.names():
            self.with_versions()
        if self.registry.alias().version is None:
            self.registry.set_alias("zero", if_current=None, key="first", epoch=0, by="test", at=self.clock.now())
        self.log = folder / "served.jsonl"
        for line in self.log.read_text().splitlines() if self.log.exists() else ():
            self.serve(*json.loads(line))
        self.executor.recover(["flights"])

    def live(self) -> None:
        """Close a window, propose a heal if none is open, and let the executor step."""
        active = self.registry.active
        says = float(self.registry.load(active).predict({"x": np.zeros(1)})[0])
        served = (active, float(len(self.served) // TURN % 2), says)
        with self.log.open("a") as log:
            log.write(json.dumps(served) + "\n")
        self.serve(*served)
        with self.store.transaction() as tx:
            tx.set_watermark("flights", self.clock.now())
        heals = self.store.find(Intent, parent_id=None)
        if not any(intent.state in OPEN_STATES for intent in self.store.find(Intent)):
            action = ("retrain", "rollback", "retrain", "fallback")[len(heals) % 4]
            if isinstance(ACTIONS[action].plan(self.world("flights", self.clock.now())), Plan):
                self.propose(action, name=f"h{len(heals)}")
        self.executor.settle(channel_open=True)


def live_on(folder: Path, tell: Connection | None = None) -> None:
    """Live without end; say so after each window."""
    loop = Loop(folder)
    while True:
        if tell is not None:
            tell.send("alive")
        loop.live()


if __name__ == "__main__":
    live_on(Path(sys.argv[1]))
