"""Asks z3 whether something can happen under a rule set, and has what it finds confirmed by the evaluator.

It never calls a claim proved that was not: a time-out is unknown, and a counterexample in a model that allows more
than can happen is called so unless the evaluator agrees.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import z3

from healerd_rules import core
from healerd_rules.judging import Judging
from healerd_rules.program import RuleSet
from healerd_rules.proofs import Counterexample, Status
from healerd_rules.schema import Type
from healerd_rules.smt import World
from healerd_rules.terms import Bit, Key, Quantity, Rails, Thing, conj, either, implies, neg
from healerd_rules.witness import Moments, assumptions, reduced, scene, shown

# Members of a dimension taken one by one, when a counterexample is looked for.
MEMBERS = 3
# Simplifying a counterexample asks the solver once for each wish; more would not read better.
WISHES = 80


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether it can happen (None: the time ran out), how, and if not, by which of the named conditions."""

    found: bool | None
    model: Any = None
    core: tuple[str, ...] = ()


@dataclass(slots=True)
class Prover:
    """One rule set in one world, with a solver that keeps what it has learnt; `hidden` sees less of the same moment."""

    ruleset: RuleSet
    timeout_s: float
    members: int | None
    judging: Judging = field(init=False)
    hidden: Judging = field(init=False)
    worlds: list[World] = field(init=False)
    solver: Any = field(init=False)
    _told: dict[int, int] = field(default_factory=dict)
    _linked: set[Key] = field(default_factory=set)

    def __post_init__(self) -> None:
        world = World("", self.members)
        twin = World("hidden!", self.members, world.texts, twin=world)
        self.judging, self.hidden, self.worlds = (
            Judging(self.ruleset, world),
            Judging(self.ruleset, twin),
            [world, twin],
        )
        self.solver = z3.SimpleSolver()
        self.solver.set("timeout", max(1, int(self.timeout_s * 1000)))

    def ask(self, conditions: Iterable[Bit], named: Mapping[str, Bit] | None = None, *, wish: bool = False) -> Answer:
        """Whether all of it can hold at once; with `wish` as people would expect the rest to be."""
        wanted = conj(conditions)
        named = named or {}
        if wanted is False:
            return Answer(False)
        if any(bit is False for bit in named.values()):
            return Answer(False, core=tuple(name for name, bit in named.items() if bit is False)[:1])
        self._tell()
        self.solver.push()
        marks = {name: z3.Bool(f"?{name}") for name in named}
        for name, bit in named.items():
            self.solver.add(implies(marks[name], bit))
        if wanted is not True:
            self.solver.add(wanted)
        answer = self._check(marks, wish=wish)
        self.solver.pop()
        return answer

    def _check(self, marks: Mapping[str, Any], *, wish: bool) -> Answer:
        said = self.solver.check(*marks.values())
        if said == z3.sat:
            return Answer(True, simplest(self.solver, list(marks.values()), self._wishes() if wish else ()))
        if said == z3.unknown:
            return Answer(None)
        by = {str(mark) for mark in self.solver.unsat_core()}
        return Answer(False, core=tuple(name for name in marks if f"?{name}" in by))

    def _tell(self) -> None:
        """What is always true of the variables, and that a hidden view knows no more than the full one."""
        for key in [key for key in self.worlds[1].things if key in self.worlds[0].things and key not in self._linked]:
            self._linked.add(key)
            self.worlds[1].sides.append(self._less_known(key))
        for world in self.worlds:
            told = self._told.get(id(world), 0)
            for side in world.sides[told:]:
                self.solver.add(side)
            self._told[id(world)] = len(world.sides)

    def _less_known(self, key: Key) -> Bit:
        full, less = self.worlds[0].things[key], self.worlds[1].things[key]
        if key[0] in ("held", "failed"):
            loosens = core.mentions(key[2], core.Missing)
            return True if loosens else number(less).value <= number(full).value
        if key[0] == "memory" and core.mentions(self.worlds[0].nodes[key], core.Missing):
            if isinstance(full, Rails) and isinstance(less, Rails) and core.only_missing(self.worlds[0].nodes[key]):
                return conj((implies(full.t, less.t), implies(less.f, full.f)))
            return True
        if isinstance(full, Rails) and isinstance(less, Rails):
            return conj((implies(less.t, full.t), implies(less.f, full.f)))
        if key[0] == "free":
            return True
        one, other = number(full), number(less)
        endless = either(one.endless, other.endless, neg(other.endless))
        return implies(other.known, conj((one.known, endless, one.value == other.value)))

    def _wishes(self) -> Iterator[Bit]:
        for world in self.worlds:
            yield from wishes(world)
        for key in sorted(self._linked, key=str):
            full, less = self.worlds[0].things[key], self.worlds[1].things[key]
            if key[0] not in ("held", "failed", "free"):
                yield implies(full.known, less.known)


def simplest(solver: Any, kept: list[Any], wanted: Iterable[Bit]) -> Any:
    """A model in which as much as possible is as people expect it."""
    model = solver.model()
    for wish in list(wanted)[:WISHES]:
        if not isinstance(wish, bool) and solver.check(*kept, wish) == z3.sat:
            model = solver.model()
            kept.append(wish)
    return model


def wishes(world: World) -> Iterator[Bit]:
    """What people expect of a moment: sure, live, an open incident, nothing done lately, plain numbers."""
    for key, thing in list(world.things.items()):
        yield from _wish(key, thing)


def _wish(key: Key, thing: Thing) -> Iterator[Bit]:
    kind = key[0]
    if kind in ("bars", "scope") and isinstance(thing, Rails):
        yield neg(thing.t)
    elif kind == "age" and isinstance(thing, Quantity):
        yield thing.endless
    elif kind == "fact" and isinstance(thing, Quantity) and key[2] is not Type.TEXT:
        yield thing.value >= 0
        if key[2] is Type.RATIO:
            yield thing.value <= 1
        if key[2] is Type.COUNT:
            yield z3.IsInt(thing.value)
    elif kind == "incident" and isinstance(thing, Rails):
        yield thing.t
    elif kind == "stage" and isinstance(thing, Quantity):
        yield conj((thing.known, thing.value == 3))
    elif kind == "confidence" and isinstance(thing, Quantity):
        yield conj((thing.known, thing.value == z3.Q(19, 20)))


def number(thing: Thing) -> Quantity:
    """A thing that is a number."""
    assert isinstance(thing, Quantity), "a number"
    return thing


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something that must not happen: what the solver looks for, how the evaluator confirms it, how it is shown."""

    conditions: Callable[[Prover], Iterable[Bit]]
    confirms: Callable[[Moments], bool]
    verdicts: Callable[[Moments], tuple[Mapping[str, str], ...]]
    titles: tuple[str, ...] = ("",)
    named: Callable[[Prover], Mapping[str, Bit]] | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a question."""

    status: Status
    counterexample: Counterexample | None = None
    needs: tuple[str, ...] = ()


@dataclass(slots=True)
class Provers:
    """The two models of one rule set: `counted` proves, `listed` finds counterexamples with named members."""

    ruleset: RuleSet
    timeout_s: float
    counted: Prover = field(init=False)
    _listed: list[Prover] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counted = Prover(self.ruleset, self.timeout_s, None)

    @property
    def listed(self) -> Prover:
        """The model with up to three members of each dimension, each by itself."""
        if not self._listed:
            self._listed.append(Prover(self.ruleset, self.timeout_s, MEMBERS))
        return self._listed[0]

    def proof(self, question: Question) -> Settled | None:
        """That it cannot happen, with what that stands on; None if this is not proved, for whatever reason."""
        named = question.named(self.counted) if question.named else None
        answer = self.counted.ask(question.conditions(self.counted), named)
        return Settled(Status.PROVED, needs=answer.core) if answer.found is False else None

    def settle(self, question: Question) -> Settled:
        """Proved for any number of members, or the simplest counterexample that can be found."""
        named = question.named(self.counted) if question.named else None
        answer = self.counted.ask(question.conditions(self.counted), named, wish=True)
        if answer.found is None:
            return Settled(Status.UNKNOWN)
        if answer.found is False:
            return Settled(Status.PROVED, needs=answer.core)
        prover = self.counted
        if any(key[0] == "held" for world in prover.worlds for key in world.things):
            named = question.named(self.listed) if question.named else None
            closer = self.listed.ask(question.conditions(self.listed), named, wish=True)
            if not closer.found:
                return Settled(Status.ASSUMED)
            prover, answer = self.listed, closer
        return self._found(prover, answer.model, question)

    def _found(self, prover: Prover, model: Any, question: Question) -> Settled:
        views = prover.worlds[: len(question.titles)]
        first: Moments | None = None
        for moment in (None, "model"):
            moments = tuple(scene(view, model, self.ruleset, by_model=moment == "model") for view in views)
            first = first or moments
            if question.confirms(moments):
                least = reduced(moments, question.confirms)
                return Settled(Status.REFUTED, self._counterexample(least, question, prover, confirmed=True))
        assert first is not None, "at least one moment was tried"
        return Settled(Status.ASSUMED, self._counterexample(first, question, prover, confirmed=False))

    def _counterexample(
        self, moments: Moments, question: Question, prover: Prover, *, confirmed: bool
    ) -> Counterexample:
        told = zip(moments, question.titles, question.verdicts(moments), strict=True)
        texts = {name: text for world in prover.worlds for name, text in remembered(world)}
        return Counterexample(
            moments=tuple(shown(moment, self.ruleset, title, said, moments) for moment, title, said in told),
            confirmed=confirmed,
            assumes=assumptions(moments, texts),
        )


def remembered(world: World) -> Iterator[tuple[str, str]]:
    """What is remembered in a world: the name of each memory, and what it is about."""
    for key, node in world.nodes.items():
        if isinstance(node, core.Remembered):
            yield key[2], node.text
