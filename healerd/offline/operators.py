"""Who answers in an offline run: a simulated operator, or a person at the terminal. Must never pass for the other."""

from dataclasses import dataclass
from typing import Protocol

from healerd.daemon.core import Core
from healerd.errors import Conflict
from healerd.model import AnswerKind, Intent, IntentState, Stage, StageChange
from healerd.offline.chronicle import SIMULATED

__all__ = ["ROLES", "Operator", "SimulatedOperator", "answer", "promote_if_earned"]

ROLES = ("viewer", "operator", "approver", "admin", "viewers", "operators", "approvers", "admins")
"""Whoever runs an offline run owns it."""
TRUSTED_AFTER = 2
"""Approved actions that took effect before the simulated operator trusts the pipeline to act alone."""


class Operator(Protocol):
    """Somebody who can be asked."""

    def look(self, core: Core, pipeline: str) -> None:
        """Look at the pipeline, so that silence counts (SAFETY S9)."""
        ...

    def attend(self, core: Core, pipeline: str) -> bool:
        """Answer what waits for consent; tell whether anything was answered or changed."""
        ...


@dataclass(frozen=True, slots=True)
class SimulatedOperator:
    """Approves whatever asks, and promotes the pipeline to live once the first heals went well (SAFETY S19)."""

    def look(self, core: Core, pipeline: str) -> None:
        """Look at the pipeline, so that silence counts (SAFETY S9)."""
        core.channel_opened(SIMULATED)

    def attend(self, core: Core, pipeline: str) -> bool:
        """Approve what waits, then promote the pipeline if it has earned it."""
        waiting = core.store.find(Intent, pipeline=pipeline, state=IntentState.AWAITING_APPROVAL)
        approved = [self.approve(core, intent) for intent in waiting if SIMULATED not in intent.approved_by]
        return any(approved) | promote_if_earned(core, pipeline)

    def approve(self, core: Core, intent: Intent) -> bool:
        """Approve one intent; False when it was decided in the meantime."""
        return answer(core, intent, AnswerKind.APPROVE, author=SIMULATED, reason="approved without looking")


def answer(core: Core, intent: Intent, kind: AnswerKind, *, author: str, reason: str) -> bool:
    """Answer an intent as it was shown; False when it was decided or changed in the meantime."""
    try:
        core.answer(intent.id, kind, author=author, roles=ROLES, reason=reason, revision=intent.revision)
    except Conflict:
        return False
    return True


def promote_if_earned(core: Core, pipeline: str) -> bool:
    """Promote the pipeline to live after the first approved actions that took effect; tell whether it was."""
    if core.store.find(StageChange, pipeline=pipeline, author=SIMULATED):
        return False
    done = [
        intent
        for intent in core.store.find(Intent, pipeline=pipeline)
        if intent.approved_by and intent.effect_at is not None
    ]
    if len(done) < TRUSTED_AFTER:
        return False
    reason = f"{len(done)} approved actions took effect"
    core.set_stage(pipeline, Stage.LIVE, author=SIMULATED, roles=ROLES, reason=reason)
    return True
