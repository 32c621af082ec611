"""What an outcome is worth as a lesson: the one place where a reward is defined.

Must never make a lesson of what nobody could judge: without a paired comparison that came out, there is none (S11).
"""

from healerd.model import Outcome, Result
from healerd.policy.learning import Event

__all__ = ["event_of", "failed"]


def failed(outcome: Outcome) -> bool | None:
    """Tell whether an action failed: it did not resolve the incident, or did harm. None teaches nothing.

    Better than what it replaced is not enough: an error that stays above what counts as clean leaves the incident open.
    """
    if not outcome.paired:
        return None
    match outcome.result:
        case Result.HEALED:
            return outcome.resolved is False
        case Result.WORSE | Result.FAILED:
            return True
        case Result.NO_CHANGE | Result.UNKNOWN:
            return None


def event_of(outcome: Outcome, *, number: int, action: str, context: tuple[float, ...], cost: float) -> Event:
    """Make the lesson of a heal that is over. `outcome` is that of its last step, `action` and `context` the heal's."""
    return Event(number=number, at=outcome.at, action=action, context=context, failed=failed(outcome), cost=cost)
