"""What bounds a policy's deviations, put together out of the log: ledger, budget, prior check, canary, what is pending.

Must never be carried along by hand: the same deeds give the same account, bit for bit.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

import numpy as np

from healerd.policy.canary import Canary, judge_canary
from healerd.policy.deeds import Deed, sound
from healerd.policy.ledger import Balance, Charge, Ledger, balance, begin_ledger, charged, keep_ledger
from healerd.policy.prior import CostModel
from healerd.policy.prior_check import PriorCheck, check_prior
from healerd.policy.terms import ALPHA, Terms

__all__ = ["BARS", "Account", "Deviation", "bar", "begin_account", "keep_account"]

REFUSED_MAX = 5
"""Refusals that are kept in words; more are counted."""
BARS: Mapping[str, str] = MappingProxyType(
    {
        "gate": "it is not sure enough that its own is cheaper",
        "failures": "its own is more likely to fail than `failure_margin` lets it be",
        "prior check": "the outcomes of the rules' actions refute the configured predictions",
        "irregular log": "the log holds outcomes that cannot be",
        "pending cap": "too many deviations wait for their outcome",
        "ledger": "deviations might cost more beyond the rules than the ledger allows",
        "budget": "the realised excess of deviations has used up the budget",
        "canary": "in canary only a coin between two autonomous actions lets it deviate",
    }
)
"""What can bar a deviation, in the order of the tests, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What stands between the policy and a deviation. `since_at`: since when it may act alone, None while it may not.

    `pending` names the deviations whose outcome is not in. `excess` is what deviations since the activation have cost
    beyond the fixed cost of the rule's action: fixed costs of all, severities of those that failed. `refused` tells
    outcomes that cannot be; while `irregular`, such are recent, and nothing deviates. `unkept` says why it could not be
    put together: what it would have said is unknown, and counts against the policy.
    """

    terms: Terms = field(default_factory=Terms)
    since_at: datetime | None = None
    ledger: Ledger
    check: PriorCheck = field(default_factory=PriorCheck)
    canary: Canary = field(default_factory=Canary)
    pending: tuple[str, ...] = ()
    excess: float = 0.0
    refused: tuple[str, ...] = ()
    refusals: int = 0
    irregular: bool = False
    unkept: str = ""

    @property
    def balance(self) -> Balance:
        """The ledger's sum as it stands, without another decision."""
        return balance(self.ledger)

    @property
    def turned(self) -> str:
        """Say what has turned against the policy, so that it should not act alone; empty when nothing has."""
        if self.unkept:
            return f"the account cannot be put together: {self.unkept}"
        if self.check.tripped and self.terms.check:
            return "the prior check has tripped: " + BARS["prior check"]
        if self.canary.verdict == "worse":
            return f"its choices fail more often than the rules', by {self.canary.low:.0%} at least"
        if self.terms.alpha is not None and self.since_at is not None and self.balance.mean > 0:
            return (
                f"the ledger is overdrawn: deviations more likely than not cost {self.terms.alpha:.0%} beyond the rules"
            )
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """A deviation that is thought of: its key in the log (a hold counts once an incident), and what it would charge."""

    key: str
    charge: Charge


def begin_account(model: CostModel, terms: Terms | None = None) -> Account:
    """Give the account of a pipeline on which nothing has happened."""
    return Account(terms=terms or Terms(), ledger=begin_ledger(model), check=check_prior(model, ()))


def keep_account(
    model: CostModel,
    deeds: Iterable[Deed],
    *,
    terms: Terms,
    since_at: datetime | None,
    refused: Iterable[str] = (),
    irregular: bool = False,
) -> Account:
    """Put the account together out of all deeds, oldest first. `refused`: what the log had to leave out, and why."""
    listed, twice = sound(deeds)
    told = (*refused, *twice)
    active = [deed for deed in listed if deed.active]
    deviations = [deed for deed in active if deed.deviates]
    alpha = ALPHA if terms.alpha is None else terms.alpha
    return Account(
        terms=terms,
        since_at=since_at,
        ledger=keep_ledger(model, listed, alpha=alpha),
        check=check_prior(model, listed),
        canary=judge_canary(listed),
        pending=tuple(deed.key for deed in deviations if deed.counted is None),
        excess=_excess(model, deviations),
        refused=told[-REFUSED_MAX:],
        refusals=len(told),
        irregular=irregular or bool(twice),
    )


def bar(account: Account, model: CostModel, deviation: Deviation) -> tuple[str, Balance | None]:
    """Name what bars a deviation, empty when nothing does; with the ledger's sum as it would be after it.

    While a person decides everything the ledger and the budget are told and bar nothing: their slack starts with the
    activation, and what a person lets run is their own choice.
    """
    after = _after(account, model, deviation)
    if account.terms.check and account.check.tripped:
        return "prior check", after
    if account.irregular:
        return "irregular log", after
    known = deviation.key in account.pending
    if not known and len(account.pending) >= account.terms.pending_max:
        return "pending cap", after
    if account.since_at is None or known:
        return "", after
    if account.terms.alpha is not None and not (after is not None and after.upper <= 0):
        return "ledger", after
    if account.terms.budget is not None and account.excess + _extra(model, deviation) > account.terms.budget:
        return "budget", after
    return "", after


def _after(account: Account, model: CostModel, deviation: Deviation) -> Balance | None:
    alpha = ALPHA if account.terms.alpha is None else account.terms.alpha
    known = deviation.key in account.pending
    ledger = account.ledger if known else charged(model, account.ledger, deviation.charge, alpha=alpha)
    try:
        return balance(ledger)
    except np.linalg.LinAlgError:
        return None


def _extra(model: CostModel, deviation: Deviation) -> float:
    return _cost(model, deviation.charge.action) - _cost(model, deviation.charge.rule_action)


def _excess(model: CostModel, deviations: Iterable[Deed]) -> float:
    """Realised cost of the deviations minus the fixed cost of what the rules proposed; what is pending is open."""
    return math.fsum(
        _cost(model, deed.action) - _cost(model, deed.rule_action) + (deed.severity if deed.counted else 0.0)
        for deed in deviations
    )


def _cost(model: CostModel, action: str) -> float:
    prior = model.prior(action)
    return 0.0 if prior is None else prior.cost
