"""Play made worlds through the closed loop, and hold what it did against no action and against an oracle.

Must never let the oracle see the rows it is judged on: in each window it serves a model that learned the law then in
force from rows of its own, as many as a retraining has. Costs are in windows served with the harm: a window whose error
is ten points above the oracle's costs 1.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.loop import Played, by_window, play
from experiments.worlds import CHANGE, START_AT, TRAIN_DAYS, World, draw, law_in, seeded, stream_of
from healerd.actions import Model
from healerd.columns import Column
from healerd.decision.payback import DEGRADED
from healerd.offline.estimator import fit
from healerd.offline.player import Feed, as_it_is
from healerd.offline.stream import Stream

__all__ = ["ESTIMATOR", "Case", "Row", "curves_of", "mean_rows", "run_cases"]

Row = dict[str, Any]
ESTIMATOR = "sklearn.linear_model:LogisticRegression"
"""Fits these worlds' plane in milliseconds, so that a hundred closed loops take minutes."""
DAY = timedelta(days=1)
CALLS = ("harm", "regret", "quality")
WARNS = ("drift", "score")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A world with a name. `feed` changes the features on their way, `spoil` the labels that become known.

    `heals`: whether acting is right at all; where it is not, every heal is a wrong one. `until`: the served window in
    which the fault ends, None if it lasts.
    """

    name: str
    world: World
    heals: bool = True
    feed: Feed = as_it_is
    spoil: Any = None
    until: int | None = None


def run_cases(cases: Sequence[Case], *, seeds: int, seed: int) -> list[Row]:
    """Play every case with several seeds; one row each, with a line of progress on stderr."""
    found = []
    for case in cases:
        rows = [_score(case, seed=seed * 1000 + k) for k in range(seeds)]
        found.append({"case": case.name, **mean_rows(rows)})
        print(f"  {case.name}: {json.dumps(found[-1])}", file=sys.stderr, flush=True)
    return found


def mean_rows(rows: Sequence[Row]) -> Row:
    """Mean of each number over the runs that have it; None where none has."""
    return {key: _mean([row[key] for row in rows]) for key in rows[0]}


def curves_of(case: Case, *, seed: int) -> dict[str, list[float]]:
    """Accuracy of each served window of one run: healerd, no action, oracle."""
    stream, _, ours, never, oracle = _played(case, seed)
    lines = {"healerd": ours, "no action": never, "oracle": oracle}
    return {name: (1 - by_window(stream, losses)).tolist() for name, losses in lines.items()}


def _score(case: Case, *, seed: int) -> Row:
    stream, run, ours, never, oracle = _played(case, seed)
    errors = {name: by_window(stream, one) for name, one in (("ours", ours), ("never", never), ("oracle", oracle))}
    after = {name: float(np.nanmean(one[CHANGE:])) for name, one in errors.items()}
    lost = {name: float(np.nansum(np.maximum(0, errors[name] - errors["oracle"])) / DEGRADED) for name in errors}
    gap = after["never"] - after["oracle"]
    # A change that costs less than a point leaves nothing to recover, only noise to divide by.
    return {
        "accuracy": 1 - after["ours"],
        "no action": 1 - after["never"],
        "oracle": 1 - after["oracle"],
        "recovered": (after["never"] - after["ours"]) / gap if gap >= 0.01 else None,
        **_counted(case, run),
        "cost": lost["ours"] + run.action_cost,
        "cost of no action": lost["never"],
    }


def _counted(case: Case, run: Played) -> Row:
    """Delay, false alarms and wrong heals. Windows are judged when they are over, so a delay is at least 1."""
    change, end = START_AT + CHANGE * DAY, START_AT + (case.world.served + 1) * DAY
    start = START_AT - TRAIN_DAYS * DAY
    calls = run.opened(change + DAY, end, kinds=CALLS)
    warnings = run.opened(change + DAY, end, kinds=(*CALLS, *WARNS))
    early, late = run.heals(start, change), run.heals(change, end)
    return {
        "delay": _delay(calls[0].opened_at, change) if calls and case.heals else None,
        "delay of a warning": _delay(warnings[0].opened_at, change) if warnings else None,
        "missed": float(case.heals and not calls),
        "false alarms": float(len(run.opened(start, change + DAY, kinds=CALLS)) + (0 if case.heals else len(calls))),
        "heals": float(len(early) + len(late)),
        "wrong heals": float(len(early) + (run.worse if case.heals else len(late))),
        "rollbacks": float(len(run.done.of("rollback"))),
        "fallbacks": float(len(run.done.of("fallback"))),
        "undone": float(len(run.done.of("undo"))),
        "trainings": float(run.done.fits),
    }


def _delay(at: datetime, change: datetime) -> float:
    return (at - change) / DAY


def _played(case: Case, seed: int) -> tuple[Stream, Played, Column, Column, Column]:
    truth = stream_of(case.world, seed=seed)
    stream = truth if case.spoil is None else replace(truth, label=case.spoil(truth, seeded(seed, 1)))
    run = play(stream, truth=truth, feed=case.feed, estimator=ESTIMATOR)
    return truth, run, run.losses, _never(run, truth, case.feed), _oracle(case, truth, seed)


def _never(run: Played, truth: Stream, feed: Feed) -> Column:
    rows = slice(truth.first, len(truth))
    return _wrong(run.setup.first.model, truth, rows, feed)


def _oracle(case: Case, truth: Stream, seed: int) -> Column:
    """Each window by a model of the law then in force, learned from other rows of it that came the same way."""
    found, known = [], dict[str, Model]()
    for k in range(case.world.served):
        law = law_in(case.world, k)
        rows = truth.served(START_AT + k * DAY, START_AT + (k + 1) * DAY)
        key = repr(law)
        if key not in known:
            known[key] = _taught(case, law, seeded(seed, 2, len(known)))
        found.append(_wrong(known[key], truth, rows, case.feed))
    return np.concatenate(found)


def _taught(case: Case, law: Any, rng: np.random.Generator) -> Model:
    features, label = draw(law, case.world.first, TRAIN_DAYS * case.world.rows, rng)
    model: Model = partial(fit, estimator=ESTIMATOR, task="classification")(features, label)
    return model


def _wrong(model: Model, truth: Stream, rows: slice, feed: Feed) -> npt.NDArray[np.float64]:
    output = model.predict(feed(truth.inputs(rows), truth.at[rows]))
    return np.asarray(output != truth.label[rows], np.float64)


def _mean(values: Sequence[float | None]) -> float | None:
    known = list(_known(values))
    return sum(known) / len(known) if known else None


def _known(values: Sequence[float | None]) -> Iterator[float]:
    return (value for value in values if value is not None)
