"""Events in, state out: the same events in the same order give the same state, bit for bit.

Must never skip, reorder or repeat an event, and never learn from an outcome that was inconclusive (SAFETY S11).
"""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from healerd.policy.belief import Belief, believe, forget, learn
from healerd.policy.prior import PSEUDO_INCIDENTS, CostModel

__all__ = ["KEEP", "Event", "PolicyState", "begin", "learn_all", "learn_event"]

KEEP = 0.97
"""Share of what was learned that outlives one more lesson: the last 33 incidents make the belief, the world moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What came of one heal, in the order of arrival: numbers begin at 1 and have no gaps.

    `context` is that of the decision. `failed` None means that nobody can tell: it teaches nothing.
    """

    number: int
    at: datetime
    action: str
    context: tuple[float, ...]
    failed: bool | None
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyState:
    """Everything the policy has learned: how many events it has seen, and a belief for each action."""

    events: int
    beliefs: tuple[Belief, ...]

    def belief(self, action: str) -> Belief | None:
        """Find what is known of an action."""
        return next((belief for belief in self.beliefs if belief.action == action), None)

    @property
    def hash(self) -> str:
        """Name the state by its content: the same hash means the same numbers, bit for bit."""
        return hashlib.sha256("\n".join((str(self.events), *map(_exactly, self.beliefs))).encode()).hexdigest()


def begin(model: CostModel, *, incidents: float = PSEUDO_INCIDENTS) -> PolicyState:
    """Give the state before the first event: the configured belief, with the weight of so many incidents."""
    beliefs = tuple(believe(prior, model.features, incidents=incidents) for prior in model.actions)
    return PolicyState(events=0, beliefs=beliefs)


def learn_event(model: CostModel, state: PolicyState, event: Event, *, start: PolicyState | None = None) -> PolicyState:
    """Take up the next event. All beliefs fade a little towards `start`, their priors; the event's action learns.

    Raises ValueError for an event out of order, or whose context has other features than the model.
    """
    _check(model, state, event)
    if event.failed is None or model.prior(event.action) is None:
        return PolicyState(events=event.number, beliefs=state.beliefs)
    beliefs = []
    for prior, belief in zip((start or begin(model)).beliefs, state.beliefs, strict=True):
        faded = forget(belief, prior, keep=KEEP)
        if belief.action == event.action:
            faded = learn(faded, event.context, failed=event.failed, cost=event.cost)
        beliefs.append(faded)
    return PolicyState(events=event.number, beliefs=tuple(beliefs))


def learn_all(model: CostModel, events: Iterable[Event], *, incidents: float = PSEUDO_INCIDENTS) -> PolicyState:
    """Take up all events from the start, from a belief with the weight of so many incidents."""
    state = start = begin(model, incidents=incidents)
    for event in events:
        state = learn_event(model, state, event, start=start)
    return state


def _check(model: CostModel, state: PolicyState, event: Event) -> None:
    if event.number != state.events + 1:
        raise ValueError(f"event {event.number} does not follow event {state.events}")
    if event.failed is None:
        return
    if len(event.context) != len(model.features) or not all(map(math.isfinite, event.context)):
        raise ValueError(f"event {event.number}: the context is not {len(model.features)} finite numbers")
    if not math.isfinite(event.cost) or event.cost < 0:
        raise ValueError(f"event {event.number}: a cost of {event.cost}")


def _exactly(belief: Belief) -> str:
    numbers = (*belief.precision, *belief.information, belief.square, belief.shape, belief.cost_sum, belief.cost_weight)
    return " ".join((belief.action, *(float(number).hex() for number in numbers)))
