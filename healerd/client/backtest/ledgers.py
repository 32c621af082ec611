"""The ledger of a trial beside that of the record: what deviations may cost beyond the rules, by the policy's own sums.

Must never define a ledger: `healerd.policy.ledger` does, under the sceptical belief of each pipeline's account.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from healerd.decision import Situation
from healerd.decision.gate import hold_key
from healerd.model import ACTS_ALONE, HOLD
from healerd.policy import Account, CostModel
from healerd.policy.ledger import Charge, Ledger, Z, balance, begin_ledger, charged
from healerd.policy.terms import ALPHA

__all__ = ["Books", "charge_of", "ledgers_told"]


@dataclass(slots=True, eq=False)
class Books:
    """What one pipeline's decisions charge, each key once; `account` and `model` are those of its newest decision."""

    account: Account | None = None
    model: CostModel | None = None
    recorded: dict[str, Charge] = field(default_factory=dict)
    tried: dict[str, Charge] = field(default_factory=dict)

    def add(
        self,
        account: Account | None,
        model: CostModel,
        *,
        recorded: tuple[str, Charge] | None,
        tried: tuple[str, Charge] | None,
    ) -> None:
        """Take up one decision, as it was and as it would have been."""
        self.account, self.model = account, model
        for held, one in ((self.recorded, recorded), (self.tried, tried)):
            if one is not None:
                held.setdefault(*one)


def charge_of(
    situation: Situation, *, acts: bool, chosen: str, rule_action: str, context: tuple[float, ...], severity: float
) -> tuple[str, Charge] | None:
    """Make the charge of a decision, with its key; None where nothing is charged."""
    incident, model = situation.open_incident, situation.costs
    if not acts or incident is None or model.prior(chosen) is None or model.prior(rule_action) is None:
        return None
    charge = Charge(
        action=chosen,
        rule_action=rule_action,
        context=context,
        severity=severity,
        earns=situation.stage in ACTS_ALONE,
    )
    return (hold_key(incident.id) if chosen == HOLD else situation.id), charge


def ledgers_told(books: Iterable[Books]) -> Mapping[str, Any]:
    """Say where the ledgers of all pipelines stand together: their sums are independent."""
    listed = list(books)
    return {
        "recorded": _told([(one, one.recorded) for one in listed]),
        "tried": _told([(one, one.tried) for one in listed]),
    }


def _told(sides: Iterable[tuple[Books, Mapping[str, Charge]]]) -> Mapping[str, Any]:
    mean = variance = 0.0
    decisions = deviations = 0
    for book, charges in sides:
        if book.model is None:
            continue
        ledger = _ledger(book.model, book.account, charges.values())
        stands = balance(ledger)
        mean, variance = mean + stands.mean, variance + stands.sd**2
        decisions, deviations = decisions + ledger.decisions, deviations + ledger.deviations
    upper = mean + Z * math.sqrt(variance)
    return {
        "decisions": decisions,
        "deviations": deviations,
        "mean": mean,
        "sd": math.sqrt(variance),
        "upper": upper,
        "kept": upper <= 0 or not deviations,
    }


def _ledger(model: CostModel, account: Account | None, charges: Iterable[Charge]) -> Ledger:
    begun = begin_ledger(model)
    ledger = begun if account is None else Ledger(belief=account.ledger.belief)
    alpha = ALPHA if account is None or account.terms.alpha is None else account.terms.alpha
    for charge in charges:
        ledger = charged(model, ledger, charge, alpha=alpha)
    return ledger
