"""The tables of a finished run as Markdown and JSON: what was compared, what was reached, what was not, and why.

Must never leave out a comparison that is lost, nor print a figure that this run did not measure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from experiments.ablation.faults import FAULTS
from experiments.ablation.running import FULL, Run, Size
from experiments.ablation.statistics import (
    BARS,
    BIN_MIN,
    FLOOR,
    Difference,
    by_fault,
    calibration,
    compared,
    differences,
    let_through,
    share_above,
    summary,
)
from experiments.ablation.systems import FIXED, HYBRID, LAX, SYSTEMS

__all__ = ["as_json", "as_text", "calibration_rows", "cost_of", "points_of", "table"]

MAIN = tuple(name for name, system in SYSTEMS.items() if system.everywhere)
SWAPPED = "hybrid (two costs swapped)"
BRIEF_FIRST = 5
"""The first of each site make the brief's 200 scenarios a system."""


def as_text(runs: Sequence[Run], size: Size, *, seed: int, declared: str) -> str:
    """Write the whole report."""
    parts = [
        "# Ablation: what rules, policy and gate are each worth in a closed loop",
        f"`python -m experiments.ablation --seed {seed}`: {len(runs)} sites (learner runs) of {size.scenarios} "
        "scenarios, "
        f"n = {len(runs) * size.scenarios:,} paired scenarios. A simulated operator approves what asks. Simulated "
        "sites are no evidence about yours.",
        *_preview(runs),
        "## Declared before the run",
        declared,
        "## Systems, all scenarios",
        _systems(summary(runs), [*MAIN, "hold"]),
        f"## The hybrid against the others\n\n{HYBRID}, minus the other, a scenario; 95% intervals by paired bootstrap "
        "over sites.",
        _differences(differences(runs)),
        f"## Every system, on the first {size.slice} scenarios of each site",
        _systems(summary(runs, first=size.slice), [*SYSTEMS, *FIXED, "hold", FLOOR]),
        "The floor takes, in hindsight, the cheapest that any system, any one answer or holding came to.",
        table(_rest(runs)),
        f"## The brief's 200 scenarios a system: the first {BRIEF_FIRST} of each site",
        _differences(differences(runs, first=BRIEF_FIRST)),
        "## By fault: mean cost, failures",
        table(_by_fault(runs)),
        "## What let the policy deviate, and what barred it",
        table(let_through(runs, name) for name, system in SYSTEMS.items() if system.rules == "tuned"),
        "## The gate: claimed and observed P(cheaper than the rule's action)",
        table(calibration_rows(runs)),
        *_gate_note(runs),
        "## Sites whose cumulative cost ever exceeds 1.1 times the tuned rules'",
        table(_above(runs, size)),
        *_above_note(runs),
        "## Reached, and not",
        "\n".join(f"- {line}" for line in verdicts(runs)),
    ]
    return "\n\n".join(parts) + "\n"


def _preview(runs: Sequence[Run]) -> list[str]:
    """Say that fewer sites were run than declared."""
    if len(runs) >= FULL.sites:
        return []
    return [
        f"**A preview on {len(runs)} of the {FULL.sites} declared sites: no bar counts as met or "
        "missed by it.** Intervals from so few sites are too narrow."
    ]


def as_json(runs: Sequence[Run], size: Size, *, seed: int) -> dict[str, Any]:
    """Give the figures behind the report."""
    return {
        "schema": 1,
        "seed": seed,
        "size": asdict(size),
        "summary": summary(runs),
        "slice": summary(runs, first=size.slice),
        "differences": [asdict(each) for each in differences(runs)],
        "brief's 200": [asdict(each) for each in differences(runs, first=BRIEF_FIRST)],
        "calibration": calibration(runs),
        "above": {name: list(share_above(runs, name, first=first)) for name, first in _above_rows(size)},
        "reached": {bar.other: found.reaches(bar) for bar, found in zip(BARS, differences(runs), strict=True)},
        "claims": [] if _preview(runs) else _claims(runs),
    }


def verdicts(runs: Sequence[Run]) -> list[str]:
    """Say of each bar whether it is met, with the numbers it stands on."""
    said = []
    for bar, found in zip(BARS, differences(runs), strict=True):
        missed = found.misses(bar)
        word = f"NOT reached ({'; '.join(missed)})" if missed else "reached"
        said.append(f"minus {bar.other}, {bar.says}: {word}: cost {cost_of(found)}, failures {points_of(found)}")
    return said


def _claims(runs: Sequence[Run]) -> list[list[Any]]:
    """Give each bar as a claim of the page of results, with whether it is met."""
    held = (found.reaches(bar) for bar, found in zip(BARS, differences(runs), strict=True))
    return [[f"{HYBRID} {said}", holds] for said, holds in zip(verdicts(runs), held, strict=True)]


def _systems(means: Mapping[str, Mapping[str, float]], names: Iterable[str]) -> str:
    return table(
        {
            "system": name,
            "n": int(means[name]["n"]),
            "cost": means[name]["cost"],
            "of it actions": means[name]["action_cost"],
            "failed": f"{means[name]['failed']:.1%}",
            "not resolved": f"{means[name]['unresolved']:.1%}",
            "harmed": f"{means[name]['harm']:.1%}",
            "retrains": means[name]["retrains"],
            "rollbacks": means[name]["rollbacks"],
            "fallbacks": means[name]["fallbacks"],
            "asked": means[name]["asked"],
        }
        for name in names
        if name in means and means[name]["n"]
    )


def _differences(found: Sequence[Difference]) -> str:
    return table(
        {
            "minus": each.other,
            "n": each.n,
            "sites": each.sites,
            "cost": cost_of(each),
            "failures, points": points_of(each),
            "bar": bar.says,
            "met": "yes" if each.reaches(bar) else "no",
        }
        for bar, each in zip(BARS, found, strict=True)
    )


def _rest(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Compare the hybrid with every row that has no bar, on what both played."""
    barred = {bar.other for bar in BARS}
    others = [name for name in SYSTEMS if name not in barred and name != HYBRID]
    found = [compared(runs, HYBRID, name) for name in others]
    return [
        {"minus": each.other, "n": each.n, "cost": cost_of(each), "failures, points": points_of(each)} for each in found
    ]


def _by_fault(runs: Sequence[Run]) -> list[dict[str, Any]]:
    found = by_fault(runs, [*MAIN, "hold"])
    return [
        {
            "fault": fault,
            **{name: f"{cost:.0f}, {failed:.0%}" for name, (cost, failed) in found[fault].items()},
        }
        for fault in FAULTS
        if fault in found
    ]


def calibration_rows(runs: Sequence[Run], name: str = LAX) -> list[dict[str, Any]]:
    """Give the gate's claims by bin, of a system's first deviations."""
    return [
        {
            "claimed from": each["from"],
            "to": each["to"],
            "first disagreements": each["claims"],
            "judged": each["judged"],
            "mean claim": each["claimed"],
            "observed": each["observed"],
            "95%": f"[{each['low']:.2f}, {each['high']:.2f}]" if each["judged"] else "",
        }
        for each in calibration(runs, name)
    ]


def _gate_note(runs: Sequence[Run]) -> list[str]:
    bins = [each for each in calibration(runs) if each["from"] >= 0.8]
    short = [each for each in bins if not each["enough"]]
    if not short:
        return []
    counts = ", ".join(str(each["judged"]) for each in bins)
    return [
        f"The bar of the gate's calibration needs {BIN_MIN} judged decisions a bin; these bins have {counts}. It is "
        "NOT reached where a bin is short: the policy disagrees with the rules too seldom, and only the first one "
        "of a scenario has a clean counterfactual."
    ]


def _above_rows(size: Size) -> list[tuple[str, int | None]]:
    return [
        (HYBRID, None),
        (LAX, None),
        ("bandit only (same logs)", None),
        ("bandit only (cold)", None),
        (SWAPPED, size.slice),
    ]


def _above(runs: Sequence[Run], size: Size) -> list[dict[str, Any]]:
    bars = {HYBRID: "1%", SWAPPED: "5%"}
    rows = []
    for name, first in _above_rows(size):
        above, sites, high = share_above(runs, name, first=first)
        rows.append(
            {
                "system": name,
                "scenarios a site": first or size.scenarios,
                "sites above": f"{above} of {sites}",
                "95% upper limit": f"{high:.0%}",
                "bar": bars.get(name, ""),
            }
        )
    return rows


def _above_note(runs: Sequence[Run]) -> list[str]:
    return [
        f"With {len(runs)} sites a share of 1% cannot be shown: even none of them leaves an upper limit of "
        f"{1 - 0.025 ** (1 / len(runs)):.0%}. The first scenarios of a site weigh heavily: one dear incident more than "
        "the rules' counts before there is much to divide by."
    ]


def cost_of(each: Difference) -> str:
    """Say a difference of cost with its interval."""
    return f"{each.cost:+.1f} [{each.cost_low:+.1f}, {each.cost_high:+.1f}]"


def points_of(each: Difference) -> str:
    """Say a difference of failures with its interval, in points."""
    return f"{100 * each.failure:+.1f} [{100 * each.failure_low:+.1f}, {100 * each.failure_high:+.1f}]"


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Write a line a row; the columns are the keys of the first."""
    rows = list(rows)
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads), *([_said(row.get(head)) for head in heads] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _said(value: object) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
        case np.floating():
            return f"{float(value):.2f}"
        case _:
            return str(value)
