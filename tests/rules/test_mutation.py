"""Small faults in rules: which there are, and that the tests of the shipped packs notice every one."""

import pytest

from healerd_rules import Loaded, RuleSet, load_pack, load_text, pack_paths, render, shipped_packs
from healerd_rules.mutants import mutants
from healerd_rules.mutation import MutationReport, check_mutants
from tests.rules.worlds import SCHEMA

NAME = "my.heal"


def loaded(text: str) -> Loaded:
    found = load_text(text, name=NAME, schema=SCHEMA)
    assert found.ruleset is not None, render(found.diagnostics, found.sources)
    return found


def changes(text: str) -> set[str]:
    """Every fault in a text, as what becomes of what."""
    module = loaded(text).modules[-1]
    return {mutant.change for mutant in mutants(module)}


def checked(text: str, **how: object) -> MutationReport:
    return check_mutants(loaded(text), schema=SCHEMA, files=(NAME,), about=(NAME,), **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "forbid f: retrain, rollback when rows < 500",
            {
                "the forbid is dropped",
                "`retrain` is left out",
                "`rollback` is left out",
                "`when` becomes `unless`",
                "`<` becomes `>=`",
                "`<` becomes `<=`",
                "`500` becomes `501`",
                "`500` becomes `499`",
            },
        ),
        (
            "propose a: retrain when alarm(harm) priority 9\npropose b: rollback when alarm(drift) priority 3",
            {
                "the propose is dropped",
                "`when` becomes `unless`",
                "`priority 9` becomes `priority 0`",
                "`priority 3` becomes `priority 999999`",
            },
        ),
        ("propose a: retrain priority 9", {"the propose is dropped"}),
        ("let a = rows == 5", {"`==` becomes `!=`", "`5` becomes `6`", "`5` becomes `4`"}),
        ("const C = 80%", {"`80%` becomes `81%`", "`80%` becomes `79%`"}),
        ("const C = 1%", {"`1%` becomes `1.2%`", "`1%` becomes `0.8%`"}),
        ("const C = 30m", {"`30m` becomes `33m`", "`30m` becomes `27m`"}),
        ("const C = 1h", {"`1h` becomes `1.5h`", "`1h` becomes `30m`"}),
        ("const C = $40", {"`$40` becomes `$44`", "`$40` becomes `$36`"}),
        ("signal s = alarm(harm) and alarm(drift)", {"`and` becomes `or`"}),
        ("signal s = not alarm(harm)", {"`not` is dropped"}),
        ("signal s = alarm(harm) == true", {"`==` becomes `!=`", "`true` becomes `false`"}),
        (
            "signal s = alarm(harm) for 2 of last 3 windows",
            {"`for 2 of` becomes `for 1 of`", "`for 2 of` becomes `for 3 of`", "`3 windows` becomes `4 windows`"}
            | {"`3 windows` becomes `2 windows`"},
        ),
        (
            'require r: retrain on tag "a" and not tag "b" approval from "x" when alarm(harm) if unknown skips',
            {
                "the require is dropped",
                "the scope is dropped",
                "`and` becomes `or` in the scope",
                "`not` is dropped from the scope",
                "`else deny` becomes `else defer`",
                "`when` becomes `unless`",
                "`if unknown skips` is dropped",
            },
        ),
    ],
)
def test_the_faults_of_a_text(text: str, expected: set[str]) -> None:
    """Each comparison, number, word of logic, scope and rule has its faults, and there are no others."""
    assert changes(text) == expected


def test_vocabulary_tests_and_promises_are_left_alone() -> None:
    """No fault is put into metrics, actions, invariants or tests: they are what is relied on."""
    vocabulary = "metric m: count stale after 2 windows\naction reboot risk 1 cost $5\n"
    text = vocabulary + 'invariant i: rows > 5\ntest "t" { advance 3 windows }'
    assert changes(text) == set()


def test_faults_survive_where_no_test_looks() -> None:
    """Without a test every fault survives, each with its place; with one at the edge, none does."""
    rule = "forbid few: retrain when rows < 500\n"
    blind = checked(rule)
    assert len(blind.survivors) == blind.tried == 6
    assert {one.describe().split(": ")[0] for one in blind.survivors} == {
        "my.heal:1:8",
        "my.heal:1:21",
        "my.heal:1:26",
        "my.heal:1:33",
    }
    sharp = (
        'test "edge" { given confidence = 95%, data_quality = "good", rows = 500 expect allowed retrain\n'
        "given rows = 499 expect forbidden retrain }"
    )
    assert checked(rule + sharp).survivors == ()


def test_a_test_that_misses_the_edge_is_found_out() -> None:
    """A test far from the threshold leaves the nudged number and the softened comparison unnoticed."""
    far = (
        'test "far" { given confidence = 95%, data_quality = "good", rows = 900 expect allowed retrain\n'
        "given rows = 100 expect forbidden retrain }"
    )
    found = checked("forbid few: retrain when rows < 500\n" + far)
    assert {one.change for one in found.survivors} == {"`<` becomes `<=`", "`500` becomes `501`", "`500` becomes `499`"}


def test_an_invariant_notices_a_fault() -> None:
    """A fault that no expectation sees is noticed where it breaks an invariant in a test."""
    text = (
        "forbid few: retrain when rows < 500\ninvariant enough: autonomous(retrain) implies rows >= 500\n"
        'test "t" { given confidence = 95%, data_quality = "good", rows = 499.5 advance 1 window }'
    )
    assert "`500` becomes `499`" not in {one.change for one in checked(text).survivors}


def test_a_proof_notices_what_tests_do_not() -> None:
    """Where no test fails the proof is asked, with the faulty rule set; one that fails has noticed the fault."""
    asked: list[RuleSet] = []

    def prove(ruleset: RuleSet) -> bool:
        asked.append(ruleset)
        return False

    assert checked("forbid few: retrain when rows < 500", prove=prove).survivors == ()
    assert len({id(ruleset) for ruleset in asked}) == 6


def test_faults_that_do_not_load_are_counted_apart() -> None:
    """A fault that the checker refuses is no survivor."""
    found = checked("signal s = alarm(harm) for 1 of last 1 windows")
    assert (found.tried, found.refused) == (4, 3)


def test_a_sample_is_the_same_each_time() -> None:
    """Every third fault: a third of them, and the same ones again."""
    whole, third = (
        checked("forbid few: retrain when rows < 500"),
        checked("forbid few: retrain when rows < 500", every=3),
    )
    assert (whole.tried, third.tried) == (6, 2)
    assert third.survivors == whole.survivors[::3]


def test_the_loaded_rules_stay_as_they_are() -> None:
    """Trying faults leaves no trace in what was loaded."""
    found = loaded("forbid few: retrain when rows < 500")
    before = (found.ruleset, [module.statements for module in found.modules], found.diagnostics)
    check_mutants(found, schema=SCHEMA, files=(NAME,), about=(NAME,))
    assert (found.ruleset, [module.statements for module in found.modules], found.diagnostics) == before


@pytest.mark.parametrize("name", shipped_packs())
def test_no_fault_in_a_shipped_pack_survives(name: str) -> None:
    """Every small fault in a shipped pack makes one of its tests fail."""
    found = load_pack(name, schema=SCHEMA)
    rules, tests = pack_paths(name)
    result = check_mutants(found, schema=SCHEMA, files=(tests,), about=(rules,))
    assert [one.describe() for one in result.survivors] == []
    assert result.tried > 0
