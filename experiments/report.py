"""The report page of the results: made of the result files alone, with what is claimed and what is not.

Must never say a number that is not in a file beside it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["report", "write_report"]

RUN = "run.json"
NOT_CLAIMED = (
    "Made worlds are not users' systems: four features, one plane, labels within a day. What they show is whether the "
    "loop does what it says, not how much it will spare you.",
    "The defaults were chosen with Elec2 and the flights in view, one set for both: figures on those two are no "
    "figures on streams never seen.",
    "A difference without an interval is one run, or a mean over few seeds: read tenths of a point as noise.",
    "The operator of every closed loop is simulated: it approves what asks, and promotes the pipeline (SAFETY S19).",
    "Results of other libraries are theirs, measured by their own protocol where a table says so.",
)


def write_report(folder: Path, *, quick: bool) -> None:
    """Write README.md into the folder of the results."""
    (folder / "README.md").write_text(report(folder, quick=quick), encoding="utf-8")


def report(folder: Path, *, quick: bool) -> str:
    """Make the page of what lies in the folder."""
    findings = sorted(_findings(folder), key=lambda one: str(one["name"]))
    return (
        "\n\n".join(
            ["# Results", *_head(quick=quick), *_said(_claims(folder)), *_runs(folder), *_pages(folder, findings)]
        )
        + "\n"
    )


def _head(*, quick: bool) -> Iterator[str]:
    command = "python -m experiments.run_all" + (" --quick" if quick else "")
    yield f"Made by `{command}` from the files beside it; [experiments](../README.md) says what each experiment is."
    if quick:
        yield "These are the short forms: they show that everything runs, and no number of theirs is a result."


def _said(claims_: list[tuple[str, Any]]) -> Iterator[str]:
    yield "## Claimed, and whether it held in these runs"
    claims = [(name, text, holds) for name, said in claims_ for text, holds in said]
    lines = [f"| {'holds' if holds else '**does not hold**'} | `{name}` | {text} |" for name, text, holds in claims]
    yield "\n".join(["| | experiment | claim |", "|---|---|---|", *lines]) if lines else "Nothing was claimed."
    yield "## Not claimed"
    yield "\n".join(f"- {text}" for text in NOT_CLAIMED)


def _runs(folder: Path) -> Iterator[str]:
    path = folder / RUN
    told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if told:
        lines = [
            f"| `{name}` | {one['said']} | {one['seconds']:g} | {'' if one['seed'] is None else one['seed']} |"
            for name, one in told.items()
        ]
        yield "## How the runs went"
        yield "\n".join(["| experiment | | seconds | seed |", "|---|---|---|---|", *lines])


def _pages(folder: Path, findings: list[dict[str, Any]]) -> Iterator[str]:
    """Name each file, and show the figures."""
    yield "## Tables and figures"
    own = {f"{one['name']}.md": str(one["title"]) for one in findings}
    names = sorted(path.name for path in folder.iterdir() if path.suffix in (".md", ".txt", ".json"))
    others = {name: "" for name in names if name not in ("README.md", RUN) and name not in own}
    others = {name: "" for name in others if name.removesuffix(".json") + ".md" not in own}
    yield "\n".join(
        f"- [{name}]({name}){': ' + title if title else ''}" for name, title in sorted({**own, **others}.items())
    )
    for path in sorted(folder.glob("*.png")):
        yield f"![{path.stem}]({path.name})"


def _claims(folder: Path) -> list[tuple[str, Any]]:
    """Read what each experiment claims, of whatever form its other results are; the file's name is its own."""
    read = ((path.stem, json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.json")))
    return [(name, found["claims"]) for name, found in read if isinstance(found, dict) and "claims" in found]


def _findings(folder: Path) -> Iterator[dict[str, Any]]:
    """Read what experiments kept: JSON objects with a name, a title and tables."""
    for path in folder.glob("*.json"):
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and {"name", "title", "tables"} <= set(found):
            yield found
