"""Figures of a finished run as PNG: differences with intervals, the gate's reliability, cumulative cost ratios.

Must never compute a figure of its own: what is drawn is what `statistics` found.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.ablation.running import Run
from experiments.ablation.statistics import BARS, RATIO_MAX, calibration, cumulative_ratios, differences
from experiments.ablation.systems import HYBRID

__all__ = ["draw"]

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#808080"


def draw(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Draw all figures into a folder; give the files."""
    import matplotlib as mpl  # heavy: only where figures are drawn

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    drawn = []
    for name, width, make in (
        ("differences", 9.0, _differences),
        ("reliability", 5.0, _reliability),
        ("cumulative", 6.0, _cumulative),
    ):
        figure = plt.figure(figsize=(width, 3.6), layout="constrained")
        make(figure, runs)
        path = folder / f"ablation-{name}.png"
        figure.savefig(path, dpi=140, metadata={"Software": None})
        plt.close(figure)
        drawn.append(path)
    return drawn


def _differences(figure: Any, runs: Sequence[Run]) -> None:
    found = differences(runs)
    places = range(len(found))
    left, right = figure.subplots(1, 2, sharey=True)
    left.errorbar(
        [each.cost for each in found],
        places,
        xerr=[[each.cost - each.cost_low for each in found], [each.cost_high - each.cost for each in found]],
        fmt="o",
        color=BLUE,
        capsize=3,
    )
    right.errorbar(
        [100 * each.failure for each in found],
        places,
        xerr=[
            [100 * (each.failure - each.failure_low) for each in found],
            [100 * (each.failure_high - each.failure) for each in found],
        ],
        fmt="o",
        color=ORANGE,
        capsize=3,
    )
    left.set_yticks(list(places), [f"minus {each.other}" for each in found])
    left.invert_yaxis()
    for axes, label in ((left, "cost a scenario"), (right, "failures, points")):
        axes.axvline(0.0, color=GREY, linewidth=1)
        axes.set_xlabel(label)
    met = [each.reaches(bar) for each, bar in zip(found, BARS, strict=True)]
    figure.suptitle(
        f"{HYBRID}: differences with 95% intervals over sites; {sum(met)} of {len(met)} bars met", fontsize=9
    )


def _reliability(figure: Any, runs: Sequence[Run]) -> None:
    known = [each for each in calibration(runs) if each["judged"]]
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    claimed, observed = [each["claimed"] for each in known], [each["observed"] for each in known]
    low = [each["observed"] - each["low"] for each in known]
    high = [each["high"] - each["observed"] for each in known]
    axes.errorbar(claimed, observed, yerr=[low, high], fmt="o", color=BLUE, capsize=3)
    for each in known:
        axes.annotate(f" n={each['judged']}", (each["claimed"], each["observed"]), fontsize=7)
    axes.set(xlim=(0.75, 1.0), ylim=(0, 1.02), xlabel="claimed P(cheaper than the rule's action)", ylabel="observed")


def _cumulative(figure: Any, runs: Sequence[Run]) -> None:
    axes = figure.subplots()
    for ratios in cumulative_ratios(runs, HYBRID):
        axes.plot(range(1, len(ratios) + 1), ratios, color=BLUE, alpha=0.35, linewidth=1)
    axes.axhline(1.0, color=GREY, linewidth=1)
    axes.axhline(RATIO_MAX, color=ORANGE, linewidth=1, linestyle="--")
    axes.set(xlabel="scenarios with cost", ylabel="cumulative cost over the tuned rules'")
