"""`healerd rules verify`: proofs about rule files, with counterexamples. Must never call proved what was left open."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from healerd.cli.exits import Exit
from healerd.cli.options import json_option
from healerd.cli.rules.load import config_option, files_argument, load_sets, require_solver, sound, timeout_option
from healerd.cli.show import Show

if TYPE_CHECKING:
    from healerd_rules.proofs import Report

__all__ = ["verify"]

CLAIMS: Mapping[str, str] = {
    "gate": "nothing runs by itself with confidence below 80% or unknown",
    "cooldown": "no two heals start on a pipeline within 30 minutes",
    "invariant": "the invariants of the files hold",
    "missing_safe": "hiding data never loosens a verdict",
    "second_pass": "knowing the confidence never loosens a verdict",
    "order": "the order of rules changes nothing",
    "dead": "every rule can act",
    "shadowed": "every rule sometimes decides",
    "contradictory": "no permit holds only where a forbid acts",
    "permittable": "every action can be permitted",
    "proposals": "no proposal asks for what is then forbidden",
}


@click.command(
    help="Prove what rule files promise [default: those of the configuration], for all facts, or show facts that break "
    'it. Needs the solver: pip install "healerd[verify]". Ends with 7 when a promise is refuted or may not hold, with '
    "124 when the time ran out and nothing worse was found; rules that do nothing are warnings."
)
@files_argument
@config_option
@click.option("--claim", "claims", multiple=True, type=click.Choice(list(CLAIMS)), help="Prove this claim alone.")
@timeout_option
@json_option
def verify(
    files: tuple[Path, ...], config: Path | None, claims: tuple[str, ...], timeout_s: float, as_json: bool
) -> int:
    """Print what is proved, and each counterexample with the verdicts it gives."""
    require_solver()
    from healerd_rules.verify import verify as prove  # the solver alone takes a third of a second to load

    show, wanted = Show(as_json=as_json), claims or tuple(CLAIMS)
    reports = {}
    for name, loaded in load_sets(files, config).items():
        say = partial(_progress, show, name)
        reports[name] = prove(sound(loaded), claims=wanted, timeout_s=timeout_s, progress=say)
    if as_json:
        show.json({"sets": [{"name": name, **report.to_json()} for name, report in reports.items()]})
    else:
        for name, report in reports.items():
            _print(show, name, report, wanted)
    return _exit(reports.values())


def _progress(show: Show, name: str, claim: str) -> None:
    show.note(f"{name}: proving that {CLAIMS[claim]}")


def _exit(reports: "Iterable[Report]") -> Exit:
    """What is not proved does not hold; a time-out is said as such where nothing worse was found."""
    failed = [check.status for report in reports for check in report.failed]
    if not failed:
        return Exit.OK
    return Exit.TIMED_OUT if all(status == "unknown" for status in failed) else Exit.CHECK_FAILED


def _print(show: Show, name: str, report: "Report", claims: Sequence[str]) -> None:
    show.text(f"{name}:")
    for claim in claims:
        checks = [check for check in report.checks if check.claim == claim]
        if not checks:
            continue
        proved = [check for check in checks if check.status == "proved"]
        if len(proved) == len(checks):
            needs = sorted({rule for check in proved for rule in check.needs})
            # A rule that seems to act in a model that allows too much is no proof: only that nothing speaks against it.
            said = "proved" if checks[0].weight == "error" else "nothing against"
            show.text(f"  {said}: {CLAIMS[claim]}" + (f", by {', '.join(needs)}" if needs else ""))
        for check in checks:
            if check.status != "proved":
                show.text("\n".join(f"  {line}" for line in check.lines()))
    if report.loose:
        show.note("taken to come out any way, which is more than can happen: " + "; ".join(report.loose))
