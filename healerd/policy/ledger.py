"""The conservative ledger: what deviations may have cost beyond the rules, under a sceptical belief, in closed form.

Must never count time in which a person decided as slack, nor a promise that holds at all times at once: each bound is
the model's own, for one moment.

Over the decisions since the activation: sum of (cost of the chosen action - cost of the rule's) over the deviations,
minus alpha x the sum of the rule's costs (conservative bandits: Kazerouni et al., 2017). Costs are lines in the
coefficients of P(failure), so the whole sum is a constant and one vector an action; its mean and variance follow from
the posterior of each action.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from healerd.policy.belief import DISCREPANCY_SD, along
from healerd.policy.deeds import Deed
from healerd.policy.learning import Event, PolicyState, begin, learn_all
from healerd.policy.prior import CostModel

__all__ = [
    "SCEPTICAL_INCIDENTS",
    "Balance",
    "Charge",
    "Ledger",
    "Z",
    "balance",
    "begin_ledger",
    "charged",
    "keep_ledger",
]

SCEPTICAL_INCIDENTS = 2.0
"""Weight of the configured belief in the ledger: what the owner believes counts a fifth of what it counts elsewhere."""
Z = 1.645
"""Standard deviations above the mean that must fit: one-sided 95%."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What one decision adds to the ledger. `earns`: its rule's cost gives slack."""

    action: str
    rule_action: str
    context: tuple[float, ...]
    severity: float
    earns: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The sums of one action: its vector, in money, and the sum of its squared weights."""

    action: str
    vector: tuple[float, ...]
    squared: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The sums since the activation, and the sceptical belief that weighs them; `decisions` counts what they hold."""

    belief: PolicyState
    decisions: int = 0
    deviations: int = 0
    fixed: float = 0.0
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """The ledger's sum: its posterior mean, its standard deviation, and the upper end that must not exceed 0."""

    mean: float
    sd: float

    @property
    def upper(self) -> float:
        """Mean + 1.645 sd."""
        return self.mean + Z * self.sd


def begin_ledger(model: CostModel) -> Ledger:
    """Give the ledger before anything has happened."""
    return Ledger(belief=begin(model, incidents=SCEPTICAL_INCIDENTS))


def keep_ledger(model: CostModel, deeds: Iterable[Deed], *, alpha: float) -> Ledger:
    """Add up all deeds: each that is over teaches the sceptic, each since the activation is charged."""
    listed = [deed for deed in deeds if not deed.wished and model.prior(deed.rule_action) is not None]
    events = [_event(number, deed, model) for number, deed in enumerate(_lessons(listed, model), 1)]
    ledger = Ledger(belief=learn_all(model, events, incidents=SCEPTICAL_INCIDENTS))
    for deed in listed:
        # What a person let run earns nothing, as shadow time does not; that it deviated is charged all the same.
        if deed.active and (deed.earns or deed.deviates) and model.prior(deed.action) is not None:
            ledger = charged(model, ledger, _charge(deed), alpha=alpha)
    return ledger


def charged(model: CostModel, ledger: Ledger, charge: Charge, *, alpha: float) -> Ledger:
    """Add one decision to the sums."""
    chosen, rule = model.prior(charge.action), model.prior(charge.rule_action)
    assert chosen is not None and rule is not None, "the ledger knows the actions of its cost model"  # noqa: PT018
    weights = dict.fromkeys((charge.action, charge.rule_action), 0.0)
    fixed = 0.0
    if charge.action != charge.rule_action:
        weights[charge.action] += 1.0
        weights[charge.rule_action] -= 1.0
        fixed += chosen.cost - rule.cost
    if charge.earns:
        weights[charge.rule_action] -= alpha
        fixed -= alpha * rule.cost
    held = {each.action: each for each in ledger.columns}
    for action, weight in weights.items():
        held[action] = _added(held.get(action), action, charge, weight)
    return Ledger(
        belief=ledger.belief,
        decisions=ledger.decisions + 1,
        deviations=ledger.deviations + (charge.action != charge.rule_action),
        fixed=ledger.fixed + fixed,
        columns=tuple(held[prior.action] for prior in model.actions if prior.action in held),
    )


def balance(ledger: Ledger) -> Balance:
    """Weigh the sums. Raises LinAlgError where a belief cannot be solved."""
    mean, variance = ledger.fixed, 0.0
    for column in ledger.columns:
        belief = ledger.belief.belief(column.action)
        assert belief is not None, "each column's action has a belief"
        one, spread = along(belief, column.vector)
        mean += one
        variance += spread + DISCREPANCY_SD**2 * column.squared
    return Balance(mean=mean, sd=math.sqrt(max(0.0, variance)))


def _charge(deed: Deed) -> Charge:
    return Charge(
        action=deed.action,
        rule_action=deed.rule_action,
        context=deed.context,
        severity=deed.severity,
        earns=deed.earns,
    )


def _added(held: Column | None, action: str, charge: Charge, weight: float) -> Column:
    vector = np.array(charge.context) * (charge.severity * weight)
    squared = (charge.severity * weight) ** 2
    if held is not None:
        vector, squared = vector + np.array(held.vector), squared + held.squared
    return Column(action=action, vector=tuple(vector.tolist()), squared=squared)


def _lessons(deeds: Iterable[Deed], model: CostModel) -> Iterable[Deed]:
    return (deed for deed in deeds if deed.counted is not None and model.prior(deed.action) is not None)


def _event(number: int, deed: Deed, model: CostModel) -> Event:
    priors: Mapping[str, float] = {prior.action: prior.cost for prior in model.actions}
    return Event(
        number=number,
        at=deed.at,
        action=deed.action,
        context=deed.context,
        failed=deed.counted,
        cost=priors[deed.action],
    )
