"""What the policy has learned on a pipeline: its outcomes, in the order in which they arrived. Must never skip one.

An outcome that cannot be teaches nothing; a log that nothing can be learned from leaves the rules alone, and says why.
"""

from datetime import datetime

from healerd.client.heals import Log, events_of
from healerd.policy import CostModel, PolicyState, begin, learn_all

__all__ = ["learned_of"]


def learned_of(log: Log, model: CostModel, *, daily_to: datetime | None = None) -> tuple[PolicyState, str]:
    """Learn everything from the start: the same log gives the same state, bit for bit.

    With `daily_to` beliefs fade by the day up to then. Gives the configured belief and the reason where nothing can be
    learned.
    """
    try:
        return learn_all(model, events_of(log, model), daily_to=daily_to), ""
    except (ValueError, ArithmeticError) as error:
        return begin(model), f"nothing can be learned from the log: {error}"
