"""Profiles and detectors against other libraries, each in an environment that the bench makes for it.

A peer is another process, so both sides also time one fixed loop of plain Python, and the ratio is of work in loops.
A peer that cannot be installed, or cannot be imported, is skipped with a line that says why. Must never count a skipped
peer as beaten.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from experiments.bench.peers.covariates import loop
from experiments.detection.looking import SHIPPED, a_cohort, a_reference, at_labels
from experiments.environments import NANNYML, RIVER, ask, environment
from healerd.columns import Column
from healerd.detectors import State
from healerd.detectors.harm import detect_harm
from healerd.detectors.series import look_through
from healerd.profiles import fit, ks, profile

SCRIPTS = Path(__file__).parent / "peers"
REPETITIONS = 5
PEERS = {
    "nannyml": NANNYML,
    "alibi-detect": ("alibi-detect==0.13.0",),
    "frouros": ("frouros==0.9.0",),
    "evidently": ("evidently==0.7.23", "pandas<3"),
}
RIVER_BEFORE = ("river==0.22.0", "pandas<3")
"""Before its ADWIN became some thirteen times as fast."""
SMALL = {"features": 50, "reference_rows": 100_000, "rows": 10_000, "repetitions": REPETITIONS}
LARGE = {"features": 20, "reference_rows": 1_000_000, "rows": 100_000, "repetitions": 3}
BATCHES, LABELS, POINTS = 2000, 200, 20_000


def main() -> bool:
    """Print one JSON line a claim; True if none that could be measured failed."""
    held = []
    for row in chain(_reports(), _streams()):
        print(json.dumps(row), flush=True)
        held.append(row["held"] is not False)
    return all(held)


def _reports() -> Iterator[dict[str, Any]]:
    """KS of every feature, against what each peer calls its report."""
    ours = _report_in_loops(**SMALL)
    for peer, at_least in (("nannyml", 10.0), ("alibi-detect", 40.0), ("frouros", 40.0), ("evidently", 100.0)):
        yield against_report(peer, SMALL, ours, at_least)
    yield against_report("nannyml", LARGE, _report_in_loops(**LARGE), 20.0)


def _report_in_loops(*, features: int, reference_rows: int, rows: int, repetitions: int) -> float:
    reference, window = _normal(1, features, reference_rows), _normal(2, features, rows)
    maps = fit(reference)
    upto = {name: np.cumsum(one.cells) for name, one in profile(reference, maps).features.items()}

    def report() -> list[float]:
        counted = profile(window, maps).features
        return [ks(upto[name], one.cells.cumsum()) for name, one in counted.items()]

    return _in_loops(report, repetitions=5 * repetitions)


def against_report(peer: str, asked: dict[str, int], ours: float, at_least: float) -> dict[str, Any]:
    """Hold our report, in loops, against a peer's; a peer that cannot be had is neither beaten nor lost to."""
    what = f"KS of {asked['features']} features, {asked['reference_rows']} reference rows, {asked['rows']} rows"
    python, reason = environment(peer, PEERS[peer])
    answer, reason = (
        (None, reason) if python is None else ask(python, SCRIPTS / "covariates.py", {"peer": peer, **asked})
    )
    if answer is None:
        return _skipped(what, peer, reason)
    return _line(what, " ".join(PEERS[peer]), answer["seconds"] / answer["loop_s"] / ours, at_least)


def _streams() -> Iterator[dict[str, Any]]:
    """A label of the harm detector in batches of 200, and a point of a series."""
    label, point = f"a label in batches of {LABELS}", "a point of a series, four ways to be odd"
    for name, requirements in (("river", RIVER), ("river-0.22", RIVER_BEFORE)):
        theirs, reason = _points_in_loops(name, requirements)
        if not theirs:
            yield _skipped(label, requirements[0], reason)
            continue
        yield _line(label, f"{requirements[0]} ADWIN", theirs["adwin"] / _label_in_loops(), 10.0)
    theirs, reason = _points_in_loops("river", RIVER)
    ours = _point_in_loops()
    for name, peer in (
        ("river_z", "river StandardAbsoluteDeviation"),
        ("pandas_z", "pandas rolling z, the whole series at once"),
        ("pandas_z_streamed", "pandas rolling z, a point at a time"),
    ):
        yield _line(point, peer, theirs[name] / ours, None) if theirs else _skipped(point, peer, reason)


def _points_in_loops(name: str, requirements: tuple[str, ...]) -> tuple[dict[str, float], str]:
    python, reason = environment(name, requirements)
    if python is None:
        return {}, reason
    answer, reason = ask(
        python, SCRIPTS / "points.py", {"labels": 40_000, "points": POINTS, "repetitions": REPETITIONS}
    )
    if answer is None:
        return {}, reason
    return {one: seconds / answer["loop_s"] for one, seconds in answer.items()}, ""


def _label_in_loops() -> float:
    losses = np.random.Generator(np.random.Philox(3)).random((BATCHES, LABELS)) < 0.1
    seen = at_labels(a_reference(0.1, 10_000), SHIPPED)

    def label() -> None:
        state: State = {}
        for k, batch in enumerate(losses):
            cohort = a_cohort(k, wrong=np.count_nonzero(batch), labels=LABELS)
            _, state = detect_harm(replace(seen, cohorts=(cohort,)), state)

    return _in_loops(label, repetitions=REPETITIONS) / losses.size


def _point_in_loops() -> float:
    values = np.random.Generator(np.random.Philox(1)).normal(size=POINTS).tolist()
    return (
        _in_loops(lambda: list(look_through((300.0 * k, one) for k, one in enumerate(values))), repetitions=3) / POINTS
    )


def _normal(seed: int, features: int, rows: int) -> dict[str, Column]:
    rng = np.random.Generator(np.random.Philox(seed))
    return {f"x{k}": rng.normal(size=rows) for k in range(features)}


def _in_loops(thing: Callable[[], object], *, repetitions: int) -> float:
    """Median CPU time of a thing in that of the fixed loop, both timed in turn."""
    thing()
    pairs = [(_seconds(loop), _seconds(thing)) for _ in range(repetitions)]
    return median(b for _, b in pairs) / median(a for a, _ in pairs)


def _seconds(thing: Callable[[], object]) -> float:
    before = time.process_time()
    thing()
    return time.process_time() - before


def _line(what: str, peer: str, ratio: float, at_least: float | None) -> dict[str, Any]:
    held = None if at_least is None else ratio >= at_least
    return {"bench": what, "peer": peer, "ratio": float(f"{ratio:.3g}"), "at_least": at_least, "held": held}


def _skipped(what: str, peer: str, reason: str) -> dict[str, Any]:
    return {"bench": what, "peer": peer, "skipped": reason, "held": None}
