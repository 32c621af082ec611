"""The syntax tree: what was written, with the place of each part.

It never resolves a name and never knows a type. It is long because it is one list: a record for each form.
"""

from dataclasses import dataclass

from healerd_rules.schema import Type


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of characters in one source text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Ident:
    """A name and where it stands."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Quantity:
    """A literal such as `80%`, `30m`, `$40` or `3 windows`, in base units (seconds, fraction, bytes)."""

    span: Span
    value: float
    type: Type
    currency: str = ""


@dataclass(frozen=True, slots=True)
class TextLiteral:
    """A string without its quotes."""

    span: Span
    value: str


@dataclass(frozen=True, slots=True)
class BoolLiteral:
    """`true` or `false`."""

    span: Span
    value: bool


@dataclass(frozen=True, slots=True)
class Now:
    """`now`."""

    span: Span


@dataclass(frozen=True, slots=True)
class Ref:
    """A name that stands for a value."""

    span: Span
    name: str


@dataclass(frozen=True, slots=True)
class AnyAction:
    """`any action` as an argument."""

    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments)`."""

    span: Span
    name: Ident
    args: "tuple[Expr, ...]"


@dataclass(frozen=True, slots=True)
class Negative:
    """`-x`."""

    span: Span
    operand: "Expr"


@dataclass(frozen=True, slots=True)
class Arith:
    """`a + b - c` or `a * b / c`, flat: the operators stand before the operands of `rest`."""

    span: Span
    first: "Expr"
    rest: "tuple[tuple[str, Expr], ...]"


@dataclass(frozen=True, slots=True)
class Compare:
    """`left op right`."""

    span: Span
    op: str
    left: "Expr"
    right: "Expr"


@dataclass(frozen=True, slots=True)
class Between:
    """`x between low and high`, both ends included."""

    span: Span
    operand: "Expr"
    low: "Expr"
    high: "Expr"


@dataclass(frozen=True, slots=True)
class InCalendar:
    """`now in office`."""

    span: Span
    operand: "Expr"
    calendar: Ident


@dataclass(frozen=True, slots=True)
class IsMissing:
    """`x is missing`."""

    span: Span
    operand: "Expr"


@dataclass(frozen=True, slots=True)
class Quantifier:
    """`any|every|at least n of|at most n of DIMENSION where (...)`."""

    span: Span
    kind: str
    bound: "Expr | None"
    dimension: Ident
    body: "Expr"


@dataclass(frozen=True, slots=True)
class Logic:
    """`and`, `or`, `not`, `implies` over their operands, flat."""

    span: Span
    op: str
    operands: "tuple[Expr, ...]"


@dataclass(frozen=True, slots=True)
class Temporal:
    """`x for q`, `x for k of last n windows`, `x within last q`, `x since y`."""

    span: Span
    kind: str
    operands: "tuple[Expr, ...]"
    extent: "Expr | None" = None
    need: int = 0


Expr = (
    Quantity
    | TextLiteral
    | BoolLiteral
    | Now
    | Ref
    | AnyAction
    | Call
    | Negative
    | Arith
    | Compare
    | Between
    | InCalendar
    | IsMissing
    | Quantifier
    | Logic
    | Temporal
)


@dataclass(frozen=True, slots=True)
class ScopeAtom:
    """`pipeline "glob"`, `tag "name"` or the name of a scope."""

    span: Span
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class ScopeLogic:
    """`and`, `or`, `not` over scopes."""

    span: Span
    op: str
    operands: "tuple[ScopeExpr, ...]"


ScopeExpr = ScopeAtom | ScopeLogic


@dataclass(frozen=True, slots=True)
class CalendarPart:
    """One part of a calendar, still as text: days, dates and clock times."""

    span: Span
    kind: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Annotation:
    """`@name(value)`."""

    name: Ident
    value: str | None


@dataclass(frozen=True, slots=True)
class Cond:
    """`when expr` or `unless expr`."""

    span: Span
    kind: str
    expr: Expr


@dataclass(frozen=True, slots=True)
class UnknownPolicy:
    """`if unknown skips|fires|asks`."""

    span: Span
    word: str


@dataclass(frozen=True, slots=True)
class Rank:
    """`priority 50` or `severity high`."""

    span: Span
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Approval:
    """`approval from "role" within q else deny|defer`."""

    span: Span
    role: str
    within: Expr | None
    otherwise: str


@dataclass(frozen=True, slots=True)
class VetoWindow:
    """`veto within q`."""

    span: Span
    within: Expr


@dataclass(frozen=True, slots=True)
class Rest:
    """A cooldown's terms: `q per group after actions`."""

    span: Span
    length: Expr
    per: Ident | None
    after: tuple[Ident, ...] | None


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit's terms; `kind` is `per_window`, `concurrent` or `blast`."""

    span: Span
    kind: str
    amount: Expr
    period: Expr | None = None
    per: Ident | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """A notification's target and how often it repeats."""

    span: Span
    target: str
    repeat: Expr | None


@dataclass(frozen=True, slots=True)
class Pack:
    """`pack name version 1.0`."""

    span: Span
    name: Ident


@dataclass(frozen=True, slots=True)
class Import:
    """`import "target" as alias`."""

    span: Span
    target: str
    alias: Ident | None


@dataclass(frozen=True, slots=True)
class Const:
    """`const NAME = expr`."""

    span: Span
    name: Ident
    body: Expr


@dataclass(frozen=True, slots=True)
class Metric:
    """`metric name: type per dimension stale after q`."""

    span: Span
    name: Ident
    type: Ident
    per: Ident | None
    stale: Expr | None


@dataclass(frozen=True, slots=True)
class Dimension:
    """`dimension name`."""

    span: Span
    name: Ident


@dataclass(frozen=True, slots=True)
class Action:
    """`action name risk 1 cost $40 undo other step`."""

    span: Span
    name: Ident
    risk: int | None
    cost: Quantity | None
    undo: Ident | None
    step: bool


@dataclass(frozen=True, slots=True)
class Calendar:
    """`calendar name = parts tz "zone"`."""

    span: Span
    name: Ident
    parts: tuple[CalendarPart, ...]
    zone: TextLiteral | None


@dataclass(frozen=True, slots=True)
class ScopeDecl:
    """`scope name = ...`."""

    span: Span
    name: Ident
    body: ScopeExpr


@dataclass(frozen=True, slots=True)
class Let:
    """`let name = expr`."""

    span: Span
    name: Ident
    body: Expr


@dataclass(frozen=True, slots=True)
class Signal:
    """`signal name = expr clears when expr because "..."`."""

    span: Span
    name: Ident
    body: Expr
    clears: Expr | None
    because: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Any rule with a head; `targets` is None for `any action`."""

    span: Span
    kind: str
    name: Ident
    targets: tuple[Ident, ...] | None
    on: ScopeExpr | None
    conds: tuple[Cond, ...]
    unknown: tuple[UnknownPolicy, ...]
    ranks: tuple[Rank, ...]
    terms: Approval | VetoWindow | Rest | Bound | Channel | None
    because: str
    annotations: tuple[Annotation, ...] = ()


@dataclass(frozen=True, slots=True)
class Invariant:
    """`invariant name: expr`."""

    span: Span
    name: Ident
    body: Expr
    because: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where an action of a test ran: on another pipeline, or (without one) here, in the incident that is open."""

    span: Span
    pipeline: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a test says about a consent: `from "role" within q else deny|defer`; or about a rank: `before action`."""

    role: str | None = None
    within: "Expr | None" = None
    otherwise: str | None = None
    before: Ident | None = None


@dataclass(frozen=True, slots=True)
class TestStep:
    """One line of a test block; `words` and `values` hold what stands in it, `text` and `tags` what it quotes."""

    __test__ = False
    span: Span
    kind: str
    words: tuple[Ident, ...] = ()
    values: "tuple[Expr, ...]" = ()
    by: tuple[Ident, ...] = ()
    negated: bool = False
    text: str = ""
    tags: tuple[str, ...] = ()
    elsewhere: Elsewhere | None = None
    asked: Asked = Asked()


@dataclass(frozen=True, slots=True)
class Binding:
    """`name(argument)[member] = value` in a test; a value of None is `missing`."""

    span: Span
    name: Ident
    member: str | None
    value: Expr | None
    argument: Ident | None = None


@dataclass(frozen=True, slots=True)
class TestBlock:
    """`test "title" { ... }`."""

    __test__ = False
    span: Span
    title: str
    steps: "tuple[TestStep | Binding, ...]"


@dataclass(frozen=True, slots=True)
class Annotated:
    """A declaration that cannot carry the annotations before it; the checker reports them."""

    span: Span
    annotations: tuple[Annotation, ...]
    body: "Statement"


Statement = (
    Pack
    | Import
    | Const
    | Metric
    | Dimension
    | Action
    | Calendar
    | ScopeDecl
    | Let
    | Signal
    | Rule
    | Invariant
    | TestBlock
    | Annotated
)
