"""The shipped packs: what they bar and what they propose, on a table of situations."""

from typing import Any

import pytest

from healerd_rules import Level, RuleSet, Schema, SignalState, advance, evaluate, load, load_text, shipped_packs
from healerd_rules.diagnostics import Severity
from healerd_rules.sources import PACKS
from tests.rules.worlds import SCHEMA, inputs, rules, verdict

HEALS = ("retrain", "rollback", "fallback")
STEPS = ("promote", "undo", "return")


@pytest.mark.parametrize("name", shipped_packs())
def test_every_pack_loads(name: str) -> None:
    """A pack loads with the host's schema without a single finding."""
    assert load(PACKS / f"{name}.heal", schema=SCHEMA).diagnostics == ()


def test_base_needs_no_host() -> None:
    """The pack that is always loaded loads with nothing at all from the host."""
    assert load_text("", name="empty.heal", schema=Schema()).diagnostics == ()


def test_s4_base_never_loosens_on_unknown() -> None:
    """Neither `skips` nor `is missing` stands in a rule of `base`."""
    texts = [rule.text for rule in rules("").rules if rule.name.startswith("base.")]
    assert texts
    assert not any("skips" in text or "is missing" in text for text in texts)


def test_s2_the_gate() -> None:
    """At 80% an action runs by itself; below, or not knowing, it waits twelve hours for operators."""
    for action in (*HEALS, *STEPS):
        assert verdict(rules(""), inputs(), action, 0.8).level is Level.ALLOWED
        for unsure in (0.79, 0.0, None):
            found = verdict(rules(""), inputs(), action, unsure)
            assert (found.level, found.approval_within_s, found.otherwise) == (Level.APPROVAL_NEEDED, 43200, "defer")


@pytest.mark.parametrize(
    ("stage", "level"),
    [
        ("observe", Level.FORBIDDEN),
        ("suggest", Level.APPROVAL_NEEDED),
        ("canary", Level.ALLOWED),
        ("live", Level.ALLOWED),
        (None, Level.FORBIDDEN),
        ("production", Level.FORBIDDEN),
    ],
)
def test_s5_stages(stage: str | None, level: Level) -> None:
    """Observe forbids, suggest asks, canary and live follow the rules, an unknown stage forbids."""
    for action in (*HEALS, *STEPS):
        assert verdict(rules(""), inputs(stage=stage), action).level is level


def test_s5_a_last_resort_asks_in_suggest() -> None:
    """A last resort is under the stage like any proposal."""
    ruleset = rules("last resort l: fallback")
    given = inputs(stage="suggest")
    answer = evaluate(ruleset, given, SignalState(), confidence={"fallback": 1.0})
    assert answer.proposals[0].last_resort
    assert answer.verdicts["fallback"].level is Level.APPROVAL_NEEDED


@pytest.mark.parametrize("incident", [False, None])
def test_s6_without_an_incident_nothing_runs(incident: bool | None) -> None:
    """No open incident, or not knowing of one, forbids every action."""
    assert all(verdict(rules(""), inputs(incident=incident), a).level is Level.FORBIDDEN for a in (*HEALS, *STEPS))


@pytest.mark.parametrize("quality", ["bad", None, "dubious"])
def test_s13_bad_data_forbids_training_and_promotion(quality: str | None) -> None:
    """Anything but good data forbids retrain and promote, and leaves rollback and fallback open."""
    given = inputs(facts={"data_quality": quality})
    levels = {a: verdict(rules(""), given, a).level for a in ("retrain", "promote", "rollback", "fallback")}
    assert [levels[a] is Level.FORBIDDEN for a in levels] == [True, True, False, False]


def test_an_action_nobody_permits_is_forbidden() -> None:
    """An action that no permit names is forbidden, and the verdict says so."""
    found = verdict(rules("action reboot"), inputs(), "reboot")
    assert (found.level, [a.rule for a in found.acting]) == (Level.FORBIDDEN, ["default"])


# default -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def default() -> RuleSet:
    return rules('import "default"')


def proposed(ruleset: RuleSet, *windows: dict[str, Any]) -> list[str]:
    """The actions proposed after these windows, best first."""
    state = SignalState()
    for window in windows:
        given = inputs(**window)
        state = advance(ruleset, given, state)
    return [p.action for p in evaluate(ruleset, given, state, confidence=None).proposals]


HARM = {"alarms": {"harm": True}}
BAD = {"facts": {"data_quality": "bad"}}
COLLAPSE = {"facts": {"data_quality": "bad", "error_rate": 0.7, "reference_error": 0.1, "p_error_high": 0.999}}


@pytest.mark.parametrize(
    ("windows", "actions"),
    [
        ([{}], []),
        ([{"alarms": {"drift": True, "score": True}}], []),
        ([HARM], ["retrain"]),
        ([{"alarms": {"regret": True}}], ["retrain"]),
        ([{"facts": {"incident_kind": "harm"}}], ["retrain"]),
        ([{"facts": {"incident_kind": "drift"}}], []),
        ([{**HARM, "facts": {"windows_since_training": 13.9}}], []),
        ([{**HARM, "facts": {"windows_since_training": None}}], []),
        ([{**HARM, "facts": {"p_retrain_pays": 0.1}}], ["retrain"]),
        ([{**HARM, "facts": {"p_retrain_pays": 0.099}}], []),
        ([{**HARM, "facts": {"p_retrain_pays": None}}], []),
        ([{**HARM, "facts": {"serving_fallback": True}}] * 9, []),
        ([{**HARM, "facts": {"serving_fallback": True}}] * 10, ["retrain"]),
        ([{**HARM, "facts": {"stored_gain": 0.019, "p_stored_better": 0.99}}], ["retrain"]),
        ([{**HARM, "facts": {"stored_gain": 0.02, "p_stored_better": 0.89}}], ["retrain"]),
        ([{**HARM, "facts": {"stored_gain": 0.02, "p_stored_better": 0.90}}], ["rollback", "retrain"]),
        ([{"facts": {"stored_gain": 0.5, "p_stored_better": 1.0}}], []),
        ([{**HARM, "facts": {"alias_moved": True}}], ["rollback", "retrain"]),
        ([{"facts": {"alias_moved": True}}, {**HARM, "facts": {"alias_moved": False}}], ["rollback", "retrain"]),
        ([{"facts": {"alias_moved": True}}, {}], []),
        ([BAD], []),
        ([BAD, BAD], ["fallback"]),
        ([BAD, {"facts": {"data_quality": None}}], []),
        ([BAD, {"facts": {"data_quality": None}}, BAD], ["fallback"]),
        ([BAD, {"facts": {"data_quality": "bad", "serving_fallback": True}}], []),
        ([{**HARM, **BAD}], []),
        ([COLLAPSE], []),
        ([COLLAPSE, COLLAPSE], ["fallback"]),
        ([{**HARM, **COLLAPSE}, {**HARM, **COLLAPSE}], ["fallback", "fallback"]),
        ([{"alarms": {"harm": None}}], []),
    ],
)
def test_default_proposals(default: RuleSet, windows: list[dict[str, Any]], actions: list[str]) -> None:
    """What is proposed, best first, in each situation."""
    assert proposed(default, *windows) == actions


def test_default_announces_heavy_actions(default: RuleSet) -> None:
    """Retrain and promote wait ten minutes for a veto; rollback and fallback run at once."""
    for action, level in [
        ("retrain", Level.ANNOUNCED),
        ("promote", Level.ANNOUNCED),
        ("rollback", Level.ALLOWED),
        ("fallback", Level.ALLOWED),
    ]:
        found = verdict(default, inputs(), action)
        assert (found.level, found.veto_within_s) == (level, 600 if level else None)


def test_a_file_that_imports_nothing_proposes_nothing() -> None:
    """`base` guards and never proposes."""
    assert proposed(rules(""), HARM, BAD, COLLAPSE) == []


def test_packs_only_tighten() -> None:
    """A permit beside an unconditional one of a pack is idle; beside a conditional one it is an error."""
    import_own = load_text("permit again: retrain when rows > 5", name="a.heal", schema=SCHEMA)
    assert [(f.code, f.severity) for f in import_own.diagnostics] == [("no-effect", Severity.WARNING)]
