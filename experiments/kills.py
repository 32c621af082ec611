"""Kill a running demo at random moments, start it again each time, and count what was doubled or lost.

    python -m experiments.kills [--kills N] [--seed S] [--state DIR]

Prints one JSON object; exit 1 if anything was doubled, lost, or did not verify. A demo that comes to its end begins
anew in another folder, so that every part of the year is hit. It is the demo's own run, without the baselines beside
it, and with the first model trained once: what is killed is the loop.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import joblib
import numpy as np

from healerd.actions import FolderRegistry
from healerd.errors import StoreError
from healerd.model import Intent
from healerd.offline.demo import flights, meddle_with, settings_of
from healerd.offline.faults import BadDeploy, in_kilometres
from healerd.offline.operators import SimulatedOperator
from healerd.offline.session import open_session
from healerd.offline.settings import make_config
from healerd.offline.setup import prepare
from healerd.offline.teller import Teller
from healerd.store import ReadStore

NAME = "flights"
PREPARED = "prepared.joblib"
LOADS_S = 2.5
"""What a run needs to load, so that kills hit the loop."""


def main() -> int:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=12.0, help="seconds that a run may last before it is killed")
    parser.add_argument("--state", type=Path, default=None)
    parser.add_argument("--child", type=Path, default=None, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        return story(asked.child, asked.state)
    with tempfile.TemporaryDirectory() as spare:
        folder = asked.state or Path(spare)
        folder.mkdir(parents=True, exist_ok=True)
        stream = flights()
        joblib.dump((stream, prepare(stream, settings_of(stream), Teller())), folder / PREPARED)
        found = run(folder, kills=asked.kills, seed=asked.seed, longest_s=asked.longest)
    print(json.dumps(found))
    return 0 if not (found["doubled"] or found["lost"] or found["unverified"]) else 1


def run(folder: Path, *, kills: int, seed: int, longest_s: float) -> dict[str, int | float]:
    """Kill `kills` times; add up what was found wrong after each."""
    rng = np.random.default_rng(seed)  # noqa: TID251 - an experiment seeds itself
    total: Counter[str] = Counter(kills=0, runs_finished=0, doubled=0, lost=0, unverified=0, effects=0)
    number = 0
    while total["kills"] < kills:
        state = folder / f"run-{number}"
        killed = play(state, for_s=float(rng.uniform(0.5, longest_s)))
        total["kills" if killed else "runs_finished"] += 1
        total.update(look(state) if begun(state) else {})
        if not killed:
            total["effects"] += effects(state)
            number += 1
        if total["kills"] % 10 == 0:
            print(dict(total), file=sys.stderr, flush=True)
    total["effects"] += effects(folder / f"run-{number}")
    return {**total, "seed": seed}


def play(state: Path, *, for_s: float) -> bool:
    """Let the demo run; tell whether it had to be killed."""
    prepared = state.parent / PREPARED
    command = [sys.executable, "-m", "experiments.kills", "--child", str(prepared), "--state", str(state)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    try:
        _, said = process.communicate(timeout=for_s + LOADS_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    if process.returncode != 0:
        raise SystemExit(f"the demo ended with {process.returncode}: {said.decode()[-500:]}")
    return False


def story(prepared: Path, state: Path) -> int:
    """Play the demo's run, or go on with it: what is killed."""
    stream, setup = joblib.load(prepared)
    config = make_config(setup.settings, state)
    meddle = meddle_with(BadDeploy(stream=stream, fit=setup.fit), pace_s=0.0)
    with open_session(stream, config, setup.first, operator=SimulatedOperator(), feed=in_kilometres) as session:
        session.play(Teller(), lambda event: None, meddle)
    return 0


def begun(state: Path) -> bool:
    """Tell whether there is a journal yet: a kill may come before its first transaction."""
    try:
        with ReadStore.open(state):
            return True
    except StoreError:
        return False


def look(state: Path) -> Counter[str]:
    """Compare the journal with the registry: each effect once, none that the journal does not know."""
    registry = FolderRegistry(state / "registry" / NAME, NAME)
    moves = registry.alias().moves
    keys = Counter(move.key for move in moves)
    with ReadStore.open(state) as store:
        intents = store.find(Intent, pipeline=NAME)
        serving = [i for i in intents if i.effect_at is not None and i.action != "retrain"]
        verified = store.verify().problem is None
    known = {intent.key for intent in intents}
    ours = {move.key for move in moves if move.by == "daemon" and not move.key.startswith("added ")}
    stray = len(ours - known)  # a move that the journal does not know; what other actors did is no affair of its
    moved = {intent.key for intent in serving}
    kept = {move.key for move in moves}
    lost = sum(key not in kept for key in moved) if len(moves) < 200 else 0
    doubled = sum(count - 1 for count in keys.values()) + stray
    return Counter(doubled=doubled, lost=lost, unverified=int(not verified))


def effects(state: Path) -> int:
    """Count the effects that the journal holds."""
    if not begun(state):
        return 0
    with ReadStore.open(state) as store:
        return sum(intent.effect_at is not None for intent in store.find(Intent, pipeline=NAME))


if __name__ == "__main__":
    sys.exit(main())
