"""What the executor asks of the guards, and what it may be told. Must never hold a rule itself.

The core hands in a `Guards`: it puts the facts together and calls `healerd.decision`. The executor starts nothing
without a ruling that was made inside the transaction that starts it (SAFETY S7).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from healerd.actions import Plan
from healerd.decision.words import Go
from healerd.model import ApprovalNeed, Decision, Intent
from healerd.store import Reader

__all__ = ["Go", "Guards", "Ruling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """One answer of the guards; `decision` holds the reasons, and is to be recorded where the answer is acted on."""

    go: Go
    reason: str = ""
    decision_id: str = ""
    confidence: float | None = None
    severity: int = 0
    veto_within_s: float | None = None
    approvals: tuple[ApprovalNeed, ...] = ()
    default: str = "it does not run"
    until: datetime | None = None
    decision: Decision | None = None


class Guards(Protocol):
    """The rules' word on intents and steps, on the facts of this moment. Both see what the transaction sees."""

    def recheck(self, intent: Intent, reader: Reader, now: datetime) -> Ruling:
        """Say whether an intent may start now; ASK when it has to be announced or approved anew."""
        ...

    def judge_step(self, heal: Intent, plan: Plan, confidence: float | None, reader: Reader, now: datetime) -> Ruling:
        """Say how a step of `heal` (promote, undo, return) may run, given the posterior that it improves matters."""
        ...
