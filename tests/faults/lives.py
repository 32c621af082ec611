"""Real processes that live through some windows and are killed or stopped; a fork server starts them quickly."""

import sys
import time
from collections import Counter
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from healerd.actions import EFFECTS
from healerd.actions.durable import read_json
from healerd.actions.job import started_at
from healerd.model import Intent, IntentState
from tests.faults.healing_loop import Loop, live_on

PATIENCE_S = 120.0
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "tests.faults.healing_loop",
        "healerd.cli.run",
        "healerd.daemon.app",
        "healerd.daemon.core",
        "duckdb",
        "sklearn.ensemble",
        "joblib",
        "skops.io",
    ]
)


class Life:
    """One process that heals without end on a folder, from its start to its end."""

    def __init__(self, folder: Path) -> None:
        self._here, there = CONTEXT.Pipe(duplex=False)
        self.process: ForkServerProcess = CONTEXT.Process(target=live_on, args=(folder, there))
        self.process.start()
        there.close()
        self._here: Connection

    def windows(self, count: int) -> None:
        """Wait until it has begun so many windows."""
        for _ in range(count):
            assert self._here.poll(PATIENCE_S), "it hangs"
            self._here.recv()

    def kill(self) -> None:
        """SIGKILL, and see that it had been alive."""
        alive = self.process.is_alive()
        self.process.kill()
        self.end()
        assert alive, f"it had ended with {self.process.exitcode}"

    def end(self) -> int | None:
        """Wait for the end, read what it had still to say, and give the exit code."""
        self.process.join(PATIENCE_S)
        self._here.close()
        return self.process.exitcode


def wrongs_of(folder: Path) -> tuple[Counter[str], int]:
    """Let a last daemon settle on the folder, and compare its journal with the registry; give the effects as well."""
    loop = Loop(folder)
    try:
        loop.live()
        for _ in range(100):  # a job of a process that has just ended may run on for a moment
            if not loop.store.find(Intent, state=IntentState.EXECUTING):
                break
            time.sleep(0.1)
            loop.executor.settle(channel_open=True)
        intents = loop.store.find(Intent)
        moves = Counter(move.key for move in loop.registry.alias().moves if move.key != "first")
        done = [intent for intent in intents if intent.effect_at is not None]
        served = {intent.key for intent in done if EFFECTS[intent.action].serves}
        whole = loop.registry.alias().generation <= 150  # afterwards the file has forgotten its oldest moves
        odd = {IntentState.EXECUTING, IntentState.FAILED, IntentState.NEEDS_PERSON}
        for intent in intents:
            if intent.state in odd:
                sys.stderr.write(f"stuck: {intent.id} is {intent.state}: {intent.reason}\n")
        wrong = Counter(
            doubled=sum(count - 1 for count in moves.values()) + len(set(moves) - {intent.key for intent in intents}),
            lost=len(served - set(moves)) * whole + len(set(moves) - served),
            stuck=sum(intent.state in odd for intent in intents),
            unverified=int(loop.store.verify().problem is not None),
            orphans=len(orphans(folder)),
        )
        return +wrong, len(done)
    finally:
        loop.worker.close()
        loop.store.close()


def orphans(folder: Path) -> list[int]:
    """Find the processes of jobs that still run."""
    notes = [read_json(path) or {} for path in (folder / "jobs").glob("*.json")]
    return [note["pid"] for note in notes if "pid" in note and started_at(note["pid"]) == note["started"]]
