"""Judge the steps of a heal: promote by its own guards, undo and return by those of their heal (SAFETY S2, S5, S10).

Must never let a cooldown or a limit bar the way back, and never let it through where its heal is forbidden.
"""

from collections.abc import Mapping
from typing import Any

from healerd.decision.facts import alarms, facts
from healerd.decision.guards import BUILT_IN, PROMOTE_GUARDS, RETREAT_GUARDS, Asked, guard
from healerd.decision.situation import Situation, to_json
from healerd.decision.view import inputs_of
from healerd.decision.words import LEVELS, approvals_of, main_reason, on_silence, verdict_json, who
from healerd.model import HOLD, STEPS, Decision, Intent, Option, Stage
from healerd_rules import Evaluation, Level, RuleSet, Verdict, evaluate, join

__all__ = ["action_of", "judge_step", "redo_step", "root_of", "step_verdict"]

RESTS = ("cooldown", "limit")


def judge_step(
    situation: Situation,
    ruleset: RuleSet,
    *,
    step: str,
    heal: Intent,
    target: str | None,
    confidence: float | None,
) -> Decision:
    """Decide how a step of `heal` may run; `confidence` is the probability, by its paired test, that it helps."""
    asked = {
        "step": step,
        "heal_id": root_of(heal),
        "heal_action": action_of(heal),
        "target": target,
        "confidence": confidence,
    }
    return redo_step(situation, ruleset, asked)


def redo_step(situation: Situation, ruleset: RuleSet, asked: Mapping[str, Any]) -> Decision:
    """Judge a step as its decision recorded the question."""
    question = {name: asked[name] for name in ("step", "heal_id", "heal_action", "confidence")}
    verdict = step_verdict(situation, ruleset, **question)
    reason = f"{asked['step']} of {asked['heal_action']} `{asked['heal_id']}`"
    if verdict.level > Level.APPROVAL_NEEDED:
        reason = f"{reason} is {LEVELS[verdict.level]}: {main_reason(verdict)}"
    return _record(situation, ruleset, verdict, asked=asked, reason=reason)


def root_of(heal: Intent) -> str:
    """Name the heal that all steps belong to: an undo may take back a promotion, which is a step itself."""
    return heal.parent_id or heal.id


def action_of(heal: Intent) -> str:
    """Name the heal whose guards count for the way back: a promotion is part of a retraining."""
    return "retrain" if heal.action == "promote" else heal.action


def step_verdict(
    situation: Situation,
    ruleset: RuleSet,
    *,
    step: str,
    heal_id: str,
    heal_action: str,
    confidence: float | None,
    without: frozenset[str] = frozenset(),
) -> Verdict:
    """Say what the guards make of a step."""
    assert step in STEPS, f"`{step}` is no step"
    asked = Asked(situation=situation, action=step, ignoring=without, heal_id=heal_id)
    sure = {step: confidence, heal_action: confidence}
    if step == "promote":
        inputs = inputs_of(situation, without=without)
        evaluation = evaluate(ruleset, inputs, situation.signals, confidence=sure)
        return join(evaluation.verdicts[step], guard(PROMOTE_GUARDS, asked))
    # In observe the way back asks, as in suggest; and it belongs to its heal's incident, which need not be open.
    stage = Stage.SUGGEST if situation.stage is Stage.OBSERVE else situation.stage
    inputs = inputs_of(situation, without=without, stage=stage, incident=True)
    evaluation = evaluate(ruleset, inputs, situation.signals, confidence=sure)
    return join(_of_the_heal(evaluation, step, heal_action), guard(RETREAT_GUARDS, asked))


def _of_the_heal(evaluation: Evaluation, step: str, heal_action: str) -> Verdict:
    """Take what rules say of the step, and of its heal without cooldowns and limits."""
    return join(_without_rests(evaluation.verdicts[heal_action]), evaluation.verdicts[step])


def _without_rests(verdict: Verdict) -> Verdict:
    """Leave out of a verdict what cooldowns and limits added to it."""
    rests = {acting.rule for acting in verdict.acting if acting.kind in RESTS and not acting.rule.startswith(BUILT_IN)}
    approvals = tuple(approval for approval in verdict.approvals if approval.rule not in rests)
    level = verdict.level
    if level is not Level.FORBIDDEN:
        announced = Level.ANNOUNCED if verdict.veto_within_s is not None else Level.ALLOWED
        level = Level.APPROVAL_NEEDED if approvals else announced
    return Verdict(
        level=level,
        veto_within_s=verdict.veto_within_s,
        approvals=approvals,
        acting=tuple(acting for acting in verdict.acting if acting.rule not in rests),
    )


def _record(
    situation: Situation, ruleset: RuleSet, verdict: Verdict, *, asked: Mapping[str, Any], reason: str
) -> Decision:
    step, incident, window = str(asked["step"]), situation.incident, situation.window
    acts = verdict.level <= Level.APPROVAL_NEEDED
    return Decision(
        id=situation.id,
        pipeline=situation.pipeline,
        at=situation.now,
        window_start_at=window.start_at if window else None,
        window_end_at=window.end_at if window else None,
        stage=situation.stage,
        incident_id=incident.id if incident else None,
        severity=incident.severity if incident else 0,
        chosen=step if acts else HOLD,
        target=asked["target"] if acts else None,
        rule_action=HOLD,
        rule=None,
        candidate=step,
        p_cheaper_than_rule=None,
        confidence=asked["confidence"],
        propensity=1.0,
        level=LEVELS[verdict.level],
        reason=reason,
        options=(_option(verdict, asked=asked, acts=acts),),
        veto_within_s=verdict.veto_within_s if acts else None,
        approvals=approvals_of(verdict, situation.now) if acts else (),
        deferred_until=verdict.deferred_until,
        rules_id=ruleset.id,
        trace=_trace(situation, verdict, asked=asked, acts=acts),
    )


def _option(verdict: Verdict, *, asked: Mapping[str, Any], acts: bool) -> Option:
    return Option(
        action=str(asked["step"]),
        level=LEVELS[verdict.level],
        by=who(verdict),
        permitted=acts,
        target=asked["target"],
        confidence=asked["confidence"],
        why_not="" if acts else main_reason(verdict),
    )


def _trace(situation: Situation, verdict: Verdict, *, asked: Mapping[str, Any], acts: bool) -> dict[str, Any]:
    plain: dict[str, Any] = to_json(
        {
            "schema": 1,
            "step": asked,
            "situation": situation,
            "facts": facts(situation),
            "alarms": alarms(situation),
            "incident": situation.incident,
            "second_pass": {"action": asked["step"], **verdict_json(verdict)},
            "on_silence": on_silence(verdict) if acts else None,
        }
    )
    return plain
