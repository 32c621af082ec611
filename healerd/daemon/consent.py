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
"""A question that nobody could have answered for this long expires; a pause or a restart begins the time anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What lies between two readings of the clock. `broken` says why people may not have had all of it."""

    jump_s: float = 0.0
    broken: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """One unbroken count, as this process has seen it: since when, by the boot clock, people can answer, or cannot."""

    since_boot_s: float
    open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What came of a review: the intent as it should stand, and the count to go on with; None: it waits no more."""

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
    if count is None or passage.broken or count.open != channel_open:
        count = Count(since_boot_s=now.boot_s, open=channel_open)
        intent = _counted_anew(intent, now, passage, channel_open=channel_open)
    lacking = missing(intent, answers)
    expiry = _expiry(intent, lacking, count, now)
    if expiry:
        return Waiting(intent=_ended(intent, IntentState.EXPIRED, now.at, expiry), count=None)
    if lacking or not _silent_long_enough(intent, count, now):
        return Waiting(intent=intent, count=count)
    counted_s = now.boot_s - count.since_boot_s if count.open else 0.0
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


def _counted_anew(intent: Intent, now: Instant, passage: Passage, *, channel_open: bool) -> Intent:
    """Begin the veto window at zero if people can answer; otherwise none runs."""
    # Of what was asked anew, the reason stays said.
    broke = intent.deadline_at is not None and passage.broken != "" and not intent.revision
    note = f"veto window begins anew: {passage.broken}" if broke else intent.reason
    if not channel_open:
        return replace(intent, counted_at=None, deadline_at=None, countdown_s=0.0, reason=note)
    deadline = now.at + timedelta(seconds=intent.veto_within_s) if intent.veto_within_s is not None else None
    return replace(intent, counted_at=now.at, deadline_at=deadline, countdown_s=0.0, reason=note)


def _silent_long_enough(intent: Intent, count: Count, now: Instant) -> bool:
    """A veto window is over when both clocks say so."""
    if intent.veto_within_s is None:
        return True
    if not count.open or intent.deadline_at is None:
        return False
    return now.boot_s - count.since_boot_s >= intent.veto_within_s and now.at >= intent.deadline_at


def _expiry(intent: Intent, lacking: Collection[ApprovalNeed], count: Count, now: Instant) -> str:
    """Say why an intent has run out of time; empty while it has not."""
    late = [need for need in lacking if need.deadline_at is not None and now.at >= need.deadline_at]
    if late:
        need = min(late, key=lambda each: (each.deadline_at or now.at, each.role))
        return f"no approval from `{need.role}` in time; {need.otherwise}"
    if not count.open and now.boot_s - count.since_boot_s >= UNREACHED_S:
        return "no channel reached a person for 24 h"
    return ""


def _ended(intent: Intent, state: IntentState, at: datetime, reason: str) -> Intent:
    return replace(intent, state=state, ended_at=at, reason=reason)
