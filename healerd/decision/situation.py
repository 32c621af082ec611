"""Everything one decision stands on, as one frozen record: the same situation and rules give the same decision.

Must never hold behaviour that decides, nor anything that cannot be written down: `to_json` and `from_json` carry it
into the trace and back.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any

import msgspec

from healerd.decision.diagnosis import Diagnosis
from healerd.decision.payback import Stake
from healerd.model import (
    DAEMON,
    Bar,
    Cohort,
    Incident,
    Intent,
    Measurement,
    Pause,
    Quality,
    Reference,
    Stage,
    Version,
    Window,
)
from healerd.policy import Account, CostModel, PolicyState
from healerd_rules import Memory, SignalState

__all__ = ["Logged", "Situation", "Target", "Wish", "from_json", "to_json", "wish_of"]

PLAIN = frozenset({str, int, bool, type(None)})
"""Kinds of values that are JSON as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an action would do if it ran now: the version it aims at, or why it cannot be done at all.

    `version` None with no refusal means that it makes a version. `observable`: the world can be asked whether it took
    place; without that a person approves each time (SAFETY S14).
    """

    action: str
    version: str | None = None
    refusal: str = ""
    observable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One line of the action log, of any pipeline: what began or stands open. `ended_at` None means open.

    `heal_id` is the intent of the heal it belongs to, its own for a heal. What has not `began` only waits.
    """

    intent_id: str
    heal_id: str
    action: str
    pipeline: str
    tags: tuple[str, ...] = ()
    started_at: datetime
    ended_at: datetime | None = None
    cost: float | None = None
    incident_id: str | None = None
    began: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A heal that a person asks for; it goes under the same guards as any other (SAFETY S17)."""

    action: str
    target: str | None = None
    author: str
    reason: str


def wish_of(intent: Intent) -> Wish | None:
    """Give what a person asked for by an intent; None when nobody did."""
    if intent.author == DAEMON:
        return None
    return Wish(action=intent.action, target=intent.target, author=intent.author, reason=intent.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One pipeline at one moment.

    `window` is the window that is judged, `newest` whether no later one is closed. `cohorts` matured in it.
    `incident` is the open one; one with `closed_at` set has just been closed. `signals` is the rules' memory after
    this window. `standing` names the rules that proposed at the window before. `intents` are those of this pipeline
    and of any other that shares its alias: all open ones, and those that ended in the last day. `log` is
    the action log, of other pipelines what the rules count. `rejected_at` tells when candidates were rejected in this
    incident, `diagnosis` what was found when it was looked into: for people, no verdict hangs on it.
    `account` bounds the policy's deviations; without one, as before there were accounts, the gate alone does.
    `unlearned` says why nothing could be learned from the log: the policy has no answer then. `forget` tells whether
    what was learned fades with each `lesson`, or with each `day`.
    `stake` is what is known of a retraining's price and of what it would spare.
    `prices` are what the configuration says that actions cost whose money a rule counts, and whose price no file says.
    `on_hold` says why the host lets nothing start at all, such as a clock that was set; empty when nothing does.
    `registry_away` says why the registry does not tell which version serves; then `active` is the last that it named.
    """

    id: str
    pipeline: str
    tags: tuple[str, ...] = ()
    now: datetime
    window: Window | None = None
    window_s: float
    newest: bool = True
    on_hold: str = ""
    registry_away: str = ""
    stage: Stage
    incident: Incident | None = None
    clean_windows: int = 3
    quality: Quality
    rows: int | None = None
    measurements: tuple[Measurement, ...] = ()
    cohorts: tuple[Cohort, ...] = ()
    reference: Reference | None = None
    active: Version | None = None
    stored_gain: float | None = None
    p_stored_better: float | None = None
    alias_moved: bool | None = None
    targets: tuple[Target, ...] = ()
    intents: tuple[Intent, ...] = ()
    log: tuple[Logged, ...] = ()
    bars: tuple[Bar, ...] = ()
    pauses: tuple[Pause, ...] = ()
    rejected_at: tuple[datetime, ...] = ()
    diagnosis: Diagnosis | None = None
    stake: Stake | None = None
    pipelines: int = 1
    wish: Wish | None = None
    policy: str = "bayesian"
    costs: CostModel
    prices: Mapping[str, float] = field(default_factory=dict)
    learned: PolicyState
    unlearned: str = ""
    forget: str = "lesson"
    account: Account | None = None
    signals: SignalState = field(default_factory=SignalState)
    standing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.now.tzinfo is not None, "times are aware UTC datetimes"
        assert self.window_s > 0, "a window has a length"
        assert self.clean_windows >= 1, "an incident is closed by a window at least"

    @property
    def open_incident(self) -> Incident | None:
        """The incident, while it is open."""
        return self.incident if self.incident is not None and self.incident.closed_at is None else None

    def target(self, action: str) -> Target | None:
        """Find what an action would do; None when this pipeline has no such action."""
        return next((target for target in self.targets if target.action == action), None)


def to_json(record: object) -> Any:
    """Write a record as plain JSON values, leaving out what has its default.

    A number that is not finite is None, but for what rules remember: there it is a word.
    """
    # The commonest kinds come first: a situation holds thousands of values, and each decision writes them all.
    kind: Any = type(record)
    if kind in PLAIN:
        return record
    if kind is float:
        return record if math.isfinite(record) else None  # type: ignore[arg-type]
    if kind is datetime:
        return record.isoformat()  # type: ignore[attr-defined]
    if kind is tuple or kind is list:
        return [value if type(value) in PLAIN else to_json(value) for value in record]  # type: ignore[attr-defined]
    if kind is dict:
        return {str(key): to_json(value) for key, value in record.items()}  # type: ignore[attr-defined]
    if kind is Memory:
        return {name: value for name, value in record.to_json().items() if value not in (None, [])}  # type: ignore[attr-defined]
    fields = _fields_of(kind)
    if fields is not None:
        held = [(name, getattr(record, name), default) for name, default in fields]
        return {name: to_json(value) for name, value, default in held if value is not default and _told(value, default)}
    match record:
        case Enum():
            return record.value
        case Mapping():
            return {str(key): to_json(value) for key, value in record.items()}
        case list() | tuple():
            return [to_json(value) for value in record]
        case float():
            return record if math.isfinite(record) else None
        case _:
            return record


def from_json(raw: Mapping[str, Any]) -> Situation:
    """Read back what `to_json` wrote of a situation. Raises ValueError for anything else."""
    try:
        return msgspec.convert(raw, Situation)
    except msgspec.ValidationError as error:
        raise ValueError(f"not a situation: {error}") from error


@cache
def _fields_of(kind: Any) -> tuple[tuple[str, Any], ...] | None:
    """List the fields of a record with their defaults; None for what is no record."""
    if not dataclasses.is_dataclass(kind):
        return None
    return tuple((each.name, _default(each)) for each in dataclasses.fields(kind))


def _default(each: "dataclasses.Field[Any]") -> Any:
    if each.default is not dataclasses.MISSING:
        return each.default
    if each.default_factory is not dataclasses.MISSING:
        return each.default_factory()
    return dataclasses.MISSING


def _told(value: Any, default: Any) -> bool:
    """Tell whether a value that is not its default itself is written: not where it equals it, of the same type."""
    return default is dataclasses.MISSING or type(value) is not type(default) or bool(value != default)
