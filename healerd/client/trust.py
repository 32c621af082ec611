"""How far a pipeline may be trusted, and on what evidence: the look behind `healerd policy status`.

Must never count approvals as evidence: what people let run is told apart from what a coin decided.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from healerd.client.asked import Asked
from healerd.client.views import Json, pipeline_revision, plain, require_pipeline, stage_of
from healerd.decision import Situation, from_json, recorded_context
from healerd.decision.deeds import Told, told_of
from healerd.model import (
    ACTIONS_THAT_HEAL,
    HOLD,
    Answer,
    AnswerKind,
    Decision,
    Intent,
    Outcome,
    StageChange,
)
from healerd.policy import POLICIES, Account, PolicyFailed, Question, failed
from healerd.policy.reliability import interval_of, reliability
from healerd.store import Range, Reader

__all__ = ["policy"]

EARLIEST = datetime.min.replace(tzinfo=UTC)
CHANGES = 5


def policy(reader: Reader, names: Sequence[str], at: datetime, asked: Asked) -> Json:
    """Show what was learned, what bounds the deviations, and what the coin decisions say. Raises NotFound."""
    name = asked["name"]
    require_pipeline(name, names)
    changes = reader.find(StageChange, pipeline=name, order="-seq", limit=CHANGES)
    view: Json = {
        "schema": 1,
        "name": name,
        "stage": stage_of(reader, name).value,
        "revision": pipeline_revision(reader, name),
        "changes": [plain(change) for change in changes],
        "people": _people(reader, name),
        "reliability": [plain(each) for each in reliability(_pairs(reader, name))],
    }
    # Windows are judged in order, and there is an index of when: by their ends, every body would be read and sorted.
    newest = reader.find(Decision, pipeline=name, window_end_at=Range(EARLIEST), order="-at", limit=1)
    return {**view, **(_learned(newest[0]) if newest else {"at": None, "account": None, "actions": []})}


def _learned(decision: Decision) -> Json:
    """Show what the newest judged window's decision stood on."""
    try:
        situation = from_json(decision.trace.get("situation") or {})
    except ValueError:
        return {"at": plain(decision.at), "account": None, "actions": []}
    return {
        "at": plain(decision.at),
        "policy": situation.policy,
        "outcomes": situation.learned.events,
        "severity": situation.costs.severity,
        "unlearned": situation.unlearned,
        "actions": list(_actions(situation, decision)),
        "account": None if situation.account is None else _account(situation.account),
    }


def _actions(situation: Situation, decision: Decision) -> Iterator[Json]:
    """Show the posterior of each action, in the context of the newest decision or in the plainest one."""
    features = len(situation.costs.features)
    context = recorded_context(decision)
    plainest = (1.0, *[0.0] * (features - 1))
    actions = tuple(prior.action for prior in situation.costs.actions)
    question = Question(context=context if len(context) == features else plainest, permitted=actions, rule_action=HOLD)
    try:
        advice = POLICIES["bayesian"].advise(question, model=situation.costs, state=situation.learned)
    except PolicyFailed:
        return
    for prior in situation.costs.actions:
        estimate = advice.of(prior.action)
        assert estimate is not None, "each action of the cost model is estimated"
        low, high = interval_of(estimate)
        yield {
            "action": prior.action,
            "configured": prior.failure,
            "p_failure": estimate.p_failure,
            "p_failure_low": low,
            "p_failure_high": high,
            "fixed_cost": estimate.fixed_cost,
            "cost_mean": estimate.cost_mean,
            "cost_sd": estimate.cost_sd,
        }


def _account(account: Account) -> Json:
    balance, canary, check, terms = account.balance, account.canary, account.check, account.terms
    return {
        "since_at": plain(account.since_at),
        "turned": account.turned,
        "ledger": {
            "alpha": terms.alpha,
            "decisions": account.ledger.decisions,
            "deviations": account.ledger.deviations,
            "mean": balance.mean,
            "sd": balance.sd,
            "upper": balance.upper,
        },
        "budget": {"limit": terms.budget, "excess": account.excess},
        "pending": {"limit": terms.pending_max, "deviations": list(account.pending)},
        "prior_check": {**plain(check), "tripped": check.tripped},
        "canary": {**plain(canary), "verdict": canary.verdict},
        "refused": list(account.refused),
        "refusals": account.refusals,
    }


def _pairs(reader: Reader, name: str) -> Iterator[tuple[float, bool]]:
    """Pair what decisions predicted with what came, of every heal that was compared with what it replaced."""
    for heal, told, outcome in _heals(reader, name):
        verdict, p = failed(outcome), told.predicted.get(heal.action)
        if verdict is not None and p is not None:
            yield p, verdict


def _heals(reader: Reader, name: str) -> Iterator[tuple[Intent, Told, Outcome]]:
    heals = {heal.id: heal for heal in reader.find(Intent, pipeline=name, action=ACTIONS_THAT_HEAL, parent_id=None)}
    for outcome in reader.find(Outcome, intent_id=tuple(heals)) if heals else ():
        decision = reader.get(Decision, heals[outcome.intent_id].decision_id)
        if decision is not None:
            yield heals[outcome.intent_id], told_of(decision), outcome


def _people(reader: Reader, name: str) -> Json:
    """Count what people decided, and what came of what they let run: confounded, so kept apart from the coin's."""
    heals = reader.find(Intent, pipeline=name, action=ACTIONS_THAT_HEAL, parent_id=None)
    approved = tuple(heal.id for heal in heals if heal.approved_by)
    outcomes: list[Any] = list(reader.find(Outcome, intent_id=approved)) if approved else []
    verdicts = [verdict for each in outcomes if (verdict := failed(each)) is not None]
    said = reader.find(Answer, pipeline=name, kind=(AnswerKind.VETO, AnswerKind.DENY))
    return {
        "approved": len(approved),
        "compared": len(verdicts),
        "failed": sum(verdicts),
        "vetoed": len({answer.intent_id for answer in said}),
    }
