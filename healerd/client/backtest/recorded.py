"""Recorded decisions as a backtest needs them: the same stored bytes, of which no more is read than is asked.

Must never say anything that the record does not: a field that is missing is None or empty here. A quiet window is
mostly measurements, which nobody needs twice: its facts stand in the trace already.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from healerd.decision import Situation
from healerd.errors import StoreError
from healerd.model import Incident, Option, Stage
from healerd_rules import SignalState

__all__ = ["Brief", "Whole", "brief_of", "whole_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A rule that proposed."""

    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The part of a situation that rules read, but for the facts; without the measurements."""

    now: datetime
    window_s: float
    tags: tuple[str, ...] = ()
    stage: Stage
    incident: Incident | None = None
    signals: SignalState = field(default_factory=SignalState)
    standing: tuple[str, ...] = ()
    wish: Mapping[str, Any] | None = None

    @property
    def open(self) -> bool:
        """Whether an incident was open."""
        return self.incident is not None and self.incident.closed_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class BriefTrace:
    """The part of a trace that rules read."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    alarms: Mapping[str, bool | None] = field(default_factory=dict)
    proposals: tuple[Proposed, ...] = ()
    step: Mapping[str, Any] | None = None
    situation: Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """A decision without its measurements and verdicts."""

    id: str
    pipeline: str
    at: datetime
    window_end_at: datetime | None
    chosen: str
    level: str
    confidence: float | None
    rule_action: str
    candidate: str
    propensity: float = 1.0
    options: tuple[Option, ...] = ()
    rules_id: str
    trace: BriefTrace

    @property
    def quiet(self) -> bool:
        """Whether nothing was wrong and nobody asked for anything: then nothing could be done either."""
        seen = self.trace.situation
        return seen.incident is None and seen.wish is None and self.trace.step is None


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeTrace:
    """The part of a trace from which it can be decided again, and what its account is charged with."""

    situation: Situation
    context: Mapping[str, float] = field(default_factory=dict)
    gate: Mapping[str, Any] | None = None
    step: Mapping[str, Any] | None = None
    proposals: tuple[Proposed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A decision with all that it stood on."""

    id: str
    pipeline: str
    at: datetime
    chosen: str
    rule_action: str
    rule: str | None
    candidate: str
    level: str
    propensity: float = 1.0
    options: tuple[Option, ...] = ()
    trace: WholeTrace


_BRIEF, _WHOLE = msgspec.json.Decoder(Brief), msgspec.json.Decoder(Whole)


def brief_of(body: bytes) -> Brief:
    """Read the small part. Raises StoreError."""
    try:
        return _BRIEF.decode(body)
    except msgspec.MsgspecError as error:
        raise _damaged(error) from error


def whole_of(body: bytes) -> Whole:
    """Read all that it takes to decide again. Raises StoreError."""
    try:
        return _WHOLE.decode(body)
    except msgspec.MsgspecError as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> StoreError:
    return StoreError(
        f"a recorded decision cannot be read: {error}; `healerd replay` and `healerd audit verify` name it"
    )
