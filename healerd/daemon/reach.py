"""What the executor can reach, and how it writes a move down. Must never move an intent without compare-and-set."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from healerd.actions import World
from healerd.daemon.rulings import Guards
from healerd.errors import RegistryAway
from healerd.model import TERMINAL_STATES, Intent, IntentState, Outcome
from healerd.store import Store, Transaction

__all__ = ["Reach", "end", "finish", "move", "retell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The store, the guards, the worlds of the pipelines, and the file that stops everything (SAFETY S15).

    `looked` remembers on what evidence an intent was last judged, so that rows are read once for each closed window.
    `lost` is told which pipeline's registry has just not answered.
    """

    store: Store
    guards: Guards
    worlds: Callable[[str, datetime], World]
    stop_file: Path
    lost: Callable[[str, RegistryAway], None] = lambda pipeline, error: None
    looked: dict[str, object] = field(default_factory=dict)

    def stopped(self) -> bool:
        """Tell whether somebody has stopped everything."""
        return self.stop_file.exists()

    def anything_new(self, intent: Intent, *, late: bool) -> bool:
        """Tell whether a window has closed, or patience has run out, since this was last asked for the intent."""
        if self.seen(intent, late=late):
            return False
        self.looked[intent.id] = (self.store.watermark(intent.pipeline), late)
        return True

    def seen(self, intent: Intent, *, late: bool) -> bool:
        """Tell whether there is nothing new for the intent, and leave it at that."""
        return self.looked.get(intent.id) == (self.store.watermark(intent.pipeline), late)


def move(reach: Reach, intent: Intent, outcome: Outcome | None = None, **changes: Any) -> Intent:
    """Move an intent by compare-and-set in a transaction of its own, with its outcome. Raises Conflict."""
    with reach.store.transaction() as tx:
        if outcome is not None:
            tx.put(outcome)
        return tx.replace(replace(intent, **changes), expect=intent)


def end(
    tx: Transaction,
    intent: Intent,
    state: IntentState,
    *,
    at: datetime,
    reason: str,
    outcome: Outcome | None = None,
    **changes: Any,
) -> Intent:
    """End an intent inside a transaction, for a reason, with its outcome. Raises Conflict."""
    assert state in TERMINAL_STATES, "an intent ends in a terminal state"
    if outcome is not None:
        tx.put(outcome)
    return tx.replace(replace(intent, state=state, ended_at=at, reason=reason, **changes), expect=intent)


def finish(
    reach: Reach,
    intent: Intent,
    state: IntentState,
    *,
    at: datetime,
    reason: str,
    outcome: Outcome | None = None,
    **changes: Any,
) -> Intent:
    """End an intent in a transaction of its own, as `end` does. Raises Conflict."""
    with reach.store.transaction() as tx:
        return end(tx, intent, state, at=at, reason=reason, outcome=outcome, **changes)


def retell(reach: Reach, intent: Intent, reason: str) -> Intent:
    """Say why an intent waits, once."""
    return intent if intent.reason == reason else move(reach, intent, reason=reason)
