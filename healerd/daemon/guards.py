"""The guards as the executor asks them: the situation of this moment, handed to `healerd.decision`.

Must never remember an answer: both questions are asked inside the transaction that acts on them (SAFETY S7).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from healerd.actions import Plan
from healerd.daemon.pipeline import Pipeline
from healerd.daemon.rulebook import Rulebook
from healerd.daemon.rulings import Go, Ruling
from healerd.daemon.situations import Moment, newest_decision, now_in, situation_of, target_of
from healerd.decision import Situation, Wish, cost_model, judge_step, recheck
from healerd.decision.situation import wish_of
from healerd.model import Decision, Intent
from healerd.store import Reader

__all__ = ["RuleGuards"]

LEVELS = {"allowed": Go.RUN, "announced": Go.ASK, "approval needed": Go.ASK, "deferred": Go.WAIT}
UNSEEN = Ruling(go=Go.WAIT, reason="no window has been judged yet")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleGuards:
    """Implements `rulings.Guards` on the rule sets in force."""

    pipelines: Mapping[str, Pipeline]
    rules: Rulebook
    moment: Callable[[str], Moment]

    def recheck(self, intent: Intent, reader: Reader, now: datetime) -> Ruling:
        """Say whether an intent may start now; ASK when it has to be announced or approved anew.

        What is asked anew stands on the newest decision from then on: the next recheck compares with that.
        """
        situation = self._now(intent.pipeline, reader, now)
        decided = reader.get(Decision, intent.asked_on_id or intent.decision_id)
        if situation is None or decided is None:
            return UNSEEN
        if (wish := wish_of(intent)) is not None:
            situation = self._with_their_target(situation, wish)
        heal = reader.get(Intent, intent.parent_id) if intent.parent_id else None
        ruleset = self.rules.of(intent.pipeline)
        found = recheck(situation, intent, ruleset, decided=decided, heal=heal)
        return Ruling(
            go=found.answer,
            reason=found.why,
            decision_id=situation.id,
            confidence=found.confidence,
            severity=found.severity,
            veto_within_s=found.verdict.veto_within_s,
            approvals=found.approvals,
            default=found.default,
            until=found.verdict.deferred_until,
        )

    def judge_step(self, heal: Intent, plan: Plan, confidence: float | None, reader: Reader, now: datetime) -> Ruling:
        """Say how a step of `heal` may run, given the posterior that it improves matters."""
        situation = self._now(heal.pipeline, reader, now)
        if situation is None:
            return UNSEEN
        name = sha256(f"{heal.id}\n{plan.action}\n{now.isoformat()}".encode()).hexdigest()[:12]
        decision = judge_step(
            replace(situation, id=name, window=None),
            self.rules.of(heal.pipeline),
            step=plan.action,
            heal=heal,
            target=plan.target,
            confidence=confidence,
        )
        return Ruling(
            go=LEVELS.get(decision.level, Go.REFUSE),
            reason=decision.reason,
            decision_id=decision.id,
            severity=decision.severity,
            veto_within_s=decision.veto_within_s,
            approvals=decision.approvals,
            default=decision.trace["on_silence"] or "it does not run",
            until=decision.deferred_until,
            decision=decision,
        )

    def _with_their_target(self, situation: Situation, wish: Wish) -> Situation:
        """Aim anew at what a person asked for: windows are judged without their wish."""
        theirs = target_of(self.pipelines[situation.pipeline].world(situation.now), wish)
        others = (target for target in situation.targets if target.action != wish.action)
        return replace(situation, targets=(theirs, *others))

    def _now(self, pipeline: str, reader: Reader, now: datetime) -> Situation | None:
        decision = newest_decision(reader, pipeline)
        seen = situation_of(decision) if decision is not None else None
        if seen is None:
            return None
        found = self.pipelines[pipeline]
        moment = replace(self.moment(pipeline), now=now)
        return now_in(seen, found, reader, moment, cost_model(found.settings), ruleset=self.rules.of(pipeline))
