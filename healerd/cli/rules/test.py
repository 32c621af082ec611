"""`healerd rules test`: run the tests that stand in rule files. Must never end with 0 while a test fails."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from healerd.cli.exits import Exit
from healerd.cli.options import json_option
from healerd.cli.rules.load import config_option, files_argument
from healerd.cli.rules.suites import Suite, suites
from healerd.cli.show import Show
from healerd.decision import SCHEMA
from healerd_rules import RuleSet, render
from healerd_rules.coverage import Coverage, Covered, Outcome
from healerd_rules.mutation import MutationReport, check_mutants
from healerd_rules.testing import Report, Result, run_tests

__all__ = ["test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ran:
    suite: Suite
    report: Report | None
    mutation: MutationReport | None

    def passed(self, fail_under: float | None) -> bool:
        if self.report is None or self.report.failed or (self.mutation is not None and self.mutation.survivors):
            return False
        return fail_under is None or self.report.coverage.share * 100 >= fail_under


@click.command(
    help="Run the `test` blocks of rule files [default: those of the configuration] or of shipped packs: "
    "ends with 7 when one fails."
)
@files_argument
@config_option
@click.option("--coverage", is_flag=True, help="Show how each rule and signal came out over all tests.")
@click.option(
    "--fail-under",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="End with 7 when the tests have seen less of what rules and signals can come to.",
)
@click.option("--mutate", is_flag=True, help="Put small faults into the rules, one at a time: some test must fail.")
@json_option
def test(
    files: tuple[Path, ...],
    config: Path | None,
    *,
    coverage: bool,
    fail_under: float | None,
    mutate: bool,
    as_json: bool,
) -> int:
    """Print each test, the step at which it failed and why; then coverage and unnoticed faults, where asked for."""
    show = Show(as_json=as_json)
    ran = [_run(suite, mutate=mutate) for suite in suites(files, config)]
    if as_json:
        show.json({"suites": [_to_json(one) for one in ran]})
    else:
        for one in ran:
            _print(one, show, coverage=coverage or fail_under is not None)
    return Exit.OK if all(one.passed(fail_under) for one in ran) else Exit.CHECK_FAILED


def _run(suite: Suite, *, mutate: bool) -> _Ran:
    ruleset = suite.loaded.ruleset
    if ruleset is None:
        return _Ran(suite=suite, report=None, mutation=None)
    report = run_tests(ruleset, files=suite.files, about=suite.about)
    mutation = None
    if mutate and not report.failed:
        mutation = check_mutants(
            suite.loaded, schema=SCHEMA, files=suite.files, about=suite.about, prove=_proof_of_invariants()
        )
    return _Ran(suite=suite, report=report, mutation=mutation)


def _proof_of_invariants() -> Callable[[RuleSet], bool] | None:
    """What proves the invariants of a faulty rule set, where the solver is installed."""
    if find_spec("z3") is None:
        return None
    from healerd_rules.verify import verify  # the solver, which only this option needs

    return lambda ruleset: not verify(ruleset, claims=["invariant"]).failed


def _print(ran: _Ran, show: Show, *, coverage: bool) -> None:
    suite, report = ran.suite, ran.report
    if report is None:
        show.text(render(suite.loaded.errors, suite.loaded.sources))
        return
    for result in report.results:
        _print_result(result, show)
    for file in suite.files:
        if not any(result.path == file for result in report.results):
            show.note(f"{file}: no tests")
    if not suite.files:
        show.note(f"{suite.name}: no rule files of its own, so no tests")
    if coverage:
        _print_coverage(report.coverage, show)
    if ran.mutation is not None:
        _print_mutation(ran.mutation, show)
    passed = len(report.results) - len(report.failed)
    show.note(f"{suite.name}: {passed} of {len(report.results)} tests passed, {report.coverage.share:.0%} covered")


def _print_result(result: Result, show: Show) -> None:
    show.text(f"{'ok  ' if result.failure is None else 'FAIL'} {result.path}:{result.line} {result.title}")
    if result.failure is not None:
        show.text("\n".join(f"     {line}" for line in result.failure.prose().splitlines()))


def _print_coverage(coverage: Coverage, show: Show) -> None:
    def cells(one: Covered) -> list[str]:
        said = [_cell(one, outcome) for outcome in (Outcome.YES, Outcome.NO, Outcome.UNKNOWN)]
        return [one.name, one.kind, f"{one.path}:{one.line}", *said]

    rows = [cells(one) for one in (*coverage.rules, *coverage.signals)]
    if rows:
        show.table(["name", "kind", "place", "acts or true", "not", "unknown"], rows)


def _cell(one: Covered, outcome: Outcome) -> str:
    if outcome not in one.possible:
        return "-"
    return "seen" if outcome in one.seen else "never"


def _print_mutation(mutation: MutationReport, show: Show) -> None:
    for mutant in mutation.survivors:
        show.text(f"unnoticed {mutant.describe()}")
    noticed = mutation.tried - len(mutation.survivors)
    show.note(f"{noticed} of {mutation.tried} faults noticed, {mutation.refused} of them by not loading")


def _to_json(ran: _Ran) -> dict[str, Any]:
    report = ran.report
    if report is None:
        findings = [finding.to_json() for finding in ran.suite.loaded.errors]
        return {"name": ran.suite.name, "findings": findings, "tests": None}
    return {
        "name": ran.suite.name,
        "tests": [result.to_json() for result in report.results],
        "coverage": {
            "share": report.coverage.share,
            "rules": [one.to_json() for one in report.coverage.rules],
            "signals": [one.to_json() for one in report.coverage.signals],
        },
        "mutation": None if ran.mutation is None else ran.mutation.to_json(),
    }
