"""How far a pipeline is trusted: only people promote, past `suggest` at first; demotion may be automatic (SAFETY S5).

Must never raise a stage by itself.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from healerd.decision.situation import Situation
from healerd.model import ACTS_ALONE, DAEMON, Stage, StageChange
from healerd.policy import BARS, Account

__all__ = ["LADDER", "MAY_PROMOTE", "breaker", "demote", "demoted", "promote_stage", "withdraw_trust"]

LADDER = tuple(Stage)
"""From the least to the most trusted. In canary a coin decides where the policy and the rules disagree."""
MAY_PROMOTE = "admin"
"""The role that it takes to let a pipeline do more by itself."""
UNDOS_MAX, UNDOS_WITHIN = 2, timedelta(hours=24)


def promote_stage(
    pipeline: str,
    *,
    now: Stage,
    to: Stage,
    author: str,
    roles: Collection[str],
    reason: str,
    at: datetime,
    account: Account | None = None,
) -> StageChange | str:
    """Trust a pipeline with more; gives the change, or why not. `account` is the evidence that may speak against it."""
    if author == DAEMON:
        return "only people promote"
    if MAY_PROMOTE not in roles:
        return f"`{author}` may not promote: it takes the role {MAY_PROMOTE}"
    if LADDER.index(to) <= LADDER.index(now):
        return f"`{to}` is not above `{now}`"
    if now is Stage.OBSERVE and to is not Stage.SUGGEST:
        return f"from `{now}` the next stage is `{Stage.SUGGEST}`: people see what it suggests before it acts"
    if not reason.strip():
        return "a promotion needs a reason"
    if account is not None and to in ACTS_ALONE and (against := _against(account, to)):
        return against
    return StageChange(pipeline=pipeline, stage=to, at=at, author=author, reason=reason)


def _against(account: Account, to: Stage) -> str:
    """Say what evidence forbids to let a pipeline act alone; that none is there forbids nothing, and is told."""
    if account.unkept:
        return account.turned
    if account.check.tripped:
        return f"{BARS['prior check']}; correct `failure` of its actions, by what `healerd policy status` shows"
    canary = account.canary
    if to is Stage.LIVE and canary.verdict == "worse":
        counts = (
            f"{canary.policy_failures}/{canary.policy_outcomes} against {canary.rule_failures}/{canary.rule_outcomes}"
        )
        return (
            f"in canary its choices failed more often than the rules' ({counts}); change its costs, then canary again"
        )
    return ""


def demote(pipeline: str, *, now: Stage, to: Stage, author: str, reason: str, at: datetime) -> StageChange | str:
    """Trust a pipeline with less; anybody may, the daemon included. Gives the change, or why not."""
    if LADDER.index(to) >= LADDER.index(now):
        return f"`{to}` is not below `{now}`"
    return StageChange(pipeline=pipeline, stage=to, at=at, author=author, reason=reason)


def withdraw_trust(situation: Situation) -> StageChange | None:
    """Take a pipeline's autonomy away once its account has turned against the policy; people decide from then on."""
    account = situation.account
    if situation.stage not in ACTS_ALONE or account is None or not (reason := account.turned):
        return None
    return StageChange(pipeline=situation.pipeline, stage=Stage.SUGGEST, at=situation.now, author=DAEMON, reason=reason)


def demoted(situation: Situation, change: StageChange | None) -> Situation:
    """Give the situation after a demotion: whatever its account says, a person decides."""
    if change is None or situation.account is None:
        return situation
    return replace(situation, stage=change.stage, account=replace(situation.account, since_at=None))


def breaker(pipeline: str, undone: Collection[datetime], *, now: Stage, at: datetime) -> StageChange | None:
    """Take a pipeline's autonomy away once two of its heals were undone within 24 h; `undone` says when each was."""
    recent = [each for each in undone if each > at - UNDOS_WITHIN]
    if len(recent) < UNDOS_MAX or now is Stage.OBSERVE:
        return None
    reason = f"{len(recent)} heals undone within 24 h: somebody should look"
    return StageChange(pipeline=pipeline, stage=Stage.OBSERVE, at=at, author=DAEMON, reason=reason)
