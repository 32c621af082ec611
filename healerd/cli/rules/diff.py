"""`healerd rules diff`: what changes from one rule set to another, with facts that show it. Must never guess."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from healerd.cli.exits import Exit
from healerd.cli.options import json_option
from healerd.cli.rules.load import (
    config_option,
    files_argument,
    load_rules,
    load_sets,
    require_solver,
    sound,
    timeout_option,
)
from healerd.cli.show import Show
from healerd_rules import Loaded

if TYPE_CHECKING:
    from healerd_rules.proofs import Change, Difference

__all__ = ["diff"]


@click.command(
    "diff",
    help="Say what changes from one rule file to another: newly automatic first, then newly forbidden, each with "
    "facts that show it. With one file: from the rules of the configuration to that file. Needs the solver: "
    'pip install "healerd[verify]". Ends with 0 when both give the same answer for all facts, else with 7.',
)
@files_argument
@config_option
@timeout_option
@json_option
def diff(files: tuple[Path, ...], config: Path | None, timeout_s: float, as_json: bool) -> int:
    """Print the rules that differ and the moments in which the answers do."""
    pairs = dict(_pairs(files, config))
    require_solver()
    from healerd_rules.diff import diff as compare  # the solver alone takes a third of a second to load

    show, found = Show(as_json=as_json), {}
    for name, (before, after) in pairs.items():
        say = partial(_progress, show, name)
        found[name] = compare(sound(before), sound(after), timeout_s=timeout_s, progress=say)
    if as_json:
        show.json({"sets": [{"name": name, **difference.to_json()} for name, difference in found.items()]})
    else:
        for name, difference in found.items():
            show.text("\n".join((f"{name}:", *(f"  {line}" for line in _lines(difference)))))
    return Exit.OK if all(difference.same for difference in found.values()) else Exit.CHECK_FAILED


def _pairs(files: tuple[Path, ...], config: Path | None) -> Iterator[tuple[str, tuple[Loaded, Loaded]]]:
    if not 1 <= len(files) <= 2:
        raise click.UsageError("give two rule files, or one to compare with the configuration")
    after = load_rules(files[-1:])
    if len(files) == 2:
        yield f"{files[0]} -> {files[1]}", (load_rules(files[:1]), after)
        return
    for name, before in load_sets((), config).items():
        yield f"{name} -> {files[0]}", (before, after)


def _progress(show: Show, name: str, action: str) -> None:
    show.note(f"{name}: comparing {action}")


def _lines(difference: "Difference") -> Iterator[str]:
    for what, names in (
        ("added", difference.added),
        ("removed", difference.removed),
        ("changed", difference.changed),
    ):
        if names:
            yield f"{what}: {', '.join(names)}"
    for change in difference.changes:
        yield from _change_lines(change)
    if difference.uncompared:
        told = ", ".join(difference.uncompared)
        yield f"not compared by facts: ranks, notifications, prices and ends of deferrals of {told}"
    if difference.same:
        yield "the same answer for all facts"


def _change_lines(change: "Change") -> Iterator[str]:
    yield f"{change.way}: {change.action}"
    if change.witness is None:
        yield "  no facts show it: the time ran out, or it takes more than the solver can know"
        return
    yield from (f"  {moment}" for moment in change.witness.moments)
    yield from (f"  given that {assumed}" for assumed in change.witness.assumes)
    if not change.witness.confirmed:
        yield "  not confirmed by the evaluator: may be spurious"
