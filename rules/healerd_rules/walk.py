"""Evaluates the typed tree by walking it: every node once, no short cuts, unknown in and unknown out.

It never changes a memory: moving the memories on is `advance`'s part, which walks with `Walk.renew`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from healerd_rules import core
from healerd_rules.actionlog import age_s, did
from healerd_rules.arithmetic import arithmetic, at_least, compare, every, negate, some
from healerd_rules.calendars import contains
from healerd_rules.core import Core
from healerd_rules.inputs import Inputs, Memory, Truth, Value, known
from healerd_rules.memory import Memories, step
from healerd_rules.schema import Type
from healerd_rules.verdicts import Leaf

MEMBERS_SHOWN = 5


@dataclass(slots=True)
class Walk:
    """One evaluation of one expression.

    `confidence` is the value that stands for it; `thresholds` collects what it is compared with. `leaves` collects
    the comparisons, outermost ones only. `forced` gives the truth of leaves by their position, for "what if".
    With `renew` set, memories are moved on into it; without, they are read from `memories`. `autonomous` says which
    actions would run by themselves (`*`: any of them); without it, invariants that ask are unknown.
    """

    inputs: Inputs
    memories: Memories
    patient: bool
    confidence: float | None = None
    renew: dict[str, Memory] | None = None
    forced: dict[int, bool] = field(default_factory=dict)
    autonomous: Mapping[str, bool] = field(default_factory=dict)
    leaves: list[Leaf] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    bound: dict[str, str] = field(default_factory=dict)
    _in_leaf: int = 0

    def truth(self, node: Core) -> Truth:
        """The value of a truth."""
        value = self.value(node)
        return value if isinstance(value, bool) else None

    def value(self, node: Core) -> Value:
        """The value of any node."""
        match node:
            case core.Const():
                return node.value
            case core.Fact():
                return self._fact(node)
            case core.Confidence():
                return self.confidence
            case core.Builtin():
                return self._builtin(node)
            case core.Ask():
                return self._ask(node)
            case core.Negative() | core.Arith():
                return arithmetic(node, [self.value(part) for part in core.parts(node)])
            case core.Logic():
                return self._logic(node)
            case core.Remembered() if node.type is not Type.BOOL:
                return self._remembered(node)
            case core.Compare() | core.Between() | core.InCalendar() | core.Missing():
                return self._leaf(node)
            case core.Quantified() | core.Remembered() | core.Named():
                return self._leaf(node)
        assert_never(node)

    # values --------------------------------------------------------------

    def _fact(self, node: core.Fact) -> Value:
        raw = self.inputs.facts.get(node.name)
        if node.dimension is None:
            return known(raw, node.type)
        if type(raw) is not dict and not isinstance(raw, Mapping):
            return None
        return known(raw.get(self.bound[node.dimension]), node.type)

    def _builtin(self, node: core.Builtin) -> Value:
        if node.name == "now":
            return self.inputs.now.timestamp()
        return self.inputs.stage if node.name == "stage" else self.inputs.incident

    def _ask(self, node: core.Ask) -> Value:
        if node.function == "alarm":
            return known(self.inputs.alarms.get(node.argument), Type.BOOL)
        if node.function == "age":
            return age_s(node.argument, self.inputs)
        if node.function == "autonomous":
            return self.autonomous.get(node.argument)
        return did(node.argument, self.inputs)

    def _logic(self, node: core.Logic) -> Truth:
        truths = [self.truth(operand) for operand in node.operands]
        if node.op == "not":
            return negate(truths[0])
        return every(truths) if node.op == "and" else some(truths)

    def _remembered(self, node: core.Remembered) -> Value:
        """Read what is remembered, or move it on by this window; twice in one window changes nothing."""
        key = node.key + "".join(f"[{member}]" for _, member in sorted(self.bound.items()))
        if self.renew is None:
            memory = self.memories.get(key)
            return None if memory is None else memory.reading
        if key not in self.renew:
            inputs = [self.value(part) for part in node.inputs]
            before = self.memories.get(key, Memory())
            self.renew[key] = step(node, before, inputs, self.inputs.window_s, patient=self.patient)
        return self.renew[key].reading

    # leaves --------------------------------------------------------------

    def _leaf(self, node: core.Leafy) -> Truth:
        """A comparison: worked out, written down if it is an outermost one, and forced where asked for."""
        self._in_leaf += 1
        leaf = self._weigh(node)
        self._in_leaf -= 1
        if self._in_leaf:
            return leaf.truth
        position = len(self.leaves)
        self.leaves.append(leaf)
        return self.forced.get(position, leaf.truth)

    def _weigh(self, node: core.Leafy) -> Leaf:
        match node:
            case core.Compare():
                return self._compare(node)
            case core.Between():
                return self._between(node)
            case core.InCalendar():
                moment = self.value(node.operand)
                inside = None if moment is None else self._in_calendar(node, float(moment))
                return Leaf(text=node.text, value=moment, truth=inside, unit=Type.TIME)
            case core.Missing():
                value = self.value(node.operand)
                return Leaf(text=node.text, value=value, truth=value is None, unit=node.operand.type)
            case core.Quantified():
                return self._quantified(node)
            case core.Remembered():
                value = self._remembered(node)
                return Leaf(text=node.text, truth=value if isinstance(value, bool) else None, unit=Type.BOOL)
            case core.Named():
                return Leaf(text=node.text, truth=self.truth(node.body), unit=Type.BOOL)
        assert_never(node)

    def _compare(self, node: core.Compare) -> Leaf:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.left, core.Confidence):
            self._note(right)
        if isinstance(node.right, core.Confidence):
            self._note(left)
        truth = compare(node.op, left, right)
        return Leaf(text=node.text, value=left, threshold=right, truth=truth, unit=node.left.type)

    def _between(self, node: core.Between) -> Leaf:
        value, low, high = (self.value(part) for part in core.parts(node))
        if core.mentions(node, core.Confidence):
            for bound in (value, low, high):
                self._note(bound)
        truth = every((compare("<=", low, value), compare("<=", value, high)))
        over = compare(">", value, high)
        return Leaf(text=node.text, value=value, threshold=high if over else low, truth=truth, unit=node.operand.type)

    def _note(self, threshold: Value) -> None:
        if isinstance(threshold, int | float):
            self.thresholds.append(float(threshold))

    def _in_calendar(self, node: core.InCalendar, moment: float) -> Truth:
        try:
            return contains(node.calendar, datetime.fromtimestamp(moment, self.inputs.now.tzinfo))
        except (OverflowError, ValueError, OSError):  # a moment that no calendar knows, such as the year 10000
            return None

    def _quantified(self, node: core.Quantified) -> Leaf:
        members = members_of(node, self.inputs)
        truths = [self._for_member(node, member) for member in members]
        need = needed(node, len(members))
        truth = quantify(node.kind, need, truths)
        holding = tuple(member for member, held in zip(members, truths, strict=True) if held)
        count = float(len(holding)) if members else None
        return Leaf(
            text=node.text,
            value=count,
            threshold=float(need),
            truth=truth,
            unit=Type.COUNT,
            members=holding[:MEMBERS_SHOWN],
        )

    def _for_member(self, node: core.Quantified, member: str) -> Truth:
        outer = self.bound.get(node.dimension)
        self.bound[node.dimension] = member
        truth = self.truth(node.body)
        del self.bound[node.dimension]
        if outer is not None:
            self.bound[node.dimension] = outer
        return truth


def members_of(node: core.Quantified, inputs: Inputs) -> tuple[str, ...]:
    """The members of a dimension: those the host lists, else all that any fact over it mentions."""
    listed = inputs.members.get(node.dimension)
    if listed is not None:
        return listed
    measured = (inputs.facts.get(name) for name in node.measures)
    return tuple(sorted({member for value in measured if isinstance(value, Mapping) for member in value}))


def needed(node: core.Quantified, count: int) -> int:
    """How many members must (or, for `at most`, may) satisfy the body."""
    if node.kind in ("any", "every"):
        return 1 if node.kind == "any" else count
    if node.share is None:
        return node.bound
    exact = node.share * count
    return int(exact + 1e-9) if node.kind == "at most" else int(-(-(exact - 1e-9) // 1))


def quantify(kind: str, need: int, truths: list[Truth]) -> Truth:
    """The truth of a quantifier; nothing is known about an empty dimension."""
    if not truths:
        return None
    return negate(at_least(need + 1, truths)) if kind == "at most" else at_least(need, truths)
