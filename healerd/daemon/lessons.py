"""What the policy has learned on a pipeline: its outcomes, in the order in which they arrived. Must never skip one.

An outcome that cannot be teaches nothing; a log that nothing can be learned from leaves the rules alone, and says why.
"""

from healerd.daemon.accounts import Log
from healerd.decision.deeds import Told, impossible
from healerd.model import Intent, Outcome
from healerd.policy import CostModel, Event, PolicyState, begin, event_of, learn_all

__all__ = ["events_of", "learned_of"]


def events_of(log: Log, model: CostModel) -> tuple[Event, ...]:
    """List the lessons of the heals that are over: one a heal, with the context of its decision."""
    heals = {heal.id: heal for heal in log.heals}
    return tuple(
        _lesson(heals[name], outcome, log.told.get(name), model, number=number)
        for number, (name, outcome) in enumerate(log.outcomes.items(), 1)
    )


def learned_of(log: Log, model: CostModel) -> tuple[PolicyState, str]:
    """Learn everything from the start: the same log gives the same state, bit for bit.

    Gives the configured belief and the reason where the log cannot be learned from.
    """
    try:
        return learn_all(model, events_of(log, model)), ""
    except (ValueError, ArithmeticError) as error:
        return begin(model), f"nothing can be learned from the log: {error}"


def _lesson(heal: Intent, outcome: Outcome, told: Told | None, model: CostModel, *, number: int) -> Event:
    """Without the context of its decision, as an older version of healerd saw it, an outcome teaches nothing."""
    prior = model.prior(heal.action)
    sound = told is not None and bool(told.context) and not impossible(heal.id, outcome, told)
    event = event_of(
        outcome,
        number=number,
        action=heal.action,
        context=told.context if told is not None else (),
        cost=prior.cost if prior is not None else 0.0,
    )
    return event if sound else Event(number=number, at=event.at, action=event.action, context=(), failed=None, cost=0.0)
