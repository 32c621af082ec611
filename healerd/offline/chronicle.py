"""What happened, read from the audit log: the leaves become the events that people and the JSON contract speak of.

Must never tell anything that the log does not hold, and never read a leaf twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from healerd.audit import Entry
from healerd.model import TERMINAL_STATES, Answer, Decision, Incident, Intent, IntentState, Outcome, StageChange
from healerd.offline.contract import EventKind, EventRecord
from healerd.store import Reader

__all__ = ["INJECTED", "SIMULATED", "Chronicle"]

R = TypeVar("R")

SIMULATED = "simulated"
"""Who answers where no person is: recorded under this name, and said to be (SAFETY S19)."""
INJECTED = "injected"
"""The kind of a note about what a demo did on purpose."""
PAGE = 1000
WAITS = {IntentState.ANNOUNCED: EventKind.ANNOUNCED, IntentState.AWAITING_APPROVAL: EventKind.ASKED}


@dataclass(slots=True)
class Chronicle:
    """Reads a store's log from where it stopped the last time, and gives the new events in order."""

    store: Reader
    _after: int = 0
    _intents: dict[str, Intent] = field(default_factory=dict)
    _incidents: dict[str, Incident] = field(default_factory=dict)

    def news(self) -> tuple[EventRecord, ...]:
        """Give what has happened since the last call."""
        return tuple(event for entry in self._entries() for event in self._events(entry))

    def _entries(self) -> Iterator[Entry]:
        while page := self.store.leaves(after=self._after, limit=PAGE):
            yield from page
            self._after = page[-1].seq

    def _events(self, entry: Entry) -> Iterator[EventRecord]:
        match entry.table:
            case "intent":
                yield from self._of_intent(entry, _record(entry, Intent))
            case "incident":
                yield from self._of_incident(entry, _record(entry, Incident))
            case "answer":
                yield self._of_answer(entry, _record(entry, Answer))
            case "stage_change":
                change = _record(entry, StageChange)
                said = f"{change.reason} (by `{change.author}`)"
                yield _event(entry, EventKind.STAGE_CHANGED, reason=said, outcome=change.stage.value)
            case None if entry.kind == INJECTED:
                yield _event(entry, EventKind.INJECTED, reason=str(entry.record["what"]))

    def _of_intent(self, entry: Entry, intent: Intent) -> Iterator[EventRecord]:
        """Tell what a new intent, or a move of one, means to people; most moves mean nothing to them."""
        was = self._intents.get(intent.id)
        self._intents[intent.id] = intent
        if intent.state in WAITS and (was is None or was.state != intent.state):
            yield _event(entry, WAITS[intent.state], intent, reason=intent.reason or intent.default)
        if intent.effect_at is not None and (was is None or was.effect_at is None):
            yield _event(entry, EventKind.ACTED, intent, reason=self._why(intent))
        if intent.state in TERMINAL_STATES and (was is None or was.state not in TERMINAL_STATES):
            yield _event(entry, EventKind.ENDED, intent, reason=intent.reason, outcome=self._outcome(intent))

    def _of_incident(self, entry: Entry, incident: Incident) -> Iterator[EventRecord]:
        was = self._incidents.get(incident.id)
        self._incidents[incident.id] = incident
        if was is None:
            yield _event(
                entry, EventKind.INCIDENT_OPENED, reason=incident.reason, trace_id=self._trace(incident.opened_at)
            )
        if incident.closed_at is not None and (was is None or was.closed_at is None):
            trace = self._trace(incident.closed_at)
            yield _event(entry, EventKind.INCIDENT_CLOSED, reason=incident.closed_by or "", trace_id=trace)

    def _trace(self, at: datetime) -> str | None:
        """Find the decision that an incident was opened or closed with: the one of the same tick."""
        found = self.store.find(Decision, at=at, limit=1)
        return found[0].id if found else None

    def _of_answer(self, entry: Entry, answer: Answer) -> EventRecord:
        said = f"{answer.reason} (by `{answer.author}`)"
        intent = self._intents.get(answer.intent_id)
        return _event(entry, EventKind.ANSWERED, intent, reason=said, outcome=answer.kind.value)

    def _why(self, intent: Intent) -> str:
        """Say to which stored version it went, if to one, and why that was decided."""
        decision = self.store.get(Decision, intent.decision_id)
        to = f"to `{intent.target}`" if intent.target else ""
        return "; ".join(part for part in (to, intent.reason or (decision.reason if decision else "")) if part)

    def _outcome(self, intent: Intent) -> str:
        judged = self.store.get(Outcome, intent.id)
        told = intent.state in {IntentState.VERIFIED, IntentState.INCONCLUSIVE, IntentState.UNDONE}
        return judged.result.value if judged is not None and told else intent.state.value


def _record(entry: Entry, kind: type[R]) -> R:
    return msgspec.convert(entry.record, kind)


def _event(entry: Entry, kind: EventKind, intent: Intent | None = None, **said: Any) -> EventRecord:
    told: dict[str, Any] = {"action": intent.action, "trace_id": intent.decision_id} if intent else {}
    at = entry.at.isoformat().replace("+00:00", "Z")
    return EventRecord(at=at, kind=kind, pipeline=entry.pipeline or "", **{**told, **said})
