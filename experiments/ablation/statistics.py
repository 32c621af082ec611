"""From what each site came to, to differences with intervals, the gate's calibration, and how often sites lose.

Must never treat scenarios as independent: a site is one learner run, and sites are what is resampled. All systems of a
site are resampled together, because they met the same scenarios.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from experiments.ablation.running import Run
from experiments.ablation.systems import HYBRID, LAX

__all__ = [
    "BARS",
    "BIN_MIN",
    "FLOOR",
    "RATIO_MAX",
    "Bar",
    "Difference",
    "by_fault",
    "calibration",
    "compared",
    "cumulative_ratios",
    "differences",
    "floor_of",
    "let_through",
    "share_above",
    "summary",
]

Floats = npt.NDArray[np.float64]

RESAMPLED = 10_000
FLOOR = "oracle floor"
RATIO_MAX = 1.10
BIN_MIN = 700
"""Gated decisions a bin needs before the bar of the gate's calibration can be judged."""
EDGES = (0.0, 0.5, 0.8, 0.85, 0.9, 0.95, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What a comparison has to reach: the upper ends of the 95% intervals lie below these. None: no bar on that side.

    `cost_share_max` bounds the mean cost difference, as a share of the other system's cost.
    """

    other: str
    says: str
    cost_high_max: float | None
    failure_high_max: float
    cost_share_max: float | None = None


BARS = (
    Bar(other="brief's rules", says="cost and failures both lower", cost_high_max=0.0, failure_high_max=0.0),
    Bar(other="bandit only (cold)", says="cost and failures both lower", cost_high_max=0.0, failure_high_max=0.0),
    Bar(
        other="tuned rules",
        says="cost lower, failures at most 1 point more",
        cost_high_max=0.0,
        failure_high_max=0.01,
    ),
    Bar(
        other="bandit only (same logs)",
        says="failures lower, at no more than 3% more cost",
        cost_high_max=None,
        failure_high_max=0.0,
        cost_share_max=0.03,
    ),
)
"""The figures to reach, fixed before the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The hybrid minus another system, a scenario: means and 95% intervals of cost and of the failure rate."""

    other: str
    n: int
    sites: int
    cost: float
    cost_low: float
    cost_high: float
    failure: float
    failure_low: float
    failure_high: float
    other_cost: float

    def reaches(self, bar: Bar) -> bool:
        """Tell whether a bar is met."""
        return not self.misses(bar)

    def misses(self, bar: Bar) -> list[str]:
        """Say what of a bar is missed, and by how much."""
        said = []
        if bar.cost_high_max is not None and self.cost_high >= bar.cost_high_max:
            said.append(f"the cost's interval reaches up to {self.cost_high:+.1f}, not below {bar.cost_high_max:g}")
        if bar.cost_share_max is not None and self.cost > bar.cost_share_max * self.other_cost:
            share = self.cost / self.other_cost
            said.append(f"the cost is {share:+.0%} of the other's, more than {bar.cost_share_max:+.0%}")
        if self.failure_high >= bar.failure_high_max:
            up, most = 100 * self.failure_high, 100 * bar.failure_high_max
            said.append(f"the failures' interval reaches up to {up:+.1f} points, not below {most:+g}")
        return said


def compared(runs: Sequence[Run], name: str, other: str, *, first: int | None = None) -> Difference:
    """Compare two systems on the scenarios that both played, at most the `first` of each site."""
    pairs = [list(zip(run.played[name][:first], run.played[other][:first], strict=False)) for run in runs]
    cost = [np.array([a["cost"] - b["cost"] for a, b in each]) for each in pairs]
    failed = [np.array([float(a["failed"]) - float(b["failed"]) for a, b in each]) for each in pairs]
    low, high = _interval(cost)
    failure_low, failure_high = _interval(failed)
    return Difference(
        other=other,
        n=sum(map(len, pairs)),
        sites=len(runs),
        cost=float(np.concatenate(cost).mean()),
        cost_low=low,
        cost_high=high,
        failure=float(np.concatenate(failed).mean()),
        failure_low=failure_low,
        failure_high=failure_high,
        other_cost=float(np.mean([b["cost"] for each in pairs for _, b in each])),
    )


def differences(runs: Sequence[Run], *, first: int | None = None) -> list[Difference]:
    """Compare the hybrid with each system that has a bar."""
    return [compared(runs, HYBRID, bar.other, first=first) for bar in BARS]


def _interval(by_site: Sequence[Floats]) -> tuple[float, float]:
    """Give the 95% percentile interval of the mean, sites resampled with replacement (Davison and Hinkley, 1997)."""
    sums = np.array([each.sum() for each in by_site])
    counts = np.array([len(each) for each in by_site])
    rng = np.random.Generator(np.random.Philox(20260101))
    drawn = rng.integers(0, len(sums), size=(RESAMPLED, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def floor_of(runs: Sequence[Run], *, first: int) -> list[dict[str, Any]]:
    """Take, for each scenario of the slice, the cheapest that any system, any one answer or holding came to."""
    return [
        min((played[place] for played in run.played.values() if place < len(played)), key=lambda each: each["cost"])
        for run in runs
        for place in range(min(first, len(run.played["hold"])))
    ]


def summary(runs: Sequence[Run], *, first: int | None = None) -> dict[str, dict[str, float]]:
    """Give means a scenario for each system, on all that it played or on the first of each site."""
    found = {}
    for name in runs[0].played:
        mine = [each for run in runs for each in run.played[name][:first]]
        found[name] = _means(mine)
    if first is not None:
        found[FLOOR] = _means(floor_of(runs, first=first))
    return found


def _means(mine: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    keys = ("cost", "action_cost", "failed", "unresolved", "harm", "retrains", "rollbacks", "fallbacks", "asked")
    return {"n": float(len(mine)), **{key: float(np.mean([each[key] for each in mine])) for key in keys}}


def let_through(runs: Sequence[Run], name: str) -> dict[str, Any]:
    """Count in how many scenarios a system deviated from the rules, what barred it in others, and what that came to.

    The differences are those to the tuned rules, in the scenarios with a deviation alone.
    """
    pairs = [
        (mine, rules) for run in runs for mine, rules in zip(run.played[name], run.played["tuned rules"], strict=False)
    ]
    deviated = [(mine, rules) for mine, rules in pairs if mine["deviations"]]
    barred = Counter(by for mine, _ in pairs for by in mine["barred"])
    cost = [mine["cost"] - rules["cost"] for mine, rules in deviated]
    failed = [float(mine["failed"]) - float(rules["failed"]) for mine, rules in deviated]
    return {
        "system": name,
        "scenarios": len(pairs),
        "with a deviation": len(deviated),
        "cost there, minus tuned rules": float(np.mean(cost)) if cost else None,
        "failures there, points": 100 * float(np.mean(failed)) if failed else None,
        "barred in, by": ", ".join(f"{by} {count}" for by, count in barred.most_common()) or "nothing",
        "demotions": sum(mine["demoted"] for mine, _ in pairs),
        "not trusted in": sum(not mine["trusted"] for mine, _ in pairs),
    }


def by_fault(runs: Sequence[Run], names: Sequence[str]) -> dict[str, dict[str, tuple[float, float]]]:
    """Give mean cost and failure rate of systems by fault."""
    faults = dict.fromkeys(each["fault"] for run in runs for each in run.played[names[0]])
    return {
        fault: {name: (_mean_of(runs, name, fault, "cost"), _mean_of(runs, name, fault, "failed")) for name in names}
        for fault in faults
    }


def _mean_of(runs: Sequence[Run], name: str, fault: str, key: str) -> float:
    return float(np.mean([each[key] for run in runs for each in run.played[name] if each["fault"] == fault]))


# The gate.


def _claims(runs: Sequence[Run], name: str) -> Iterator[tuple[float, bool | None]]:
    """Pair the first deviation of each scenario with the run in which the rule's action was taken instead.

    Best the hybrid's with a lax ledger, which hardly anything bars but the gate. Until then both runs are nearly the
    same (what was learned may let an action run unasked), so the tuned rules' run is its counterfactual. A scenario
    without a deviation gives its first disagreement, for which no counterfactual was run: it is counted without an
    answer.
    """
    for run in runs:
        for mine, theirs in zip(run.played[name], run.played["tuned rules"], strict=True):
            gated = mine["gated"]
            if gated is None or gated["p"] is None:
                continue
            known = gated["deviated"] and mine["cost"] != theirs["cost"]
            yield float(gated["p"]), (mine["cost"] < theirs["cost"]) if known else None


def calibration(runs: Sequence[Run], name: str = LAX) -> list[dict[str, Any]]:
    """Hold claimed P(cheaper than the rule's action) against how often it was, by bin."""
    claims = list(_claims(runs, name))
    table = []
    for low, high in pairwise(EDGES):
        inside = [(p, came) for p, came in claims if low <= p < high or (high == 1.0 and p == 1.0)]
        known = [(p, came) for p, came in inside if came is not None]
        hits = sum(came for _, came in known)
        a, b = _exact(hits, len(known))
        table.append(
            {
                "from": low,
                "to": high,
                "claims": len(inside),
                "judged": len(known),
                "claimed": float(np.mean([p for p, _ in known])) if known else None,
                "observed": hits / len(known) if known else None,
                "low": a,
                "high": b,
                "enough": len(known) >= BIN_MIN,
            }
        )
    return table


def _exact(hits: int, n: int) -> tuple[float, float]:
    """Give the exact 95% interval of a share (Clopper and Pearson, 1934)."""
    low = float(betaincinv(hits, n - hits + 1, 0.025)) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, 0.975)) if hits < n else 1.0
    return low, high


# How often a site loses.


def cumulative_ratios(runs: Sequence[Run], name: str, *, first: int | None = None) -> list[Floats]:
    """Give, for each site, the system's cumulative cost over the tuned rules' after each scenario of cost."""
    found = []
    for run in runs:
        mine = np.cumsum([each["cost"] for each in run.played[name][:first]])
        rules = np.cumsum([each["cost"] for each in run.played["tuned rules"][: len(mine)]])
        there = rules > 0
        found.append(mine[there] / rules[there])
    return found


def share_above(runs: Sequence[Run], name: str, *, first: int | None = None) -> tuple[int, int, float]:
    """Count the sites whose cumulative cost ever exceeds 1.1 times the rules'; with the exact 95% upper limit."""
    ratios = cumulative_ratios(runs, name, first=first)
    above = sum(bool((each > RATIO_MAX).any()) for each in ratios)
    return above, len(ratios), _exact(above, len(ratios))[1]
