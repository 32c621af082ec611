"""Records as the views need them: the same stored bytes, of which only these fields are read.

A decision is mostly its trace, and reading a thousand of them whole would take longer than an operator waits. Must
never say anything that the record does not: a field that is missing is None or empty here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from healerd.model import DAEMON

__all__ = [
    "ActingBrief",
    "DecisionBrief",
    "EntryBrief",
    "JudgedBrief",
    "MeasurementBrief",
    "Named",
    "ProposalBrief",
    "SituationBrief",
    "TraceBrief",
    "VerdictBrief",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Whatever has a name, such as the active version."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementBrief:
    """What was measured, without its evidence; there are dozens for each decision."""

    name: str
    layer: str
    subject: str | None = None
    value: float | None = None
    effect: float | None = None
    alarm: bool | None = False
    p_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SituationBrief:
    """What a tick knew: the window's length and rows, the active version, and what was measured."""

    window_s: float | None = None
    rows: int | None = None
    quality: str | None = None
    active: Named | None = None
    measurements: tuple[MeasurementBrief, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActingBrief:
    """A rule that acted in a verdict."""

    rule: str
    kind: str
    enforcement: str = "hard"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictBrief:
    """What the guards said of one action, and through which rules."""

    level: str = "allowed"
    acting: tuple[ActingBrief, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalBrief:
    """A rule that proposed an action."""

    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceBrief:
    """The part of a trace that tables of pipelines show."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    situation: SituationBrief = field(default_factory=SituationBrief)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionBrief:
    """A decision without what it stood on, but for the measurements of its window."""

    id: str
    pipeline: str
    at: datetime
    window_start_at: datetime | None
    window_end_at: datetime | None
    chosen: str
    target: str | None
    level: str
    confidence: float | None
    incident_id: str | None
    reason: str
    author: str = DAEMON
    rule: str | None = None
    deferred_until: datetime | None = None
    trace: TraceBrief = field(default_factory=TraceBrief)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgingBrief:
    """The part of a trace that says what rules did."""

    first_pass: Mapping[str, VerdictBrief] = field(default_factory=dict)
    second_pass: VerdictBrief | None = None
    proposals: tuple[ProposalBrief, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedBrief:
    """A decision as its rules see it: when, under which set, and which of them acted."""

    at: datetime
    rules_id: str
    trace: JudgingBrief = field(default_factory=JudgingBrief)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryBrief:
    """A leaf of the audit log without its place in time since boot."""

    seq: int
    at: datetime
    kind: str
    actor: str
    pipeline: str | None
    table: str | None
    key: str | None
    record: Any
