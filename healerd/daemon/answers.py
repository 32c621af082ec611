"""Take what a person says to an intent. Must never let a veto lose to anything that has not yet begun.

An answer, what it does to the intent and the memory of it are one transaction. Whether the person may speak at all is
checked before, by the role; here it is checked that an approval comes from a role that was asked.
"""

from dataclasses import replace
from datetime import datetime

from healerd.client.views import one_of
from healerd.daemon.reach import end
from healerd.errors import Conflict, NotAllowed
from healerd.model import ANSWERABLE, NOT_STARTED, Answer, AnswerKind, Bar, Intent, IntentState
from healerd.store import Store, Transaction

__all__ = ["resolve", "take_answer"]


def take_answer(store: Store, answer: Answer) -> Intent:
    """Record an answer and what follows from it; give the intent as it stands then.

    Raises NotFound for an unknown intent, NotAllowed for an approval that was not asked of this person, Conflict when
    it is too late or the intent has a newer revision; the message says what can still be done.
    """
    with store.transaction() as tx:
        intent = one_of(tx, Intent, answer.intent_id, "healerd inbox")
        tx.put(answer, actor=answer.author)
        match answer.kind:
            case AnswerKind.APPROVE:
                return _approve(tx, intent, answer)
            case AnswerKind.VETO | AnswerKind.DENY:
                return _stop(tx, intent, answer)
            case AnswerKind.LIFT:
                return _lift(tx, intent, answer)


def resolve(store: Store, intent_id: str, *, took_effect: bool, author: str, reason: str, at: datetime) -> Intent:
    """Say, as a person who looked, whether an intent whose effect nobody could tell took effect. Raises Conflict."""
    with store.transaction() as tx:
        intent = one_of(tx, Intent, intent_id, "healerd inbox")
        if intent.state is not IntentState.NEEDS_PERSON:
            raise Conflict(f"intent `{intent_id}` is `{intent.state}`: nobody has to resolve it")
        tx.note("resolved", {"intent": intent_id, "took_effect": took_effect, "reason": reason}, actor=author)
        state = IntentState.INCONCLUSIVE if took_effect else IntentState.FAILED
        effect_at = intent.effect_at or (at if took_effect else None)
        return end(tx, intent, state, at=at, reason=f"`{author}`: {reason}", effect_at=effect_at)


def _approve(tx: Transaction, intent: Intent, answer: Answer) -> Intent:
    if intent.state not in ANSWERABLE:
        raise Conflict(f"intent `{intent.id}` is `{intent.state}`: there is nothing to approve")
    if answer.revision != intent.revision:
        raise Conflict(f"intent `{intent.id}` has changed (revision {intent.revision}): read it again, then approve")
    if not any(need.role in answer.roles for need in intent.approvals):
        asked = ", ".join(f"`{need.role}`" for need in intent.approvals) or "nobody"
        raise NotAllowed(f"intent `{intent.id}` asks {asked} to approve, and `{answer.author}` is not one of them")
    people = tuple(dict.fromkeys((*intent.approved_by, answer.author)))
    return tx.replace(replace(intent, approved_by=people), expect=intent, actor=answer.author)


def _stop(tx: Transaction, intent: Intent, answer: Answer) -> Intent:
    if intent.state not in NOT_STARTED:
        raise Conflict(_too_late(intent))
    said = "denied" if answer.kind is AnswerKind.DENY else "vetoed"
    bar = Bar(
        id=answer.id,
        pipeline=intent.pipeline,
        action=intent.action,
        incident_id=intent.incident_id,
        author=answer.author,
        reason=answer.reason,
        since_at=answer.at,
        severity=intent.severity,
    )
    tx.put(bar, actor=answer.author)
    reason = f"{said} by `{answer.author}`: {answer.reason}"
    return end(tx, intent, IntentState.VETOED, at=answer.at, reason=reason)


def _lift(tx: Transaction, intent: Intent, answer: Answer) -> Intent:
    bars = tx.find(Bar, pipeline=intent.pipeline, action=intent.action, lifted_at=None)
    if not bars:
        raise Conflict(f"nothing bars `{intent.action}` on `{intent.pipeline}`: there is nothing to lift")
    for bar in bars:
        tx.put(replace(bar, lifted_at=answer.at, lifted_by=answer.author), actor=answer.author)
    return intent


def _too_late(intent: Intent) -> str:
    undo = f"undo it with `healerd propose {intent.pipeline} rollback --to {intent.current}`"
    began = f"intent `{intent.id}` is `{intent.state}`: too late to stop it"
    return f"{began}; {undo}" if intent.current and intent.effect_at else began
