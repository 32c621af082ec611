"""Whether an intent has been silent long enough, has every approval, or has run out of time. Pure: clock readings in.

Must never turn a restart, a closed channel or a jump of the clock into consent: whatever breaks the count of a veto
window starts it anew (SAFETY S9, S16).
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from healerd.clock import Instant
from healerd.model import Answer, ApprovalNeed, Intent, IntentState
from healerd.silence import missing

__all__ = ["Count", "Passage", "Waiting", "passage_between", "review", "shifted"]

JUMP_S = 2.0
"""Wall and boot clock may part by this much between two steps before the wall clock counts as set."""
UNREACHED_S = 86400.0
"""An intent that nobody could ever have answered expires after this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What lies between two readings of the clock. `broken` says why people may not have had all of it."""

    jump_s: float = 0.0
    broken: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """One unbroken count of a veto window, as this process has seen it: the boot clock when it began."""

    since_boot_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What came of a review: the intent as it should stand now, and the count to go on with (None: none runs)."""

    intent: Intent
    count: Count | None


def passage_between(before: Instant | None, now: Instant, *, gap_max_s: float) -> Passage:
    """Compare two readings of the clock. A gap in which the daemon hung counts as downtime."""
    if before is None:
        return Passage(broken="the daemon started")
    if before.boot_id != now.boot_id:
        return Passage(broken="the machine was restarted")
    passed_s = now.boot_s - before.boot_s
    jump_s = (now.at - before.at).total_seconds() - passed_s
    if abs(jump_s) > JUMP_S:
        return Passage(jump_s=jump_s, broken=f"the clock was set by {jump_s:+.0f} s")
    if passed_s > gap_max_s:
        return Passage(broken=f"the daemon did not run for {passed_s:.0f} s")
    return Passage()


def review(
    intent: Intent,
    *,
    answers: Collection[Answer],
    count: Count | None,
    now: Instant,
    passage: Passage,
    channel_open: bool,
) -> Waiting:
    """Review an intent that waits for people. Gives it back unchanged while there is nothing to write down."""
    intent = shifted(intent, passage.jump_s)
    counting = count is not None and not passage.broken and channel_open
    if not counting:
        intent, count = _counted_anew(intent, now, passage, channel_open=channel_open)
    lacking = missing(intent, answers)
    expiry = _expiry(intent, lacking, now.at)
    if expiry:
        return Waiting(intent=_ended(intent, IntentState.EXPIRED, now.at, expiry), count=None)
    if lacking or not _silent_long_enough(intent, count, now):
        return Waiting(intent=intent, count=count)
    counted_s = now.boot_s - count.since_boot_s if count else 0.0
    return Waiting(intent=replace(intent, state=IntentState.READY, countdown_s=counted_s), count=None)


def shifted(intent: Intent, jump_s: float) -> Intent:
    """Move the deadlines of approvals along with a wall clock that was set forwards, so that none comes early."""
    if jump_s <= JUMP_S or not any(need.deadline_at for need in intent.approvals):
        return intent
    by = timedelta(seconds=jump_s)
    later = tuple(
        replace(need, deadline_at=need.deadline_at + by) if need.deadline_at else need for need in intent.approvals
    )
    return replace(intent, approvals=later)


def _counted_anew(intent: Intent, now: Instant, passage: Passage, *, channel_open: bool) -> tuple[Intent, Count | None]:
    """Begin the count at zero if people can answer; otherwise no count runs."""
    if not channel_open:
        closed = intent.counted_at is None
        return (intent if closed else replace(intent, counted_at=None, deadline_at=None, countdown_s=0.0)), None
    deadline = now.at + timedelta(seconds=intent.veto_within_s) if intent.veto_within_s is not None else None
    told = intent.counted_at and passage.broken and not intent.revision  # why it is asked anew stays said
    note = f"veto window begun anew: {passage.broken}" if told else intent.reason
    begun = replace(intent, counted_at=now.at, deadline_at=deadline, countdown_s=0.0, reason=note)
    return begun, Count(since_boot_s=now.boot_s)


def _silent_long_enough(intent: Intent, count: Count | None, now: Instant) -> bool:
    """A veto window is over when both clocks say so."""
    if intent.veto_within_s is None:
        return True
    if count is None or intent.deadline_at is None:
        return False
    return now.boot_s - count.since_boot_s >= intent.veto_within_s and now.at >= intent.deadline_at


def _expiry(intent: Intent, lacking: Collection[ApprovalNeed], now: datetime) -> str:
    """Say why an intent has run out of time; empty while it has not."""
    late = [need for need in lacking if need.deadline_at is not None and now >= need.deadline_at]
    if late:
        need = min(late, key=lambda each: (each.deadline_at or now, each.role))
        return f"no approval from `{need.role}` in time; {need.otherwise}"
    unreached = (now - intent.created_at).total_seconds() >= UNREACHED_S
    if intent.counted_at is None and unreached:
        return "no channel reached a person for 24 h"
    return ""


def _ended(intent: Intent, state: IntentState, at: datetime, reason: str) -> Intent:
    return replace(intent, state=state, ended_at=at, reason=reason)
