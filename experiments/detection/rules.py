"""The alarms that usual rules raise, beside healerd's, on the same rows and labels. Must never alarm in its stead.

The rules on features look at one window each: a two-sample Kolmogorov-Smirnov test a feature with the p-value of
`scipy.stats.ks_2samp(method="asymp")`, alone, by Bonferroni, by Benjamini and Hochberg (1995), and as a share of
features. Those on labels are river's ADWIN, DDM and Page-Hinkley with their defaults, label by label.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import kstwo

from experiments.detection.looking import (
    A_DAY,
    SHIPPED,
    Rows,
    Size,
    Table,
    a_reference,
    draw,
    seeded,
    watch,
    watch_labels,
    without_margin,
    yardstick,
)
from experiments.environments import RIVER, ask, environment

__all__ = ["features", "labels"]

REFERENCE_ROWS, ROWS, LABELS = 10_000, 200, 200
ALPHA, SHIFTED = 0.05, 5
SHIFTS = (0.25, 0.5, 1.0)
CAP = 60
SCRIPT = Path(__file__).parents[1] / "bench" / "peers" / "river_labels.py"
Alarms = dict[str, list[bool]]


def features(size: Size, seed: int) -> Table:
    """False alarms of each rule on healthy windows, and windows until 5 features that moved are found."""
    healthy: dict[str, list[bool]] = {}
    delays: dict[str, dict[float, list[float]]] = {}
    for run in range(size.references):
        rng = seeded(seed + run)
        reference = draw(rng, REFERENCE_ROWS, size.features)
        for name, alarms in _all_rules(reference, _windows(rng, size, size.days * A_DAY, 0.0)).items():
            healthy.setdefault(name, []).extend(alarms)
        for shift in SHIFTS:
            for name, alarms in _all_rules(reference, _windows(rng, size, CAP, shift)).items():
                first = alarms.index(True) + 1 if True in alarms else math.inf
                delays.setdefault(name, {}).setdefault(shift, []).append(first)
    return [
        {
            "rule": name,
            "healthy windows in alarm a day, of 48": float(np.mean(alarms)) * A_DAY,
            "days with a false alarm": float(np.mean(np.reshape(alarms, (-1, A_DAY)).any(axis=1))),
            **{f"delay at {shift} sd": _said(found) for shift, found in delays[name].items()},
        }
        for name, alarms in healthy.items()
    ]


def _said(delays: list[float]) -> str:
    middle = float(np.median(delays))
    return f"none in {CAP}" if math.isinf(middle) else f"{middle:g}"


def _windows(rng: np.random.Generator, size: Size, windows: int, shift: float) -> list[Rows]:
    moved = np.where(np.arange(size.features) < SHIFTED, shift, 0.0)
    return [draw(rng, ROWS, size.features) + moved for _ in range(windows)]


def _all_rules(reference: Rows, windows: list[Rows]) -> Alarms:
    lump, cut = yardstick([reference]), yardstick(np.split(reference, len(reference) // ROWS))
    ours = {
        "healerd, reference of one window": lump,
        "healerd, reference of 50 windows": cut,
        "healerd without its margin": without_margin(lump),
    }
    ordered = np.sort(reference, axis=0)
    distances = np.array([ks_distances(ordered, rows) for rows in windows])
    told = {name: list(watch(held_against, iter(windows), SHIPPED)) for name, held_against in ours.items()}
    return {**told, **rules_of(distances, len(reference), ROWS)}


def ks_distances(ordered: Rows, rows: Rows) -> npt.NDArray[np.float64]:
    """The exact two-sample D of each feature; `ordered` has each column of the reference sorted."""
    n, m = len(ordered), len(rows)
    found = []
    for reference, window in zip(ordered.T, np.sort(rows, axis=0).T, strict=True):
        right, left = (np.searchsorted(reference, window, side) / n for side in ("right", "left"))
        upto = np.arange(1, m + 1) / m
        found.append(max(float(np.abs(upto - right).max()), float(np.abs(upto - 1 / m - left).max())))
    return np.array(found)


def rules_of(distances: npt.NDArray[np.float64], n: int, m: int) -> Alarms:
    """Whether each rule alarms on each window, from its D a feature (windows x features)."""
    features = distances.shape[1]
    effective = round(n * m / (n + m))
    ladder = kstwo.isf(ALPHA * np.arange(1, features + 1) / features, effective)
    falling = -np.sort(-distances, axis=1)
    return {
        "KS p < .05, any feature": (falling[:, 0] > ladder[-1]).tolist(),
        "KS, Bonferroni over features": (falling[:, 0] > ladder[0]).tolist(),
        "KS, Benjamini-Hochberg over features": (falling > ladder).any(axis=1).tolist(),
        "share of features with KS p < .05 at least 50%": ((distances > ladder[-1]).mean(axis=1) >= 0.5).tolist(),
    }


def labels(size: Size, seed: int) -> Table:
    """False alarms of each rule at a steady error of 10%, and batches of 200 labels until 20% is found."""
    healthy = [_losses(seed + run, size.label_days * A_DAY, 0.1) for run in range(size.label_runs)]
    harmed = [_losses(seed + 500 + run, CAP, 0.2, after=CAP) for run in range(3 * size.label_runs)]
    ours = {"healerd": ([_healerd(one) for one in healthy], [_healerd(one) for one in harmed])}
    theirs, reason = _river([*healthy, *harmed])
    for name, alarms in theirs.items():
        ours[f"river {name}"] = (alarms[: len(healthy)], alarms[len(healthy) :])
    days = size.label_runs * size.label_days
    table = [_labels_row(name, *found, days=days) for name, found in ours.items()]
    return table if theirs else [*table, {"rule": f"river: skipped, {reason}"}]


def _labels_row(name: str, healthy: list[list[int]], harmed: list[list[int]], *, days: int) -> dict[str, Any]:
    delays = [next((at - CAP + 1 for at in one if at >= CAP), math.inf) for one in harmed]
    return {
        "rule": name,
        "false alarms a day": sum(len(one) for one in healthy) / days,
        "share of healthy runs with an alarm in 100 batches": float(
            np.mean([any(at < 100 for at in one) for one in healthy])
        ),
        "delay in batches": _said(delays),
    }


def _losses(seed: int, batches: int, error: float, *, after: int = 0) -> npt.NDArray[np.int8]:
    """Batches x labels of losses: `after` batches of 10% errors first."""
    rates = np.repeat([0.1, error], [after, batches])
    return np.asarray(seeded(seed).random((len(rates), LABELS)) < rates[:, None], np.int8)


def _healerd(losses: npt.NDArray[np.int8]) -> list[int]:
    """The batches in which an alarm was raised."""
    stood = list(watch_labels(a_reference(0.1, 10_000), iter(losses.sum(axis=1).tolist()), LABELS, SHIPPED))
    return [k for k, alarm in enumerate(stood) if alarm and not (k and stood[k - 1])]


def _river(runs: list[npt.NDArray[np.int8]]) -> tuple[dict[str, list[list[int]]], str]:
    python, reason = environment("river", RIVER)
    if python is None:
        return {}, reason
    question = {"runs": ["".join(map(str, one.ravel().tolist())) for one in runs]}
    answer, reason = ask(python, SCRIPT, question)
    if answer is None:
        return {}, reason
    return {name: [[at // LABELS for at in one] for one in found] for name, found in answer.items()}, ""
