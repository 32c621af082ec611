"""Ask the guards again, in the very transaction that starts an effect (SAFETY S7).

Must never let anything start under stricter guards than those it was announced or approved under.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from healerd.decision.choice import consult
from healerd.decision.facts import facts
from healerd.decision.guards import BUILT_IN
from healerd.decision.situation import Situation, wish_of
from healerd.decision.steps import action_of, root_of, step_verdict
from healerd.decision.view import look, second_pass
from healerd.decision.words import LEVELS, Go, answer_of, approvals_of, main_reason, not_in_rules, on_silence
from healerd.model import HOLD, ApprovalNeed, Decision, Intent
from healerd_rules import Acting, Level, RuleSet, Verdict

__all__ = ["Recheck", "recheck"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck:
    """What the guards say now. Only on the answer `run` may it start in this transaction.

    `changed` lists what makes it another question than the one that was answered: a new revision.
    """

    answer: Go
    level: str
    verdict: Verdict
    why: str
    changed: tuple[str, ...] = ()
    confidence: float | None = None
    severity: int = 0
    approvals: tuple[ApprovalNeed, ...] = ()
    default: str = ""


def recheck(
    situation: Situation, intent: Intent, ruleset: RuleSet, *, decided: Decision, heal: Intent | None = None
) -> Recheck:
    """Judge a ready intent on the facts of this moment; `decided` is its decision, `heal` that of a step."""
    if heal is None:
        confidence, verdict = _heal_now(situation, intent, ruleset)
    else:
        confidence, verdict = intent.confidence, _step_now(situation, intent, heal, ruleset)
    changed = tuple(_changes(situation, intent, decided))
    incident = situation.open_incident
    moved = _alias_moved(situation, intent) or _target_moved(situation, intent)
    answer = Go.REFUSE if moved else _answer(verdict, intent, changed=changed)
    return Recheck(
        answer=answer,
        level=LEVELS[verdict.level],
        verdict=verdict,
        why=moved or _why(verdict, intent, changed, answer),
        changed=changed,
        confidence=confidence,
        severity=incident.severity if incident else intent.severity,
        approvals=approvals_of(verdict, situation.now),
        default=on_silence(verdict),
    )


def _heal_now(situation: Situation, intent: Intent, ruleset: RuleSet) -> tuple[float | None, Verdict]:
    """Run both passes on the intent's action, as if it were chosen now."""
    if (wish := wish_of(intent)) is not None:
        situation = replace(situation, wish=wish)
    view = look(situation, ruleset, without=(intent.id,))
    if intent.action not in view.verdicts:  # a reload has taken it out while the intent waited
        forbids = Acting(rule=f"{BUILT_IN}unknown_action", kind="forbid", because=not_in_rules(intent.action))
        return None, Verdict(level=Level.FORBIDDEN, acting=(forbids,))
    counsel, _ = consult(view, HOLD)
    confidence = counsel.confidence(intent.action) if counsel else None
    return confidence, second_pass(view, intent.action, confidence)


def _step_now(situation: Situation, intent: Intent, heal: Intent, ruleset: RuleSet) -> Verdict:
    return step_verdict(
        situation,
        ruleset,
        step=intent.action,
        heal_id=root_of(heal),
        heal_action=action_of(heal),
        confidence=intent.confidence,
        without=frozenset((intent.id,)),
    )


def _changes(situation: Situation, intent: Intent, decided: Decision) -> Iterator[str]:
    """Name what makes a new revision: severity and data quality. Fresh numbers alone are none."""
    incident = situation.open_incident
    if incident is not None and incident.severity != intent.severity:
        yield f"severity {intent.severity} is now {incident.severity}"
    then, now = decided.trace["facts"].get("data_quality"), facts(situation)["data_quality"]
    if then != now:
        yield f"data quality `{then or 'unknown'}` is now `{now or 'unknown'}`"


def _alias_moved(situation: Situation, intent: Intent) -> str:
    """Say that another version serves than the one the intent would replace; unknown counts as another."""
    active = situation.active.name if situation.active else None
    if intent.current is None or intent.current == active:
        return ""
    return f"`{active or 'nobody knows which version'}` serves, no longer `{intent.current}`"


def _target_moved(situation: Situation, intent: Intent) -> str:
    """Say that the action aims at another version by now: what was asked about is not what should be done."""
    target = situation.target(intent.action)
    if target is None or target.refusal or target.version == intent.target:
        return ""
    return f"target `{intent.target}` is now `{target.version}`: it is decided anew"


def _answer(verdict: Verdict, intent: Intent, *, changed: tuple[str, ...]) -> Go:
    answer = answer_of(verdict.level)
    if answer in (Go.WAIT, Go.REFUSE):
        return answer
    return Go.ASK if changed or not _covered(verdict, intent) else Go.RUN


def _covered(verdict: Verdict, intent: Intent) -> bool:
    """Tell whether people have had every window and given every approval that the verdict asks for now."""
    given = {(need.role, need.rule) for need in intent.approvals} if intent.approved_by else set()
    approved = all((approval.role, approval.rule) in given for approval in verdict.approvals)
    needs_word = verdict.level is Level.APPROVAL_NEEDED and not intent.approved_by
    return approved and not needs_word and (verdict.veto_within_s or 0.0) <= (intent.veto_within_s or 0.0)


def _why(verdict: Verdict, intent: Intent, changed: tuple[str, ...], answer: Go) -> str:
    if answer is Go.RUN:
        return f"{intent.action} is {LEVELS[verdict.level]}, no stricter than it was announced"
    said = main_reason(verdict)
    return "; ".join((*changed, f"{intent.action} is {LEVELS[verdict.level]}" + (f": {said}" if said else "")))
