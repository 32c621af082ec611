"""Which approvals a question still lacks, when silence decides about it, and what. Pure.

Must never name a veto window's end while an approval is missing: silence never passes an approval (SAFETY S3).
"""

from collections.abc import Collection
from datetime import datetime

from healerd.model import Answer, AnswerKind, ApprovalNeed, Intent, IntentState

__all__ = ["giver", "is_agreed", "missing", "on_silence", "silence_at"]

AGREED = "it runs, for everybody who was asked has said yes"


def giver(need: ApprovalNeed, intent: Intent, answers: Collection[Answer]) -> str | None:
    """Name who gave an approval; it counts for the revision it was given to, by someone who held the role."""
    given = (
        answer.author
        for answer in answers
        if answer.kind is AnswerKind.APPROVE and answer.revision == intent.revision and need.role in answer.roles
    )
    return next(given, None)


def missing(intent: Intent, answers: Collection[Answer]) -> tuple[ApprovalNeed, ...]:
    """List the approvals that nobody has given yet."""
    return tuple(need for need in intent.approvals if giver(need, intent, answers) is None)


def is_agreed(intent: Intent, answers: Collection[Answer]) -> bool:
    """Tell whether all that were asked have approved, and only a veto window is still open."""
    waits = intent.state is IntentState.AWAITING_APPROVAL
    return waits and bool(intent.approvals) and not missing(intent, answers)


def on_silence(intent: Intent, answers: Collection[Answer]) -> str:
    """Say what silence does from now on: once all have approved it no longer keeps the intent from running."""
    return AGREED if is_agreed(intent, answers) else intent.default


def silence_at(intent: Intent, answers: Collection[Answer]) -> datetime | None:
    """Give the moment at which silence decides about an intent that waits; None where none is known.

    While approvals are missing it is the first of their deadlines, and after that the end of the veto window: what was
    approved late may still be vetoed, and the end of a veto window decides nothing that still waits for consent.
    """
    lacking = missing(intent, answers)
    dated = [need.deadline_at for need in lacking] if lacking else [intent.deadline_at]
    return min((at for at in dated if at is not None), default=None)
