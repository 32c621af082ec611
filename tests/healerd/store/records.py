"""One valid record of each type, overridable: what the store's tests write."""

from datetime import UTC, datetime, timedelta
from typing import Any

from healerd.model import (
    Answer,
    AnswerKind,
    ApprovalNeed,
    Bar,
    Cohort,
    Decision,
    Incident,
    Intent,
    IntentState,
    Layer,
    Measurement,
    Option,
    Outcome,
    PairedTest,
    Pause,
    Reference,
    Result,
    Stage,
    StageChange,
    Version,
    VersionKind,
    Window,
)
from healerd.segments import ColumnSpec, Content, Segment

START = datetime(2026, 1, 1, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
WINDOW = Window(pipeline="p", start_at=START, end_at=START + HALF_HOUR)
NEED = ApprovalNeed(role="approver", deadline_at=START + HALF_HOUR, otherwise="hold", rule="base.heal:3")
TEST = PairedTest(
    version="v2", against="v1", rows_min=200, windows_min=2, level=0.9, deadline_at=START + HALF_HOUR, from_at=START
)


def an_intent(**changes: Any) -> Intent:
    fields: dict[str, Any] = {
        "id": "i1",
        "key": "k1",
        "pipeline": "p",
        "incident_id": "n1",
        "decision_id": "d1",
        "action": "retrain",
        "target": "v2",
        "current": "v1",
        "args": {"rows": 1000, "share": 0.25},
        "state": IntentState.ANNOUNCED,
        "confidence": 0.9,
        "severity": 2,
        "created_at": START,
        "approvals": (NEED,),
        "default": "act",
        "test": TEST,
    }
    return Intent(**{**fields, **changes})


def a_decision(**changes: Any) -> Decision:
    option = Option(action="retrain", level="allowed", by=("base.heal:3",), permitted=True, p_failure=0.1)
    fields: dict[str, Any] = {
        "id": "d1",
        "pipeline": "p",
        "at": START,
        "window_start_at": WINDOW.start_at,
        "window_end_at": WINDOW.end_at,
        "stage": Stage.LIVE,
        "incident_id": None,
        "severity": 0,
        "chosen": "hold",
        "target": None,
        "rule_action": "hold",
        "rule": None,
        "candidate": "hold",
        "p_cheaper_than_rule": None,
        "confidence": None,
        "propensity": 1.0,
        "level": "allowed",
        "reason": "healthy",
        "options": (option,),
        "rules_id": "r1",
        "trace": {"facts": {"error": 0.25, "rows": 3, "café \u2603": None}},
    }
    return Decision(**{**fields, **changes})


def a_segment(**changes: Any) -> Segment:
    fields: dict[str, Any] = {
        "path": "pipeline=p/x.parquet",
        "pipeline": "p",
        "content": Content.PREDICTIONS,
        "rows": 3,
        "start_at": WINDOW.start_at,
        "end_at": WINDOW.end_at,
        "sha256": "00",
        "schema_hash": "11",
        "columns": (ColumnSpec(name="Age", stored="Age_2", kind="numeric"),),
    }
    return Segment(**{**fields, **changes})


def a_measurement(**changes: Any) -> Measurement:
    fields: dict[str, Any] = {"name": "drift", "layer": Layer.DRIFT, "subject": "x", "value": 0.5, "n": 100}
    return Measurement(**{**fields, **changes})


EACH = (
    an_intent(),
    a_decision(),
    a_segment(),
    Incident(id="n1", pipeline="p", opened_at=START, kind=Layer.HARM, severity=2, reason="error", opened_by="alarm"),
    Answer(
        id="a1",
        intent_id="i1",
        pipeline="p",
        kind=AnswerKind.VETO,
        author="ada",
        roles=("operator", "approver"),
        reason="campaign",
        revision=0,
        at=START,
    ),
    Bar(
        id="b1",
        pipeline="p",
        action="retrain",
        incident_id="n1",
        author="ada",
        reason="no",
        since_at=START,
        severity=2,
    ),
    Outcome(
        intent_id="i1",
        at=START,
        result=Result.HEALED,
        gain=0.1,
        gain_low=0.05,
        gain_high=0.15,
        p_better=0.99,
        n=500,
        paired=True,
    ),
    Pause(pipeline="*", since_at=START, author="ada", reason="migration"),
    StageChange(pipeline="p", stage=Stage.LIVE, at=START, author="ada", reason="ready"),
    Version(pipeline="p", name="v1", kind=VersionKind.MODEL, sha256="00", created_at=START, trained_to_at=START),
    Reference(
        id="r1", pipeline="p", version="v1", at=START, error=0.1, error_rows=900, rows=900, start_at=START, end_at=START
    ),
    Cohort(
        pipeline="p",
        version="v1",
        window_start_at=WINDOW.start_at,
        window_end_at=WINDOW.end_at,
        mature_at=START + 2 * HALF_HOUR,
        rows=100,
        labelled=97,
        loss_sum=12.5,
    ),
)
