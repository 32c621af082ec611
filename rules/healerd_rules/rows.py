"""Lays out what compiled rules read, as one flat row of numbers for a pipeline at a moment, and fills such rows.

It never judges, and never makes an unknown value known: unknown is NaN in every slot.

A row is a tuple in the order of `Layout.slots`. Numbers stand as they are; a truth is 1.0, 0.0 or NaN; a text is its
code. A slot with dimensions holds a tuple with one value a member (a tuple of tuples under two quantifiers).
"""

import datetime as dt
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from healerd_rules import core
from healerd_rules.actionlog import age_s, cooling, did, limited
from healerd_rules.evaluation import applies
from healerd_rules.inputs import Inputs, Memory, SignalState, Value, known
from healerd_rules.program import BoundTerms, CompiledRule, RestTerms, RuleSet
from healerd_rules.schema import ActionDecl, Type
from healerd_rules.walk import Walk, members_of

__all__ = ["NAN", "Codes", "Layout", "Row", "Slot", "deferring", "row_of", "rule_labels"]

NAN = math.nan
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One place of a row. `label` is unique in a layout and is what a host names the column by:

    `rows` (a fact), `now`, `stage`, `incident`, `alarm(harm)`, `age(retrain)`, `did(retrain)`, `members(feature)`,
    `in(office)`, `scope(RULE)`, `defers(RULE)` or `defers(RULE, ACTION)`, and `strict(KEY)` or `patient(KEY)` for what
    is remembered. `dims` are the dimensions over whose members it runs, outermost first.
    """

    label: str
    kind: str
    type: Type
    name: str = ""
    dims: tuple[str, ...] = ()
    patient: bool = False
    node: core.Core | None = field(default=None, repr=False, compare=False)
    rule: CompiledRule | None = field(default=None, repr=False, compare=False)
    action: ActionDecl | None = field(default=None, repr=False, compare=False)
    resting: Value = None
    """Its value when nothing is handed in for it: unknown, or for a scope and a deferral the stricter answer."""


@dataclass(slots=True, eq=False)
class Layout:
    """The slots in order, the codes of the texts that the rules name, and the actions that are judged."""

    actions: tuple[str, ...]
    slots: list[Slot] = field(default_factory=list)
    texts: dict[str, float] = field(default_factory=dict)
    quantified: dict[str, core.Quantified] = field(default_factory=dict)
    _places: dict[str, int] = field(default_factory=dict)

    @property
    def places(self) -> Mapping[str, int]:
        """Where each label stands."""
        return self._places

    def place(self, slot: Slot) -> int:
        """Where a slot stands; it gets a place when it has none."""
        if slot.label not in self._places:
            self._places[slot.label] = len(self.slots)
            self.slots.append(slot)
        return self._places[slot.label]

    def text(self, text: str) -> float:
        """The code of a text that the rules name."""
        return self.texts.setdefault(text, float(len(self.texts)))

    def codes(self) -> "Codes":
        """A code book for one row or one table: texts that the rules do not name get codes of their own in it."""
        return Codes(dict(self.texts))


@dataclass(slots=True)
class Codes:
    """Numbers for texts; two texts are equal exactly when their numbers are."""

    known: dict[str, float]

    def number(self, value: Value) -> float:
        """The value as it stands in a row."""
        if value is None:
            return NAN
        if isinstance(value, str):
            return self.known.setdefault(value, float(len(self.known)))
        return float(value)


@dataclass(frozen=True, slots=True)
class Filling:
    """Everything that filling one row needs; `bound` tells which member stands for a dimension."""

    inputs: Inputs
    state: SignalState
    codes: Codes
    members: Mapping[str, tuple[str, ...]]
    bound: Mapping[str, str] = field(default_factory=dict)

    def memories(self, slot: Slot) -> Mapping[str, Memory]:
        """The reading that the slot is about."""
        return self.state.patient if slot.patient else self.state.strict


def row_of(layout: Layout, inputs: Inputs, state: SignalState) -> Row:
    """The row of one pipeline at one moment. The action log is looked at only when something stands in it."""
    members = {name: members_of(node, inputs) for name, node in layout.quantified.items()}
    filling = Filling(inputs, state, layout.codes(), members)
    return tuple(_fill(slot, filling, slot.dims) for slot in layout.slots)


def _fill(slot: Slot, filling: Filling, dims: tuple[str, ...]) -> Any:
    if not dims:
        return _SOURCES[slot.kind](slot, filling)
    first, *rest = dims
    return tuple(
        _fill(slot, replace(filling, bound={**filling.bound, first: member}), tuple(rest))
        for member in filling.members[first]
    )


def _fact(slot: Slot, filling: Filling) -> float:
    raw: object = filling.inputs.facts.get(slot.name)
    if slot.dims:
        raw = raw.get(filling.bound[slot.dims[0]]) if isinstance(raw, Mapping) else None
    return filling.codes.number(known(raw, slot.type))


def _builtin(slot: Slot, filling: Filling) -> float:
    inputs = filling.inputs
    values: dict[str, Value] = {"now": inputs.now.timestamp(), "stage": inputs.stage, "incident": inputs.incident}
    return filling.codes.number(values[slot.name])


def _alarm(slot: Slot, filling: Filling) -> float:
    return filling.codes.number(known(filling.inputs.alarms.get(slot.name), Type.BOOL))


def _age(slot: Slot, filling: Filling) -> float:
    return age_s(slot.name, filling.inputs)


def _did(slot: Slot, filling: Filling) -> float:
    return filling.codes.number(did(slot.name, filling.inputs))


def _memory(slot: Slot, filling: Filling) -> float:
    key = slot.name + "".join(f"[{filling.bound[name]}]" for name in sorted(slot.dims))
    memory = filling.memories(slot).get(key)
    reading = None if memory is None else memory.reading
    if slot.type is Type.BOOL:
        return filling.codes.number(reading if isinstance(reading, bool) else None)
    return float(reading) if isinstance(reading, int | float) else NAN


def _calendar(slot: Slot, filling: Filling) -> float:
    assert slot.node is not None, "a calendar's slot holds its node"
    walk = Walk(filling.inputs, filling.memories(slot), slot.patient, bound=dict(filling.bound))
    return filling.codes.number(walk.truth(slot.node))


def _member(slot: Slot, filling: Filling) -> bool:
    return True


def _scope(slot: Slot, filling: Filling) -> bool:
    assert slot.rule is not None, "a scope's slot holds its rule"
    return applies(slot.rule, filling.inputs)


def _deferral(slot: Slot, filling: Filling) -> bool:
    if not filling.inputs.log:
        return bool(slot.resting)
    assert slot.rule is not None, "a deferral's slot holds its rule"
    return defers(slot.rule, slot.action, filling.inputs)


def defers(rule: CompiledRule, action: ActionDecl | None, inputs: Inputs) -> bool:
    """Whether a cooldown or a limit says not now; only a limit of money asks for the action's own cost."""
    if isinstance(rule.terms, RestTerms):
        return cooling(rule.terms, rule, inputs) is not None
    assert isinstance(rule.terms, BoundTerms), "only cooldowns and limits defer"
    return limited(rule.terms, rule, action or NO_ACTION, inputs) is not None


NO_ACTION = ActionDecl(name="")

_SOURCES: Mapping[str, Callable[[Slot, Filling], Any]] = {
    "fact": _fact,
    "builtin": _builtin,
    "alarm": _alarm,
    "age": _age,
    "did": _did,
    "memory": _memory,
    "calendar": _calendar,
    "members": _member,
    "scope": _scope,
    "defers": _deferral,
}


def deferring(rule: CompiledRule, label: str, action: ActionDecl | None) -> Slot:
    """The slot of a cooldown or a limit; its resting value is what an empty log says."""
    empty = Inputs(pipeline="", now=dt.datetime(2000, 1, 1, tzinfo=dt.UTC), window_s=1.0, stage=None, incident=None)
    about = label if action is None else f"{label}, {action.name}"
    resting = defers(rule, action, empty)
    return Slot(label=f"defers({about})", kind="defers", type=Type.BOOL, rule=rule, action=action, resting=resting)


def rule_labels(ruleset: RuleSet) -> dict[int, str]:
    """A label for each rule by its position: its id, with its place where two rules share one."""
    times = Counter(rule.id for rule in ruleset.compiled)
    return {
        number: rule.id if times[rule.id] == 1 else f"{rule.id}@{rule.path}:{rule.line}"
        for number, rule in enumerate(ruleset.compiled)
    }
