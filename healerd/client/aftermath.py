"""Reads what came of a decision out of the log. Pure but for its reader; must never leave out a recorded move."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from healerd.decision.aftermath import Deed, Move, Trace
from healerd.model import Answer, Decision, Intent, IntentState, Outcome
from healerd.store import Range, Reader

__all__ = ["trace_of"]

MOMENT = timedelta(microseconds=1)
"""The finest difference between two recorded times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentBrief:
    """The part of an intent that moves."""

    state: IntentState
    version: int
    reason: str = ""
    decision_id: str = ""


def trace_of(reader: Reader, decision: Decision) -> Trace:
    """Join a decision with the intents that it made, whatever they stand on by now."""
    return Trace(decision=decision, deeds=tuple(_deeds(reader, decision)))


def _deeds(reader: Reader, decision: Decision) -> Iterator[Deed]:
    """Find the intents of a decision: one that was asked anew stands on a newer decision, but was made by this one."""
    at = Range(decision.at, decision.at + MOMENT)
    begun = reader.find(Intent, pipeline=decision.pipeline, created_at=at)
    found = {intent.id: intent for intent in (*reader.find(Intent, decision_id=decision.id), *begun)}
    for intent in found.values():
        moves = _moves(reader, intent)
        if decision.id in {intent.decision_id, *(brief.decision_id for _, brief in moves[:1])}:
            yield _deed(reader, intent, tuple(move for move, _ in moves))


def _deed(reader: Reader, intent: Intent, moves: tuple[Move, ...]) -> Deed:
    steps = reader.find(Intent, parent_id=intent.id)
    return Deed(
        intent=intent,
        moves=moves,
        answers=reader.find(Answer, intent_id=intent.id),
        outcome=reader.get(Outcome, intent.id),
        steps=tuple(_deed(reader, step, tuple(move for move, _ in _moves(reader, step))) for step in steps),
    )


def _moves(reader: Reader, intent: Intent) -> list[tuple[Move, IntentBrief]]:
    return [
        (
            Move(
                seq=entry.seq,
                at=entry.at,
                actor=entry.actor,
                state=brief.state,
                version=brief.version,
                reason=brief.reason,
            ),
            brief,
        )
        for entry, brief in reader.history(Intent, intent.id, as_type=IntentBrief)
    ]
