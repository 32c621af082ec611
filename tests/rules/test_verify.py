"""Every promise is proved of what is shipped, and each planted flaw gives a counterexample that the walker confirms."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from healerd_rules import (
    Level,
    RuleSet,
    Schema,
    SignalState,
    advance,
    at_least_as_strict,
    evaluate,
    load,
    shipped_packs,
)
from healerd_rules.proofs import Check, Status, Weight
from healerd_rules.sources import PACKS
from healerd_rules.verify import CLAIMS, verify
from tests.rules import oracle
from tests.rules.oracle import ACTIONS, Rule, World
from tests.rules.proving import altered_base, smt_levels, without_base
from tests.rules.test_laws import given_to, hide, second_pass
from tests.rules.test_laws import load as load_generated
from tests.rules.worlds import NOW, SCHEMA, ago, inputs, record, rules

GATE = "when confidence < MIN_CONFIDENCE"
SETTLE = "cooldown settle: any action COOLDOWN per pipeline"
SOME_PSI, MANY_PSI = "feature where (psi > 0.1)", "feature where (psi > 0.2)"
A = ("a",)
EXAMPLES = sorted((Path(__file__).parents[2] / "rules" / "examples").glob("*.heal"))
HEALS = ("fallback", "retrain", "rollback")


def open_findings(ruleset: RuleSet, *claims: str) -> list[Check]:
    """What is not proved."""
    return [check for check in verify(ruleset, claims=claims).checks if check.status is not Status.PROVED]


def finding(ruleset: RuleSet, claim: str, about: str) -> Check:
    """The refutation for one action or rule; a counterexample must have been confirmed by the walker."""
    check = next(check for check in open_findings(ruleset, claim) if check.about == about)
    assert check.status is Status.REFUTED
    assert check.counterexample is None or check.counterexample.confirmed
    return check


def facts(check: Check, moment: int = 0) -> dict[str, str]:
    assert check.counterexample is not None
    return dict(check.counterexample.moments[moment].facts)


def verdicts(check: Check) -> list[str]:
    assert check.counterexample is not None
    return [level for shown in check.counterexample.moments for level in shown.verdicts.values()]


# what stands -----------------------------------------------------------------


@pytest.mark.parametrize("name", shipped_packs())
def test_every_shipped_pack_is_proved(name: str) -> None:
    """Every claim holds of every shipped pack, without a single warning."""
    ruleset = load(PACKS / f"{name}.heal", schema=SCHEMA).ruleset
    assert ruleset is not None
    report = verify(ruleset)
    assert {check.claim for check in report.checks} == set(CLAIMS)
    assert {check.status for check in report.checks} == {Status.PROVED}


def test_a_proof_names_the_guards_it_stands_on() -> None:
    """The gate is proved from the confidence gate of `base` alone, the cooldown from its cooldown."""
    report = verify(rules('import "default"'), claims=["gate", "cooldown"])
    assert {check.needs for check in report.checks} == {("base.confidence_gate",), ("base.settle",)}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_keep_the_promises(path: Path) -> None:
    """Each example file keeps every promise, its own invariants included."""
    ruleset = load(path, schema=Schema()).ruleset
    assert ruleset is not None
    assert verify(ruleset, claims=[claim for claim in CLAIMS if claim != "missing_safe"]).failed == ()


def test_unknown_and_any_action_count_in_an_invariant() -> None:
    """`autonomous(any action)` is proved action by action, with that action's confidence, unknown included."""
    text = "invariant mine: autonomous(any action) implies confidence >= 80%"
    checks = [check for check in verify(rules(text), claims=["invariant"]).checks if check.about.startswith("mine")]
    assert len(checks) == 6
    assert {check.status for check in checks} == {Status.PROVED}


# ten and more flaws ------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "confidence"),
    [
        (GATE, "when false", "missing"),
        ("MIN_CONFIDENCE = 80%", "MIN_CONFIDENCE = 70%", "70%"),
        ("require confidence_gate", "@enforce(advisory)\nrequire confidence_gate", "missing"),
        (
            'require confidence_gate: any action\n  approval from "operators" within ASK_FOR else defer',
            "@enforce(soft)\nforbid confidence_gate: any action",
            "missing",
        ),
        ("require confidence_gate: any action", 'require confidence_gate: any action on pipeline "fraud-*"', "missing"),
        (GATE, f"{GATE}\n  if unknown skips", "missing"),
        (GATE, f"{GATE} and not any feature where (psi > 0.2)", "missing"),
        (GATE, f"{GATE} and not (error_rate > 5% for 3 windows)", "missing"),
        ('approval from "operators" within ASK_FOR else defer\n  ' + GATE, f"veto within 10m\n  {GATE}", "missing"),
    ],
    ids=["removed", "lowered", "advisory", "soft", "scoped", "skips", "members", "remembered", "veto"],
)
def test_s2_a_hole_in_the_gate_is_found(old: str, new: str, confidence: str) -> None:
    """Whatever way the gate is opened, facts are found on which the walker lets an action run unsure."""
    check = finding(altered_base(old, new), "gate", "retrain")
    assert facts(check)["confidence"] == confidence
    assert verdicts(check)[0].startswith(("allowed", "announced"))


@pytest.mark.parametrize(
    ("new", "gap"),
    [
        ("metric since_last: duration\nforbid settle: any action when since_last < COOLDOWN", "10m"),
        ("cooldown settle: any action 20m per pipeline", "20m"),
        ("@enforce(soft)\ncooldown settle: any action COOLDOWN per pipeline", "10m"),
        ("cooldown settle: any action COOLDOWN per pipeline after retrain", "10m"),
        (f"# nothing is changed\n{SETTLE}", ""),
        ('cooldown settle: any action on tag "t" COOLDOWN per pipeline', "10m"),
    ],
    ids=["metric", "short", "soft", "after", "untouched", "scoped"],
)
def test_s10_a_hole_in_the_cooldown_is_found(new: str, gap: str) -> None:
    """A clock that is a metric, a rest that is too short, soft or partial: a history of two heals shows it."""
    findings = open_findings(altered_base(SETTLE, new), "cooldown")
    assert all(check.counterexample is not None and check.counterexample.confirmed for check in findings)
    told = [facts(check, 1) for check in findings]
    assert bool(findings) is bool(gap)
    assert all(f"ended {gap} ago" in value for fact in told for name, value in fact.items() if " on " in name)


def test_s10_the_action_log_may_be_read_in_a_forbid() -> None:
    """A forbid that reads the log's own ages keeps the cooldown as well as the statement does."""
    ages = " or ".join(f"age({action}) < COOLDOWN" for action in HEALS)
    assert open_findings(altered_base(SETTLE, f"forbid settle: any action when {ages}"), "cooldown") == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("forbid f: retrain when rows < 5 if unknown skips", "skips"),
        ('require f: retrain approval from "boss" within 1h when confidence < 90% if unknown skips', "skips"),
        ("forbid f: retrain when any feature where (psi > 0.2) if unknown skips", "skips"),
        ("forbid f: retrain when rows < 5 and not (rows is missing)", "is missing"),
    ],
)
def test_s4_a_rule_that_hiding_loosens_is_listed(text: str, where: str) -> None:
    """`skips` and `is missing` that loosen a verdict are found, with the facts before and after hiding."""
    check = finding(rules(text), "missing_safe", "f")
    assert where in check.says
    assert "missing" in facts(check, 1).values()
    assert len(verdicts(check)) == 2


def test_s4_a_permit_that_opens_on_missing_data_is_listed() -> None:
    """A permit for what is missing is found, and its verdict goes from forbidden to allowed."""
    check = finding(rules("action reboot\npermit p: reboot when rows is missing"), "missing_safe", "p")
    assert facts(check)["rows"] != "missing"
    assert facts(check, 1)["rows"] == "missing"
    assert [text.split(";")[0] for text in verdicts(check)] == ["forbidden", "allowed"]


def test_s4_is_missing_that_tightens_is_no_finding() -> None:
    """A guard that acts on missing data only tightens."""
    text = (
        "forbid f: retrain when rows is missing\nrequire r: retrain veto within 1h when rows is missing for 2 windows"
    )
    assert open_findings(rules(text), "missing_safe") == []


def test_s4_a_loosening_that_no_verdict_shows_is_a_warning() -> None:
    """Where another guard acts whenever the loose one would, only the rule is reported."""
    (check,) = open_findings(
        rules("forbid all: retrain\nforbid f: retrain when rows < 5 if unknown skips"), "missing_safe"
    )
    assert (check.about, check.weight, check.counterexample) == ("f", Weight.WARNING, None)


@pytest.mark.parametrize(
    ("text", "claim", "about", "needs"),
    [
        ("propose p: retrain when rows < 5 and rows > 6", "dead", "p", ()),
        ("forbid p: retrain when rows < 5 and rows > 6", "dead", "p", ()),
        ('forbid p: retrain on tag "a" and not tag "a"', "dead", "p", ()),
        (f"forbid p: retrain when at least 2 of {MANY_PSI} and at most 1 of {MANY_PSI}", "dead", "p", ()),
        ("forbid a: retrain when rows < 5\nforbid b: retrain when rows < 3", "shadowed", "b", ("a",)),
        ("forbid a: any action when rows < 5\nrequire b: retrain veto within 1h when rows < 5", "shadowed", "b", A),
        (f"forbid a: retrain when any {SOME_PSI}\nforbid b: retrain when any {MANY_PSI}", "shadowed", "b", A),
        ("action z\npermit p: z when rows < 5\nforbid f: z when rows < 6", "contradictory", "p", ("f",)),
        ("action z\npermit p: z when rows < 5\nforbid f: z when rows < 6", "permittable", "z", ("f",)),
        ("action z", "permittable", "z", ()),
        ('propose p: retrain when data_quality == "bad"', "proposals", "p", ()),
    ],
)  # fmt: skip
def test_rules_that_do_nothing_are_found(text: str, claim: str, about: str, needs: tuple[str, ...]) -> None:
    """Dead, shadowed and contradictory rules, idle proposals and actions without a permit are warnings."""
    check = finding(rules(text), claim, about)
    assert (check.weight, check.needs) == (Weight.WARNING, needs)
    assert not check.failed


def test_an_invariant_may_ask_whether_autonomy_is_known() -> None:
    """`autonomous(...)` is always known, wherever in an invariant it stands."""
    text = (
        "invariant i: not (autonomous(retrain) is missing) and (autonomous(retrain) == true or not autonomous(retrain))"
    )
    assert open_findings(rules(text), "invariant") == []


def test_s4_memories_of_missing_data_only_grow() -> None:
    """A memory of missing data that opens a permit is found, and the second moment says what was remembered."""
    text = "action z\npermit p: z when rows is missing for 2 windows"
    check = finding(rules(text), "missing_safe", "p")
    assert check.counterexample is not None
    assert "`rows is missing for 2 windows` reads true" in check.counterexample.assumes


def test_twins_are_not_both_shadowed() -> None:
    """Of two equal rules the later one is called shadowed, and removing it leaves nothing to report."""
    text = "forbid a: retrain when rows < 5\nforbid b: retrain when rows < 5"
    assert [check.about for check in open_findings(rules(text), "shadowed")] == ["b"]


@pytest.mark.parametrize(
    ("text", "about", "shown"),
    [
        ("invariant i: autonomous(retrain) implies rows > 5", "i", {"stage": "live", "incident": "true"}),
        ("invariant i: autonomous(any action) implies confidence >= 90%", "i for undo", {"confidence": "80%"}),
        ("invariant i: autonomous(promote) implies autonomous(retrain)", "i", {"confidence": "95%"}),
        (
            "invariant i: confidence < 90% implies not autonomous(fallback)",
            "i",
            {"confidence": "80%", "incident": "true"},
        ),
    ],
)
def test_a_false_invariant_is_refuted(text: str, about: str, shown: dict[str, str]) -> None:
    """A file's own invariant that does not hold gives facts on which the walker breaks it."""
    assert shown.items() <= facts(finding(rules(text), "invariant", about)).items()


# honesty -------------------------------------------------------------------------


def test_a_limit_of_money_that_no_file_prices_lets_a_counterexample_stand() -> None:
    """What the configuration may price is priced on the moment that is shown, so the walker confirms it."""
    text = "permit p: retrain\nlimit m: fallback at most $200 per 24h\ninvariant never: not autonomous(fallback)"
    check = finding(rules(f"{text}\npermit q: fallback"), "invariant", "never")
    assert verdicts(check) == ["allowed"]


def test_each_action_is_judged_at_its_own_confidence_inside_a_quantifier() -> None:
    """Two actions of one invariant may have different confidences, also where members are counted by them."""
    ruleset = rules(
        "let odd = any feature where (psi > 0.2 and confidence < 90%)\n"
        "forbid a: retrain when odd\nforbid b: rollback unless odd\n"
        "invariant never_both: not (autonomous(retrain) and autonomous(rollback))"
    )
    assert facts(finding(ruleset, "invariant", "never_both"))["confidence(rollback)"] < "90%"


def test_what_is_remembered_of_an_age_may_be_endless() -> None:
    """An age that never began stays endless when it is remembered: what would follow from an end is not proved."""
    ruleset = rules(
        "forbid a: rollback unless max(age(retrain), 6h) == age(fallback)\n"
        "invariant i: autonomous(rollback) implies not ((age(fallback) + 1m) is missing)"
    )
    assert not any(name.startswith("fallback on") for name in facts(finding(ruleset, "invariant", "i")))


def test_s4_hiding_makes_no_remembered_age_endless() -> None:
    """What is remembered of ages is the same for the view that sees less, or unknown to it."""
    ruleset = rules("forbid a: rollback when max(age(retrain), 6h) < age(fallback)")
    assert open_findings(ruleset, "missing_safe") == []


def test_a_moment_that_no_calendar_knows_is_not_proved_away() -> None:
    """What is calculated from now may lie beyond every calendar, and is unknown then."""
    ruleset = rules(
        "calendar office = mon..fri 09:00..18:00\n"
        "forbid f: retrain unless (now + 1d * rows) in office if unknown skips\n"
        "invariant i: autonomous(retrain) implies rows is missing or (now + 1d * rows) in office"
    )
    assert [check.about for check in open_findings(ruleset, "invariant")] == ["i"]


def test_what_the_walker_does_not_confirm_is_called_assumed() -> None:
    """A product of two measured values may be anything for the solver: its finding is marked as possibly spurious."""
    text = "forbid f: retrain when rows != 5\ninvariant i: autonomous(retrain) implies rows * rows > 24"
    report = verify(rules(text), claims=["invariant"])
    (check,) = (one for one in report.checks if one.about == "i")
    assert check.status is Status.ASSUMED
    assert check.failed
    assert "a product or quotient of two measured values" in report.loose


def test_a_time_out_is_unknown_and_counts_as_failed() -> None:
    """What the solver leaves open is not proved: nine pigeons in eight holes take it longer than a millisecond."""
    pigeons, holes = range(9), range(8)
    metrics = "\n".join(f"metric p{p}_{h}: bool" for p in pigeons for h in holes)
    housed = " and ".join("(" + " or ".join(f"p{p}_{h}" for h in holes) + ")" for p in pigeons)
    crowded = [f"p{p}_{h} and p{q}_{h}" for h in holes for q in pigeons for p in range(q)]
    forbids = "\n".join(f"forbid f{n}: retrain when {condition}" for n, condition in enumerate(crowded))
    text = f"{metrics}\npermit p: retrain when {housed}\n{forbids}"
    report = verify(without_base(rules(text)), claims=["gate"], timeout_s=0.001)
    (check,) = [check for check in report.checks if check.about == "retrain"]
    assert (check.status, check.failed) == (Status.UNKNOWN, True)


def test_nothing_else_loads_the_solver() -> None:
    """Importing the language, or checking a file, does not import z3."""
    code = (
        "import sys; import healerd_rules as r; r.load_text('', name='a', schema=r.Schema()); "
        "sys.exit('z3' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# the third reading is the same as the first ----------------------------------------


@settings(max_examples=25, deadline=None, derandomize=True)
@given(oracle.rule_sets(), oracle.worlds)
def test_the_solver_agrees_with_the_walker(generated: list[Rule], world: World) -> None:
    """With every fact given, the solver's level of each action is the walker's, on generated rules and facts."""
    agree(load_generated(generated), given_to(world), SignalState(), dict.fromkeys(ACTIONS, world.confidence))


def agree(ruleset: RuleSet, moment: Any, state: SignalState, confidence: dict[str, float | None]) -> None:
    said = evaluate(ruleset, moment, state, confidence=confidence).verdicts
    assert smt_levels(ruleset, moment, state, confidence) == {name: one.level for name, one in said.items()}


@settings(max_examples=20, deadline=None, derandomize=True, phases=(Phase.generate,))
@given(oracle.rule_sets(), st.sets(st.integers(0, 4)), st.lists(oracle.worlds, min_size=5, max_size=5), st.data())
def test_what_is_proved_holds_on_samples(
    generated: list[Rule], skipping: set[int], worlds: list[World], data: st.DataObject
) -> None:
    """Without `base`, with some guards that skip the unknown: the gate and hiding hold on samples wherever proved."""
    ruleset = without_base(load_generated(generated))
    skips = {f"r{number}" for number in skipping}
    loose = [dataclasses.replace(r, unknown="skips") if r.id in skips else r for r in ruleset.compiled]
    ruleset = dataclasses.replace(ruleset, compiled=tuple(loose))
    broken = open_findings(ruleset, "gate", "missing_safe")
    assert all(check.status is Status.REFUTED for check in broken)
    assert all(check.counterexample is None or check.counterexample.confirmed for check in broken)
    for world in worlds:
        known, less = second_pass(ruleset, world), second_pass(ruleset, hide(world, data))
        unsure = world.confidence is None or world.confidence < 0.8
        free = {action for action in ACTIONS if unsure and known[action].autonomous}
        assert free <= {check.about for check in broken if check.claim == "gate"}
        open_ = [action for action in ACTIONS if less[action].level < Level.FORBIDDEN]
        loosened = any(not at_least_as_strict(less[action], known[action]) for action in open_)
        assert not loosened or any(check.claim == "missing_safe" and check.failed for check in broken)


EVERYTHING = """
calendar office = mon..fri 09:00..18:00
calendar freeze = 2026-11-20..2026-11-30
metric baseline_rows: count
forbid a: return on tag "t" or pipeline "x-*" when age(rollback) < 2h or age(retrain) / 1h > 2
require b: rollback veto within 1h when did(rollback) or error_rate / 2 + 10% > reference_error - 5pp if unknown asks
@enforce(soft) forbid c: fallback unless now in office and not (now in freeze)
@enforce(advisory) forbid d: any action when rows > 0
@enforce(soft) cooldown e: rollback 2h per pipeline
limit f: retrain at most 1 per 24h per pipeline
limit g: retrain at most $50 per 24h
forbid h: undo when error_rate > 5% for 2 windows or avg(rows, 1h) < 100 or not alarm(drift)
require i: fallback approval from "boss" within 1h
  when at most 50% of feature where (psi > 0.2 or missing_rate is missing)
require j: fallback approval from "boss" within 1h when p99 between 100ms and 300ms or incident_kind != "harm"
require k: promote veto within 2h when stage == incident_kind or -rows < -5 or rows / 0 > 2
  if unknown skips
"""


@st.composite
def moments(draw: st.DrawFn) -> dict[str, Any]:
    """One window in which anything may be known, unknown, open or done."""
    some = {
        "rows": draw(st.sampled_from([None, 0, 5.0, 200.0])),
        "error_rate": draw(st.sampled_from([None, 0.01, 0.06, 0.5])),
        "reference_error": draw(st.sampled_from([None, 0.05, 0.3])),
        "p99": draw(st.sampled_from([None, 0.1, 0.2, 0.5])),
        "incident_kind": draw(st.sampled_from([None, "harm", "live", "else"])),
        "psi": draw(st.dictionaries(st.sampled_from("abc"), st.sampled_from([None, 0.1, 0.2, 0.3]))),
        "missing_rate": draw(st.dictionaries(st.sampled_from("abc"), st.sampled_from([None, 0.1]))),
    }
    names, minutes = st.sampled_from(HEALS), st.sampled_from([0, 10, 60, 120, 180])
    log = [
        record(draw(names), started_at=ago(start + 5), ended_at=draw(st.sampled_from([None, ago(start)])),
               incident_id=draw(st.sampled_from([None, "i1", "i0"])), cost=draw(st.sampled_from([None, 5.0, 40.0])))
        for start in draw(st.lists(minutes, max_size=2))
    ]  # fmt: skip
    return {
        "facts": some,
        "alarms": {"drift": draw(st.sampled_from([None, True, False]))},
        "log": tuple(log),
        "tags": draw(st.sampled_from([(), ("t",)])),
        "pipeline": draw(st.sampled_from(["churn", "x-1"])),
        "now": draw(st.sampled_from([NOW, NOW.replace(hour=20), NOW.replace(month=12)])),
        "stage": draw(st.sampled_from(["live", "canary", "suggest", None])),
        "incident": draw(st.sampled_from([True, True, True, None, False])),
        "incident_id": draw(st.sampled_from(["i1", None])),
    }


@settings(max_examples=25, deadline=None, derandomize=True)
@given(moments(), st.booleans(), st.sampled_from([None, 0.5, 0.8, 0.95]))
def test_the_solver_agrees_on_every_form(moment: dict[str, Any], twice: bool, confidence: float | None) -> None:
    """Ages, limits, calendars, scopes, members, memories, texts and arithmetic come to the same for both."""
    given_ = inputs(**moment)
    state = advance(EVERY_FORM, given_, SignalState())
    state = advance(EVERY_FORM, given_, state) if twice else state
    agree(EVERY_FORM, given_, state, {action.name: confidence for action in EVERY_FORM.actions})


EVERY_FORM = rules(EVERYTHING)


def test_order_changes_nothing_for_the_solver() -> None:
    """The rules reversed are the same rule set for every claim."""
    ruleset = rules('import "default"\nforbid f: retrain when rows < 5')
    backwards = dataclasses.replace(ruleset, compiled=ruleset.compiled[::-1])
    statuses = [[check.status for check in verify(one).checks] for one in (ruleset, backwards)]
    assert statuses[0] == statuses[1]
