"""What a person is shown, as plain JSON values made from the records: one shape for the socket, the CLI and the TUI.

Pure: reads through a `Reader` and never decides, writes or keeps anything. Times are ISO 8601 in UTC.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import msgspec

from healerd.audit import Entry
from healerd.client.access import EVERYTHING
from healerd.errors import NotFound
from healerd.model import (
    ACTIONS_THAT_HEAL,
    HOLD,
    OPEN_STATES,
    AnswerKind,
    Decision,
    Incident,
    Intent,
    IntentState,
    Outcome,
    Pause,
    Stage,
    StageChange,
)

__all__ = [
    "Json",
    "PipelineState",
    "Reader",
    "did_you_mean",
    "entry_view",
    "intent_view",
    "intents_view",
    "pipeline_revision",
    "pipeline_view",
    "plain",
    "require_pipeline",
    "stage_of",
    "standing_pause",
    "status_view",
    "trace_view",
    "traces_view",
]

Json = dict[str, Any]
R = TypeVar("R")

WAITING = frozenset({IntentState.ANNOUNCED, IntentState.AWAITING_APPROVAL, IntentState.NEEDS_PERSON})
WORKING = OPEN_STATES - WAITING


class Reader(Protocol):
    """The part of the store that the views read: the daemon's own, or the database opened read-only beside it."""

    def get(self, record: type[R], key: str) -> R | None:
        """Read one record by its key."""
        ...

    def find(self, record: type[R], *, order: str = "seq", limit: int | None = None, **filters: Any) -> Sequence[R]:
        """Read the records whose fields have the given values; an order with `-` before it is newest first."""
        ...

    def leaves(self, *, after: int = 0, limit: int = 1000) -> Sequence[Entry]:
        """Read the leaves of the audit log numbered above `after`."""
        ...

    def head(self) -> tuple[int, str]:
        """Read the number of the newest leaf and the head of the chain after it."""
        ...


class PipelineState(StrEnum):
    """How a pipeline stands, in one word; the order is the order of urgency."""

    PENDING = "pending"
    FAILED = "failed"
    DRIFT = "drift"
    HEALING = "healing"
    WATCH = "watch"
    STALE = "stale"
    PAUSED = "paused"
    VETOED = "vetoed"
    COOLDOWN = "cooldown"
    OK = "ok"


def plain(value: Any) -> Any:
    """Turn a record, or anything made of records, into plain JSON values."""
    return msgspec.json.decode(msgspec.json.encode(value))


def status_view(reader: Reader, names: Sequence[str], *, at: datetime) -> Json:
    """Everything at a glance: each pipeline by urgency, what stands open, and whether all is stopped."""
    pipelines = [pipeline_view(reader, name, at=at) for name in names]
    urgency = [state.value for state in PipelineState]
    pipelines.sort(key=lambda view: (urgency.index(view["state"]), view["name"]))
    return {
        "schema": 1,
        "at": plain(at),
        "head": reader.head()[0],
        "stop_revision": pipeline_revision(reader, EVERYTHING),
        "stopped": plain(standing_pause(reader, EVERYTHING)),
        "pipelines": pipelines,
    }


def pipeline_view(reader: Reader, name: str, *, at: datetime) -> Json:
    """One pipeline: its state and stage, the incident, what is open and what was last decided and done."""
    last = _newest(reader, Decision, "-at", pipeline=name)
    intents = reader.find(Intent, order="-created_at", limit=20, pipeline=name)
    incident = _newest(reader, Incident, "-opened_at", pipeline=name, closed_at=None)
    pause = standing_pause(reader, name)
    return {
        "name": name,
        "state": _state(last, intents, incident, pause, at).value,
        "stage": stage_of(reader, name).value,
        "revision": pipeline_revision(reader, name),
        "paused": plain(pause),
        "incident": plain(incident),
        "window_end_at": plain(last.window_end_at) if last else None,
        "decision": _decision_line(last) if last else None,
        "open": [_intent_line(intent) for intent in intents if intent.state in OPEN_STATES],
        "last_heal": next((_intent_line(i) for i in intents if _is_past_heal(i)), None),
    }


def pipeline_revision(reader: Reader, name: str) -> str:
    """Name what a person must have seen before they loosen a pipeline: its stage, and the pause that stands."""
    pause = standing_pause(reader, name)
    stage = "all" if name == EVERYTHING else stage_of(reader, name).value
    return f"{stage}:{plain(pause.since_at) if pause else 'running'}"


def standing_pause(reader: Reader, name: str) -> Pause | None:
    """Find the pause in force on one pipeline, or on everything."""
    return _newest(reader, Pause, "-since_at", pipeline=name, ended_at=None)


def stage_of(reader: Reader, name: str) -> Stage:
    """Tell a pipeline's stage; one that nobody ever moved is in `suggest` (SAFETY S5)."""
    change = _newest(reader, StageChange, "-seq", pipeline=name)
    return change.stage if change else Stage.SUGGEST


def intents_view(reader: Reader, *, pipeline: str | None = None, all_states: bool = False, limit: int = 200) -> Json:
    """The intents that stand open, the most pressing first; with `all_states`, the newest `limit` of any state."""
    equal: dict[str, Any] = {} if pipeline is None else {"pipeline": pipeline}
    if all_states:
        found = list(reader.find(Intent, order="-created_at", limit=limit, **equal))
    else:
        found = list(reader.find(Intent, state=OPEN_STATES, **equal))
        found.sort(key=lambda i: (i.state not in WAITING, i.deadline_at is None, i.deadline_at or i.created_at))
    return {"schema": 1, "intents": [_intent_line(intent) for intent in found]}


def intent_view(reader: Reader, intent_id: str) -> Json:
    """One intent with the decision behind it and what came of it: all a person needs to answer. Raises NotFound."""
    from healerd.decision import prompt  # loads numpy and scipy, which a status must not wait for

    intent = _one(reader, Intent, intent_id, "healerd inbox")
    decision = reader.get(Decision, intent.decision_id)
    return {
        "schema": 1,
        "intent": plain(intent),
        "prompt": plain(prompt(intent, decision)) if decision else None,
        "answers": [kind.value for kind in _answers(intent)],
        "decision": _without_trace(decision) if decision else None,
        "outcome": plain(reader.get(Outcome, intent.id)),
    }


def _answers(intent: Intent) -> tuple[AnswerKind, ...]:
    """Tell what a person can still say to an intent."""
    if intent.state is IntentState.VETOED:
        return (AnswerKind.LIFT,)
    if intent.state is IntentState.READY:
        return (AnswerKind.VETO,)
    if intent.state not in {IntentState.ANNOUNCED, IntentState.AWAITING_APPROVAL}:
        return ()
    return (AnswerKind.VETO, AnswerKind.APPROVE) if intent.approvals else (AnswerKind.VETO,)


def traces_view(reader: Reader, *, pipeline: str | None = None, limit: int = 50) -> Json:
    """The newest decisions, one line each."""
    equal: dict[str, Any] = {} if pipeline is None else {"pipeline": pipeline}
    found = reader.find(Decision, order="-at", limit=limit, **equal)
    return {"schema": 1, "traces": [_decision_line(decision) for decision in found]}


def trace_view(reader: Reader, decision_id: str) -> Json:
    """One decision with everything it stood on, and the intents that came of it. Raises NotFound."""
    from healerd.decision import page, sentences  # as above

    decision = _one(reader, Decision, decision_id, "healerd trace list")
    intents = reader.find(Intent, decision_id=decision.id)
    return {
        "schema": 1,
        "decision": plain(decision),
        "said": list(sentences(decision)),
        "page": page(decision),
        "intents": [_intent_line(intent) for intent in intents],
        "outcomes": [plain(outcome) for intent in intents if (outcome := reader.get(Outcome, intent.id))],
    }


def entry_view(entry: Entry) -> Json:
    """One entry of the audit log, as the event stream sends it."""
    return {
        "seq": entry.seq,
        "at": plain(entry.at),
        "kind": entry.kind,
        "actor": entry.actor,
        "pipeline": entry.pipeline,
        "table": entry.table,
        "key": entry.key,
        "record": plain(entry.record),
    }


def _state(
    last: Decision | None, intents: Sequence[Intent], incident: Incident | None, pause: Pause | None, at: datetime
) -> PipelineState:
    """Choose the word for a pipeline: what asks for a person first, what is merely so last."""
    newest = intents[0].state if intents else None
    ladder = (
        (any(i.state in WAITING for i in intents), PipelineState.PENDING),
        (pause is not None, PipelineState.PAUSED),
        (any(i.state in WORKING for i in intents), PipelineState.HEALING),
        (newest is IntentState.FAILED and incident is not None, PipelineState.FAILED),
        (newest is IntentState.VETOED and incident is not None, PipelineState.VETOED),
        (last is not None and last.deferred_until is not None and last.deferred_until > at, PipelineState.COOLDOWN),
        (_is_stale(last, at), PipelineState.STALE),
        (incident is not None and incident.clean_windows > 0, PipelineState.WATCH),
        (incident is not None, PipelineState.DRIFT),
    )
    return next((state for holds, state in ladder if holds), PipelineState.OK)


def _is_stale(last: Decision | None, at: datetime) -> bool:
    """Tell whether two whole windows have passed without a decision."""
    if last is None or last.window_start_at is None or last.window_end_at is None:
        return False
    return at > last.window_end_at + 3 * (last.window_end_at - last.window_start_at)


def _is_past_heal(intent: Intent) -> bool:
    return intent.action in ACTIONS_THAT_HEAL and intent.effect_at is not None and intent.state not in WORKING


def _intent_line(intent: Intent) -> Json:
    return {
        "id": intent.id,
        "pipeline": intent.pipeline,
        "action": intent.action,
        "target": intent.target,
        "state": intent.state.value,
        "revision": intent.revision,
        "confidence": intent.confidence,
        "severity": intent.severity,
        "created_at": plain(intent.created_at),
        "deadline_at": plain(intent.deadline_at),
        "ended_at": plain(intent.ended_at),
        "default": intent.default,
        "reason": intent.reason,
        "author": intent.author,
    }


def _decision_line(decision: Decision) -> Json:
    return {
        "id": decision.id,
        "pipeline": decision.pipeline,
        "at": plain(decision.at),
        "window_end_at": plain(decision.window_end_at),
        "chosen": decision.chosen,
        "target": decision.target,
        "held": decision.chosen == HOLD,
        "level": decision.level,
        "confidence": decision.confidence,
        "incident_id": decision.incident_id,
        "reason": decision.reason,
        "author": decision.author,
    }


def _without_trace(decision: Decision) -> Json:
    return {name: value for name, value in plain(decision).items() if name != "trace"}


def _one(reader: Reader, kind: type[R], id_: str, listed_by: str) -> R:
    found = reader.get(kind, id_)
    if found is None:
        raise NotFound(f"no {kind.__name__.lower()} `{id_}`; list them with `{listed_by}`")
    return found


def _newest(reader: Reader, kind: type[R], order: str, **filters: Any) -> R | None:
    return next(iter(reader.find(kind, order=order, limit=1, **filters)), None)


def require_pipeline(name: str, known: Sequence[str]) -> None:
    """Raise NotFound, with the nearest name, for a pipeline that is not known."""
    if name not in known:
        raise NotFound(f"no pipeline `{name}`; {did_you_mean(name, known)}")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Suggest the nearest of the `known` names, or list them."""
    from difflib import get_close_matches  # only on the way to an error

    near = get_close_matches(name, known, n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known: {', '.join(known)}" if known else "none is known yet"
