"""Two rule sets are the same for all inputs, or a moment is shown on which the walker answers differently."""

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from healerd_rules import RuleSet, SignalState, evaluate
from healerd_rules.diff import diff
from healerd_rules.proofs import Change
from tests.rules import oracle
from tests.rules.oracle import ACTIONS, Rule, World
from tests.rules.test_laws import given_to
from tests.rules.test_laws import load as load_generated
from tests.rules.worlds import rules


def changes(before: str, after: str) -> list[tuple[str, str]]:
    """What changes, each shown by a moment that the walker confirms."""
    found = diff(rules(before), rules(after)).changes
    assert all(change.witness is not None and change.witness.confirmed for change in found)
    return [(change.way, change.action) for change in found]


def shown(change: Change) -> dict[str, str]:
    assert change.witness is not None
    return {**change.witness.moments[0].facts, **change.witness.moments[0].verdicts}


FEW = "forbid f: retrain when rows < {}"
SOME = "forbid f: retrain when {} feature where (psi {} 0.2)"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (FEW.format(5), FEW.format(3), [("newly automatic", "retrain")]),
        (FEW.format(3), FEW.format(5), [("newly forbidden", "retrain")]),
        ("", "require r: retrain veto within 1h", [("stricter", "retrain"), ("asks differently", "retrain")]),
        ("require r: retrain veto within 1h", "", [("looser", "retrain"), ("asks differently", "retrain")]),
        (
            "require r: retrain veto within 1h",
            "require r: retrain veto within 2h",
            [("asks differently", "retrain")],
        ),
        (
            'require r: undo approval from "a" within 1h',
            'require r: undo approval from "b" within 1h',
            [("asks differently", "undo")],
        ),
        ("cooldown c: retrain 1h", "cooldown c: retrain 2h", [("stricter", "retrain")]),
        ("limit c: retrain at most 2 per 1d", "limit c: retrain at most 3 per 1d", [("newly automatic", "retrain")]),
        ("", "propose p: retrain when alarm(harm)", [("newly proposed", "retrain")]),
        ("propose p: retrain when alarm(harm)", "", [("no longer proposed", "retrain")]),
        ("action z", "action z\npermit p: z when rows > 5", [("newly automatic", "z")]),
        ("", "action z\npermit p: z", [("newly automatic", "z")]),
        ('forbid f: undo on tag "a"', 'forbid f: undo on tag "a" or pipeline "b-*"', [("newly forbidden", "undo")]),
        (SOME.format("any", ">"), SOME.format("at least 2 of", ">"), [("newly automatic", "retrain")]),
    ],
)
def test_what_changes_is_shown(before: str, after: str, expected: list[tuple[str, str]]) -> None:
    """Each way to differ is found, named, and shown on a moment that the walker confirms."""
    assert changes(before, after) == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "# nothing"),
        (FEW.format(5), "forbid f: retrain unless rows >= 5"),
        (FEW.format(5), "forbid f: retrain when rows < 5\nforbid g: retrain when rows < 4"),
        (SOME.format("any", ">"), SOME.format("not every", "<=")),
        ("forbid f: retrain when rows < 5", "forbid other: retrain when rows < 5"),
    ],
)
def test_what_means_the_same_is_the_same(before: str, after: str) -> None:
    """Rule sets that are written differently and mean the same have no changes."""
    assert diff(rules(before), rules(after)).same


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("propose p: undo when alarm(harm) priority 5", "propose p: undo when alarm(harm) priority 6"),
        ("propose p: undo when alarm(harm)", "last resort p: undo when alarm(harm)"),
        ("", 'notify n: "pager" when alarm(harm)'),
        ('notify n: "pager" when alarm(harm)', 'notify n: "mail" when alarm(harm)'),
        ("cooldown c: retrain 2h", "cooldown c: retrain 2h\ncooldown d: retrain 1h per pipeline"),
    ],
)
def test_what_no_moment_shows_is_not_called_the_same(before: str, after: str) -> None:
    """A rule that differs in rank, message or the end of its deferral is named; one whose texts alone differ is not."""
    found = diff(rules(before), rules(after))
    assert not found.same
    assert set(found.uncompared) == {*found.added, *found.changed}
    assert diff(rules(before), rules(f'{before}\n  because "so"' if before else "")).same


@pytest.mark.parametrize(
    ("before", "after"),
    [(" cost $40", " cost $150"), (" cost $40", " cost $250"), ("", " cost $40"), (" cost $40", "")],
)
def test_another_price_under_a_limit_of_money_is_not_called_the_same(before: str, after: str) -> None:
    """The limits that count an action of another price are named, in JSON too; others are not."""
    limits = "\nlimit m: z at most $200 per 24h\nlimit n: retrain at most $200 per 24h"
    found = diff(*(rules(f"action z{price}{limits}") for price in (before, after)))
    told = found.to_json()
    assert (found.changes, told["same"], told["uncompared"]) == ((), False, ["m"])


def test_rules_are_compared_by_meaning_and_name() -> None:
    """Rules are added, removed or changed by name; where they stand and how they are laid out does not count."""
    before = "forbid a: retrain when rows < 5\nforbid b: retrain\nforbid c: undo"
    after = "forbid c: undo\n\nforbid a:\n  retrain when rows < 6\nforbid d: retrain"
    found = diff(rules(before), rules(after))
    assert (found.added, found.removed, found.changed) == (("d",), ("b",), ("a",))


def test_newly_automatic_comes_first() -> None:
    """A person hears first of what now runs by itself, then of what is now forbidden, then of the rest."""
    before = "forbid a: retrain\npropose p: undo when alarm(harm)"
    after = "forbid a: fallback\npropose p: fallback when alarm(harm)"
    ways = [way for way, _ in changes(before, after)]
    assert ways[:2] == ["newly automatic", "newly forbidden"]


def test_a_witness_says_the_facts_and_both_answers() -> None:
    """A moment that shows a change has the one fact that matters, and the verdicts before and after."""
    (change,) = diff(rules(FEW.format(5)), rules(FEW.format(3))).changes
    assert shown(change)["rows"] == "3"
    assert shown(change)["retrain before"].startswith("forbidden")
    assert shown(change)["retrain after"] == "allowed"


@settings(max_examples=15, deadline=None, derandomize=True, phases=(Phase.generate,))
@given(oracle.rule_sets(), st.integers(0, 4), oracle.worlds)
def test_the_same_means_the_same_levels(generated: list[Rule], place: int, world: World) -> None:
    """Where nothing is said to change, the walker gives equal levels on any facts; all that changes is confirmed."""
    fewer = [rule for number, rule in enumerate(generated) if number != place]
    before, after = load_generated(generated), load_generated(fewer)
    found = diff(before, after)
    if found.same:
        levels = [levels_on(side, world) for side in (before, after)]
        assert levels[0] == levels[1]
    assert all(change.witness is not None and change.witness.confirmed for change in found.changes)


def levels_on(ruleset: RuleSet, world: World) -> dict[str, int]:
    confidence = dict.fromkeys(ACTIONS, world.confidence)
    said = evaluate(ruleset, given_to(world), SignalState(), confidence=confidence).verdicts
    return {name: int(one.level) for name, one in said.items()}
