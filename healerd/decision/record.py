"""Write down a decision: the record, every action with why not, and the trace it can be recomputed from.

Must never decide anything, and never leave out what a sentence about the decision depends on.
"""

from typing import Any

from healerd.decision.choice import Choice
from healerd.decision.context import FEATURES
from healerd.decision.gate import SURE_ENOUGH, costs_of
from healerd.decision.situation import Situation, to_json
from healerd.decision.view import View
from healerd.decision.words import LEVELS, approvals_of, main_reason, on_silence, verdict_json, who
from healerd.model import DAEMON, HOLD, Decision, Option
from healerd.policy import BARS
from healerd_rules import ALLOWED, Level, Proposal, Verdict

__all__ = ["record"]


def record(view: View, choice: Choice, verdict: Verdict, reason: str, *, acts: bool, traced: bool = True) -> Decision:
    """Put the record together. `verdict` is that on the chosen action, or on what would have been chosen.

    Without a trace, the proposals alone stand in its place: such a record is looked at, and never kept.
    """
    situation = view.situation
    incident = situation.incident
    return Decision(
        id=situation.id,
        pipeline=situation.pipeline,
        at=situation.now,
        window_start_at=situation.window.start_at if situation.window else None,
        window_end_at=situation.window.end_at if situation.window else None,
        stage=situation.stage,
        incident_id=incident.id if incident else None,
        severity=incident.severity if incident else 0,
        chosen=choice.chosen if acts else HOLD,
        target=_target(situation, choice.chosen) if acts else None,
        rule_action=choice.rule_action,
        rule=choice.rule.rule if choice.rule else None,
        candidate=choice.candidate,
        p_cheaper_than_rule=choice.p_cheaper_than_rule,
        confidence=choice.confidence if acts else None,
        propensity=choice.propensity,
        level=LEVELS[verdict.level],
        reason=reason,
        options=_options(view, choice, reason, acts=acts),
        veto_within_s=verdict.veto_within_s if acts else None,
        approvals=approvals_of(verdict, situation.now) if acts else (),
        deferred_until=verdict.deferred_until,
        author=situation.wish.author if situation.wish else DAEMON,
        rules_id=view.ruleset.id,
        trace=_trace(view, choice, verdict, acts=acts) if traced else _short_trace(view, choice),
    )


def _target(situation: Situation, action: str) -> str | None:
    target = situation.target(action)
    return target.version if target else None


def _options(view: View, choice: Choice, reason: str, *, acts: bool) -> tuple[Option, ...]:
    """List every action with its verdict, its estimate, and why it was not chosen."""
    taken = choice.chosen if acts else HOLD
    return (
        _option(view, choice, HOLD, ALLOWED, why_not="" if taken == HOLD else f"{taken} was decided"),
        *(
            _option(view, choice, action, verdict, why_not=_why_not(choice, action, verdict, taken, reason))
            for action, verdict in view.verdicts.items()
        ),
    )


def _option(view: View, choice: Choice, action: str, verdict: Verdict, *, why_not: str) -> Option:
    estimate = choice.counsel.of(action) if choice.counsel else None
    permitted = verdict.level <= Level.APPROVAL_NEEDED
    return Option(
        action=action,
        level=LEVELS[verdict.level],
        by=who(verdict),
        permitted=permitted,
        target=_target(view.situation, action),
        p_failure=estimate.p_failure if estimate else None,
        cost_mean=estimate.cost_mean if estimate else None,
        cost_sd=estimate.cost_sd if estimate else None,
        confidence=choice.counsel.confidence(action) if choice.counsel else None,
        why_not=why_not,
    )


def _why_not(choice: Choice, action: str, verdict: Verdict, taken: str, reason: str) -> str:
    if action == taken:
        return ""
    if verdict.level > Level.APPROVAL_NEEDED:
        return main_reason(verdict)
    if action == choice.chosen:
        return reason
    if action == choice.rule_action and choice.coin is None:
        return f"the policy is sure enough that {choice.chosen} is cheaper"
    if choice.rule_action == HOLD:
        return "no rule asks for anything"
    if choice.coin is not None and action in (choice.coin.policy, choice.coin.rule):
        return "the coin of the canary picked the other"
    if action == choice.candidate and choice.tried is not None and choice.tried.barred_by not in ("", "gate"):
        return f"{choice.tried.barred_by}: {BARS[choice.tried.barred_by]}"
    return "no rule proposes it first, and the policy is not sure enough that it is cheaper"


def _trace(view: View, choice: Choice, verdict: Verdict, *, acts: bool) -> dict[str, Any]:
    """Write down everything that the decision stood on; `situation` alone is enough to decide again."""
    situation = view.situation
    held: dict[str, Any] = {
        "schema": 1,
        "situation": situation,
        "facts": view.facts,
        "alarms": view.alarms,
        "signals": view.first.signals,
        "proposals": _proposals(view),
        "notifications": [{"channel": n.channel, "rule": n.rule} for n in view.first.notifications],
        "incident": situation.incident,
        "context": dict(zip(FEATURES, choice.context, strict=False)),
        "policy": _policy(situation, choice),
        "gate": _gate(situation, choice),
        "first_pass": {action: verdict_json(found) for action, found in view.verdicts.items()},
        "second_pass": None if choice.chosen == HOLD else {"action": choice.chosen, **verdict_json(verdict)},
        "on_silence": on_silence(verdict) if acts else None,
        "withdraws": [
            {"intent": way.intent.id, "because": way.because}
            for way in view.gives_way
            if acts and way.intent.action != choice.chosen
        ],
    }
    plain: dict[str, Any] = to_json(held)
    return plain


def _short_trace(view: View, choice: Choice) -> dict[str, Any]:
    """Only what a backtest reads of a decision that nobody keeps."""
    return {"proposals": _proposals(view), "deviates": choice.deviates, "context": choice.context}


def _proposals(view: View) -> list[dict[str, Any]]:
    return [_proposal(proposal) for proposal in view.first.proposals]


def _proposal(proposal: Proposal) -> dict[str, Any]:
    return {
        "rule": proposal.rule,
        "action": proposal.action,
        "priority": proposal.priority,
        "severity": proposal.severity,
        "last_resort": proposal.last_resort,
        "because": proposal.because,
    }


def _gate(situation: Situation, choice: Choice) -> dict[str, Any]:
    """Write down the tests; what a deed is charged for needs what its incident was worth."""
    tried = choice.tried
    sure_enough = SURE_ENOUGH if tried is None else tried.sure_enough
    told: dict[str, Any] = {
        "sure_enough": sure_enough,
        "p": choice.p_cheaper_than_rule,
        "deviates": choice.deviates,
    }
    if situation.account is None or tried is None:
        return told
    return {**told, "severity": costs_of(situation).severity, **tried.note()}


def _policy(situation: Situation, choice: Choice) -> dict[str, Any]:
    return {
        "name": situation.policy,
        "events": situation.learned.events,
        "state": situation.learned.hash,
        "failure": choice.failure,
        "estimates": choice.counsel.advices[0].estimates if choice.counsel else (),
        "corners": len(choice.counsel.advices) if choice.counsel else 0,
        "propensities": choice.counsel.advices[0].propensities if choice.counsel else {},
    }
