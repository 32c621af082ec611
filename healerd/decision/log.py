"""The action log as rules see it: what began or stands open, from the records of intents.

Must never read a metric: cooldowns and limits stand on this alone (SAFETY S10).
"""

from collections.abc import Collection
from datetime import datetime

from healerd.decision.situation import Logged, Situation
from healerd.model import NOT_STARTED, OPEN_STATES, Intent, IntentState
from healerd_rules import ActionRecord

__all__ = ["last_ended_at", "logged", "records", "rejected_at"]


def logged(
    intent: Intent, *, heal_id: str | None = None, tags: tuple[str, ...] = (), cost: float | None = None
) -> Logged | None:
    """Write an intent as a line of the log; None for one that ended before it began.

    An intent whose effect is there has ended, verified or not: verification is no effect.
    """
    if intent.executed_at is None and intent.state not in OPEN_STATES:
        return None
    effect_open = intent.state in NOT_STARTED or intent.state in (IntentState.EXECUTING, IntentState.NEEDS_PERSON)
    return Logged(
        intent_id=intent.id,
        heal_id=heal_id or intent.parent_id or intent.id,
        action=intent.action,
        pipeline=intent.pipeline,
        tags=tags,
        started_at=intent.executed_at or intent.created_at,
        ended_at=None if effect_open else intent.effect_at or intent.ended_at or intent.executed_at,
        cost=cost,
        incident_id=intent.incident_id,
        began=intent.executed_at is not None,
    )


def records(situation: Situation, *, without: Collection[str] = ()) -> tuple[ActionRecord, ...]:
    """Give the log to the rules, leaving out the intents that are not in the way."""
    return tuple(
        ActionRecord(
            action=line.action,
            pipeline=line.pipeline,
            tags=line.tags,
            started_at=line.started_at,
            ended_at=line.ended_at,
            cost=line.cost,
            incident_id=line.incident_id,
            began=line.began,
        )
        for line in situation.log
        if line.intent_id not in without
    )


def last_ended_at(situation: Situation) -> datetime | None:
    """Tell when the last step of the last heal on this pipeline ended."""
    ended = (line.ended_at for line in situation.log if line.pipeline == situation.pipeline)
    return max((at for at in ended if at is not None), default=None)


def rejected_at(intents: Collection[Intent], incident_id: str, action: str = "retrain") -> tuple[datetime, ...]:
    """Tell when candidates of this incident, made by an action, were fitted, judged and found wanting."""
    found = (
        intent.ended_at
        for intent in intents
        if intent.action == action
        and intent.state is IntentState.REFUSED
        and intent.effect_at is not None
        and intent.incident_id == incident_id
    )
    return tuple(sorted(at for at in found if at is not None))
