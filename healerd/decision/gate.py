"""The tests between the policy's candidate and a deviation, and the coin of the canary.

Must never let the candidate take the place of the rule's action unless every test lets it, and never toss a coin where
one of its sides would need a person.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from healerd.decision.situation import Situation
from healerd.decision.view import View, second_pass
from healerd.model import ACTIONS_THAT_HEAL, ACTS_ALONE, HOLD, Stage
from healerd.policy import POLICIES, Account, Balance, Charge, CostModel, Deviation, Terms, bar, coin

__all__ = ["SURE_ENOUGH", "Coin", "Sides", "Tried", "costs_of", "hold_key", "try_deviation"]


SURE_ENOUGH = Terms().gate
"""The deviation gate: below it the rule's action stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coin:
    """A coin that was tossed: the key of its stream, what lay on its sides, and which came up."""

    key: str
    policy: str
    rule: str
    up: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of the tests: the chosen action, and `barred_by`, the test that kept the rule's action in its place.

    `balance` is the ledger's sum as it would be with the deviation, at its least favourable reading of the context.
    """

    chosen: str
    barred_by: str = ""
    sure_enough: float = SURE_ENOUGH
    balance: Balance | None = None
    coin: Coin | None = None
    propensity: float = 1.0

    def note(self) -> dict[str, Any]:
        """Give the tests for the trace."""
        ledger = self.balance
        told = {"mean": ledger.mean, "sd": ledger.sd, "upper": ledger.upper} if ledger is not None else None
        return {"barred_by": self.barred_by, "ledger": told, "coin": self.coin}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The two actions between which is chosen, and how sure each is to be cheaper than holding."""

    candidate: str
    rule_action: str
    p: float | None
    confidence: float | None
    rule_confidence: float | None
    risk: float = 0.0
    propensity: float = 1.0


def costs_of(situation: Situation) -> CostModel:
    """Give the cost model of the open incident, by its severity."""
    incident = situation.open_incident
    return situation.costs if incident is None else situation.costs.at(incident.severity)


def hold_key(incident_id: str) -> str:
    """Name a hold in the place of what the rules propose: it counts once an incident, however often it is decided."""
    return f"hold {incident_id}"


def try_deviation(
    view: View, sides: Sides, contexts: Sequence[tuple[float, ...]], *, gate: float | None = None
) -> Tried:
    """Put a candidate through the tests, the cheapest first. Where nothing is asked, nothing is tried.

    `gate` takes the place of the gate in force, for a backtest.
    """
    situation = view.situation
    if POLICIES[situation.policy].experimental and situation.wish is None:
        return Tried(chosen=sides.candidate, propensity=sides.propensity)
    rule = Tried(chosen=sides.rule_action)
    # What an owner has named is never replaced: nobody can compare what it does with a heal.
    if situation.wish is not None or sides.rule_action not in ACTIONS_THAT_HEAL or sides.rule_action == sides.candidate:
        return rule
    account = situation.account
    if gate is None:
        gate = SURE_ENOUGH if account is None else account.terms.gate
    if sides.p is None or sides.p < gate:
        return Tried(chosen=sides.rule_action, barred_by="gate", sure_enough=gate)
    if account is None:
        return Tried(chosen=sides.candidate, sure_enough=gate)
    if sides.risk > account.terms.failure_margin:
        return Tried(chosen=sides.rule_action, barred_by="failures", sure_enough=gate)
    barred_by, balance = _bar(account, situation, sides, contexts)
    if barred_by:
        return Tried(chosen=sides.rule_action, barred_by=barred_by, sure_enough=gate, balance=balance)
    if situation.stage is not Stage.CANARY:
        return Tried(chosen=sides.candidate, sure_enough=gate, balance=balance)
    if not _both_autonomous(view, sides):
        return Tried(chosen=sides.rule_action, barred_by="canary", sure_enough=gate, balance=balance)
    up = sides.candidate if coin(situation.id) else sides.rule_action
    tossed = Coin(key=situation.id, policy=sides.candidate, rule=sides.rule_action, up=up)
    return Tried(chosen=up, sure_enough=gate, balance=balance, coin=tossed, propensity=0.5)


def _bar(
    account: Account, situation: Situation, sides: Sides, contexts: Sequence[tuple[float, ...]]
) -> tuple[str, Balance | None]:
    """Ask the account for each reading of what is unknown; the least favourable one counts."""
    model, incident = costs_of(situation), situation.open_incident
    assert incident is not None, "without an incident nothing deviates"
    key = hold_key(incident.id) if sides.candidate == HOLD else situation.id
    said = [
        bar(
            account,
            model,
            Deviation(
                key=key,
                charge=Charge(
                    action=sides.candidate,
                    rule_action=sides.rule_action,
                    context=context,
                    severity=model.severity,
                    earns=situation.stage in ACTS_ALONE,
                ),
            ),
        )
        for context in contexts
    ]
    return max(said, key=lambda one: (bool(one[0]), one[1].upper if one[1] is not None else float("inf")))


def _both_autonomous(view: View, sides: Sides) -> bool:
    """Tell whether both actions would run without a person's word. Holding is no side: its fruit is never compared."""
    both = ((sides.candidate, sides.confidence), (sides.rule_action, sides.rule_confidence))
    return HOLD not in (sides.candidate, sides.rule_action) and all(
        second_pass(view, action, confidence).autonomous for action, confidence in both
    )
