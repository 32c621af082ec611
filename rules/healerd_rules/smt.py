"""Conditions as z3 terms: the third reading of the typed tree, with the meaning of `walk` for all inputs at once.

It never solves, and where it cannot be exact it allows more than can happen: what is remembered, whether now lies in
a calendar, and products of measured values may come out any way (`World.loose` says which were met).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, assert_never

import z3

from healerd_rules import barring, core, counting
from healerd_rules.core import Core
from healerd_rules.program import BoundTerms, CompiledRule, RestTerms
from healerd_rules.schema import STAGES, ActionDecl, Type
from healerd_rules.terms import (
    Bit,
    Key,
    Quantity,
    Rails,
    Thing,
    compare,
    conj,
    disj,
    every,
    exact,
    implies,
    neg,
    opposite,
    same,
    some,
    sure,
    tally,
    term,
)
from healerd_rules.tree import ScopeAtom, ScopeExpr

# What two views of one moment share whatever one of them hides: time, place, the action log.
SHARED = ("scope", "present", "members", "age", "bars", "calendar", "now")


@dataclass(slots=True)
class Texts:
    """Texts as numbers; a number that no text has stands for any other text."""

    numbers: dict[str, int] = field(default_factory=lambda: {stage: place for place, stage in enumerate(STAGES)})

    def number(self, text: str) -> Fraction:
        """The number of a text."""
        return Fraction(self.numbers.setdefault(text, len(self.numbers)))

    def text(self, number: int) -> str:
        """The text of a number."""
        return next((text for text, place in self.numbers.items() if place == number), f"other{number}")


@dataclass(slots=True)
class World:
    """Everything that rules may read at one moment, each thing a variable made when it is first met.

    `members` None counts the members of a dimension by how a condition comes out for them, which allows any number of
    members and forgets which they are; a number stands for that many members one by one, each there or not.
    `judged` names the action whose confidence is read, where a claim is about several; the counts of members by a
    condition that reads confidence are then its own, too. `things` are the variables by what they stand for, `sides`
    what is always true of them. `twin` is another view of the same moment. `log` answers for the action log, where
    it is more than a few free truths.
    """

    name: str
    members: int | None = None
    texts: Texts = field(default_factory=Texts)
    twin: "World | None" = None
    log: "Log | None" = None
    judged: str = ""
    things: dict[Key, Thing] = field(default_factory=dict)
    nodes: dict[Key, Core] = field(default_factory=dict)
    sides: list[Any] = field(default_factory=list)
    loose: set[str] = field(default_factory=set)
    _memo: dict[Key, tuple[Core, Thing]] = field(default_factory=dict)
    _bound: dict[str, int] = field(default_factory=dict)

    # variables -------------------------------------------------------------

    def thing(self, key: Key, make: Callable[[str], Thing]) -> Thing:
        """The variable for a key."""
        if self.twin is not None and key[0] in SHARED:
            return self.twin.thing(key, make)
        if key not in self.things:
            self.things[key] = make(f"{self.name}{len(self.things)}!{key[0]}")
        return self.things[key]

    def bit(self, key: Key) -> Bit:
        """A truth that is always known."""
        found = self.thing(key, lambda name: sure(z3.Bool(name)))
        assert isinstance(found, Rails), "a truth"
        return found.t

    def truth_of(self, key: Key) -> Rails:
        """A truth that may be unknown."""
        found = self.thing(key, _free_truth)
        assert isinstance(found, Rails), "a truth"
        return found

    def quantity_of(self, key: Key, *, always: bool = False) -> Quantity:
        """A number that may be unknown."""
        found = self.thing(key, lambda name: Quantity(z3.Real(name), always or z3.Bool(f"{name}?")))
        assert isinstance(found, Quantity), "a number"
        return found

    def text_of(self, key: Key) -> Quantity:
        """A text that may be unknown."""
        found = self.thing(key, lambda name: Quantity(z3.Int(name), z3.Bool(f"{name}?")))
        assert isinstance(found, Quantity), "a text"
        return found

    def free(self, key: Key, kind: Type) -> Thing:
        """A variable of a type."""
        if kind is Type.BOOL:
            return self.truth_of(key)
        return self.text_of(key) if kind is Type.TEXT else self.quantity_of(key)

    @property
    def confidence(self) -> Quantity:
        """The confidence of the action that is judged."""
        key = ("fact", f"confidence({self.judged})", Type.RATIO, None) if self.judged else ("confidence",)
        new = key not in self.things
        found = self.quantity_of(key)
        if new:
            self.sides.append(z3.And(found.value >= 0, found.value <= 1))
        return found

    @property
    def stage(self) -> Quantity:
        """One of the four stages, or unknown."""
        new = ("stage",) not in self.things
        found = self.text_of(("stage",))
        if new:
            self.sides.append(z3.And(found.value >= 0, found.value < len(STAGES)))
        return found

    # conditions ------------------------------------------------------------

    def truth(self, node: Core, *, patient: bool = False) -> Rails:
        """The truth of a condition."""
        found = self.value(node, patient=patient)
        assert isinstance(found, Rails), "a condition is a truth"
        return found

    def value(self, node: Core, *, patient: bool = False) -> Thing:
        """The value of any node, worked out once."""
        key = (id(node), patient, self.judged, *sorted(self._bound.items()))
        if key not in self._memo:
            # The node is kept too: an identity is only its own as long as it lives.
            self._memo[key] = (node, self._value(node, patient))
        return self._memo[key][1]

    def _number(self, node: Core, patient: bool) -> Quantity:  # noqa: FBT001 - the reading is handed on everywhere
        found = self.value(node, patient=patient)
        assert isinstance(found, Quantity), "types are checked before"
        return found

    def _value(self, node: Core, patient: bool) -> Thing:  # noqa: FBT001, PLR0912, C901 - one branch a form
        match node:
            case core.Const():
                return self._const(node)
            case core.Fact():
                member = None if node.dimension is None else self._bound[node.dimension]
                return self.free(("fact", node.name, node.type, member), node.type)
            case core.Confidence():
                return self.confidence
            case core.Builtin():
                return self._builtin(node)
            case core.Ask():
                return self._ask(node)
            case core.Negative() | core.Arith():
                return self._arithmetic(node, patient)
            case core.Compare():
                return self._compare(node, patient)
            case core.Between():
                value, low, high = (self._number(part, patient) for part in core.parts(node))
                return every((compare("<=", low, value), compare("<=", value, high)))
            case core.InCalendar():
                return self._calendar(node, patient)
            case core.Missing():
                return opposite(sure(self.value(node.operand, patient=patient).known))
            case core.Quantified():
                return self._quantified(node, patient)
            case core.Logic():
                operands = [self.truth(operand, patient=patient) for operand in node.operands]
                if node.op == "not":
                    return opposite(operands[0])
                return every(operands) if node.op == "and" else some(operands)
            case core.Remembered():
                return self._remembered(node, patient)
            case core.Named():
                return self.value(node.body, patient=patient)
        assert_never(node)

    def _const(self, node: core.Const) -> Thing:
        if isinstance(node.value, bool):
            return sure(node.value)
        return Quantity(self.texts.number(node.value) if isinstance(node.value, str) else exact(node.value))

    def _builtin(self, node: core.Builtin) -> Thing:
        if node.name == "now":
            return self.quantity_of(("now",), always=True)
        return self.stage if node.name == "stage" else self.truth_of(("incident",))

    def _ask(self, node: core.Ask) -> Thing:
        if node.function == "alarm":
            return self.truth_of(("alarm", node.argument))
        if node.function == "age":
            return self.age(node.argument)
        assert node.function == "did", "`autonomous` is filled in before"
        new = ("did", node.argument) not in self.things
        found = self.truth_of(("did", node.argument))
        if new:
            never = disj((self.age(node.argument).endless, self.truth_of(("incident",)).f))
            self.sides.append(implies(never, found.f))
        return found

    def age(self, action: str) -> Quantity:
        """Time since an action ended here: never negative, endless if it never ran."""
        if self.log is not None:
            return self.log.age(action)
        owner = self.twin or self
        new = ("age", action) not in owner.things
        found = self.thing(("age", action), lambda name: Quantity(z3.Real(name), True, z3.Bool(f"{name}!never")))
        assert isinstance(found, Quantity), "a number"
        if new:
            owner.sides.append(found.value >= 0)
        return found

    def _calendar(self, node: core.InCalendar, patient: bool) -> Rails:  # noqa: FBT001 - handed on
        """Now always lies inside or outside; what is calculated may be a moment that no calendar knows."""
        self.loose.add(f"calendar `{node.calendar.name}`")
        key = ("calendar", node.calendar, node.operand)
        inside = sure(self.bit(key)) if isinstance(node.operand, core.Builtin) else self.truth_of(key)
        known = self._number(node.operand, patient).known
        return Rails(conj((known, inside.t)), conj((known, inside.f)))

    def _compare(self, node: core.Compare, patient: bool) -> Rails:  # noqa: FBT001 - handed on
        left, right = self.value(node.left, patient=patient), self.value(node.right, patient=patient)
        if isinstance(left, Rails) and isinstance(right, Rails):
            return same(left, right) if node.op == "==" else opposite(same(left, right))
        assert isinstance(left, Quantity), "types are checked before"
        assert isinstance(right, Quantity), "types are checked before"
        return compare(node.op, left, right)

    def _remembered(self, node: core.Remembered, patient: bool) -> Thing:  # noqa: FBT001 - handed on
        key = ("memory", patient, node.key, tuple(sorted(self._bound.items())))
        self.nodes[key] = node
        self.loose.add(f"`{node.text}`")
        if node.type is Type.DURATION and core.mentions(node, core.Ask):
            return self.thing(key, _endless_number)  # of ages, which may be endless
        return self.free(key, node.type)

    # numbers -----------------------------------------------------------------

    def _arithmetic(self, node: core.Negative | core.Arith, patient: bool) -> Quantity:  # noqa: FBT001 - handed on
        if isinstance(node, core.Negative):
            inner = self._number(node.operand, patient)
            return Quantity(-inner.value, conj((inner.known, neg(inner.endless))))
        total = self._number(node.first, patient)
        for position, (op, part) in enumerate(node.rest):
            total = self._applied(total, op, self._number(part, patient), ("free", id(node), position), node)
        return total

    def _applied(self, left: Quantity, op: str, right: Quantity, key: Key, node: Core) -> Quantity:
        """What is infinite or divided by zero is unknown, but a finite number over an endless age is zero."""
        known = conj((left.known, right.known, neg(left.endless)))
        one, other = left.value, right.value
        plain = isinstance(one, Fraction) and isinstance(other, Fraction)
        if op in "+-":
            sum_ = one + _signed(op, other) if plain else term(one) + term(_signed(op, other))
            return Quantity(sum_, conj((known, neg(right.endless))))
        if op == "*":
            if isinstance(one, Fraction) or isinstance(other, Fraction):
                product = one * other if plain else term(one) * term(other)
                return Quantity(product, conj((known, neg(right.endless))))
            return Quantity(self._unbound(key, node), conj((known, neg(right.endless))))
        if isinstance(other, Fraction):
            if other == 0:
                return Quantity(Fraction(0), known=False)
            return Quantity(one / other if plain else term(one) / term(other), known)
        value = self._unbound(key, node)
        if right.endless is not False:
            value = z3.If(right.endless, z3.RealVal(0), value)
        return Quantity(value, conj((known, disj((right.endless, other != 0)))))

    def _unbound(self, key: Key, node: Core) -> Any:
        """A product or quotient of two measured values would leave linear arithmetic: it may be anything."""
        self.nodes[key] = node
        self.loose.add("a product or quotient of two measured values")
        return self.quantity_of((*key, *sorted(self._bound.items())), always=True).value

    # dimensions --------------------------------------------------------------

    def _quantified(self, node: core.Quantified, patient: bool) -> Rails:  # noqa: FBT001 - handed on
        if self.members is None:
            return self._counted(node, patient)
        there = [self.bit(("present", node.dimension, place)) for place in range(self.members)]
        outer = self._bound.get(node.dimension)
        rails = []
        for place in range(self.members):
            self._bound[node.dimension] = place
            rails.append(self.truth(node.body, patient=patient))
        del self._bound[node.dimension]
        if outer is not None:
            self._bound[node.dimension] = outer
        held = [conj((here, one.t)) for here, one in zip(there, rails, strict=True)]
        failed = [conj((here, one.f)) for here, one in zip(there, rails, strict=True)]
        return counting.quantify(node, tally(there), tally(held), tally(failed))

    def _counted(self, node: core.Quantified, patient: bool) -> Rails:  # noqa: FBT001 - handed on
        """Any number of members, each of which may come out any way; equal conditions come out the same."""
        self.loose.add(f"which members of `{node.dimension}` they are")
        total, new = self._counter(("members", node.dimension))
        if new:
            (self.twin or self).sides.append(total >= 0)
        body, straight = counting.plain(node.body)
        whose = self.judged if core.mentions(body, core.Confidence) else ""
        held, new = self._counter(("held", node.dimension, body, patient, whose))
        failed, _ = self._counter(("failed", node.dimension, body, patient, whose))
        if new:
            self.sides.append(z3.And(held >= 0, failed >= 0, held + failed <= total))
            others = [key for key in self.things if key[0] == "held" and key[1] == node.dimension and key[3] == patient]
            for other in others:
                counts = (self._counter(other)[0], self._counter(("failed", *other[1:]))[0])
                self.sides.extend(counting.relations(body, (held, failed), other[2], counts))
        return counting.quantify(node, total, *((held, failed) if straight else (failed, held)))

    def _counter(self, key: Key) -> tuple[Any, bool]:
        owner = self.twin if self.twin is not None and key[0] in SHARED else self
        new = key not in owner.things
        found = self.thing(key, lambda name: Quantity(z3.Int(name)))
        assert isinstance(found, Quantity), "a number"
        return found.value, new

    # where, and the action log -------------------------------------------------

    def scope(self, scope: ScopeExpr | None) -> Bit:
        """Whether the pipeline lies in the scope; each pattern and tag is a truth of its own."""
        if scope is None:
            return True
        if isinstance(scope, ScopeAtom):
            return self.bit(("scope", scope.kind, scope.text))
        inside = [self.scope(operand) for operand in scope.operands]
        if scope.op == "not":
            return neg(inside[0])
        return conj(inside) if scope.op == "and" else disj(inside)

    def bars(self, rule: CompiledRule, action: ActionDecl) -> Bit:
        """Whether a cooldown or limit bars an action; steps are never barred."""
        assert isinstance(rule.terms, RestTerms | BoundTerms), "only cooldowns and limits bar"
        if action.step or barring.always(rule.terms, action):
            return not action.step
        counted = rule.terms.after if isinstance(rule.terms, RestTerms) else None
        counted = rule.actions if counted is None else counted
        if self.log is not None:
            found = self.log.bars(rule.terms, counted)
            if found is not None:
                return found
        owner = self.twin or self
        money = isinstance(rule.terms, BoundTerms) and rule.terms.kind == "money"
        key = ("bars", counted, rule.terms, action.name if money else None)
        new = key not in owner.things
        found = self.bit(key)
        if new:
            owner.sides.extend(barring.relations(key, owner.things))
        return found


class Log:
    """What an action log model answers in place of free truths."""

    def age(self, action: str) -> Quantity:
        """Time since the action ended here."""
        raise NotImplementedError

    def bars(self, terms: RestTerms | BoundTerms, counted: frozenset[str] | None) -> Bit | None:
        """Whether the log makes this cooldown or limit bar; None leaves it free."""
        raise NotImplementedError


def _free_truth(name: str) -> Rails:
    value, known = z3.Bool(name), z3.Bool(f"{name}?")
    return Rails(z3.And(known, value), z3.And(known, z3.Not(value)))


def _endless_number(name: str) -> Quantity:
    return Quantity(z3.Real(name), z3.Bool(f"{name}?"), z3.Bool(f"{name}!endless"))


def _signed(op: str, amount: Any) -> Any:
    return amount if op == "+" else -amount
