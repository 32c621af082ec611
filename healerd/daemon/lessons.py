"""What the policy has learned on a pipeline: its outcomes, in the order in which they arrived. Must never skip one."""

from collections.abc import Sequence
from dataclasses import replace

from healerd.decision import FEATURES, recorded_context
from healerd.model import HOLD, Decision, Intent, Outcome
from healerd.policy import CostModel, Event, PolicyState, event_of, learn_all
from healerd.store import Reader

__all__ = ["events_of", "learned_of"]


def events_of(reader: Reader, pipeline: str, model: CostModel) -> tuple[Event, ...]:
    """List the lessons of the heals that are over: one a heal, with the context of its decision."""
    known = tuple(prior.action for prior in model.actions if prior.action != HOLD)
    heals = {intent.id: intent for intent in reader.find(Intent, pipeline=pipeline, action=known, parent_id=None)}
    outcomes: Sequence[Outcome] = reader.find(Outcome, intent_id=tuple(heals)) if heals else ()
    return tuple(_lesson(reader, heals[each.intent_id], each, model, number=n) for n, each in enumerate(outcomes, 1))


def learned_of(reader: Reader, pipeline: str, model: CostModel) -> PolicyState:
    """Learn everything from the start: the same log gives the same state, bit for bit."""
    return learn_all(model, events_of(reader, pipeline, model))


def _lesson(reader: Reader, heal: Intent, outcome: Outcome, model: CostModel, *, number: int) -> Event:
    """Without the context of its decision, as an older version of healerd saw it, an outcome teaches nothing."""
    decision = reader.get(Decision, heal.decision_id)
    context = recorded_context(decision) if decision is not None else ()
    prior = model.prior(heal.action)
    event = event_of(
        outcome, number=number, action=heal.action, context=context, cost=prior.cost if prior is not None else 0.0
    )
    return event if len(context) == len(FEATURES) else replace(event, failed=None)
