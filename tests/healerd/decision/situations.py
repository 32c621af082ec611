"""Situations that are valid by default, for tests that override one thing; and rule sets, loaded once."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from healerd.config import ActionSettings, PipelineSettings, SourceSettings
from healerd.decision import SCHEMA, Logged, Situation, Stake, Target, cost_model
from healerd.model import (
    Bar,
    Decision,
    Incident,
    Intent,
    IntentState,
    Layer,
    Measurement,
    Pause,
    Quality,
    Reference,
    Stage,
    Version,
    VersionKind,
    Window,
)
from healerd.policy import DEFAULT_PRIORS, CostModel, begin
from healerd_rules import RuleSet, load_text

NOW = datetime(2026, 5, 7, 12, 0, tzinfo=UTC)
WINDOW_S = 1800.0
HOUR = timedelta(hours=1)
HEALS = ("retrain", "rollback", "fallback")


@cache
def rules(text: str = "") -> RuleSet:
    """The shipped packs `base` and `default`, and the given rules beside them."""
    loaded = load_text(f'import "default"\n{text}\n', name="test.heal", schema=SCHEMA)
    assert loaded.ruleset is not None, loaded.errors
    return loaded.ruleset


@cache
def costs(**failures: float | None) -> CostModel:
    """The suggested costs; a failure may be overridden, None takes it away."""
    actions = {
        name: ActionSettings(cost=prior.cost, failure=failures.get(name, prior.failure))
        for name, prior in DEFAULT_PRIORS.items()
    }
    return cost_model(PipelineSettings(source=SourceSettings(kind="memory"), actions=actions))


def made(kind: type, held: dict[str, Any], changes: dict[str, Any]) -> Any:
    return kind(**{**held, **changes})


def an_incident(**changes: Any) -> Incident:
    """An incident of harm that opened an hour ago."""
    held = {
        "id": "inc-1",
        "pipeline": "churn",
        "opened_at": NOW - HOUR,
        "kind": Layer.HARM,
        "severity": 4,
        "reason": "harm: the error is 25.0%, on the reference 10.0%",
        "opened_by": "alarm",
    }
    return made(Incident, held, changes)


def harm(*, error: float | None = 0.25, alarm: bool | None = True) -> Measurement:
    """What the harm detector says; its alarm stands."""
    return Measurement(
        name="error", layer=Layer.HARM, value=error, n=500, log_evidence=12.0, log_limit=10.0, alarm=alarm
    )


def drift(*, alarm: bool | None = False) -> Measurement:
    """What the drift detector says of the whole layer."""
    return Measurement(name="drift", layer=Layer.DRIFT, value=0.1, n=600, log_evidence=1.0, log_limit=9.0, alarm=alarm)


def a_reference(**changes: Any) -> Reference:
    held = {
        "id": "ref-1",
        "pipeline": "churn",
        "version": "v2",
        "at": NOW - 9 * HOUR,
        "error": 0.10,
        "error_rows": 2000,
        "rows": 5000,
        "start_at": NOW - 99 * HOUR,
        "end_at": NOW - 9 * HOUR,
    }
    return made(Reference, held, changes)


def a_stake(**changes: Any) -> Stake:
    """A quarter of the answers are wrong, new fits have a tenth wrong, and one costs less than half a window."""
    held = {
        "window_cost": 100.0,
        "retrain_cost": 40.0,
        "failure": 0.25,
        "horizon": 14,
        "recent": ((600, 150.0), (600, 140.0), (600, 160.0)),
        "fresh": (0.10, 0.09, 0.11),
        "judged": 2,
        "accepted": 2,
    }
    return made(Stake, held, changes)


def a_version(**changes: Any) -> Version:
    held = {
        "pipeline": "churn",
        "name": "v2",
        "kind": VersionKind.MODEL,
        "sha256": "0" * 64,
        "created_at": NOW - 48 * HOUR,
    }
    return made(Version, held, changes)


def a_situation(**changes: Any) -> Situation:
    """A live pipeline with harm, good data, an open incident, and everything that can be done possible."""
    model = changes.get("costs", costs())
    held = {
        "id": "dec-1",
        "pipeline": "churn",
        "now": NOW,
        "window": Window(pipeline="churn", start_at=NOW - timedelta(seconds=WINDOW_S), end_at=NOW),
        "window_s": WINDOW_S,
        "stage": Stage.LIVE,
        "incident": an_incident(),
        "quality": Quality.GOOD,
        "rows": 600,
        "measurements": (harm(), drift()),
        "reference": a_reference(),
        "active": a_version(),
        "stored_gain": 0.0,
        "alias_moved": False,
        "stake": a_stake(),
        "targets": (Target(action="retrain"), Target(action="rollback", version="v1"), Target(action="fallback")),
        "costs": model,
        "learned": begin(model),
    }
    return made(Situation, held, changes)


def a_calm_situation(**changes: Any) -> Situation:
    """Nothing is wrong and nobody has asked for anything."""
    held = {"incident": None, "measurements": (harm(error=0.1, alarm=False), drift())}
    return a_situation(**{**held, **changes})


def an_intent(**changes: Any) -> Intent:
    """A retraining that was announced an hour ago, on this incident."""
    held = {
        "id": "int-1",
        "key": "key-1",
        "pipeline": "churn",
        "incident_id": "inc-1",
        "decision_id": "dec-0",
        "action": "retrain",
        "target": None,
        "current": "v2",
        "state": IntentState.ANNOUNCED,
        "confidence": 0.95,
        "severity": 4,
        "created_at": NOW - HOUR,
        "veto_within_s": 600.0,
        "default": "it runs",
    }
    return made(Intent, held, changes)


def ready(decision: Decision, **changes: Any) -> Intent:
    """The intent of a decision, after everybody has approved and the veto window has passed."""
    held = {
        "decision_id": decision.id,
        "action": decision.chosen,
        "target": decision.target,
        "confidence": decision.confidence,
        "severity": decision.severity,
        "state": IntentState.READY,
        "created_at": decision.at,
        "veto_within_s": decision.veto_within_s,
        "approvals": decision.approvals,
        "approved_by": ("ada",) if decision.approvals else (),
        "author": decision.author,
    }
    return an_intent(**{**held, **changes})


def a_line(**changes: Any) -> Logged:
    """A rollback whose effect ended three hours ago."""
    held = {
        "intent_id": "int-0",
        "heal_id": "int-0",
        "action": "rollback",
        "pipeline": "churn",
        "started_at": NOW - 3 * HOUR,
        "ended_at": NOW - 3 * HOUR,
        "cost": 1.0,
        "incident_id": "inc-0",
    }
    return made(Logged, held, changes)


def a_bar(**changes: Any) -> Bar:
    """A veto of retrain, an hour ago, in this incident at its severity."""
    held = {
        "id": "bar-1",
        "pipeline": "churn",
        "action": "retrain",
        "incident_id": "inc-1",
        "author": "ada",
        "reason": "not during the sale",
        "since_at": NOW - HOUR,
        "severity": 4,
    }
    return made(Bar, held, changes)


def a_pause(**changes: Any) -> Pause:
    held = {"pipeline": "churn", "since_at": NOW - HOUR, "author": "ada", "reason": "migration"}
    return made(Pause, held, changes)
