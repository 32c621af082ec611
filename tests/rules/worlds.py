"""Inputs and rule sets for tests: valid by default, override one thing."""

import datetime as dt
from typing import Any

from healerd_rules import (
    ActionDecl,
    ActionRecord,
    FactDecl,
    Inputs,
    RuleSet,
    Schema,
    SignalState,
    Verdict,
    advance,
    evaluate,
    load_text,
    render,
)

NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)

SCHEMA = Schema(
    facts=(
        FactDecl(name="error_rate", type="ratio"),
        FactDecl(name="reference_error", type="ratio"),
        FactDecl(name="rows", type="count"),
        FactDecl(name="labelled_rows", type="count"),
        FactDecl(name="label_coverage", type="ratio"),
        FactDecl(name="data_quality", type="text"),
        FactDecl(name="missing_rate", type="ratio", per="feature"),
        FactDecl(name="psi", type="number", per="feature"),
        FactDecl(name="ks", type="number", per="feature"),
        FactDecl(name="stored_gain", type="ratio"),
        FactDecl(name="p_stored_better", type="ratio"),
        FactDecl(name="incident_kind", type="text"),
        FactDecl(name="windows_since_training", type="count"),
        FactDecl(name="p_retrain_pays", type="ratio"),
        FactDecl(name="alias_moved", type="bool"),
        FactDecl(name="serving_fallback", type="bool"),
        FactDecl(name="p_error_high", type="ratio"),
        FactDecl(name="p99", type="duration"),
        FactDecl(name="spend_today", type="money"),
    ),
    actions=(
        ActionDecl(name="retrain", risk=3, cost=40.0, undo="undo"),
        ActionDecl(name="rollback", risk=1, cost=0.0),
        ActionDecl(name="fallback", risk=1),
        ActionDecl(name="promote", risk=4, step=True),
    ),
    alarms=("harm", "regret", "drift", "score", "quality"),
    dimensions=("feature",),
)


def rules(text: str, *, schema: Schema = SCHEMA) -> RuleSet:
    """A rule set from a text that must load."""
    loaded = load_text(text, name="my.heal", schema=schema)
    assert loaded.ruleset is not None, render(loaded.diagnostics, loaded.sources)
    return loaded.ruleset


def codes(text: str, *, schema: Schema = SCHEMA) -> list[str]:
    """The codes of all findings about a text."""
    return [found.code for found in load_text(text, name="my.heal", schema=schema).diagnostics]


def inputs(**changes: Any) -> Inputs:
    """A live pipeline with an open incident and good data, on which nothing is known to be wrong."""
    healthy = {
        "data_quality": "good",
        "serving_fallback": False,
        "incident_kind": "none",
        "windows_since_training": 1e6,
        "p_retrain_pays": 0.9,
    }
    facts = {**healthy, **changes.pop("facts", {})}
    defaults: dict[str, Any] = {
        "pipeline": "churn",
        "tags": (),
        "now": NOW,
        "window_s": 1800.0,
        "stage": "live",
        "incident": True,
        "alarms": {"harm": False, "drift": False, "score": False, "quality": False},
        "log": (),
        "pipelines": 10,
        "incident_id": "i1",
    }
    return Inputs(**{**defaults, **changes}, facts=facts)


def ago(minutes: float) -> dt.datetime:
    """A moment before now."""
    return NOW - dt.timedelta(minutes=minutes)


def record(action: str = "rollback", **changes: Any) -> ActionRecord:
    """An action on the same pipeline that ended an hour ago."""
    defaults: dict[str, Any] = {"pipeline": "churn", "started_at": ago(70), "ended_at": ago(60), "cost": 0.0}
    return ActionRecord(action=action, **{**defaults, **changes})


def verdict(ruleset: RuleSet, given: Inputs, action: str, confidence: float | None = 0.95, windows: int = 1) -> Verdict:
    """The second pass on one action after some windows with the same inputs."""
    state = SignalState()
    for _ in range(windows):
        state = advance(ruleset, given, state)
    return evaluate(ruleset, given, state, confidence={action: confidence}).verdicts[action]
