"""The typed tree that is evaluated: names resolved, lets and constants filled in, units gone.

It never evaluates. Two trees with the same `key` mean the same, wherever they are written.
"""

import hashlib
from dataclasses import dataclass, field

from healerd_rules.calendars import CalendarSpec
from healerd_rules.schema import Type


@dataclass(frozen=True, slots=True)
class Const:
    """A value known when the rules are loaded."""

    value: float | str | bool
    type: Type


@dataclass(frozen=True, slots=True)
class Fact:
    """A value the host hands in; one per member of `dimension`, if it has one."""

    name: str
    type: Type
    dimension: str | None = None


@dataclass(frozen=True, slots=True)
class Confidence:
    """The confidence of the action that is judged."""

    type: Type = Type.RATIO


@dataclass(frozen=True, slots=True)
class Builtin:
    """A value of the inputs themselves: `now`, `stage`, `incident`."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to the inputs about one name: `alarm`, `age`, `did`, `baseline`, `autonomous`."""

    function: str
    argument: str
    type: Type


@dataclass(frozen=True, slots=True)
class Negative:
    """`-x`."""

    operand: "Core"
    type: Type


@dataclass(frozen=True, slots=True)
class Arith:
    """A flat chain of `+ -` or of `* /`."""

    first: "Core"
    rest: "tuple[tuple[str, Core], ...]"
    type: Type


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison: a leaf of every explanation."""

    op: str
    left: "Core"
    right: "Core"
    text: str = field(repr=False, compare=False)
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class Between:
    """`low <= x <= high`: a leaf."""

    operand: "Core"
    low: "Core"
    high: "Core"
    text: str = field(repr=False, compare=False)
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class InCalendar:
    """Whether a time lies in a calendar: a leaf."""

    operand: "Core"
    calendar: CalendarSpec
    text: str = field(repr=False, compare=False)
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class Missing:
    """Whether a value is unknown: a leaf, and the one place where hiding data may loosen."""

    operand: "Core"
    text: str = field(repr=False, compare=False)
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class Quantified:
    """How many members of a dimension satisfy the body; `bound` is a count, `share` a fraction: a leaf.

    `measures` are the facts in whose keys the members are found.
    """

    kind: str
    bound: int
    share: float | None
    dimension: str
    body: "Core"
    measures: tuple[str, ...] = field(repr=False, compare=False)
    text: str = field(repr=False, compare=False)
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class Logic:
    """`and`, `or`, `not` in three-valued logic."""

    op: str
    operands: "tuple[Core, ...]"
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class Remembered:
    """Something about past windows: read from the state, moved on once a window. A leaf when it is a truth."""

    kind: str
    inputs: "tuple[Core, ...]"
    windows: int
    seconds: float
    need: int
    type: Type
    text: str = field(repr=False, compare=False)
    key: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """The key names its memory: it changes exactly when the meaning does."""
        object.__setattr__(self, "key", hashlib.sha256(repr(self).encode()).hexdigest()[:20])

    def span(self, window_s: float) -> int:
        """How many windows it looks back over, at least one."""
        if not self.seconds:
            return max(1, self.windows)
        return min(MAX_WINDOWS, max(1, int(-(-self.seconds // window_s))))


@dataclass(frozen=True, slots=True)
class Named:
    """A signal, or a plain truth such as an alarm: a leaf that carries its name."""

    body: "Core"
    text: str = field(repr=False, compare=False)
    type: Type = Type.BOOL


Core = (
    Const
    | Fact
    | Confidence
    | Builtin
    | Ask
    | Negative
    | Arith
    | Compare
    | Between
    | InCalendar
    | Missing
    | Quantified
    | Logic
    | Remembered
    | Named
)
Leafy = Compare | Between | InCalendar | Missing | Quantified | Remembered | Named

MAX_WINDOWS = 10_000
TRUE = Const(True, Type.BOOL)


def parts(node: Core) -> tuple[Core, ...]:
    """The nodes directly inside a node."""
    match node:
        case Negative() | Missing() | InCalendar():
            return (node.operand,)
        case Arith():
            return (node.first, *(operand for _, operand in node.rest))
        case Compare():
            return (node.left, node.right)
        case Between():
            return (node.operand, node.low, node.high)
        case Quantified() | Named():
            return (node.body,)
        case Logic():
            return node.operands
        case Remembered():
            return node.inputs
        case _:
            return ()


def mentions(node: Core, kind: type[Core] | tuple[type[Core], ...]) -> bool:
    """Whether a node of that kind stands anywhere in the tree; each shared part is looked at once."""
    return any(isinstance(part, kind) for part in distinct(node))


def distinct(node: Core) -> list[Core]:
    """Every part of the tree once, the node itself included."""
    seen: dict[int, Core] = {}
    stack = [node]
    while stack:
        top = stack.pop()
        if id(top) not in seen:
            seen[id(top)] = top
            stack.extend(parts(top))
    return list(seen.values())


def only_missing(node: Core) -> bool:
    """Whether a truth is about what is missing and nothing else: hiding data can only make it true."""
    match node:
        case Missing():
            return True
        case Named():
            return only_missing(node.body)
        case Logic():
            return node.op != "not" and all(only_missing(operand) for operand in node.operands)
        case Remembered() if node.type is Type.BOOL and node.kind != "opens":
            return all(only_missing(part) for part in node.inputs)
        case _:
            return False
