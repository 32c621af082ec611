"""What one evaluation reads: facts, alarms, the action log, time; and what it keeps between windows.

It never computes; values of a wrong type count as unknown.
"""

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from healerd_rules.schema import Type

Truth = bool | None
Value = float | str | bool | None
ENDLESS = {"endless": math.inf, "-endless": -math.inf}
WORDS = {number: word for word, number in ENDLESS.items()}
FactValue = float | bool | str | None | Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRecord:
    """One action in the log; `ended_at` None means it is open. Cost None means unknown.

    What has not `began` only waits, for a person's word or for its time; cooldowns and limits count it all the same.
    """

    action: str
    pipeline: str
    tags: tuple[str, ...] = ()
    started_at: dt.datetime
    ended_at: dt.datetime | None = None
    cost: float | None = None
    incident_id: str | None = None
    began: bool = True

    def __post_init__(self) -> None:
        assert self.started_at.tzinfo is not None, "started_at must be an aware datetime"
        assert self.ended_at is None or self.ended_at.tzinfo is not None, "ended_at must be an aware datetime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything that rules may know about one pipeline at one moment.

    None, NaN, an absent name and a value of the wrong type are all unknown. `log` holds the actions of all
    pipelines, without the intent that is being judged. `pipelines` is the size of the fleet. `members` may
    close the list of a dimension's members; without it they are the keys of the mappings in `facts`. `prices` say
    what an action costs whose price no file says.
    """

    pipeline: str
    tags: tuple[str, ...] = ()
    now: dt.datetime
    window_s: float
    stage: str | None
    incident: bool | None
    facts: Mapping[str, FactValue] = field(default_factory=dict)
    alarms: Mapping[str, bool | None] = field(default_factory=dict)
    log: tuple[ActionRecord, ...] = ()
    pipelines: int = 1
    incident_id: str | None = None
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prices: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.now.tzinfo is not None, "now must be an aware datetime"
        assert self.window_s > 0, "a window has a length"
        assert self.pipelines >= 1, "the fleet has at least this pipeline"


def known(value: object, kind: Type) -> Value:
    """The value if it is of that type and finite, else None."""
    if kind is Type.BOOL:
        return value if isinstance(value, bool) else None
    if kind is Type.TEXT:
        return value if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = float(value) if abs(value) < 1e300 else math.inf
    return number if math.isfinite(number) else None


def spoken(value: Value) -> Value:
    """The value as JSON can hold it: an endless one as a word."""
    return WORDS.get(value, value) if isinstance(value, float) else value


@dataclass(frozen=True, slots=True)
class Memory:
    """What one remembered thing keeps: its past, oldest first, and how it read after its newest window.

    A past that is read back from JSON names what was endless by a word.
    """

    past: tuple[Value, ...] = ()
    reading: Value = None

    def __post_init__(self) -> None:
        if not ENDLESS.keys().isdisjoint((*self.past, self.reading)):
            object.__setattr__(self, "past", tuple(map(_number, self.past)))
            object.__setattr__(self, "reading", _number(self.reading))

    def to_json(self) -> dict[str, object]:
        """A JSON object that a memory is read back from."""
        return {"past": [spoken(value) for value in self.past], "reading": spoken(self.reading)}


def _number(value: Value) -> Value:
    return ENDLESS.get(value, value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalState:
    """What a rule set remembers of one pipeline between windows, keyed by meaning, in two readings.

    `patient` leaves windows without data out of the count; `strict` keeps them as windows that could have
    been anything. Proposals and notifications are read patiently, guards strictly. `window_s` is the length of the
    windows it counted; None in a state of before that was kept.
    """

    patient: Mapping[str, Memory] = field(default_factory=dict)
    strict: Mapping[str, Memory] = field(default_factory=dict)
    window_s: float | None = None

    def to_json(self) -> dict[str, object]:
        """A JSON object that `from_json` reads back."""
        known = {} if self.window_s is None else {"window_s": self.window_s}
        return {"schema": 1, "patient": _dump(self.patient), "strict": _dump(self.strict), **known}

    @classmethod
    def from_json(cls, raw: Mapping[str, object]) -> "SignalState":
        """The state that `to_json` wrote; ValueError for anything else."""
        if raw.get("schema") != 1:
            raise ValueError("not a signal state of schema 1")
        window_s = raw.get("window_s")
        if window_s is not None and (isinstance(window_s, bool) or not isinstance(window_s, int | float)):
            raise ValueError("not a signal state: the length of its windows is no number")
        return cls(patient=_read(raw.get("patient")), strict=_read(raw.get("strict")), window_s=window_s)


def _dump(memories: Mapping[str, Memory]) -> dict[str, object]:
    return {key: memory.to_json() for key, memory in sorted(memories.items())}


def _read(raw: object) -> dict[str, Memory]:
    if not isinstance(raw, Mapping):
        raise ValueError("not a signal state: an object is missing")
    return {str(key): _read_memory(value) for key, value in raw.items()}


def _read_memory(raw: object) -> Memory:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("past"), list):
        raise ValueError("not a signal state: a memory is malformed")
    values = (*raw["past"], raw.get("reading"))
    # no number is neither true nor false of any bound: it must never come in as something known
    if not all(
        value is None or (isinstance(value, bool | float | int | str) and not _is_nan(value)) for value in values
    ):
        raise ValueError("not a signal state: a remembered value is malformed")
    return Memory(past=tuple(raw["past"]), reading=raw.get("reading"))


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
