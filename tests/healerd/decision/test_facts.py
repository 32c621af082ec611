"""The facts and the vocabulary that rules are written in."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from healerd.decision import ALARMS, FACTS, SCHEMA, alarms, facts, inputs_of
from healerd.decision.view import look
from healerd.model import ACTIONS_THAT_HEAL, STEPS, Cohort, Layer, Measurement, Quality, VersionKind
from healerd_rules import load_text, shipped_packs
from tests.healerd.decision.situations import (
    HOUR,
    NOW,
    a_calm_situation,
    a_line,
    a_reference,
    a_situation,
    a_version,
    drift,
    harm,
    rules,
)


def measured(name: str, subject: str, value: float, layer: Layer = Layer.DRIFT) -> Measurement:
    return Measurement(name=name, layer=layer, subject=subject, value=value, n=10)


COHORT = Cohort(
    pipeline="churn",
    version="v2",
    window_start_at=NOW - 2 * HOUR,
    window_end_at=NOW - HOUR,
    mature_at=NOW,
    rows=100,
    labelled=80,
    loss_sum=20.0,
)


@pytest.mark.parametrize(
    ("fact", "changes", "value"),
    [
        ("error_rate", {}, 0.25),
        ("error_rate", {"measurements": ()}, None),
        ("reference_error", {}, 0.10),
        ("reference_error", {"reference": None}, None),
        ("p_error_high", {"measurements": (harm(error=0.1),), "reference": a_reference(error=0.5)}, 0.0),
        ("p_error_high", {"reference": None}, None),
        ("rows", {}, 600),
        ("labelled_rows", {"cohorts": (COHORT, COHORT)}, 160),
        ("labelled_rows", {}, None),
        ("label_coverage", {"cohorts": (COHORT,)}, 0.8),
        ("label_coverage", {"cohorts": (replace(COHORT, rows=0, labelled=0, loss_sum=0.0),)}, None),
        ("data_quality", {}, "good"),
        ("data_quality", {"quality": Quality.UNKNOWN}, None),
        ("serving_fallback", {}, False),
        ("serving_fallback", {"active": a_version(kind=VersionKind.FALLBACK)}, True),
        ("serving_fallback", {"active": None}, None),
        ("model_age", {}, 48 * 3600.0),
        ("model_age", {"active": a_version(trained_to_at=NOW - 60 * HOUR)}, 60 * 3600.0),
        ("model_age", {"active": None}, None),
        ("rejected_candidates", {"rejected_at": (NOW, NOW)}, 2),
        ("windows_since_training", {}, 1e6),
        ("windows_since_training", {"log": (a_line(action="retrain"),)}, 6.0),
        ("windows_since_training", {"log": (a_line(action="retrain", ended_at=None),)}, 1e6),
        ("windows_since_training", {"log": (a_line(action="retrain", pipeline="fraud"),)}, 1e6),
        ("incident_kind", {}, "harm"),
        ("incident_kind", {"incident": None}, "none"),
        ("ks", {"measurements": (measured("ks", "age", 0.2), measured("psi", "age", 0.3))}, {"age": 0.2}),
        ("ks", {"measurements": (measured("ks", "output", 0.2, Layer.SCORE),)}, {}),
        ("missing_rate", {"measurements": (measured("missing", "age", 0.5, Layer.QUALITY),)}, {"age": 0.5}),
        ("scale_ratio", {"measurements": (measured("scaled", "age", 60.0, Layer.QUALITY),)}, {"age": 60.0}),
    ],
)
def test_what_a_fact_says(fact: str, changes: dict[str, Any], value: Any):
    """Each fact is found in the situation, and unknown where it does not hold it."""
    found = facts(a_situation(**changes))[fact]
    assert found == (pytest.approx(value, abs=1e-9) if isinstance(value, float) else value)


def test_p_error_high_is_a_posterior_probability():
    """It is near one with many labels far above the reference, and near a half on the reference."""
    assert facts(a_situation())["p_error_high"] == pytest.approx(1.0, abs=1e-9)
    assert facts(a_situation(measurements=(harm(error=0.1),)))["p_error_high"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("changes", "layer", "stands"),
    [
        ({}, Layer.HARM, True),
        ({"measurements": (harm(alarm=None),)}, Layer.HARM, None),
        ({"measurements": ()}, Layer.HARM, None),
        ({"measurements": (harm(alarm=False),)}, Layer.HARM, False),
        ({}, Layer.DRIFT, False),
        ({"measurements": (replace(drift(), subject="age", alarm=True), drift())}, Layer.DRIFT, True),
        ({"measurements": (measured("ks", "age", 0.9),)}, Layer.DRIFT, None),
        ({}, Layer.QUALITY, False),
        ({"quality": Quality.BAD}, Layer.QUALITY, True),
        ({"quality": Quality.UNKNOWN}, Layer.QUALITY, None),
        ({}, Layer.SCORE, None),
    ],
)
def test_which_alarms_stand(changes: dict[str, Any], layer: Layer, stands: bool | None):
    """An alarm stands where evidence does; numbers that are only shown raise none; no evidence is unknown."""
    assert alarms(a_situation(**changes))[layer.value] is stands


def test_every_fact_is_documented_and_typed():
    """Each entry has a type of the language, a unit and a meaning, and is in the schema under its name."""
    declared = {fact.name: fact for fact in SCHEMA.facts}
    assert set(declared) == set(FACTS)
    for name, fact in FACTS.items():
        assert fact.unit, name
        assert fact.meaning, name
        assert declared[name].type == fact.type


@pytest.mark.parametrize("name", FACTS)
def test_every_fact_may_be_named_in_a_rule(name: str):
    """A rule that reads the fact compiles."""
    fact = FACTS[name]
    least = "0s" if fact.type == "duration" else "0"
    inner = f"any {fact.per} where ({name} > {least})" if fact.per else f"{name} is missing"
    loaded = load_text(f"forbid f: retrain when {inner}", name="test.heal", schema=SCHEMA)
    assert loaded.ruleset is not None, loaded.errors


@pytest.mark.parametrize("pack", shipped_packs())
def test_every_shipped_pack_speaks_this_vocabulary(pack: str):
    """A shipped pack compiles with the host's schema."""
    loaded = load_text(f'import "{pack}"', name="test.heal", schema=SCHEMA)
    assert loaded.ruleset is not None, loaded.errors


def test_the_schema_knows_every_action_and_alarm():
    """Heals carry a risk, steps are steps; every layer is an alarm."""
    actions = {action.name: action for action in SCHEMA.actions}
    assert set(actions) == {*ACTIONS_THAT_HEAL, *STEPS}
    assert all(actions[name].risk for name in ACTIONS_THAT_HEAL)
    assert all(actions[name].step for name in STEPS)
    assert set(SCHEMA.alarms) == {layer.value for layer in ALARMS} == {layer.value for layer in Layer}


def test_what_the_rules_are_told():
    """The inputs hold the log without the intents that are not in the way, and the incident only while it is open."""
    log = (a_line(), a_line(intent_id="int-1", ended_at=NOW - timedelta(minutes=1)))
    inputs = inputs_of(a_situation(log=log), without=("int-1",))
    assert [record.ended_at for record in inputs.log] == [NOW - 3 * HOUR]
    assert (inputs.incident, inputs.incident_id) == (True, "inc-1")
    assert inputs_of(a_calm_situation()).incident is False


def of_segment(name: str, layer: Layer, *, alarm: bool | None) -> Measurement:
    """What is measured of the segment `country=it` alone."""
    limit = None if name == "data_quality" else 10.0
    return Measurement(name=f"{name}[country=it]", layer=layer, value=0.1, n=50, log_limit=limit, alarm=alarm)


def test_s4_the_alarms_of_a_segment_are_unknown_while_one_of_its_layers_is() -> None:
    """A segment that could not be measured has no known number of alarms: a forbid that counts them stands."""
    good, bare = of_segment("data_quality", Layer.QUALITY, alarm=False), of_segment("drift", Layer.DRIFT, alarm=True)
    blind = of_segment("data_quality", Layer.QUALITY, alarm=None)
    unlabelled = of_segment("error", Layer.HARM, alarm=None)
    told = {
        held: facts(a_situation(measurements=(harm(), *held)))["segment_alarms"]
        for held in ((good, bare), (blind,), (good, unlabelled), (bare,))
    }
    assert [each["country=it"] for each in told.values()] == [1, None, None, None]
    text = "metric segment_alarms: count per segment\nforbid ill: retrain when any segment where (segment_alarms > 0)\n"
    for held in told:
        view = look(a_situation(measurements=(harm(), *held)), rules(text))
        assert "retrain" not in view.permitted


def test_s4_a_segment_never_says_that_all_is_well_for_the_whole() -> None:
    """Without the whole's own measurement its alarm is unknown, whatever a segment's says; a segment may raise it."""
    calm, ill = (of_segment("error", Layer.HARM, alarm=each) for each in (False, True))
    assert alarms(a_situation(measurements=(calm,)))["harm"] is None
    assert alarms(a_situation(measurements=(calm, harm(alarm=None))))["harm"] is None
    assert alarms(a_situation(measurements=(ill, harm(alarm=None))))["harm"] is True


def test_a_rule_file_is_told_that_no_value_goes_stale_here() -> None:
    """`stale after` would do nothing: it is a finding, and the file loads."""
    loaded = load_text("metric error_rate: ratio stale after 2 windows", name="my.heal", schema=SCHEMA)
    assert loaded.ruleset is not None
    assert [(found.code, found.line) for found in loaded.diagnostics] == [("no-effect", 1)]
    marking = replace(SCHEMA, marks_stale=True)
    assert not load_text("metric error_rate: ratio stale after 2 windows", name="my.heal", schema=marking).diagnostics
