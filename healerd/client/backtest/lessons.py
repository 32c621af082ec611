"""What a pipeline's heals teach under another cost model, out of the record. Must never define what a lesson is.

That is done in one place, `healerd.policy.event_of`; here the outcomes are only put in the order of their arrival.
"""

from collections.abc import Sequence

from healerd.decision import FEATURES, recorded_context
from healerd.model import ACTIONS_THAT_HEAL, Decision, Intent, Outcome
from healerd.policy import CostModel, Event, event_of
from healerd.store import Reader

__all__ = ["lessons_of"]


def lessons_of(reader: Reader, pipeline: str, model: CostModel) -> Sequence[Event]:
    """List the lessons of a pipeline's heals, each with the context of its decision and the other cost."""
    found = reader.find(Intent, pipeline=pipeline, action=ACTIONS_THAT_HEAL, parent_id=None)
    heals = {heal.id: heal for heal in found}
    outcomes = reader.find(Outcome, intent_id=tuple(heals)) if heals else ()
    return [_lesson(reader, heals[each.intent_id], each, model, number) for number, each in enumerate(outcomes, 1)]


def _lesson(reader: Reader, heal: Intent, outcome: Outcome, model: CostModel, number: int) -> Event:
    """Without the context of its decision, as an older version of healerd saw it, an outcome teaches nothing."""
    decision = reader.get(Decision, heal.decision_id)
    context = recorded_context(decision) if decision is not None else ()
    prior = model.prior(heal.action)
    cost = prior.cost if prior is not None else 0.0
    if len(context) != len(FEATURES):
        return Event(number=number, at=outcome.at, action=heal.action, context=(), failed=None, cost=cost)
    return event_of(outcome, number=number, action=heal.action, context=context, cost=cost)
