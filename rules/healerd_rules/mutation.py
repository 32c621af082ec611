"""Checks the tests of rule files: each small fault in the rules must make some test, invariant or proof fail.

It never writes a file and never parses: a faulty rule set is checked and played from the trees at hand.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from healerd_rules.check import Checker
from healerd_rules.diagnostics import Severity
from healerd_rules.loading import Loaded
from healerd_rules.module import Module
from healerd_rules.mutants import Mutant, mutants
from healerd_rules.names import give_names
from healerd_rules.program import RuleSet
from healerd_rules.schema import Schema
from healerd_rules.source import Findings
from healerd_rules.testing import run_test
from healerd_rules.vocabulary import gather

Prove = Callable[[RuleSet], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationReport:
    """How many faults were tried, and those that nothing noticed. `refused` ones do not even load."""

    tried: int
    refused: int
    survivors: tuple[Mutant, ...]

    def to_json(self) -> dict[str, object]:
        """The same as a JSON object."""
        return {
            "tried": self.tried,
            "refused": self.refused,
            "survivors": [
                {"path": one.path, "line": one.line, "column": one.column, "name": one.name, "change": one.change}
                for one in self.survivors
            ],
        }


def check_mutants(
    loaded: Loaded,
    *,
    schema: Schema,
    files: Collection[str],
    about: Collection[str],
    prove: Prove | None = None,
    every: int = 1,
) -> MutationReport:
    """Try each fault in the files `about` against the tests in `files`, and against `prove` where no test fails.

    `prove` tells whether all promises of a rule set are proved. `every` 3 tries each third fault: a sample that
    is the same each time. A rule set that does not load has no faults to try.
    """
    if loaded.ruleset is None:
        return MutationReport(tried=0, refused=0, survivors=())
    order = [number for number, script in enumerate(loaded.ruleset.tests) if script.path in files]
    chosen = list(_all(loaded.modules, about))[::every]
    refused = 0
    survivors: list[Mutant] = []
    for mutant in chosen:
        faulty = _with(mutant, loaded.modules, schema)
        if faulty is None:
            refused += 1
        elif not _noticed(faulty, order) and (prove is None or prove(faulty)):
            survivors.append(mutant)
    return MutationReport(tried=len(chosen), refused=refused, survivors=tuple(survivors))


def _all(modules: Sequence[Module], about: Collection[str]) -> Iterator[Mutant]:
    for module in modules:
        if module.source.path in about:
            yield from mutants(module)


def _noticed(faulty: RuleSet, order: list[int]) -> bool:
    """Whether a test fails; the one that does is asked first next time, since neighbours fall to the same test."""
    for position, number in enumerate(order):
        if run_test(faulty, faulty.tests[number]).failure is not None:
            order.insert(0, order.pop(position))
            return True
    return False


def _with(mutant: Mutant, modules: Sequence[Module], schema: Schema) -> RuleSet | None:
    """The rule set with one fault in it; None when it does not load."""
    fresh: dict[int, Module] = {}
    for module in modules:
        statements = list(module.statements)
        if module.source.path == mutant.path:
            statements[mutant.index] = mutant.statement
        fresh[id(module)] = Module(
            source=module.source,
            findings=Findings(module.source),
            statements=tuple(statements),
            broken=module.broken,
            shipped=module.shipped,
            pack=module.pack,
            imports=[(alias, fresh[id(imported)]) for alias, imported in module.imports],
        )
    copies = list(fresh.values())
    vocabulary = gather(copies, schema)
    for module in copies:
        give_names(module, copies[0])
    ruleset = Checker(vocabulary).check(copies, mutant.describe())
    found = (finding for module in copies for finding in module.findings.found)
    return None if any(finding.severity is Severity.ERROR for finding in found) else ruleset
