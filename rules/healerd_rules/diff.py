"""What changes between two rule sets: rules by name, and for each action a moment in which the answer differs.

It never calls two rule sets the same while a question was left open by a time-out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from healerd_rules.evaluation import OPERATORS, applies, weigh_at
from healerd_rules.explanation import describe
from healerd_rules.judging import Judging
from healerd_rules.program import PROPOSING, ApprovalTerms, BoundTerms, CompiledRule, RuleSet, VetoTerms
from healerd_rules.proofs import Change, Difference, Status
from healerd_rules.proving import Prover, Provers, Question
from healerd_rules.schema import ActionDecl
from healerd_rules.terms import Bit, conj, disj, neg
from healerd_rules.tree import ScopeAtom, ScopeExpr
from healerd_rules.verdicts import Level, Verdict
from healerd_rules.verify import TIMEOUT_S
from healerd_rules.witness import Moments, Scene, verdict_on

FORBIDDEN = (Level.FORBIDDEN,)
RESTRICTED = (Level.ANNOUNCED, Level.APPROVAL_NEEDED, Level.DEFERRED, Level.FORBIDDEN)


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to differ: for the solver, and for the evaluator on one moment."""

    name: str
    can: Callable[["_Pair", ActionDecl], Bit]
    does: Callable[[Verdict, Verdict], bool]


@dataclass(frozen=True, slots=True)
class _Pair:
    """Both rule sets in one world."""

    before: Judging
    after: Judging


def _automatic(pair: _Pair, action: ActionDecl) -> Bit:
    return conj((pair.after.autonomous(action), neg(pair.before.autonomous(action))))


def _forbidden(pair: _Pair, action: ActionDecl) -> Bit:
    return _stricter_at(pair.before, pair.after, action, FORBIDDEN)


def _looser(pair: _Pair, action: ActionDecl) -> Bit:
    return _stricter_at(pair.after, pair.before, action, RESTRICTED)


def _stricter(pair: _Pair, action: ActionDecl) -> Bit:
    return _stricter_at(pair.before, pair.after, action, RESTRICTED)


def _stricter_at(one: Judging, other: Judging, action: ActionDecl, levels: Iterable[Level]) -> Bit:
    """Whether the other reaches a level that the one does not."""
    return disj(conj((other.at_least(action, level), neg(one.at_least(action, level)))) for level in levels)


def _terms(pair: _Pair, action: ActionDecl) -> Bit:
    """Whether somebody else is asked, or people get another time to object, at one and the same open level."""
    before, after = _asked(pair.before, action), _asked(pair.after, action)
    windows = sorted({w for w, _ in (*_windows(pair.before, action), *_windows(pair.after, action))})
    differs = [_differ(before.get(terms, False), after.get(terms, False)) for terms in {**before, **after}]
    differs += [_differ(_window(pair.before, action, w), _window(pair.after, action, w)) for w in windows]
    moved = [_differ(pair.before.at_least(action, level), pair.after.at_least(action, level)) for level in RESTRICTED]
    return conj((neg(pair.before.at_least(action, Level.FORBIDDEN)), neg(disj(moved)), disj(differs)))


def _asked(judging: Judging, action: ActionDecl) -> dict[tuple[str, float | None, str], Bit]:
    """Who must approve, by role, time and what silence means."""
    found: dict[tuple[str, float | None, str], Bit] = {}
    for effect in judging.effects(action):
        if effect.level is Level.APPROVAL_NEEDED:
            key = _terms_of(effect.rule)
            found[key] = disj((found.get(key, False), effect.when))
    return found


def _terms_of(rule: CompiledRule) -> tuple[str, float | None, str]:
    """A soft guard, and `asks`, are waved through by operators."""
    if isinstance(rule.terms, ApprovalTerms):
        return rule.terms.role, rule.terms.within_s, rule.terms.otherwise
    return OPERATORS, None, "deny"


def _windows(judging: Judging, action: ActionDecl) -> Iterator[tuple[float, Bit]]:
    for effect in judging.effects(action):
        if effect.level is Level.ANNOUNCED and isinstance(effect.rule.terms, VetoTerms):
            yield effect.rule.terms.within_s, effect.when


def _window(judging: Judging, action: ActionDecl, at_least_s: float) -> Bit:
    return disj(when for within_s, when in _windows(judging, action) if within_s >= at_least_s)


def _differ(one: Bit, other: Bit) -> Bit:
    return disj((conj((one, neg(other))), conj((neg(one), other))))


def _asks_differently(before: Verdict, after: Verdict) -> bool:
    asked = [{(a.role, a.within_s, a.otherwise) for a in verdict.approvals} for verdict in (before, after)]
    differs = asked[0] != asked[1] or before.veto_within_s != after.veto_within_s
    return before.level == after.level < Level.FORBIDDEN and differs


# In the order in which a person wants to hear of them.
WAYS = (
    _Way("newly automatic", _automatic, lambda before, after: after.autonomous and not before.autonomous),
    _Way("newly forbidden", _forbidden, lambda b, a: a.level is Level.FORBIDDEN is not b.level),
    _Way("looser", _looser, lambda before, after: after.level < before.level),
    _Way("stricter", _stricter, lambda before, after: after.level > before.level),
    _Way("asks differently", _terms, _asks_differently),
)
UNCOMPARED = (*PROPOSING, "notify", "cooldown", "limit")
"""Kinds of rules of which a moment does not show all: ranks, messages, and when a deferral ends."""
WEAKER = {"looser": "newly automatic", "stricter": "newly forbidden"}


def diff(
    before: RuleSet,
    after: RuleSet,
    *,
    timeout_s: float = TIMEOUT_S,
    progress: Callable[[str], None] = lambda action: None,
) -> Difference:
    """What changes from `before` to `after`: newly automatic first, then newly forbidden, then the rest.

    How the level changes is told once an action: `looser` and `stricter` only where nothing becomes automatic or
    forbidden.
    """
    added, removed, changed = _by_name(before, after)
    changes: list[Change] = []
    if added or removed or changed or before.actions != after.actions:
        both = _Both(before, after, timeout_s)
        for action in sorted({*before.actions, *after.actions}, key=lambda action: action.name):
            progress(action.name)
            changes.extend(both.changes(action))
    order = [way.name for way in WAYS]
    ranked = sorted(changes, key=lambda c: order.index(c.way) if c.way in order else len(order))
    return Difference(
        added=added,
        removed=removed,
        changed=changed,
        changes=tuple(ranked),
        uncompared=_uncompared(before, after, (*added, *removed, *changed)),
    )


@dataclass(slots=True)
class _Both:
    """Two rule sets that are asked about the same moments."""

    before: RuleSet
    after: RuleSet
    timeout_s: float

    def changes(self, action: ActionDecl) -> Iterator[Change]:
        """Every way in which the answers about an action differ."""
        provers = Provers(self.before, self.timeout_s)
        seen: set[str] = set()
        for way in WAYS:
            if WEAKER.get(way.name) in seen:
                continue
            found = self._ask(provers, way, action)
            if found is not None:
                seen.add(way.name)
                yield found
        for name, one, other in (("newly proposed", 0, 1), ("no longer proposed", 1, 0)):
            found = self._proposed(provers, name, action, (one, other))
            if found is not None:
                yield found

    def _pair(self, prover: Prover) -> _Pair:
        return _Pair(Judging(self.before, prover.judging.world), Judging(self.after, prover.judging.world))

    def _ask(self, provers: Provers, way: _Way, action: ActionDecl) -> Change | None:
        def does(moments: Moments) -> bool:
            return way.does(*(_verdict(side, moments[0], action) for side in (self.before, self.after)))

        def verdicts(moments: Moments) -> tuple[Mapping[str, str], ...]:
            sides = {f"{action.name} before": self.before, f"{action.name} after": self.after}
            return ({name: describe(_verdict(side, moments[0], action)) for name, side in sides.items()},)

        question = Question(
            conditions=lambda prover: (way.can(self._pair(prover), action),), confirms=does, verdicts=verdicts
        )
        return _change(provers, question, way.name, action)

    def _proposed(self, provers: Provers, name: str, action: ActionDecl, order: tuple[int, int]) -> Change | None:
        sides = (self.before, self.after)

        def can(prover: Prover) -> Iterable[Bit]:
            pair = self._pair(prover)
            judged = (pair.before.proposed(action), pair.after.proposed(action))
            return neg(judged[order[0]]), judged[order[1]]

        def does(moments: Moments) -> bool:
            asks = [_proposes(side, moments[0], action) for side in sides]
            return not asks[order[0]] and asks[order[1]]

        def verdicts(moments: Moments) -> tuple[Mapping[str, str], ...]:
            told = {True: "proposed", False: "not proposed"}
            asks = [told[_proposes(side, moments[0], action)] for side in sides]
            return ({f"{action.name} before": asks[0], f"{action.name} after": asks[1]},)

        return _change(provers, Question(conditions=can, confirms=does, verdicts=verdicts), name, action)


def _change(provers: Provers, question: Question, way: str, action: ActionDecl) -> Change | None:
    settled = provers.settle(question)
    if settled.status is Status.PROVED:
        return None
    return Change(way=way, action=action.name, witness=settled.counterexample)


def _verdict(ruleset: RuleSet, moment: Scene, action: ActionDecl) -> Verdict:
    """The verdict; what a rule set does not know, it forbids."""
    known = any(declared.name == action.name for declared in ruleset.actions)
    return verdict_on(ruleset, moment, action.name) if known else Verdict(level=Level.FORBIDDEN)


def _proposes(ruleset: RuleSet, moment: Scene, action: ActionDecl) -> bool:
    rules = (rule for rule in ruleset.compiled if rule.kind in PROPOSING and rule.covers(action.name))
    here = (rule for rule in rules if applies(rule, moment.inputs))
    return any(weigh_at(rule, moment.inputs, moment.state, None).acts for rule in here)


# by name ---------------------------------------------------------------------------------


def _by_name(before: RuleSet, after: RuleSet) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The rules that were added, removed, and changed in more than where they stand and how they are laid out."""
    old, new = ({rule.id: rule for rule in side.compiled} for side in (before, after))
    changed = (name for name in sorted(old.keys() & new.keys()) if _meaning(old[name]) != _meaning(new[name]))
    return tuple(sorted(new.keys() - old.keys())), tuple(sorted(old.keys() - new.keys())), tuple(changed)


def _uncompared(before: RuleSet, after: RuleSet, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the rules that differ in more than their texts, and of which more is said than moments show.

    With them the limits of money over actions whose price differs: how much was spent is in no moment.
    """
    old, new = ({rule.id: rule for rule in side.compiled} for side in (before, after))
    pairs = ((name, old.get(name), new.get(name)) for name in sorted(names))
    found = {
        name
        for name, one, other in pairs
        if any(rule.kind in UNCOMPARED for rule in (one, other) if rule is not None)
        and (one is None or other is None or _effect(one) != _effect(other))
    }
    prices = [{action.name: action.cost for action in side.actions} for side in (before, after)]
    moved = [name for name in prices[0].keys() & prices[1].keys() if prices[0][name] != prices[1][name]]
    found |= {rule.id for rule in after.compiled if _is_money(rule) and any(rule.covers(name) for name in moved)}
    return tuple(sorted(found))


def _is_money(rule: CompiledRule) -> bool:
    return isinstance(rule.terms, BoundTerms) and rule.terms.kind == "money"


def _meaning(rule: CompiledRule) -> tuple[object, ...]:
    return (*_effect(rule), rule.because, rule.owner, rule.ticket)


def _effect(rule: CompiledRule) -> tuple[object, ...]:
    return (
        rule.kind,
        rule.actions,
        _without_places(rule.scope),
        rule.condition,
        rule.unknown,
        rule.terms,
        rule.priority,
        rule.severity,
        rule.enforcement,
    )


def _without_places(scope: ScopeExpr | None) -> object:
    """A scope without where its parts stand in the text."""
    if scope is None or isinstance(scope, ScopeAtom):
        return scope and (scope.kind, scope.text)
    return scope.op, tuple(_without_places(operand) for operand in scope.operands)
