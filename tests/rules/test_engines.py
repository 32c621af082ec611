"""The compiled engines: they agree with the tree walker and the oracle, and tables can be fed by hand."""

import datetime as dt
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from experiments.agreement import run
from healerd_rules import (
    ActionDecl,
    FactDecl,
    Inputs,
    Level,
    RuleSet,
    Schema,
    SignalState,
    advance,
    evaluate,
    load_text,
)
from healerd_rules.compiling import compile_columns, compile_scalar, make_table, row_of, stack
from tests.rules import engines
from tests.rules.engines import differences, draw
from tests.rules.wide import ACTIONS

NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
SCHEMA = Schema(
    facts=(
        FactDecl(name="rows", type="count"),
        FactDecl(name="site", type="text"),
        FactDecl(name="home", type="text"),
        FactDecl(name="psi", type="number", per="feature"),
        FactDecl(name="load", type="number", per="server"),
        FactDecl(name="low", type="number"),
        FactDecl(name="high", type="number"),
        FactDecl(name="seen", type="time"),
    ),
    actions=(ActionDecl(name="mend", cost=5.0), ActionDecl(name="retrain")),
    dimensions=("feature", "server"),
    alarms=("harm",),
)


def load(text: str) -> RuleSet:
    loaded = load_text(text, name="my.heal", schema=SCHEMA)
    assert loaded.ruleset is not None, loaded.diagnostics
    return loaded.ruleset


def inputs(**changes: Any) -> Inputs:
    given: dict[str, Any] = {"pipeline": "p", "now": NOON, "window_s": 1800.0, "stage": "live", "incident": True}
    return Inputs(**{**given, **changes})


@pytest.mark.parametrize("seed", range(40))
def test_every_engine_gives_the_same_answer(seed: int) -> None:
    """Walker, generated function, columns and oracle agree on levels, acting rules, signals, proposals and messages."""
    rules, stories = draw(seed)
    assert list(differences(rules, stories)) == []


def test_what_is_drawn_reaches_every_level_and_every_form() -> None:
    """The comparison is not empty: every level occurs in both passes, and each form of the language."""
    texts, levels = "", set()
    for seed in range(40):
        rules, stories = draw(seed)
        texts += repr(rules)
        scalar = compile_scalar(engines.load(draw(seed)[0]))
        for story in stories[:2]:
            row = row_of(scalar.layout, story.moment, SignalState())
            levels |= {
                (free, *scalar.verdicts(row, None if free else story.confidence).levels) for free in (True, False)
            }
    forms = [
        "arith",
        "/",
        "neg",
        "series",
        "for",
        "once",
        "m_of_n",
        "since",
        "cal",
        "texts",
        "missing",
        "same",
        "quant",
        "conf",
        "confbetween",
        "soft",
        "advisory",
        "skips",
        "asks",
        "money",
        "fleet",
        "concurrent",
        "count",
        "cooldown",
        "notify",
        "signal",
    ]
    assert [form for form in forms if f"'{form}'" not in texts] == []
    for free in (True, False):
        assert {level for answer in levels if answer[0] is free for level in answer[1:]} == {0, 1, 2, 3, 4}


def test_the_long_form_counts_what_it_compared() -> None:
    """`experiments.agreement` makes at least the decisions it is asked for and reports no disagreement."""
    found = run(decisions=100, seed=3)
    assert (found["decisions"], found["rule_sets"], found["disagreements"]) == (144, 1, 0)


RULES = """
permit own: mend
calendar office = mon..fri 09:00..18:00
scope far = tag "far"
forbid few: mend when rows < 500
forbid away: mend when site != home
forbid closed: mend unless now in office
forbid wild: mend when at least 50% of feature where (psi > 0.2)
forbid outside: mend on far when rows < 900
limit never: mend at most 0 per 1h
@enforce(advisory)
forbid odd: mend when alarm(harm)
"""


def test_a_table_can_be_fed_with_columns_by_name() -> None:
    """Columns and single values by their labels give the levels that the same inputs give to the walker."""
    ruleset = load(RULES.replace("limit never: mend at most 0 per 1h", ""))
    columns = compile_columns(ruleset)
    psi = [[0.5, 0.1], [0.5, 0.4], [0.1, 0.1], [float("nan"), 0.1], [0.1, 0.1], [0.1, 0.1]]
    rows, sites = [800.0, 800.0, 100.0, 800.0, 800.0, 950.0], ["a", "b", "a", "a", "a", "a"]
    far = [False, False, False, False, True, True]
    table = make_table(
        columns.layout,
        {"rows": rows, "site": sites, "home": "a", "now": NOON.timestamp(), "psi": np.array(psi),
         "scope(outside)": far, "stage": "live", "incident": True, "alarm(harm)": False},
        rows=6,
    )  # fmt: skip
    answers = columns.verdicts(table, np.full((6, len(columns.layout.actions)), 0.9))
    place = columns.layout.actions.index("mend")
    for number, site in enumerate(sites):
        facts = {"rows": rows[number], "site": site, "home": "a", "psi": dict(zip("xy", psi[number], strict=True))}
        world = inputs(tags=("far",) if far[number] else (), facts=facts, alarms={"harm": False})
        verdict = evaluate(ruleset, world, SignalState(), confidence={"mend": 0.9}).verdicts["mend"]
        assert answers.levels[number, place] == int(verdict.level)
    acting = [[rule.id for rule, column in columns.acting(answers, "mend") if column[n]] for n in range(6)]
    assert acting == [["wild"], ["away", "wild"], ["few"], ["wild"], ["outside"], []]


def test_what_no_column_holds_counts_against_acting() -> None:
    """A table without columns is as strict as inputs without facts; a scope that nobody resolved restricts."""
    ruleset = load(RULES)
    columns = compile_columns(ruleset)
    answers = columns.verdicts(make_table(columns.layout, {}, rows=3), None)
    nothing = evaluate(ruleset, inputs(stage=None, incident=None, tags=("far",)), SignalState(), confidence=None)
    wanted = [int(nothing.verdicts[action].level) for action in columns.layout.actions]
    assert answers.levels.tolist() == [wanted] * 3
    acting = {rule.id for rule, column in columns.acting(answers, "mend") if column.all()}
    assert {"few", "away", "closed", "wild", "outside", "never", "odd"} <= acting


def test_odd_values_in_columns_are_unknown() -> None:
    """A number where a text belongs, a moment that does not exist and a number without end bar, and raise nothing."""
    ruleset = load("""
permit own: mend
calendar office = mon..fri 09:00..18:00
forbid few: mend when rows < 500
forbid away: mend when site == "b"
forbid closed: mend unless now in office
""")
    columns = compile_columns(ruleset)
    good = {"rows": 800.0, "site": "a", "now": NOON.timestamp(), "stage": "live", "incident": True}
    for name, odd in {"rows": np.inf, "site": 1, "now": np.nan, "stage": 2.0, "incident": np.nan}.items():
        table = make_table(columns.layout, {**good, name: np.array([good[name], odd, None], dtype=object)}, rows=3)
        levels = columns.verdicts(table, None).levels[:, columns.layout.actions.index("mend")]
        assert levels.tolist() == [0, 4, 4], name


def test_a_column_that_nothing_reads_is_refused() -> None:
    """A misspelt label or a column of another length is an error that names it."""
    layout = compile_columns(load(RULES)).layout
    with pytest.raises(ValueError, match="read no `rowz`"):
        make_table(layout, {"rowz": [1.0]}, rows=1)
    with pytest.raises(ValueError, match="the column `rows` has shape"):
        make_table(layout, {"rows": [1.0, 2.0]}, rows=3)
    with pytest.raises(ValueError, match="expected 2 x feature"):
        make_table(layout, {"psi": [1.0, 2.0]}, rows=2)


def test_members_that_differ_from_row_to_row_are_padded() -> None:
    """Rows with more and fewer members, or none, stand in one table and answer as they do alone."""
    ruleset = load(RULES.replace("limit never: mend at most 0 per 1h", ""))
    scalar, columns = compile_scalar(ruleset), compile_columns(ruleset)
    worlds = [
        inputs(facts={"rows": 1000, "site": "a", "home": "a", "psi": {f"f{n}": value for n, value in enumerate(psi)}})
        for psi in ([0.5, 0.5, 0.1], [0.1], [], [0.5, None], [0.1, 0.1, 0.5, 0.5])
    ]
    rows = [row_of(scalar.layout, world, SignalState()) for world in worlds]
    together = columns.verdicts(stack(columns.layout, rows), None).levels
    alone = [scalar.verdicts(row, None).levels for row in rows]
    walked = [evaluate(ruleset, world, SignalState(), confidence=None).verdicts["mend"].level for world in worlds]
    assert together.tolist() == [list(levels) for levels in alone]
    assert (
        together[:, columns.layout.actions.index("mend")].tolist()
        == [int(level) for level in walked]
        == [4, 0, 4, 4, 4]
    )


def test_no_member_at_all_is_no_error() -> None:
    """A table in which no row has a member answers unknown for every quantifier."""
    ruleset = load("permit own: mend\nforbid wild: mend when any feature where (psi > 0.2 and confidence < 50%)")
    columns = compile_columns(ruleset)
    rows = [row_of(columns.layout, inputs(), SignalState())] * 2
    for confidence in (None, np.full((2, len(columns.layout.actions)), 0.9)):
        answers = columns.verdicts(stack(columns.layout, rows), confidence)
        assert answers.levels[:, columns.layout.actions.index("mend")].tolist() == [4, 4]


def agreed(ruleset: RuleSet, world: Inputs, state: SignalState, confidence: dict[str, float | None] | None) -> int:
    """The level of `mend`, on which walker, generated function and columns agree."""
    scalar, columns = compile_scalar(ruleset), compile_columns(ruleset)
    place, row = scalar.layout.actions.index("mend"), row_of(scalar.layout, world, state)
    asked = None
    if confidence is not None:
        asked = np.array([[confidence.get(action) for action in scalar.layout.actions]], dtype=np.float64)
    walked = int(evaluate(ruleset, world, state, confidence=confidence).verdicts["mend"].level)
    assert scalar.verdicts(row, confidence).levels[place] == walked
    assert columns.verdicts(stack(columns.layout, [row]), asked).levels[0, place] == walked
    return walked


@pytest.mark.parametrize(("between", "level"), [("20% and confidence < 60%", 0), ("low and confidence < high", 0)])
def test_s1_the_first_pass_tries_confidences_between_the_thresholds(between: str, level: int) -> None:
    """A permit that holds only strictly between two thresholds, constant or measured, holds in the first pass."""
    ruleset = load(f"permit own: mend when confidence > {between} and confidence != 40%")
    world = inputs(facts={"low": 0.2, "high": 0.6})
    assert agreed(ruleset, world, SignalState(), None) == level
    assert agreed(ruleset, world, SignalState(), {"mend": 0.9}) == 4


@pytest.mark.parametrize("odd", [-1.0, 1.5])
def test_s1_the_first_pass_tries_no_confidence_that_cannot_be(odd: float) -> None:
    """A threshold outside [0, 1] is no confidence: a permit that needs it never holds."""
    ruleset = load("permit own: mend when confidence == low")
    assert agreed(ruleset, inputs(facts={"low": odd}), SignalState(), None) == 4
    assert agreed(ruleset, inputs(facts={"low": 1.0}), SignalState(), None) == 0
    assert agreed(load("permit own: mend when confidence == 150%"), inputs(), SignalState(), None) == 4


def test_memories_of_two_members_at_once_are_told_apart() -> None:
    """Under two quantifiers each pair of members has a memory of its own, whichever dimension is the outer one."""
    text = "permit own: mend\nforbid f: mend when any server where (load > 0.5 and any feature where ("
    ruleset = load(text + "(psi > 0.2) for 2 windows))")
    state = SignalState()
    worlds = [
        inputs(facts={"load": {"s1": 0.9, "s2": 0.1, "s3": 0.2}, "psi": {"a": first, "b": 0.1}})
        for first in (0.5, 0.5, 0.1)
    ]
    levels = []
    for world in worlds:
        state = advance(ruleset, world, state)
        levels.append(agreed(ruleset, world, state, None))
    assert levels == [0, 4, 0]
    assert (
        agreed(ruleset, inputs(facts={"load": {"s2": 0.9, "s9": 0.1}, "psi": {"a": 0.5, "b": 0.1}}), state, None) == 0
    )


def test_the_package_starts_without_numpy() -> None:
    """`import healerd_rules` loads neither numpy nor the compiled engines."""
    code = "import sys, healerd_rules; print(sorted({'numpy', 'healerd_rules.compiling', 'lark'} & set(sys.modules)))"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert told.stdout.strip() == "[]"


def test_endless_minus_endless_is_unknown() -> None:
    """A fall from an age without end to another is no number: it bars, where a comparison would have read false."""
    ruleset = load("permit own: mend\nforbid rest: mend when drop(age(mend), 1 windows) > 1h")
    state = SignalState()
    for _ in range(2):
        state = advance(ruleset, inputs(), state)
    assert evaluate(ruleset, inputs(), state, confidence=None).verdicts["mend"].level is Level.FORBIDDEN


def test_a_moment_that_no_calendar_knows_is_unknown() -> None:
    """A time far beyond the last year does not stop the evaluation; it lies in no calendar for certain."""
    ruleset = load("permit own: mend\ncalendar c = mon..fri 09:00..18:00\nforbid then: mend when seen in c")
    world = inputs(facts={"seen": 1e18})
    assert evaluate(ruleset, world, SignalState(), confidence=None).verdicts["mend"].level is Level.FORBIDDEN
    scalar = compile_scalar(ruleset)
    row = row_of(scalar.layout, world, SignalState())
    assert scalar.verdicts(row, None).levels[scalar.layout.actions.index("mend")] == 4


def test_actions_are_judged_in_the_order_of_the_layout() -> None:
    """Both engines name the same actions in the same order, which is that of the rule set."""
    ruleset = engines.load(draw(0)[0])
    assert compile_scalar(ruleset).layout.actions == compile_columns(ruleset).layout.actions == ACTIONS


@pytest.mark.parametrize(
    "condition",
    ["-age(retrain) < -5m", "-age(retrain) > -5m", "-max(age(retrain), 1h) < 1h", "5m - -age(retrain) > 1m"],
)
def test_what_is_calculated_from_an_endless_age_is_unknown(condition: str) -> None:
    """A sign before an age that never began makes it unknown in every engine, never a number that opens a permit."""
    ruleset = load(f"permit p: mend when {condition}\nforbid f: retrain when {condition} if unknown skips")
    moment = inputs(facts={"data_quality": "good"})
    state = advance(ruleset, moment, SignalState())
    sure = {action.name: 0.95 for action in ruleset.actions}
    walked = evaluate(ruleset, moment, state, confidence=sure).verdicts
    one, many = compile_scalar(ruleset), compile_columns(ruleset)
    row = row_of(one.layout, moment, state)
    levels = one.verdicts(row, sure).levels
    table = many.verdicts(stack(many.layout, [row]), np.full((1, len(many.layout.actions)), 0.95))
    assert [walked["mend"].level, walked["retrain"].level] == [Level.FORBIDDEN, Level.ALLOWED]
    assert levels == tuple(walked[name].level for name in one.layout.actions) == tuple(table.levels[0].tolist())
