"""What came of a decision: its intents with every move, what people said, the outcomes, and the steps that followed.

Must never hold more than the log recorded, nor judge it: these are records, and the words are those of `telling`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from healerd.model import Answer, Decision, Intent, IntentState, Outcome

__all__ = ["Deed", "Move", "Trace", "states_of", "undo_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One recorded move of an intent: the leaf that holds it, when, by whom, and where the intent stood after it."""

    seq: int
    at: datetime
    actor: str
    state: IntentState
    version: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One intent with all that was recorded about it; `steps` are the promotions, undos and returns of a heal."""

    intent: Intent
    moves: tuple[Move, ...] = ()
    answers: tuple[Answer, ...] = ()
    outcome: Outcome | None = None
    steps: tuple["Deed", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A decision and what came of it: the one object that prose, page, JSON and diagram are read from."""

    decision: Decision
    deeds: tuple[Deed, ...] = ()


def states_of(deed: Deed) -> Iterator[Move]:
    """List the moves that changed the state, the first one included; without moves, where it stands is not dated."""
    before: IntentState | None = None
    for move in deed.moves:
        if move.state is not before:
            yield move
        before = move.state


def undo_of(deed: Deed) -> tuple[Deed, ...]:
    """Find the steps that took a heal back, or went back from the safe model."""
    return tuple(step for step in deed.steps if step.intent.action in ("undo", "return"))
