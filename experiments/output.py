"""What an experiment found, as a JSON file, Markdown tables and PNG figures; and the command line they share.

Must never change a number: what is printed, drawn and kept comes from one `Finding`.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from experiments.detection.__main__ import markdown

__all__ = ["Figure", "Find", "Finding", "Line", "keep", "page", "run_as_command"]

COLOURS = {"healerd": "#1f8a5b", "no action": "#8a8f98", "never": "#8a8f98", "oracle": "#c08a3e"}
OTHERS = ("#5b8fb9", "#7a6ea8", "#a05a5a", "#c08a3e", "#444444")
DPI = 80
"""Keeps a figure under a hundred kilobytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A curve over its places 0, 1, 2 ..., or over `at`; `marks` draws points instead of a line."""

    name: str
    values: tuple[float, ...]
    at: tuple[float, ...] | None = None
    marks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A plot of lines; each is drawn as a running mean of `smooth` values. `band`: a level worth a line of its own."""

    name: str
    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    smooth: int = 1
    level: tuple[str, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one run found. `claims`: sentences with whether they hold in this run; `notes`: how to read the tables."""

    name: str
    title: str
    seed: int
    tables: Mapping[str, Sequence[Mapping[str, Any]]]
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    claims: tuple[tuple[str, bool], ...] = ()


class Find(Protocol):
    """An experiment: its form and its seed in, what it found out."""

    def __call__(self, *, quick: bool, seed: int) -> Finding:
        """Run it."""
        ...


def run_as_command(doc: str | None, find: Callable[..., Finding]) -> int:
    """Run an experiment from the command line: print its tables, and keep everything where `--out` says."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None, help="folder for the JSON, the page and the figures")
    asked = parser.parse_args()
    finding = find(quick=asked.quick, seed=asked.seed)
    print(page(finding))
    if asked.out:
        keep(finding, asked.out, quick=asked.quick)
    return 0


def page(finding: Finding) -> str:
    """Write a finding as Markdown."""
    parts = [f"# {finding.title}", f"Seed {finding.seed}."]
    for name, rows in finding.tables.items():
        parts += [f"## {name}", markdown([dict(row) for row in rows])]
    parts += [f"![{figure.title}]({_file(finding, figure)})" for figure in finding.figures]
    if finding.claims:
        parts.append("\n".join(f"- {'holds' if holds else 'does not hold'}: {text}" for text, holds in finding.claims))
    return "\n\n".join([*parts, *finding.notes])


def keep(finding: Finding, folder: Path, *, quick: bool) -> None:
    """Write the JSON, the page and the figures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    held = {**asdict(finding), "quick": quick}
    del held["figures"]
    (folder / f"{finding.name}.json").write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    (folder / f"{finding.name}.md").write_text(page(finding) + "\n", encoding="utf-8")
    for figure in finding.figures:
        draw(figure, folder / _file(finding, figure))


def draw(figure: Figure, path: Path) -> None:
    """Draw a figure as PNG. matplotlib is a tool of the experiments, so it is loaded only here."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plot, axes = plt.subplots(figsize=(8, 3.6), dpi=DPI, layout="constrained")
    spare = iter(OTHERS)
    for line in figure.lines:
        colour = COLOURS.get(line.name) or next(spare, "#222222")
        at = line.at or tuple(range(len(line.values)))
        style = {"marker": "o", "linestyle": "none"} if line.marks else {"linewidth": 1.4}
        axes.plot(at, _smooth(line.values, figure.smooth), label=line.name, color=colour, **style)
    if figure.level:
        axes.axhline(figure.level[1], color="#444", linewidth=0.8, linestyle=":", label=figure.level[0])
    axes.set(title=figure.title, xlabel=figure.x, ylabel=figure.y)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    plot.savefig(path, metadata={"Software": None})
    plt.close(plot)


def _file(finding: Finding, figure: Figure) -> str:
    return f"{finding.name}-{figure.name}.png"


def _smooth(values: Sequence[float], width: int) -> Sequence[float]:
    """Running mean of the newest `width` values; those that are not known are left out."""
    if width <= 1:
        return values
    found = np.array(values, np.float64)
    return [float(np.nanmean(found[max(0, k - width + 1) : k + 1])) for k in range(len(found))]
