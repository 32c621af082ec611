"""What the ticker and the control API ask of the daemon's core. Must never hold behaviour.

The core is synchronous and lives on one thread (`OneThread`), but for `answer`, `pause`, `stop_all` and `hear_alerts`:
these are one transaction each and may be called from another thread while a tick runs. `RecordingCore` is the double
that tests use.
"""

from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import Protocol

from healerd.client.views import Reader
from healerd.model import AnswerKind, Decision, Intent, Reference, Stage, StageChange
from healerd.sources.alertmanager import Message

__all__ = ["Core"]


class Core(Protocol):
    """The daemon's core: it reads, decides, writes down and acts, one call at a time."""

    @property
    def store(self) -> Reader:
        """The records, as the core sees them."""
        ...

    def run_due(self) -> Sequence[object]:
        """Ingest, tick every closed window, move every intent that can move. Harmless when late or doubled."""
        ...

    def clock_jumped(self, seconds: float) -> None:
        """Record that the wall clock was set, and hold actions until the next full window."""
        ...

    def channel_opened(self, author: str) -> None:
        """Record that a person who may answer is looking (SAFETY S9)."""
        ...

    def reached(self, questions: Set[tuple[str, int]]) -> None:
        """Say which questions, intents with their revision, people were told of, until the next call (SAFETY S9)."""
        ...

    def answer(
        self,
        intent_id: str,
        kind: AnswerKind,
        *,
        author: str,
        roles: Sequence[str],
        reason: str,
        revision: int | None,
    ) -> Intent:
        """Take a person's answer. Raises NotFound, NotAllowed, or Conflict with the state and the undo command."""
        ...

    def resolve(self, intent_id: str, *, took_effect: bool, author: str, reason: str) -> Intent:
        """Take a person's word on an intent whose effect nobody could tell. Raises NotFound, Conflict."""
        ...

    def propose(
        self, pipeline: str, action: str, *, to: str | None, author: str, roles: Sequence[str], reason: str
    ) -> Decision:
        """Ask for a heal, under the same guards as any other (SAFETY S17)."""
        ...

    def rehearse(self, pipeline: str, action: str, *, to: str | None, author: str, reason: str) -> Mapping[str, object]:
        """Say what `propose` would decide and do now, and change nothing."""
        ...

    def pause(self, pipeline: str, *, author: str, reason: str) -> None:
        """Stop one pipeline."""
        ...

    def resume(self, pipeline: str, *, author: str, reason: str) -> None:
        """End the pause of one pipeline, or of everything when `pipeline` is `*`."""
        ...

    def stop_all(self, *, author: str, reason: str) -> None:
        """Stop everything."""
        ...

    def set_stage(self, pipeline: str, stage: Stage, *, author: str, roles: Sequence[str], reason: str) -> StageChange:
        """Move a pipeline to another stage."""
        ...

    def accept(
        self, pipeline: str, *, since: datetime | None, author: str, reason: str, dry_run: bool = False
    ) -> Reference:
        """Take a change of the inputs as expected; the error a version is held against stays (SAFETY S12).

        With `dry_run` give the reference that would be, and change nothing.
        """
        ...

    def hear_alerts(self, message: Message, *, author: str) -> Mapping[str, object]:
        """Keep what other monitoring tells, in one transaction of its own. Raises StoreError."""
        ...

    def reload_rules(self) -> object:
        """Compile the rule files anew and swap them in. Raises RulesError and keeps the old set."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...
