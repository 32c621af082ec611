"""Writes a condition as Python source, in two rails: one expression is true when the condition definitely is, the
other when it definitely is not.

It never evaluates anything but constants. Missing is NaN, which makes both `x > c` and `x <= c` false, so that
three-valued logic needs no look at what is missing: `and` is true when all are and false when any is, `not` swaps the
two rails, and `x == c` is definitely false when `x < c or x > c`, since NaN is unequal to everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from healerd_rules import core
from healerd_rules.arithmetic import OPPOSITE, arithmetic, compare
from healerd_rules.core import Core
from healerd_rules.inputs import Value
from healerd_rules.rows import Layout, Slot
from healerd_rules.schema import Type

__all__ = ["COLUMNS", "FALSE", "SCALAR", "TRUE", "Form", "Spot", "Writer"]

TRUE, FALSE = "TRUE", "FALSE"
LONGEST = 150
"""Characters of an expression before it gets a variable: Python's reader bounds how deep parentheses nest."""


@dataclass(frozen=True, slots=True)
class Form:
    """How the connectives are written: for single values, or for columns of them."""

    every: str
    some: str
    no: str

    def all_of(self, parts: Sequence[str]) -> str:
        """True when every part is."""
        return _joined(parts, self.every, absorbing=FALSE, neutral=TRUE)

    def any_of(self, parts: Sequence[str]) -> str:
        """True when some part is."""
        return _joined(parts, self.some, absorbing=TRUE, neutral=FALSE)

    def not_(self, part: str) -> str:
        """True when the part is false."""
        return {TRUE: FALSE, FALSE: TRUE}.get(part, f"({self.no}{part})")


SCALAR = Form(" and ", " or ", "not ")
COLUMNS = Form(" & ", " | ", "~")


def _joined(parts: Sequence[str], word: str, *, absorbing: str, neutral: str) -> str:
    kept = [part for part in dict.fromkeys(parts) if part != neutral]
    if absorbing in kept:
        return absorbing
    if len(kept) < 2:
        return kept[0] if kept else neutral
    return "(" + word.join(kept) + ")"


@dataclass(slots=True, eq=False)
class Spot:
    """Where expressions are written: a function's lines, the loops around it, and what stands for `confidence`.

    `levels` tells which loop binds each dimension. `reads` are the variables that come from outside, each with the
    loops it runs over. `outer` is a spot with the same variables, for parts that do not ask for confidence.
    """

    lines: list[str] = field(default_factory=list)
    levels: dict[str, int] = field(default_factory=dict)
    depth: int = 0
    confidence: str = "NAN"
    outer: "Spot | None" = None
    memo: dict[tuple[int, str], str] = field(default_factory=dict)
    reads: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Writer:
    """Writes the expressions of one function; `shared` are the ids of the nodes that get a variable."""

    layout: Layout
    form: Form
    patient: bool
    shared: frozenset[int]
    reading: dict[int, bool] = field(default_factory=dict)
    number: int = 0

    def true(self, node: Core, spot: Spot) -> str:
        """An expression that holds exactly when the truth is definitely true."""
        return self._rail(node, "T", spot)

    def false(self, node: Core, spot: Spot) -> str:
        """An expression that holds exactly when the truth is definitely false."""
        return self._rail(node, "F", spot)

    def fresh(self, letter: str) -> str:
        """A name that nothing has yet."""
        self.number += 1
        return f"{letter}{self.number}"

    def reads_confidence(self, node: Core) -> bool:
        """Whether `confidence` stands in the node."""
        if id(node) not in self.reading:
            inside = isinstance(node, core.Confidence) or any(self.reads_confidence(part) for part in core.parts(node))
            self.reading[id(node)] = inside
        return self.reading[id(node)]

    # truths --------------------------------------------------------------

    def _rail(self, node: Core, rail: str, spot: Spot) -> str:
        while spot.outer is not None and not self.reads_confidence(node):
            spot = spot.outer
        key = (id(node), rail)
        if key not in spot.memo:
            text = self._truth(node, rail, spot)
            keep = len(text) > LONGEST or (id(node) in self.shared and len(text) > 8)
            spot.memo[key] = self._named(text, spot) if keep else text
        return spot.memo[key]

    def _named(self, text: str, spot: Spot) -> str:
        if text in (TRUE, FALSE) or text.isidentifier():
            return text
        name = self.fresh("t")
        spot.lines.append(f"{name} = {text}")
        return name

    def _truth(self, node: Core, rail: str, spot: Spot) -> str:
        match node:
            case core.Const():
                return TRUE if node.value is (rail == "T") else FALSE
            case core.Logic():
                return self._logic(node, rail, spot)
            case core.Named():
                return self._rail(node.body, rail, spot)
            case core.Compare() if node.left.type is Type.BOOL:
                return self._same_truth(node, rail, spot)
            case core.Compare():
                op = node.op if rail == "T" else OPPOSITE[node.op]
                return self._compared(op, node.left, node.right, spot, opposite=rail == "F")
            case core.Between():
                return self._between(node, rail, spot)
            case core.Missing():
                return self._missing(node, rail, spot)
            case core.Quantified():
                return self._quantified(node, rail, spot)
            case _:
                return f"({self._slot_of(node, spot)} {'>' if rail == 'T' else '<'} 0.5)"

    def _logic(self, node: core.Logic, rail: str, spot: Spot) -> str:
        if node.op == "not":
            return self._rail(node.operands[0], "F" if rail == "T" else "T", spot)
        parts = [self._rail(operand, rail, spot) for operand in node.operands]
        return self.form.all_of(parts) if (node.op == "and") == (rail == "T") else self.form.any_of(parts)

    def _same_truth(self, node: core.Compare, rail: str, spot: Spot) -> str:
        """`a == b` of two truths: both true or both false; definitely not, when both are known and differ."""
        (a, na), (b, nb) = (
            [self._named(self._rail(part, which, spot), spot) for which in "TF"] for part in (node.left, node.right)
        )
        same = (node.op == "==") == (rail == "T")
        pairs = ((a, b), (na, nb)) if same else ((a, nb), (na, b))
        return self.form.any_of([self.form.all_of(pair) for pair in pairs])

    def _compared(self, op: str, left: Core, right: Core, spot: Spot, *, opposite: bool = False) -> str:
        one, other = fixed(left), fixed(right)
        if one is not None and other is not None:
            return TRUE if compare(op, one.value, other.value) else FALSE
        if (one is not None and one.value is None) or (other is not None and other.value is None):
            return FALSE
        a, b = self.value(left, spot), self.value(right, spot)
        # unequal must be said as less or greater: NaN is unequal to everything
        return self.form.any_of([f"({a} < {b})", f"({a} > {b})"]) if op == "!=" else f"({a} {op} {b})"

    def _between(self, node: core.Between, rail: str, spot: Spot) -> str:
        if rail == "T":
            ends = ((node.low, "<=", node.operand), (node.operand, "<=", node.high))
            return self.form.all_of([self._compared(op, a, b, spot) for a, op, b in ends])
        ends = ((node.low, ">", node.operand), (node.operand, ">", node.high))
        return self.form.any_of([self._compared(op, a, b, spot) for a, op, b in ends])

    def _missing(self, node: core.Missing, rail: str, spot: Spot) -> str:
        if node.operand.type is Type.BOOL:
            rails = [self._named(self._rail(node.operand, which, spot), spot) for which in "TF"]
            known = self.form.any_of(rails)
            return self.form.not_(known) if rail == "T" else known
        always = fixed(node.operand)
        if always is not None:
            return TRUE if (always.value is None) == (rail == "T") else FALSE
        value = self.value(node.operand, spot)
        return f"({value} != {value})" if rail == "T" else f"({value} == {value})"

    # quantifiers -----------------------------------------------------------

    def _quantified(self, node: core.Quantified, rail: str, spot: Spot) -> str:
        yes, no, members = self._tally(node, spot)
        need = {"any": "1", "every": members}.get(node.kind, str(node.bound))
        if node.share is not None:
            rounded = "floor" if node.kind == "at most" else "ceiling"
            need = f"{rounded}({node.share!r} * {members})"
        need = f"{need} + 1" if node.kind == "at most" else need
        enough = (node.kind == "at most") == (rail == "F")
        verdict = f"({yes} >= {need})" if enough else f"({members} - {no} < {need})"
        return self.form.all_of([f"({members} > 0)", verdict])

    def _tally(self, node: core.Quantified, spot: Spot) -> tuple[str, str, str]:
        """Lines that count the members for which the body is true, those for which it is false, and all of them."""
        key = (id(node), "tally")
        if key not in spot.memo:
            inner = self._inside(node, spot)
            result = f"return {self.true(node.body, inner)}, {self.false(node.body, inner)}"
            call = self._looped(node, inner, spot, result, "tally")
            names = [self.fresh("n") for _ in range(3)]
            spot.lines.append(f"{', '.join(names)} = {call}")
            spot.memo[key] = " ".join(names)
        yes, no, members = spot.memo[key].split()
        return yes, no, members

    def _inside(self, node: core.Quantified, spot: Spot) -> Spot:
        depth = spot.depth + 1
        return Spot(levels={**spot.levels, node.dimension: depth}, depth=depth, confidence=spot.confidence)

    def _looped(self, node: core.Quantified, inner: Spot, spot: Spot, result: str, word: str) -> str:
        """A function of one member's values, written into the spot's lines, and the call that asks it for all."""
        own = [name for name, path in inner.reads.items() if inner.depth in path]
        others = [name for name in inner.reads if name not in own]
        function = self.fresh("q")
        spot.lines.append(f"def {function}({', '.join([*own, *others])}):")
        spot.lines.extend(f"    {line}" for line in (*inner.lines, result))
        for name, path in inner.reads.items():
            if spot.depth:
                spot.reads[name] = path
        self.layout.quantified.setdefault(node.dimension, node)
        label = f"members({node.dimension})"
        mask = Slot(label=label, kind="members", type=Type.BOOL, name=node.dimension, dims=(node.dimension,))
        values = [self._read(mask, (inner.depth,), spot), *(_passed(name, spot) for name in own)]
        passed = [_passed(name, spot) for name in others]
        return f"{word}({function}, {inner.depth}, [{', '.join(values)}], [{', '.join(passed)}])"

    def thresholds(self, node: Core, spot: Spot) -> list[str]:
        """Expressions of everything that `confidence` is compared with."""
        if not self.reads_confidence(node) or isinstance(node, core.Remembered):
            return []
        match node:
            case core.Compare() | core.Between():
                direct = [part for part in core.parts(node) if not self.reads_confidence(part)]
                sides = any(isinstance(part, core.Confidence) for part in core.parts(node))
                found = [self.value(part, spot) for part in direct] if sides else []
                return [*found, *(text for part in core.parts(node) for text in self.thresholds(part, spot))]
            case core.Quantified():
                inner = self._inside(node, spot)
                each = self.thresholds(node.body, inner)
                if not each:
                    return []
                return [self._looped(node, inner, spot, f"return [{', '.join(each)}]", "spread")]
            case _:
                return [text for part in core.parts(node) for text in self.thresholds(part, spot)]

    # values ----------------------------------------------------------------

    def value(self, node: Core, spot: Spot) -> str:
        """An expression of a number, a text's code or `confidence`; NaN when unknown."""
        known = fixed(node)
        if known is not None:
            return self._literal(known.value)
        if isinstance(node, core.Confidence):
            if spot.depth:
                spot.reads[spot.confidence] = ()
            return spot.confidence
        if isinstance(node, core.Negative | core.Arith):
            return self._calculated(node, spot)
        return self._slot_of(node, spot)

    def _literal(self, value: Value) -> str:
        if value is None:
            return "NAN"
        number = self.layout.text(value) if isinstance(value, str) else float(value)
        text = repr(number)
        return text if text[-1].isdigit() else {"inf": "INF", "-inf": "(-INF)"}[text]

    def _calculated(self, node: core.Negative | core.Arith, spot: Spot) -> str:
        while spot.outer is not None:
            spot = spot.outer
        key = (id(node), "V")
        if key not in spot.memo:
            if isinstance(node, core.Negative):
                text = f"-{self.value(node.operand, spot)}"
            else:
                text = self.value(node.first, spot)
                for op, operand in node.rest:
                    right = self.value(operand, spot)
                    text = f"div({text}, {right})" if op == "/" else f"({text} {op} {right})"
            name = self.fresh("v")
            # a number minus itself is zero when finite, else NaN: what overflows or is endless becomes unknown
            spot.lines.extend((f"{name} = {text}", f"{name} = {name} - ({name} - {name})"))
            spot.memo[key] = name
        return spot.memo[key]

    # slots -----------------------------------------------------------------

    def _slot_of(self, node: Core, spot: Spot) -> str:
        path: tuple[int, ...] = ()
        match node:
            case core.Fact():
                dims = () if node.dimension is None else (node.dimension,)
                slot = Slot(label=node.name, kind="fact", type=node.type, name=node.name, dims=dims)
                path = tuple(spot.levels[name] for name in dims)
            case core.Builtin():
                slot = Slot(label=node.name, kind="builtin", type=node.type, name=node.name)
            case core.Ask():
                label = f"{node.function}({node.argument})"
                slot = Slot(label=label, kind=node.function, type=node.type, name=node.argument)
            case core.Remembered():
                slot, path = self._memory(node, spot)
            case core.InCalendar():
                slot, path = self._calendar(node, spot)
            case _:
                raise AssertionError(f"no slot holds {type(node).__name__}")
        return self._read(slot, path, spot)

    def _memory(self, node: core.Remembered, spot: Spot) -> tuple[Slot, tuple[int, ...]]:
        dims, path = _bound(spot)
        reading = "patient" if self.patient else "strict"
        label = f"{reading}({node.key}{''.join(f'[{name}]' for name in dims)})"
        slot = Slot(label=label, kind="memory", type=node.type, name=node.key, dims=dims, patient=self.patient)
        return slot, path

    def _calendar(self, node: core.InCalendar, spot: Spot) -> tuple[Slot, tuple[int, ...]]:
        if isinstance(node.operand, core.Builtin):
            self._slot_of(node.operand, Spot())  # tables work the calendar out from `now`, so it has a column
            label = f"in({node.calendar.name})"
            same = self.layout.places.get(label)
            other = None if same is None else self.layout.slots[same].node
            if isinstance(other, core.InCalendar) and other.calendar != node.calendar:
                label = f"in({node.calendar.name})@{node.calendar!r}"
            return Slot(label=label, kind="calendar", type=Type.BOOL, node=node), ()
        dims, path = _bound(spot)
        label = f"in({node.calendar.name})@{'patient' if self.patient else 'strict'}:{dims}:{node!r}"
        return Slot(label=label, kind="calendar", type=Type.BOOL, dims=dims, patient=self.patient, node=node), path

    def _read(self, slot: Slot, path: tuple[int, ...], spot: Spot) -> str:
        name = f"s{self.layout.place(slot)}" + ("".join(f"_{level}" for level in path) if spot.depth else "")
        if spot.depth:
            spot.reads[name] = path
        return name


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that no input changes."""

    value: Value


def fixed(node: Core) -> Fixed | None:
    """The value of a node that reads nothing; None when it reads something."""
    if isinstance(node, core.Const):
        return Fixed(node.value)
    if not isinstance(node, core.Negative | core.Arith):
        return None
    parts = [fixed(part) for part in core.parts(node)]
    known = [part.value for part in parts if part is not None]
    return Fixed(arithmetic(node, known)) if len(known) == len(parts) else None


def _bound(spot: Spot) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The dimensions that loops bind here, outermost first, and their loops."""
    order = sorted(spot.levels, key=lambda name: spot.levels[name])
    return tuple(order), tuple(spot.levels[name] for name in order)


def _passed(name: str, spot: Spot) -> str:
    """What a variable of a loop is called outside it: at the top a slot bears no loops in its name."""
    return name if spot.depth or not name.startswith("s") else name.partition("_")[0]
