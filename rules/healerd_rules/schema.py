"""What a rule file may name: facts, actions, alarms and dimensions, with their types.

It never reads a file and never holds a value: the host hands in a `Schema`, rule files may add declarations.
"""

from dataclasses import dataclass
from enum import StrEnum


class Type(StrEnum):
    """The types of the language; `POINTS` is a difference of two ratios, written `5pp`."""

    RATIO = "ratio"
    POINTS = "points"
    NUMBER = "number"
    COUNT = "count"
    DURATION = "duration"
    MONEY = "money"
    BYTES = "bytes"
    TIME = "time"
    BOOL = "bool"
    TEXT = "text"
    WINDOWS = "windows"


METRIC_TYPES = tuple(t.value for t in Type if t not in (Type.POINTS, Type.WINDOWS))
SEVERITIES = ("low", "medium", "high", "critical")
STAGES = ("observe", "suggest", "canary", "live")


@dataclass(frozen=True, slots=True, kw_only=True)
class FactDecl:
    """A value that rules may read; `per` names the dimension it is measured over, if any."""

    name: str
    type: str
    per: str | None = None
    meaning: str = ""
    stale_after: str | None = None

    def __post_init__(self) -> None:
        assert self.type in METRIC_TYPES, f"there is no type `{self.type}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionDecl:
    """Something that may be done; a `step` is part of a heal (promotion, undo, return): SAFETY S10."""

    name: str
    risk: int | None = None
    cost: float | None = None
    undo: str | None = None
    step: bool = False
    meaning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The closed vocabulary of a host; `marks_stale` tells whether it makes a value unknown by its age."""

    facts: tuple[FactDecl, ...] = ()
    actions: tuple[ActionDecl, ...] = ()
    alarms: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    marks_stale: bool = True
