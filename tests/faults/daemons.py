"""The daemon itself, `healerd run` on a state folder of its own, with heals due: to be killed at any moment.

Each pipeline has one heal: a command that adds its key to a file, which only that file can tell, or a rollback, which
the registry tells. Both are approved before a daemon starts, so that each start has something to do.
"""

import contextlib
import os
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from healerd.actions import InlineWorker, Worker
from healerd.clock import SystemClock
from healerd.columns import Predictions
from healerd.config import load_config
from healerd.daemon.core import Core
from healerd.model import AnswerKind, Intent, IntentState
from healerd.store import ReadStore
from tests.faults.lives import CONTEXT, PATIENCE_S
from tests.healerd.daemon.loop import ROLES, Sign

EFFECTS = "effects"
"""The file in which each command leaves its key."""
PIPELINES = 10
SETTLED = frozenset({IntentState.INCONCLUSIVE, IntentState.CONFIRMED, IntentState.VERIFYING, IntentState.VERIFIED})
RULES = """
import "base"
action page risk 0
permit mine: page
"""
DAEMON = """
[daemon]
state = "state"
tick = "50ms"
unattended = true
"""
ONE = """
[pipeline.p{number}]
window = "30d"
label_horizon = 0
rules = ["all.heal"]
trusted = ["tests.healerd.daemon.loop.Sign"]
source = {{ kind = "memory" }}

[pipeline.p{number}.actions.page]
kind = "run"
command = ["sh", "-c", "echo $HEALERD_KEY >> {file}"]
observe = ["sh", "-c", "grep -q $HEALERD_KEY {file}"]

[pipeline.p{number}.actions.rollback]
cost = 0.02
"""


class Daemons:
    """A folder on which one daemon after the other runs. `promise` makes a heal due, `kill_one` kills a daemon."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / EFFECTS
        self.file.touch()
        (folder / "all.heal").write_text(RULES, encoding="utf-8")
        pipelines = "".join(ONE.format(number=number, file=self.file) for number in range(PIPELINES))
        (folder / "healerd.toml").write_text(DAEMON + pipelines, encoding="utf-8")
        with contextlib.closing(self._core(start_at=datetime.now(UTC) - timedelta(days=31))) as core:  # noqa: TID251
            for name in core.pipelines:
                for version, sign in (("first", 1.0), ("other", -1.0)):
                    _add(core, name, version, sign)
            core.run_due()

    def _core(self, *, worker: Worker | None = None, start_at: datetime | None = None) -> Core:
        config = load_config(self.folder / "healerd.toml")
        return Core.open(config, SystemClock(), worker=worker or InlineWorker(), start_at=start_at)

    def promise(self, number: int) -> None:
        """Propose the heal of a pipeline, and approve it."""
        name = f"p{number}"
        action, to = ("rollback", "other") if number % 2 else ("page", None)
        with contextlib.closing(self._core()) as core:
            core.propose(name, action, to=to, author="ada", roles=ROLES, reason="a drill")
            (intent,) = core.store.find(Intent, pipeline=name)
            core.answer(intent.id, AnswerKind.APPROVE, author="ada", roles=ROLES, reason="a drill", revision=None)

    def kill_one(self, after_s: float | None) -> float:
        """Run a daemon, and kill it after so many seconds, or when all is done (None); give how long it lived."""
        began = time.monotonic()
        daemon = CONTEXT.Process(target=run_daemon, args=(self.folder,))
        daemon.start()
        while time.monotonic() - began < (PATIENCE_S if after_s is None else after_s):
            if after_s is None and self._done():
                break
            time.sleep(0.01 if after_s is not None else 0.05)
        assert daemon.exitcode is None, f"it had ended with {daemon.exitcode}:\n{(self.folder / 'log').read_text()}"
        daemon.kill()
        daemon.join(PATIENCE_S)
        return time.monotonic() - began

    def _done(self) -> bool:
        with ReadStore.open(self.folder / "state") as store:
            return all(intent.state in SETTLED for intent in store.find(Intent))

    def verified(self) -> bool:
        """Tell whether the audit log verifies as it lies."""
        with ReadStore.open(self.folder / "state") as store:
            return store.verify().problem is None

    def wrongs(self) -> tuple[Counter[str], int]:
        """Compare the journal with the file and the registries; give what is wrong, and the effects."""
        with contextlib.closing(self._core()) as core:
            intents = core.store.find(Intent)
            aliases = [pipeline.registry.alias() for pipeline in core.pipelines.values()]
        moved = Counter(move.key for alias in aliases for move in alias.moves if not move.key.startswith("added "))
        there = moved + Counter(self.file.read_text(encoding="utf-8").split())
        told = {intent.key for intent in intents if intent.effect_at is not None}
        wrong = Counter(
            doubled=sum(count - 1 for count in there.values()) + len(set(there) - {each.key for each in intents}),
            lost=len(told ^ set(there)),
            stuck=sum(intent.state not in SETTLED for intent in intents),
        )
        return +wrong, len(there)


def run_daemon(folder: Path) -> None:
    """Be `healerd run` in a folder: the verb, from the command line on."""
    os.chdir(folder)
    with (folder / "log").open("ab") as log:
        os.dup2(log.fileno(), 2)
        os.dup2(log.fileno(), 1)
    from healerd.cli import main

    sys.argv = ["healerd", "run", "--log", "plain"]
    main()


def play(folder: Path, kills: int, draw: np.random.Generator) -> tuple[Counter[str], int]:
    """Kill a daemon so many times, at most once for each pipeline; give what was wrong, and the effects."""
    daemons, wrong = Daemons(folder), Counter[str]()
    daemons.promise(0)
    lives_s = daemons.kill_one(None)  # what a start and a heal take on this machine
    for number in range(1, kills):
        daemons.promise(number)
        daemons.kill_one(float(draw.uniform(0.2, 1.2)) * lives_s)
        wrong["unverified"] += not daemons.verified()
    daemons.kill_one(None)
    found, effects = daemons.wrongs()
    return +(wrong + found), effects


def _add(core: Core, pipeline: str, version: str, sign: float) -> None:
    until = datetime.now(UTC) - timedelta(days=31)  # noqa: TID251
    x = np.linspace(-1.0, 1.0, 200)
    output = Sign(sign).predict({"x": x})
    rows = Predictions(
        ids=np.array([f"{version}-{i}" for i in range(len(x))], dtype=object),
        at=np.datetime64(until.replace(tzinfo=None), "us") - np.arange(len(x), 0, -1) * np.timedelta64(1, "m"),
        version=np.full(len(x), version, dtype=object),
        output=output,
        label=output,
        features={"x": x},
    )
    times = {"trained_from_at": until - timedelta(days=9), "trained_to_at": until - timedelta(days=5)}
    core.add_version(pipeline, Sign(sign), name=version, rows=rows, held_out=rows, activate=version == "first", **times)
