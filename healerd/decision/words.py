"""Verdicts and answers in words and as JSON. Must never say more than the verdict holds."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from healerd.decision.situation import to_json
from healerd.model import ApprovalNeed
from healerd_rules import Acting, Level, Verdict
from healerd_rules.explanation import LEVELS, verdict_to_json

__all__ = [
    "LEVELS",
    "Go",
    "answer_of",
    "approvals_of",
    "because_of",
    "main_reason",
    "not_in_rules",
    "number",
    "on_silence",
    "verdict_json",
    "when",
    "who",
]


class Go(StrEnum):
    """What the guards say: run now, ask (a veto window or approvals), wait and come again, or not at all."""

    RUN = "run"
    ASK = "ask"
    WAIT = "wait"
    REFUSE = "refuse"


KINDS: Mapping[Level, tuple[str, ...]] = {
    Level.ALLOWED: (),
    Level.ANNOUNCED: ("require",),
    Level.APPROVAL_NEEDED: ("require", "cooldown", "limit", "forbid"),
    Level.DEFERRED: ("cooldown", "limit"),
    Level.FORBIDDEN: ("forbid",),
}
"""Which kinds of rules can bring a verdict to a level."""


def answer_of(level: Level) -> Go:
    """Say what follows from a level."""
    match level:
        case Level.ALLOWED:
            return Go.RUN
        case Level.ANNOUNCED | Level.APPROVAL_NEEDED:
            return Go.ASK
        case Level.DEFERRED:
            return Go.WAIT
        case Level.FORBIDDEN:
            return Go.REFUSE


def who(verdict: Verdict) -> tuple[str, ...]:
    """Name the rules that act; advice does not."""
    return tuple(dict.fromkeys(acting.rule for acting in verdict.acting if acting.enforcement != "advisory"))


def main_reason(verdict: Verdict) -> str:
    """Say which rules brought a verdict to its level, and why; empty when nothing acts."""
    kinds = KINDS[verdict.level]
    said = [_say(acting) for acting in verdict.acting if acting.enforcement != "advisory" and acting.kind in kinds]
    return "; ".join(dict.fromkeys(said))


def approvals_of(verdict: Verdict, now: datetime) -> tuple[ApprovalNeed, ...]:
    """Turn the approvals into what the intent carries: with the moment at which each runs out."""
    return tuple(
        ApprovalNeed(
            role=approval.role,
            deadline_at=None if approval.within_s is None else now + timedelta(seconds=approval.within_s),
            otherwise=approval.otherwise,
            rule=approval.rule,
        )
        for approval in verdict.approvals
    )


def on_silence(verdict: Verdict) -> str:
    """Say what happens when nobody answers."""
    if not verdict.approvals:
        return "it runs"
    return "it does not run" if verdict.otherwise == "deny" else "it does not run, and may be asked again after 6 h"


def because_of(one: Mapping[str, Any]) -> str:
    """Give the reason that a recorded rule states, after a colon; empty when it states none."""
    return f": {one['because']}" if one.get("because") else ""


def not_in_rules(action: str) -> str:
    """Say that the rules do not declare an action, and what to do about it."""
    return f"the rules know no action `{action}`; write `action {action}` into a rule file, and permit it"


def number(value: Any) -> str:
    """Write a value, a measured one to four figures; unknown where there is none."""
    if value is None:
        return "unknown"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def when(at: datetime) -> str:
    """Write a time to the minute, in UTC."""
    return f"{at:%Y-%m-%d %H:%M}"


def verdict_json(verdict: Verdict) -> Any:
    """Write a verdict with its leaves as plain JSON values."""
    return to_json(verdict_to_json(verdict))


def _say(acting: Acting) -> str:
    return f"{acting.because} ({acting.rule})" if acting.because else f"rule {acting.rule}"
