"""What tests have seen of each rule and each signal: acting, not acting, unknown.

It never runs a test and never judges one.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from healerd_rules import core
from healerd_rules.actionlog import cooling, limited
from healerd_rules.builtins import BUILTINS
from healerd_rules.core import Core
from healerd_rules.evaluation import Moment, applies
from healerd_rules.inputs import Inputs, SignalState
from healerd_rules.program import GUARDS, BoundTerms, CompiledRule, RestTerms, RuleSet
from healerd_rules.walk import Walk


class Outcome(StrEnum):
    """How a rule's condition, or a signal, came out at one moment."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


OUTCOMES = {True: Outcome.YES, False: Outcome.NO, None: Outcome.UNKNOWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """A rule or a signal: how it can come out, and how it did in some test."""

    name: str
    kind: str
    path: str
    line: int
    possible: frozenset[Outcome]
    seen: frozenset[Outcome]

    def to_json(self) -> dict[str, object]:
        """The same as a JSON object; null where it cannot come out so."""
        found = {outcome.value: outcome in self.seen if outcome in self.possible else None for outcome in Outcome}
        return {"name": self.name, "kind": self.kind, "path": self.path, "line": self.line, **found}


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """All rules and signals of the files that the tests are about."""

    rules: tuple[Covered, ...]
    signals: tuple[Covered, ...]

    @property
    def share(self) -> float:
        """The part of all possible outcomes that some test has seen, in [0, 1]; 1 when there is nothing to see."""
        every = (*self.rules, *self.signals)
        possible = sum(len(one.possible) for one in every)
        return sum(len(one.seen & one.possible) for one in every) / possible if possible else 1.0


@dataclass(slots=True)
class Watcher:
    """Collects outcomes over all moments of all tests."""

    ruleset: RuleSet
    _rules: dict[int, set[Outcome]] = field(default_factory=dict)
    _signals: dict[str, set[Outcome]] = field(default_factory=dict)

    def look(self, inputs: Inputs, state: SignalState, confidence: float | None) -> None:
        """Note how everything comes out at one moment."""
        moment = Moment(self.ruleset, inputs, state)
        for rule in self.ruleset.compiled:
            if applies(rule, inputs):
                self._rules.setdefault(id(rule), set()).update(_outcomes(rule, moment, confidence))
        for name, node in self.ruleset.signals.items():
            truth = Walk(inputs, state.patient, patient=True).truth(node)
            self._signals.setdefault(name, set()).add(OUTCOMES[truth])

    def coverage(self, paths: Collection[str]) -> Coverage:
        """What was seen of the rules and signals in these files."""
        rules = [rule for rule in self.ruleset.compiled if rule.path in paths]
        return Coverage(
            rules=tuple(
                Covered(
                    name=rule.id,
                    kind=rule.kind,
                    path=rule.path,
                    line=rule.line,
                    possible=_possible(rule),
                    seen=frozenset(self._rules.get(id(rule), ())),
                )
                for rule in rules
            ),
            signals=tuple(self._signals_of(paths)),
        )

    def _signals_of(self, paths: Collection[str]) -> Iterator[Covered]:
        for name, node in self.ruleset.signals.items():
            path, line = self.ruleset.signal_places[name]
            if path in paths:
                possible = {Outcome.YES, Outcome.NO} | ({Outcome.UNKNOWN} if may_be_unknown(node) else set())
                yield Covered(
                    name=name,
                    kind="signal",
                    path=path,
                    line=line,
                    possible=frozenset(possible),
                    seen=frozenset(self._signals.get(name, ())),
                )


def _outcomes(rule: CompiledRule, moment: Moment, confidence: float | None) -> Iterator[Outcome]:
    """How a rule comes out: by its condition, or for cooldowns and limits by the log, for each action it bars."""
    terms = rule.terms
    if not isinstance(terms, RestTerms | BoundTerms):
        yield OUTCOMES[moment.weigh(rule, confidence if rule.kind in GUARDS else None).truth]
        return
    for action in moment.ruleset.actions:
        if rule.covers(action.name) and not action.step:
            inputs = moment.inputs
            if isinstance(terms, RestTerms):
                found = cooling(terms, rule, inputs)
            else:
                found = limited(terms, rule, action, inputs)
            unknown = found is not None and _is_money(terms) and found.leaf.value is None
            yield Outcome.UNKNOWN if unknown else OUTCOMES[found is not None]


def _possible(rule: CompiledRule) -> frozenset[Outcome]:
    if isinstance(rule.terms, RestTerms | BoundTerms):
        return frozenset(Outcome) if _is_money(rule.terms) else frozenset({Outcome.YES, Outcome.NO})
    if rule.condition == core.TRUE:
        return frozenset({Outcome.YES})
    unknown = {Outcome.UNKNOWN} if may_be_unknown(rule.condition) else set()
    return frozenset({Outcome.YES, Outcome.NO} | unknown)


def _is_money(terms: RestTerms | BoundTerms) -> bool:
    return isinstance(terms, BoundTerms) and terms.kind == "money"


def may_be_unknown(node: Core) -> bool:
    """Whether a truth can come out unknown: something in it is measured, and not only asked whether it is missing."""
    match node:
        case core.Fact() | core.Confidence() | core.Quantified():
            return True
        case core.Builtin():
            return node.name != "now"
        case core.Ask():
            return node.function != "age"
        case core.Missing():
            return False
        case core.Remembered() if node.kind in BUILTINS and BUILTINS[node.kind].needs_full:
            return True
        case _:
            return any(may_be_unknown(part) for part in core.parts(node))
