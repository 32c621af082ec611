"""Rule sets with planted flaws, and the solver's reading of a rule set at one moment, for tests and experiments."""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from healerd_rules import Inputs, Level, RuleSet, Schema, SignalState
from healerd_rules.actionlog import age_s, cooling, did, limited
from healerd_rules.calendars import contains
from healerd_rules.evaluation import applies, sureness
from healerd_rules.program import CompiledRule, RestTerms
from healerd_rules.proving import Prover
from healerd_rules.smt import World
from healerd_rules.sources import PACKS
from healerd_rules.terms import Bit, Key, Rails, Thing, conj, disj, exact, neg, term
from healerd_rules.tree import ScopeAtom, Span
from healerd_rules.walk import Walk
from tests.rules.worlds import SCHEMA, rules

BASE = (PACKS / "base.heal").read_text(encoding="utf-8")
SHIPPED = "healerd_rules/packs/"


def without_base(ruleset: RuleSet) -> RuleSet:
    """The rules that do not come from a shipped pack: what would hold if `base` were not always there."""
    own = tuple(rule for rule in ruleset.compiled if not rule.path.startswith(SHIPPED))
    return dataclasses.replace(ruleset, compiled=own)


def altered_base(old: str, new: str, more: str = "", *, schema: Schema = SCHEMA) -> RuleSet:
    """The pack `base` with one text in it replaced, and more rules after it."""
    assert BASE.count(old) == 1, f"`{old}` stands once in the pack"
    return without_base(rules(BASE.replace("pack base", "pack altered").replace(old, new) + more, schema=schema))


def smt_levels(
    ruleset: RuleSet, inputs: Inputs, state: SignalState, confidence: Mapping[str, float | None]
) -> dict[str, Level]:
    """The level of each action as the solver reads the rules, with everything that they may read given.

    Cooldowns and limits are free truths for the solver: whether they bar is taken from the action log. Rule sets
    with products of two measured values have no such reading.
    """
    mappings = [value for value in inputs.facts.values() if isinstance(value, Mapping)]
    most = max([1, *map(len, inputs.members.values()), *map(len, mappings)])
    prover = Prover(ruleset, 60.0, most)
    levels = {}
    for action in ruleset.actions:
        reached = [prover.judging.at_least(action, level) for level in Level]
        sure = sureness(confidence, action.name)
        given = list(_Given(ruleset, prover.judging.world, inputs, state, sure).all())
        model = prover.ask(given).model
        assert model is not None, "what is given can be"
        can = [bit if isinstance(bit, bool) else bool(model.eval(bit, model_completion=True)) for bit in reached]
        other = disj(neg(bit) if held else bit for bit, held in zip(reached, can, strict=True))
        assert prover.ask((*given, other)).found is False, "all that is read is given"
        levels[action.name] = Level(sum(can) - 1)
    return levels


@dataclasses.dataclass(frozen=True)
class _Given:
    """What one moment makes of every variable of a world."""

    ruleset: RuleSet
    world: World
    inputs: Inputs
    state: SignalState
    confidence: Any

    def all(self) -> Iterator[Bit]:
        for key, thing in list(self.world.things.items()):
            assert key[0] != "free", "a product of measured values may be anything"
            yield self._is(key, thing)

    def _is(self, key: Key, thing: Thing) -> Bit:
        if key[0] == "present":
            return _truth(thing, key[2] < len(self._members(key[1])))
        if key[0] == "bars":
            return _truth(thing, self._bars(key))
        value = self._value(key)
        if isinstance(thing, Rails):
            return _truth(thing, value)
        if value is None:
            return neg(thing.known)
        if value == float("inf"):
            return thing.endless
        number = self.world.texts.number(value) if isinstance(value, str) else exact(value)
        return conj((thing.known, neg(thing.endless), term(thing.value) == term(number)))

    def _value(self, key: Key) -> Any:
        match key:
            case ("confidence",):
                return self.confidence
            case ("stage",):
                return self.inputs.stage
            case ("incident",):
                return self.inputs.incident
            case ("now",):
                return self.inputs.now.timestamp()
            case ("alarm", name):
                return self.inputs.alarms.get(name)
            case ("calendar", spec, operand):
                moment = Walk(self.inputs, {}, patient=False).value(operand)
                at = self.inputs.now if moment is None else dt.datetime.fromtimestamp(float(moment), dt.UTC)
                return contains(spec, at)
            case ("scope", kind, text):
                return applies(
                    CompiledRule(id="", name="", kind="", actions=None, scope=_atom(kind, text)), self.inputs
                )
            case ("memory", patient, name, bound):
                names = "".join(f"[{self._members(dimension)[place]}]" for dimension, place in bound)
                memories = self.state.patient if patient else self.state.strict
                return memories[name + names].reading if name + names in memories else None
            case ("fact", name, _, None):
                return self.inputs.facts.get(name)
            case ("fact", name, _, place):
                dimension = next(fact.per for fact in self.ruleset.facts if fact.name == name)
                members, measured = self._members(dimension or ""), self.inputs.facts.get(name)
                there = isinstance(measured, Mapping) and place < len(members)
                return measured.get(members[place]) if there else None
            case ("age" | "did", _):
                return self._asked(key)
        raise AssertionError(key)

    def _asked(self, key: Key) -> Any:
        return age_s(key[1], self.inputs) if key[0] == "age" else did(key[1], self.inputs)

    def _bars(self, key: Key) -> bool:
        _, counted, terms, priced = key
        rule = CompiledRule(id="", name="", kind="limit", actions=counted, terms=terms)
        if isinstance(terms, RestTerms):
            return cooling(terms, rule, self.inputs) is not None
        action = next(a for a in self.ruleset.actions if priced in (None, a.name))
        return limited(terms, rule, action, self.inputs) is not None

    def _members(self, dimension: str) -> tuple[str, ...]:
        listed = self.inputs.members.get(dimension)
        if listed is not None:
            return listed
        over = [self.inputs.facts.get(fact.name) for fact in self.ruleset.facts if fact.per == dimension]
        return tuple(sorted({member for value in over if isinstance(value, Mapping) for member in value}))


def _truth(thing: Thing, truth: Any) -> Bit:
    assert isinstance(thing, Rails)
    return thing.t if truth is True else thing.f if truth is False else neg(thing.known)


def _atom(kind: str, text: str) -> ScopeAtom:
    return ScopeAtom(Span(0, 0), kind, text)
