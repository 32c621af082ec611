"""`healerd backtest` over a made record: what a year of 1,000 pipelines, a decision every half hour, would take.

The record holds decisions that were really decided: twenty lives of a pipeline, window by window, an incident in one of
them, written under a thousand names. Each trial runs in a process of its own, which tells its CPU time and its peak of
memory; the time for a year is that of the made record, multiplied. The record must reproduce, as always.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from healerd.audit import canonical
from healerd.client.backtest import Period, backtest, instead_of
from healerd.clock import ManualClock
from healerd.config import ActionSettings, PipelineSettings, SourceSettings
from healerd.decision import SCHEMA, Situation, Target, cost_model, decide, prepare
from healerd.model import (
    EVERYTHING,
    Decision,
    Layer,
    Measurement,
    Quality,
    Reference,
    Stage,
    Version,
    VersionKind,
    Window,
)
from healerd.policy import DEFAULT_PRIORS, begin
from healerd.store import ReadStore, Store
from healerd.store.library import sqlite
from healerd.store.tables import plain
from healerd_rules import load_text

PIPELINES, LIVES, FEATURES = 1000, 20, 10
WINDOWS = 40
START, LENGTH = datetime(2025, 1, 1, tzinfo=UTC), timedelta(minutes=30)
YEAR = PIPELINES * 365 * 48
KEPT = 'import "default"\n'
MEMORY_MB = 400

TRIALS: dict[str, tuple[dict[str, Any], float]] = {
    "a guard is added": ({"rules": "forbid small: retrain when labelled_rows < 5000"}, 10.0),
    "another policy": ({"policy": "rules only"}, 30.0),
    "a proposal is added": ({"rules": "propose early: retrain when error_rate > 24% priority 60"}, 60.0),
    "a signal is added": (
        {"rules": "signal twice = (error_rate > 24%) for 2 windows\npropose slow: retrain when twice priority 60"},
        120.0,
    ),
}
"""What is tried, and the minutes of CPU that a year of it may take."""


def main(windows: int = WINDOWS) -> bool:
    """Print one JSON line a trial; True if every claim held."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        rows, size, busy = make(folder, windows)
        lines = [measure(folder, name, at_most=TRIALS[name][1], rows=rows) for name in TRIALS]
    for line in lines:
        line |= {"decisions": rows, "bytes_each": round(size / rows), "with_incident": round(busy / rows, 3)}
        print(json.dumps(line))
    return all(line["held"] for line in lines)


def measure(folder: Path, name: str, *, at_most: float, rows: int) -> dict[str, Any]:
    """Run one trial in a process of its own."""
    command = [sys.executable, "-m", "experiments.bench.backtest", name, str(folder)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    minutes = told["cpu_s"] * YEAR / rows / 60
    return {
        "bench": f"backtest: {name}",
        "what": f"{YEAR:,} decisions, a year of {PIPELINES:,} pipelines, from {rows:,}",
        **told,
        "year_cpu_min": round(minutes, 1),
        "at_most": at_most,
        "held": minutes <= at_most and told["peak_mb"] <= MEMORY_MB,
    }


def one(name: str, folder: Path) -> None:
    """Run a trial, and print what it took."""
    given = dict(TRIALS[name][0])
    text = given.pop("rules", None)
    ruleset = load_text(KEPT + text, name="tried.heal", schema=SCHEMA).ruleset if text else None
    with ReadStore.open(folder) as reader:
        instead = instead_of(name=name, ruleset=ruleset, **given)
        backtest(reader, instead, Period(pipeline="p-00001"))  # what is loaded once is not what a year takes
        begun, wall = time.process_time(), time.perf_counter()
        view = backtest(reader, instead, Period(), checked=2)
        spent = time.process_time() - begun
    assert not view["reproduced"]["problem"], view["reproduced"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {name: view[name] for name in ("read", "decided_again", "quiet_read")}
    took = {"cpu_s": round(spent, 2), "wall_s": round(time.perf_counter() - wall, 2), "peak_mb": round(peak)}
    print(json.dumps({**took, **told, "changed": view["changed"]["count"]}))


# the record --------------------------------------------------------------------


def make(folder: Path, windows: int) -> tuple[int, int, int]:
    """Write the record; gives its decisions, their bytes, and in how many something was wrong."""
    loaded = load_text(KEPT, name="kept.heal", schema=SCHEMA)
    assert loaded.ruleset is not None
    sources = [{"path": path, "text": text} for path, text in loaded.sources.items()]
    with Store.open(folder, clock=ManualClock(START)) as store, store.transaction() as tx:
        tx.save_state(
            EVERYTHING, f"rules {loaded.ruleset.id}", {"id": loaded.ruleset.id, "sources": sources, "rules": []}
        )
    rows = size = busy = 0
    with sqlite.connect(folder / "healerd.db") as db:
        for window in _lives(loaded.ruleset, windows):
            for life, decision in enumerate(window):
                body = canonical(plain(decision)).decode()
                for number in range(life, PIPELINES, LIVES):
                    named = body.replace(f"life-{life:02d}", f"p-{number:05d}")
                    rows, size = rows + 1, size + len(named)
                    busy += decision.incident_id is not None
                    key = decision.id.replace(f"life-{life:02d}", f"p-{number:05d}")
                    seq = 1000 + rows
                    db.execute("INSERT INTO decision (seq, row_key, leaf, body) VALUES (?, ?, 1, ?)", (seq, key, named))
    db.close()
    return rows, size, busy


def _lives(ruleset: Any, windows: int) -> Iterator[list[Decision]]:
    """Give the decisions of each window; the first life goes wrong two thirds of its way."""
    rng = np.random.default_rng(0)  # noqa: TID251 - a bench seeds itself
    seen = [_first(f"life-{life:02d}") for life in range(LIVES)]
    for number in range(windows):
        decided = []
        for life, before in enumerate(seen):
            now = START + LENGTH * (number + 1)
            wrong = life == 0 and number >= windows * 2 // 3
            measured = _measured(rng, error=0.3 if wrong else float(rng.normal(0.1, 0.01)), alarm=wrong)
            window = Window(pipeline=before.pipeline, start_at=now - LENGTH, end_at=now)
            open_ = before.open_incident
            situation = replace(
                before,
                id=f"{before.pipeline}-{number:06d}",
                now=now,
                window=window,
                measurements=measured,
                incident=open_,
            )
            prepared = prepare(situation, ruleset)
            targets = (Target(action="retrain"), Target(action="rollback", version="v1"), Target(action="fallback"))
            prepared = replace(prepared, targets=targets if prepared.open_incident else ())
            decision = decide(prepared, ruleset)
            standing = tuple(each["rule"] for each in decision.trace["proposals"])
            seen[life] = replace(prepared, standing=standing)
            decided.append(decision)
        yield decided


def _first(name: str) -> Situation:
    actions = {each: ActionSettings(cost=p.cost, failure=p.failure) for each, p in DEFAULT_PRIORS.items()}
    costs = cost_model(PipelineSettings(source=SourceSettings(kind="memory"), actions=actions))
    made = START - timedelta(days=9)
    return Situation(
        id=name,
        pipeline=name,
        now=START,
        window_s=LENGTH.total_seconds(),
        stage=Stage.LIVE,
        quality=Quality.GOOD,
        rows=1000,
        reference=Reference(
            id="r",
            pipeline=name,
            version="v2",
            at=made,
            error=0.1,
            error_rows=2000,
            rows=5000,
            start_at=made,
            end_at=START,
        ),
        active=Version(pipeline=name, name="v2", kind=VersionKind.MODEL, sha256="0" * 64, created_at=made),
        alias_moved=False,
        costs=costs,
        learned=begin(costs),
        pipelines=PIPELINES,
    )


def _measured(rng: np.random.Generator, *, error: float, alarm: bool) -> tuple[Measurement, ...]:
    """The error, the drift of the whole, and the eight numbers that a tick measures of each feature."""
    shown = ("ks", "psi", "missing", "wrong_type", "unseen", "out_of_range", "stuck", "scaled")
    features = [
        Measurement(
            name=name,
            layer=Layer.DRIFT if name in ("ks", "psi") else Layer.QUALITY,
            subject=f"x{feature}",
            value=float(rng.uniform(0, 0.1)),
            n=1000,
            log_evidence=float(rng.uniform(0, 2)) if name == "ks" else None,
            log_limit=10.0 if name == "ks" else None,
        )
        for feature in range(FEATURES)
        for name in shown
    ]
    harm = Measurement(
        name="error", layer=Layer.HARM, value=error, n=800, log_evidence=1.0, log_limit=10.0, alarm=alarm
    )
    drift = Measurement(name="drift", layer=Layer.DRIFT, value=0.1, n=1000, log_evidence=1.0, log_limit=9.0)
    return (harm, drift, *features)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        one(sys.argv[1], Path(sys.argv[2]))
    else:
        sys.exit(0 if main() else 1)
