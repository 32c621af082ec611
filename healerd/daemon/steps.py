"""Propose a step of a heal: an intent of its own, under the guards' word. Must never repeat a step unasked."""

from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from healerd.actions import STEP_EFFECTS, Refusal, World
from healerd.daemon.reach import Reach, retell
from healerd.daemon.rulings import Go, Ruling
from healerd.decision.guards import ASKED_AGAIN
from healerd.model import OPEN_STATES, Intent, IntentState
from healerd.store import Reader

__all__ = ["newest_step", "propose_step"]


def propose_step(
    reach: Reach, heal: Intent, action: str, *, confidence: float | None, world: World, **changes: Any
) -> Intent | Refusal:
    """Put a step of `heal` before the guards; once they let it wait or run, change the heal in the same transaction.

    Gives the heal, changed when the step was taken up, or why the step cannot be.
    """
    plan = STEP_EFFECTS[action].plan(world, heal)
    if isinstance(plan, Refusal):
        return plan
    earlier = reach.store.find(Intent, parent_id=heal.id, action=action)
    if any(_too_soon(step, world.now) for step in earlier):
        return heal
    with reach.store.transaction() as tx:
        ruling = reach.guards.judge_step(heal, plan, confidence, tx, world.now)
        if ruling.go is Go.REFUSE:
            return Refusal(action=action, reason=ruling.reason)
        if ruling.go is not Go.WAIT:
            if ruling.decision is not None:
                tx.put(ruling.decision)
            step = _step(heal, plan.target, plan.current, ruling, action=action, number=len(earlier), at=world.now)
            tx.put(replace(step, confidence=confidence, args=plan.args))
            return tx.replace(replace(heal, **changes), expect=heal)
    return retell(reach, heal, f"{action} waits: {ruling.reason}")


def newest_step(reader: Reader, heal: Intent, action: str) -> Intent | None:
    """Find the newest step of this kind."""
    found = reader.find(Intent, parent_id=heal.id, action=action)
    return found[-1] if found else None


def _too_soon(step: Intent, now: datetime) -> bool:
    """A step that is open is not repeated; one that ended without an effect only after a while."""
    if step.state in OPEN_STATES:
        return True
    return step.ended_at is not None and now < step.ended_at + ASKED_AGAIN


def _step(
    heal: Intent, target: str | None, current: str | None, ruling: Ruling, *, action: str, number: int, at: datetime
) -> Intent:
    parts = (heal.pipeline, heal.incident_id or "", action, target or "", heal.id, str(number))
    waits = IntentState.AWAITING_APPROVAL if ruling.approvals else IntentState.ANNOUNCED
    return Intent(
        id=f"{heal.id}-{action}" + (f"-{number + 1}" if number else ""),
        key=sha256("\n".join(parts).encode()).hexdigest(),
        pipeline=heal.pipeline,
        incident_id=heal.incident_id,
        decision_id=ruling.decision_id or heal.decision_id,
        action=action,
        target=target,
        current=current,
        state=IntentState.READY if ruling.go is Go.RUN else waits,
        parent_id=heal.id,
        confidence=None,
        severity=ruling.severity or heal.severity,
        created_at=at,
        veto_within_s=ruling.veto_within_s,
        approvals=ruling.approvals,
        default=ruling.default,
        reason=ruling.reason,
    )
