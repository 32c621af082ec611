"""Which one fact, set to which nearest value, could turn a condition round: candidates for "what if".

It never claims that one does: whoever asks must evaluate again with the fact changed.
"""

import datetime as dt
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from healerd_rules import core
from healerd_rules.arithmetic import OPPOSITE
from healerd_rules.calendars import contains
from healerd_rules.core import Core
from healerd_rules.inputs import Inputs, Memory, Truth, Value
from healerd_rules.schema import STAGES, Type
from healerd_rules.units import NUMERIC
from healerd_rules.walk import Walk, members_of

MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
QUARTER_S, SEARCHED_S = 900, 8 * 86400
"""How finely, and how far ahead, the next moment in or out of a calendar is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One fact set to one value, or time passed. `op` and `bound` say which condition the value was chosen for.

    `kind` is `fact`, `alarm`, `confidence`, `stage`, `incident` or `wait`. `members` are those of a dimension that
    get the value. `wait_s` is how long it takes until it can show: some windows, or the time until a moment.
    """

    kind: str
    name: str = ""
    members: tuple[str, ...] = ()
    value: Value = None
    op: str = "=="
    bound: Value = None
    unit: str = ""
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Search:
    """Looks for edits of one condition at one moment; `texts` are the words that rules compare a fact with."""

    inputs: Inputs
    memories: Mapping[str, Memory]
    confidence: float | None
    texts: Mapping[str, tuple[str, ...]]

    def edits(self, node: Core, *, want: bool) -> Iterator[Edit]:
        """Edits that could make the truth `want`."""
        match node:
            case core.Logic():
                wanted = not want if node.op == "not" else want
                for operand in node.operands:
                    if self._truth(operand) is not wanted:
                        yield from self.edits(operand, want=wanted)
            case core.Named():
                yield from self._named(node, want=want)
            case core.Fact():
                yield Edit(kind="fact", name=node.name, value=want, bound=want, unit=Type.BOOL)
            case core.Compare():
                yield from self._compare(node, node.op if want else OPPOSITE[node.op])
            case core.Between():
                yield from self._between(node, want=want)
            case core.InCalendar():
                yield from self._calendar(node, want=want)
            case core.Quantified():
                yield from self._quantified(node, want=want)
            case core.Remembered():
                yield from self._remembered(node, want=want)
            case _:
                return

    def _truth(self, node: Core) -> Truth:
        return self._walk().truth(node)

    def _walk(self) -> Walk:
        return Walk(self.inputs, self.memories, patient=False, confidence=self.confidence)

    def _named(self, node: core.Named, *, want: bool) -> Iterator[Edit]:
        body = node.body
        if isinstance(body, core.Ask):
            if body.function == "alarm":
                yield Edit(kind="alarm", name=body.argument, value=want, bound=want, unit=Type.BOOL)
        elif isinstance(body, core.Builtin):
            yield Edit(kind="incident", name="incident", value=want, bound=want, unit=Type.BOOL)
        else:
            yield from self.edits(body, want=want)

    # comparisons -----------------------------------------------------------

    def _compare(self, node: core.Compare, op: str) -> Iterator[Edit]:
        """So that `left op right` holds: each fact in it moved, the others as they are."""
        if node.left.type is Type.BOOL:
            other = self._walk().value(node.right)
            if isinstance(other, bool):
                yield from self.edits(node.left, want=other is (op == "=="))
        elif node.left.type is Type.TEXT:
            yield from self._text(node.left, op, self._walk().value(node.right))
        else:
            for side, far, direction in ((node.left, node.right, op), (node.right, node.left, MIRROR[op])):
                yield from self._numeric(side, far, direction)

    def _text(self, side: Core, op: str, word: Value) -> Iterator[Edit]:
        if not isinstance(side, core.Fact | core.Builtin) or not isinstance(word, str):
            return
        kind = "fact" if isinstance(side, core.Fact) else "stage"
        known = self.texts.get(side.name, ()) if kind == "fact" else tuple(reversed(STAGES))
        for value in (word,) if op == "==" else (each for each in known if each != word):
            yield Edit(kind=kind, name=side.name, value=value, bound=value, unit=Type.TEXT)

    def _numeric(self, side: Core, far: Core, op: str) -> Iterator[Edit]:
        """The facts of one side, each moved so that `side op far` holds; exact where the side is one fact."""
        if isinstance(side, core.Fact | core.Confidence):
            bound = self._walk().value(far)
            if isinstance(bound, int | float):
                yield from _number(side, op, float(bound))
            return
        for fact in reversed(core.distinct(side)):  # as written, from left to right
            if isinstance(fact, core.Fact) and fact.dimension is None and fact.type in NUMERIC:
                solved = self._solve(fact, side, far)
                if solved is not None:
                    bound, rises = solved
                    yield from _number(fact, op if rises else MIRROR[op], bound)

    def _solve(self, fact: core.Fact, side: Core, far: Core) -> tuple[float, bool] | None:
        """Where `side` meets `far` as the fact moves, and whether the difference rises with it; straight lines only."""
        found = []
        for value in (0.0, 1.0, 2.0):
            inputs = replace(self.inputs, facts={**self.inputs.facts, fact.name: value})
            walk = Walk(inputs, self.memories, patient=False, confidence=self.confidence)
            left, right = walk.value(side), walk.value(far)
            if not isinstance(left, int | float) or not isinstance(right, int | float):
                return None
            found.append(left - right)
        slope = found[1] - found[0]
        if not slope or not math.isclose(found[2] - found[1], slope, rel_tol=1e-9):
            return None
        return float(f"{-found[0] / slope:.12g}"), slope > 0

    def _between(self, node: core.Between, *, want: bool) -> Iterator[Edit]:
        low, high = (self._walk().value(end) for end in (node.low, node.high))
        if not isinstance(node.operand, core.Fact | core.Confidence):
            return
        for end, op in ((low, ">=" if want else "<"), (high, "<=" if want else ">")):
            if isinstance(end, int | float):
                yield from _number(node.operand, op, float(end))

    # time, members, memory ---------------------------------------------------

    def _calendar(self, node: core.InCalendar, *, want: bool) -> Iterator[Edit]:
        if not (isinstance(node.operand, core.Builtin) and node.operand.name == "now"):
            return
        now = self.inputs.now
        for waited in range(QUARTER_S, SEARCHED_S, QUARTER_S):
            moment = dt.datetime.fromtimestamp((now.timestamp() + waited) // QUARTER_S * QUARTER_S, dt.UTC)
            if contains(node.calendar, moment) is want:
                yield Edit(kind="wait", wait_s=(moment - now).total_seconds())
                return

    def _quantified(self, node: core.Quantified, *, want: bool) -> Iterator[Edit]:
        """All members that are not as wanted, moved together."""
        body = node.body
        if not isinstance(body, core.Compare) or not isinstance(body.left, core.Fact) or body.left.dimension is None:
            return
        bound, holds = self._walk().value(body.right), want is not (node.kind == "at most")
        if not isinstance(bound, int | float):
            return
        op = body.op if holds else OPPOSITE[body.op]
        measured = self.inputs.facts.get(body.left.name)
        values = measured if isinstance(measured, Mapping) else {}
        for edit in _number(body.left, op, float(bound)):
            members = tuple(m for m in members_of(node, self.inputs) if not _is(values.get(m), op, float(bound)))
            if members:
                yield replace(edit, members=members)

    def _remembered(self, node: core.Remembered, *, want: bool) -> Iterator[Edit]:
        """What is counted must come out so for some windows."""
        span = node.span(self.inputs.window_s)
        wanted: tuple[tuple[Core, bool], ...]
        match node.kind:
            case "for":
                windows, wanted = span if want else 1, ((node.inputs[0], want),)
            case "once":
                windows, wanted = 1 if want else span, ((node.inputs[0], want),)
            case "m_of_n":
                windows, wanted = node.need if want else span - node.need + 1, ((node.inputs[0], want),)
            case "opens":
                opens, clears = node.inputs
                windows, wanted = 1, ((opens, want),) if want else ((opens, False), (clears, True))
            case "since":
                windows, wanted = 1, ((node.inputs[1], True),) if want else ((node.inputs[0], False),)
            case _:
                return
        asked = [one for one in wanted if self._truth(one[0]) is not one[1]]
        for part, truth in asked:
            for edit in self.edits(part, want=truth):
                yield replace(edit, wait_s=edit.wait_s + windows * self.inputs.window_s)
        if not asked:
            yield Edit(kind="wait", wait_s=windows * self.inputs.window_s)


def _number(fact: core.Fact | core.Confidence, op: str, bound: float) -> Iterator[Edit]:
    """The nearest value that people would write; just past the bound where it does not count itself."""
    name = fact.name if isinstance(fact, core.Fact) else "confidence"
    step = _visible(bound, fact.type)
    steps = {"<": (-step,), ">": (step,), "!=": (step, -step)}.get(op, (0.0,))
    for moved in steps:
        value = float(f"{bound + moved:.12g}") if moved else bound
        if _possible(fact, value):
            kind = "fact" if isinstance(fact, core.Fact) else "confidence"
            yield Edit(kind=kind, name=name, value=value, op=op, bound=bound, unit=fact.type.value)


def _possible(fact: core.Fact | core.Confidence, value: float) -> bool:
    if isinstance(fact, core.Confidence):
        return 0 <= value <= 1
    return value >= 0 or fact.type not in (Type.COUNT, Type.DURATION, Type.BYTES)


def _visible(bound: float, kind: Type) -> float:
    """A small step that shows in the units people write."""
    match kind:
        case Type.COUNT | Type.BYTES:
            return 1.0
        case Type.RATIO | Type.POINTS:
            return 0.001
        case Type.DURATION:
            return 1.0 if bound >= 60 else 0.001
        case Type.MONEY:
            return 0.01
        case _:
            return float(10.0 ** (math.floor(math.log10(abs(bound))) - 2)) if bound else 0.001


def _is(value: float | None, op: str, bound: float) -> bool:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return {
        "<": value < bound,
        "<=": value <= bound,
        ">": value > bound,
        ">=": value >= bound,
        "==": value == bound,
        "!=": value != bound,
    }[op]
