"""What was done to a pipeline and when: the only source of cooldowns and limits. Must never read a metric (S10)."""

from dataclasses import dataclass
from datetime import datetime

from healerd.model import STEPS, Intent, IntentState
from healerd.store import Reader

__all__ = ["ActionRecord", "action_log"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRecord:
    """One effect that began: which, for which heal, and when it ended; `ended_at` is None while nobody can tell."""

    intent_id: str
    heal_id: str
    pipeline: str
    action: str
    step: bool
    state: IntentState
    began_at: datetime
    ended_at: datetime | None


def action_log(reader: Reader, pipeline: str, *, limit: int = 1000) -> tuple[ActionRecord, ...]:
    """List the newest effects that began on a pipeline, oldest first. A cooldown runs from the latest `ended_at`."""
    newest = reader.find(Intent, pipeline=pipeline, order="-created_at", limit=limit)
    by_id = {intent.id: intent for intent in newest}
    began = [_record(intent, by_id) for intent in newest if intent.executed_at is not None]
    return tuple(sorted(began, key=lambda record: record.began_at))


def _record(intent: Intent, by_id: dict[str, Intent]) -> ActionRecord:
    assert intent.executed_at is not None, "only what began is in the log"
    unknown = intent.state in {IntentState.EXECUTING, IntentState.NEEDS_PERSON}
    return ActionRecord(
        intent_id=intent.id,
        heal_id=_heal_of(intent, by_id),
        pipeline=intent.pipeline,
        action=intent.action,
        step=intent.action in STEPS,
        state=intent.state,
        began_at=intent.executed_at,
        ended_at=intent.effect_at or (None if unknown else intent.ended_at or intent.executed_at),
    )


def _heal_of(intent: Intent, by_id: dict[str, Intent]) -> str:
    while intent.parent_id is not None and intent.parent_id in by_id:
        intent = by_id[intent.parent_id]
    return intent.parent_id or intent.id
