"""Heals and holds out of the log, as the policy's account counts them. Must never guess: what cannot be is refused.

A refusal is a sentence, kept in the account and so in every trace. It teaches nothing, counts as failed, and while it
is among the newest lessons nothing deviates: the rules act alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from healerd.decision.context import FEATURES, recorded_context
from healerd.decision.gate import hold_key
from healerd.model import ACTS_ALONE, DAEMON, HOLD, TERMINAL_STATES, Decision, Incident, Intent, Outcome, Stage
from healerd.policy import Deed, failed

__all__ = ["Told", "deed_of_heal", "deed_of_hold", "impossible", "told_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a recorded decision tells of the deed that followed: small, and the same for ever."""

    decision_id: str
    at: datetime
    stage: Stage
    rule_action: str
    context: tuple[float, ...]
    severity: float
    coin: bool
    wished: bool
    predicted: Mapping[str, float]


def told_of(decision: Decision) -> Told:
    """Take out of a decision what counts of it."""
    trace = decision.trace
    gate: Mapping[str, Any] = trace.get("gate") or {}
    context = recorded_context(decision)
    return Told(
        decision_id=decision.id,
        at=decision.at,
        stage=decision.stage,
        rule_action=decision.rule_action,
        context=context if len(context) == len(FEATURES) else (),
        severity=float(gate.get("severity", trace.get("situation", {}).get("costs", {}).get("severity", 0.0))),
        coin=bool(gate.get("coin")),
        wished=decision.author != DAEMON,
        predicted={each.action: each.p_failure for each in decision.options if each.p_failure is not None},
    )


def impossible(intent_id: str, outcome: Outcome, told: Told | None) -> str:
    """Say why an outcome cannot be; empty when it can."""
    if told is None:
        return f"`{intent_id}` has an outcome, and its decision is not known"
    if outcome.at < told.at:
        return f"the outcome of `{intent_id}` at {outcome.at:%Y-%m-%d %H:%M:%S} lies before its decision"
    return ""


def deed_of_heal(
    heal: Intent,
    told: Told,
    outcome: Outcome | None,
    *,
    due_at: datetime,
    now: datetime,
    since_at: datetime | None,
    newest_at: datetime | None,
) -> Deed:
    """Make the deed of a heal that began. `due_at` is when its outcome is missing.

    `since_at` is when the pipeline was let act alone, None while it is not; `newest_at` when it was last, over or not.
    """
    sound = outcome is not None and not impossible(heal.id, outcome, told)
    over = outcome is not None or heal.state in TERMINAL_STATES or now >= due_at
    active = since_at is not None and told.at >= since_at and told.stage in ACTS_ALONE
    person = bool(heal.approved_by) or told.wished
    return Deed(
        key=heal.id,
        at=told.at,
        action=heal.action,
        rule_action=heal.action if told.wished else told.rule_action,
        context=told.context,
        severity=told.severity,
        failed=failed(outcome) if outcome is not None and sound else None,
        over=over,
        active=active,
        earns=active and not person,
        person=person,
        wished=told.wished,
        coin=told.coin and not person and newest_at is not None and told.at >= newest_at,
        predicted=told.predicted.get(heal.action),
    )


def deed_of_hold(
    told: Told,
    incident: Incident,
    heals: Iterable[Intent],
    *,
    due_at: datetime,
    now: datetime,
    since_at: datetime | None,
) -> Deed:
    """Make the deed of a hold in the place of what the rules proposed.

    It has not failed when the incident closes by `due_at` with no heal; it has when a heal began after it, or when the
    incident is still open then.
    """
    healed = any(each.executed_at is not None and each.executed_at >= told.at for each in heals)
    closed = incident.closed_at is not None and incident.closed_at <= due_at and not healed
    active = since_at is not None and told.at >= since_at and told.stage in ACTS_ALONE
    return Deed(
        key=hold_key(incident.id),
        at=told.at,
        action=HOLD,
        rule_action=told.rule_action,
        context=told.context,
        severity=told.severity,
        failed=False if closed else None,
        over=closed or healed or now >= due_at,
        active=active,
        earns=active,
        predicted=told.predicted.get(HOLD),
    )
