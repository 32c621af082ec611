"""What would turn a verdict round: the fewest facts, in the units people write, and never claimed unseen."""

import dataclasses
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd_rules import Level, SignalState, advance, explain
from healerd_rules.explanation import Explanation
from healerd_rules.nearest import Change
from healerd_rules.quantities import show
from tests.rules import oracle
from tests.rules.oracle import ACTIONS, Rule, World
from tests.rules.test_laws import given_to, load
from tests.rules.worlds import NOW, ago, inputs, record, rules


def told(
    text: str, action: str = "retrain", confidence: float | None = 0.95, windows: int = 1, **given: Any
) -> Explanation:
    ruleset, seen, state = rules(text), inputs(**given), SignalState()
    for _ in range(windows):
        state = advance(ruleset, seen, state)
    return explain(ruleset, seen, state, action, {action: confidence})


def claim(text: str, action: str = "retrain", confidence: float | None = 0.95, windows: int = 1, **given: Any) -> str:
    nearest = told(text, action, confidence, windows, **given).nearest
    return "" if nearest is None else nearest.prose()


FEW = "forbid few: retrain when rows < 5000"


def facts(**values: Any) -> dict[str, Any]:
    return {"facts": values}


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        (FEW, facts(rows=120), "would be allowed if rows >= 5000 (now 120, tried with 5000)"),
        (FEW, facts(), "would be allowed if rows were known and >= 5000 (tried with 5000)"),
        (
            "forbid f: retrain when error_rate > 40%",
            facts(error_rate=0.5),
            "would be allowed if error_rate <= 40% (now 50%, tried with 40%)",
        ),
        (
            "forbid f: retrain when error_rate >= 40%",
            facts(error_rate=0.5),
            "would be allowed if error_rate < 40% (now 50%, tried with 39.9%)",
        ),
        (
            'require f: retrain approval from "x" when p99 > 400ms',
            facts(p99=0.5),
            "would be allowed if p99 <= 400ms (now 500ms, tried with 400ms)",
        ),
        (
            "forbid f: retrain when spend_today + 40 * $1 > $200",
            facts(spend_today=170.0),
            "would be allowed if spend_today <= 160 (now 170, tried with 160)",
        ),
        (
            "forbid f: retrain when error_rate - reference_error > 5pp",
            facts(error_rate=0.3, reference_error=0.2),
            "would be allowed if error_rate <= 25% (now 30%, tried with 25%)",
        ),
        ("", facts(data_quality="bad"), 'would be allowed if data_quality == "good" (now "bad")'),
        ("", facts(data_quality=None), 'would be allowed if data_quality were known and == "good"'),
        (
            "forbid f: retrain when alarm(drift)",
            {"alarms": {"drift": True}},
            "would be allowed if alarm(drift) were false (now true)",
        ),
        (
            "forbid f: retrain when alarm(drift)",
            {"alarms": {}},
            "would be allowed if alarm(drift) were known and false",
        ),
        ("", {"incident": False}, "would be allowed if incident were true (now false)"),
        ("", {"stage": "observe"}, 'would be allowed if stage == "canary" (now "observe")'),
        (
            "forbid f: retrain when any feature where (psi > 0.2)",
            facts(psi={"age": 0.3, "income": 0.4, "size": 0.1}),
            "would be allowed if psi[age], psi[income] <= 0.2 (now 0.3, 0.4, tried with 0.2)",
        ),
        (
            f"{FEW}\nforbid more: retrain when rows < 9000",
            facts(rows=120),
            "would be allowed if rows >= 9000 (now 120, tried with 9000)",
        ),
        (
            f"{FEW}\nrequire tell: retrain veto within 5m",
            facts(rows=120),
            "would be announced if rows >= 5000 (now 120, tried with 5000)",
        ),
        (
            f'{FEW}\nrequire ask: retrain approval from "x"',
            facts(rows=120),
            "would need approval if rows >= 5000 (now 120, tried with 5000)",
        ),
        (
            "action reboot\npermit p: reboot when rows >= 9 and alarm(drift)",
            facts(rows=5),
            "would be allowed if rows >= 9 (now 5, tried with 9) and alarm(drift) were true (now false)",
        ),
        ("forbid f: retrain", facts(rows=1), ""),
        ("action reboot", {}, ""),
    ],
)
def test_the_nearest_change(text: str, given: dict[str, Any], expected: str) -> None:
    """Each kind of fact is moved to the nearest value that helps, in the units people write, or nothing is claimed."""
    action = "reboot" if "reboot" in text else "retrain"
    assert claim(text, action, **given) == expected


def test_all_guards_and_permits_are_combined() -> None:
    """The claim holds for every acting guard at once, with the fewest facts."""
    text = f"{FEW}\nforbid b: retrain when rows < 100 or error_rate > 40%\n"
    text += "forbid c: retrain when error_rate > 30% and rows < 6000"
    nearest = told(text, confidence=0.5, facts={"rows": 50, "error_rate": 0.5}).nearest
    assert nearest is not None
    assert nearest.verdict.level is Level.ALLOWED
    assert {change.name: change.tried for change in nearest.changes} == {
        "confidence": 0.8,
        "rows": 5000,
        "error_rate": 0.3,
    }


def test_an_action_that_runs_by_itself_is_told_what_would_stop_it() -> None:
    """For an allowed action the single nearest fact that would take it out of its own hands is named."""
    good = {"facts": {"rows": 5100}}
    assert claim(FEW, confidence=0.99, **good) == "would be forbidden if rows < 5000 (now 5100, tried with 4999)"
    assert claim(FEW, confidence=0.81, **good) == "would need approval if confidence < 80% (now 81%, tried with 79.9%)"


def test_what_must_last_is_told_with_the_time_it_takes() -> None:
    """A rule over three windows lets go only when enough windows have closed with the change, and no later."""
    text = "forbid f: retrain unless rows >= 5000 for 3 windows"
    found = claim(text, windows=3, facts={"rows": 120})
    assert found == ("would be allowed in 1.5h, at 2026-11-24T13:30+00:00, if rows >= 5000 (now 120, tried with 5000)")


def test_a_rule_that_only_needs_time_says_so() -> None:
    """A cooldown ends by itself; so does a rule that waits for more windows of what is already so."""
    assert claim("", "rollback", log=(record(started_at=ago(20), ended_at=ago(20)),)) == (
        "would be allowed in 10m, at 2026-11-24T12:10+00:00, with all facts as they are"
    )
    assert claim("forbid f: retrain unless rows >= 5000 for 3 windows", facts={"rows": 5000}) == (
        "would be allowed in 1h, at 2026-11-24T13:00+00:00, with all facts as they are"
    )
    night = "calendar night = 09:00..18:00\nforbid f: retrain when now in night"
    assert claim(night) == "would be allowed in 6.25h, at 2026-11-24T18:15+00:00, with all facts as they are"


def test_a_fact_that_acts_now_is_nearer_than_a_time_to_come() -> None:
    """Though a calendar will begin this evening, what would stop the action at once is named first."""
    evening = "calendar evening = 18:00..20:00\nforbid f: retrain when now in evening"
    assert claim(evening, confidence=1.0) == "would need approval if confidence < 80% (now 100%, tried with 79.9%)"


def test_an_open_action_promises_nothing() -> None:
    """Nobody knows when what is open ends, so nothing is claimed."""
    assert claim("", "rollback", log=(record(ended_at=None),)) == ""


def test_hidden_data_is_never_proposed() -> None:
    """No fact is told to go missing, though a rule would let go."""
    assert claim("forbid f: retrain unless rows is missing", facts={"rows": 5}) == ""


def test_the_claim_is_part_of_the_explanation() -> None:
    """The prose ends with the claim, and the JSON carries it with every value."""
    found = told(FEW, facts={"rows": 120})
    assert found.prose().splitlines()[-1] == "  would be allowed if rows >= 5000 (now 120, tried with 5000)"
    assert json.loads(json.dumps(found.to_json()))["nearest"] == {
        "level": "allowed",
        "changes": [{"name": "rows", "op": ">=", "bound": 5000, "before": [120], "tried": 5000, "unit": "count"}],
        "wait_s": 0,
        "at": NOW.isoformat(),
    }


def test_a_large_rule_set_is_searched_in_bounded_time() -> None:
    """However many guards act, the search gives up rather than go on; it then claims nothing."""
    chain = "\n".join(f"forbid f{n}: retrain when rows < {n + 5}" for n in range(40))
    assert claim(chain, facts={"rows": 1}) == "would be allowed if rows >= 44 (now 1, tried with 44)"
    circle = f"{FEW}\nforbid many: retrain when rows > 50"
    assert claim(circle, facts={"rows": 70}) == ""
    names = [
        f"metric m{n}: ratio\nmetric k{n}: ratio\nforbid f{n}: retrain when m{n} > 5% or k{n} > 5%" for n in range(20)
    ]
    assert claim("\n".join(names)) == ""


def changed(world: World, change: Change) -> World:
    """The world with a change made, by its words alone."""
    if change.name in ("confidence", "stage", "incident"):
        return dataclasses.replace(world, **{change.name: change.tried})
    values = dict(world.facts)
    for name in change.name.split(", "):
        found = re.fullmatch(r"(\w+)\[(\w+)\]", name)
        if found is None:
            values[name] = change.tried
        else:
            before = values.get(found[1])
            values[found[1]] = {**(before if isinstance(before, dict) else {}), found[2]: change.tried}
    return dataclasses.replace(world, facts=values)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(oracle.rule_sets(), oracle.worlds, st.sampled_from(ACTIONS))
def test_what_is_claimed_is_so(rules_: list[Rule], world: World, action: str) -> None:
    """The slow oracle, on the changed facts, gives the verdict that is claimed, and without any one change does not."""
    ruleset = load(rules_)
    found = explain(ruleset, given_to(world), SignalState(), action, {action: world.confidence})
    nearest = found.nearest
    if nearest is None or nearest.wait_s:
        return
    after = world
    for change in nearest.changes:
        after = changed(after, change)
    for left_out in nearest.changes if found.verdict.level > Level.ANNOUNCED else ():
        without = world
        for change in nearest.changes:
            without = without if change is left_out else changed(without, change)
        assert oracle.judge(rules_, without, action).level > int(nearest.verdict.level)
    answer = oracle.judge(rules_, after, action)
    assert answer.level == int(nearest.verdict.level)
    assert (found.verdict.level <= Level.ANNOUNCED) is (
        answer.level > Level.ANNOUNCED
    ) or answer.level < found.verdict.level


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (1_234_567.0, "count", "1234567"),
        (86_399.0, "duration", "23h59m59s"),
        (86_400.0, "duration", "1d"),
        (5_400.0, "duration", "1.5h"),
        (-90_061.0, "duration", "-1d1h1m1s"),
        (0.4, "duration", "400ms"),
        (0.799999, "ratio", "79.9999%"),
        (1e20, "time", "1e+20s after 1970"),
        (1e300, "number", "1e+300"),
    ],
)
def test_values_are_shown_as_they_are(value: float, unit: str, shown: str) -> None:
    """What a claim was tried with can be read off it: no digit that decides is rounded away, and nothing raises."""
    assert show(value, unit) == shown


def test_an_explanation_with_an_endless_bound_is_json() -> None:
    """An age that a value is held against is a word where it is endless: JSON has no such number."""
    ruleset = rules("forbid f: retrain when 5m < age(rollback)")
    told = explain(ruleset, inputs(), SignalState(), "retrain", {"retrain": 0.95}).to_json()
    assert '"threshold": "endless"' in json.dumps(told, allow_nan=False)
