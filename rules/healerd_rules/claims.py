"""The promises that every rule set must keep, and a file's own invariants, each put as what must not happen.

It never weighs a rule by itself: `judging` says what guards come to, and the evaluator confirms what is found.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import z3

from healerd_rules import core
from healerd_rules.core import Core
from healerd_rules.explanation import describe
from healerd_rules.inputs import Memory
from healerd_rules.judging import Effect, Judging
from healerd_rules.program import GUARDS, CompiledRule, RuleSet, VetoTerms
from healerd_rules.proofs import Check, Status, Weight
from healerd_rules.proving import Prover, Provers, Question, Settled, number
from healerd_rules.schema import ActionDecl, Type
from healerd_rules.smt import World
from healerd_rules.terms import Bit, conj, disj, exact, implies, neg, term
from healerd_rules.verdicts import Level, at_least_as_strict
from healerd_rules.walk import Walk
from healerd_rules.witness import Moments, Scene, scene, verdict_on

# Below this nothing is autonomous, whatever a file says (SAFETY S2).
GATE = 0.8


def told(ruleset: RuleSet, actions: Iterable[str]) -> "Callable[[Moments], tuple[Mapping[str, str], ...]]":
    """What the evaluator says about the actions in each moment, in words."""
    names = tuple(actions)
    return lambda moments: tuple({name: describe(verdict_on(ruleset, one, name)) for name in names} for one in moments)


# the gate --------------------------------------------------------------------------


def gate(ruleset: RuleSet, provers: Provers) -> Iterator[Check]:
    """No action is autonomous with confidence below 80% or unknown; soft and advisory guards count as absent.

    Guards that read confidence alone are tried first, then all that read it: a join only tightens, so what some
    guards prove holds for the set.
    """
    hard = provers.ruleset
    about = tuple(rule for rule in hard.compiled if core.mentions(rule.condition, core.Confidence))
    parts = [tuple(rule for rule in about if _about_confidence(rule)), about]
    fewer = [Provers(replace(hard, compiled=part), provers.timeout_s) for part in parts]
    for action in ruleset.actions:
        tried = (some.proof(_gate_question(hard, action, permits=False)) for some in fewer)
        settled = next((proof for proof in tried if proof is not None), None)
        settled = settled or provers.settle(_gate_question(hard, action, permits=True))
        says = "" if settled.status is Status.PROVED else "runs by itself with confidence below 80% or unknown"
        yield Check(
            claim="gate",
            about=action.name,
            status=settled.status,
            says=says,
            needs=settled.needs,
            counterexample=settled.counterexample,
        )


def _gate_question(hard: RuleSet, action: ActionDecl, *, permits: bool) -> Question:
    def unsure(prover: Prover) -> Iterable[Bit]:
        confidence = prover.judging.world.confidence
        return (disj((neg(confidence.known), confidence.value < term(exact(GATE)))),)

    def free(prover: Prover) -> Mapping[str, Bit]:
        strict = [e for e in prover.judging.effects(action) if e.level >= Level.APPROVAL_NEEDED]
        opened = {"no permit": prover.judging.permitted(action)} if permits else {}
        return {**_absent(strict), **opened}

    def confirms(moments: Moments) -> bool:
        confidence = moments[0].confidence
        return verdict_on(hard, moments[0], action.name).autonomous and (confidence is None or confidence < GATE)

    return Question(conditions=unsure, named=free, confirms=confirms, verdicts=told(hard, [action.name]))


def _absent(effects: Iterable[Effect]) -> dict[str, Bit]:
    """That none of the guards acts, by the guard's name."""
    named: dict[str, Bit] = {}
    for effect in effects:
        named[effect.rule.id] = conj((named.get(effect.rule.id, True), neg(effect.when)))
    return named


def _about_confidence(rule: CompiledRule) -> bool:
    """Whether a rule is a guard everywhere that reads confidence and nothing else."""
    reads = (core.Fact, core.Builtin, core.Ask, core.InCalendar, core.Remembered, core.Quantified)
    return (
        rule.kind in ("forbid", "require")
        and rule.scope is None
        and core.mentions(rule.condition, core.Confidence)
        and not core.mentions(rule.condition, reads)
    )


# hiding data -------------------------------------------------------------------------


def missing_safe(ruleset: RuleSet, provers: Provers) -> Iterator[Check]:
    """Hiding data never makes a guard more lenient; each rule in which it does is reported by itself."""
    guards = [rule for rule in ruleset.compiled if rule.kind in GUARDS and rule.enforcement != "advisory"]
    counted = provers.counted
    answer = counted.ask((disj(_loosens(counted, rule) for rule in guards),))
    if answer.found is False:
        yield Check(claim="missing_safe", about="", status=Status.PROVED)
        return
    for rule in guards:
        alone = counted.ask((_loosens(counted, rule),))
        if alone.found is not False:
            yield _loosening(ruleset, provers, rule, timed_out=alone.found is None)


def _loosens(prover: Prover, rule: CompiledRule) -> Bit:
    """Whether a rule is kinder to the view that sees less."""
    full, less = prover.judging.acts(rule), prover.hidden.acts(rule)
    return conj((less, neg(full))) if rule.kind == "permit" else conj((full, neg(less)))


def _loosening(ruleset: RuleSet, provers: Provers, rule: CompiledRule, *, timed_out: bool) -> Check:
    where = "`if unknown skips`" if rule.unknown == "skips" else "`is missing`"
    common: dict[str, Any] = {"claim": "missing_safe", "about": rule.id, "path": rule.path, "line": rule.line}
    if timed_out:
        return Check(status=Status.UNKNOWN, says="the time ran out", **common)
    masked: Check | None = None
    for action in ruleset.actions:
        if rule.covers(action.name):
            settled = provers.settle(_hiding(ruleset, rule, action))
            if settled.status is Status.REFUTED:
                says = f"hiding data loosens the verdict, by {where}"
                return Check(status=Status.REFUTED, says=says, counterexample=settled.counterexample, **common)
            if settled.status is not Status.PROVED:
                says = f"hiding data may loosen the verdict on {action.name}, by {where}"
                masked = Check(status=settled.status, says=says, counterexample=settled.counterexample, **common)
    says = f"hiding data loosens this rule, by {where}, though no verdict: other guards act too"
    return masked or Check(status=Status.REFUTED, weight=Weight.WARNING, says=says, **common)


def _hiding(ruleset: RuleSet, rule: CompiledRule, action: ActionDecl) -> Question:
    def conditions(prover: Prover) -> Iterable[Bit]:
        open_ = neg(prover.hidden.at_least(action, Level.FORBIDDEN))
        return _loosens(prover, rule), open_, _more_lenient(prover, action)

    grows = frozenset(
        part.key
        for guard in ruleset.compiled
        for part in core.distinct(guard.condition)
        if isinstance(part, core.Remembered) and core.only_missing(part)
    )

    def confirms(moments: Moments) -> bool:
        full, less = (verdict_on(ruleset, moment, action.name) for moment in moments)
        return (
            _sees_less(moments[0], moments[1], grows)
            and less.level < Level.FORBIDDEN
            and not at_least_as_strict(less, full)
        )

    titles = ("with the data", "without")
    return Question(conditions=conditions, confirms=confirms, verdicts=told(ruleset, [action.name]), titles=titles)


def _more_lenient(prover: Prover, action: ActionDecl) -> Bit:
    """Whether the view that sees less opens what is forbidden, misses an approval, or shortens a veto window."""
    full, less = prover.judging, prover.hidden
    both = list(zip(full.effects(action), less.effects(action), strict=True))
    lost = [conj((a.when, neg(b.when))) for a, b in both if a.level is Level.APPROVAL_NEEDED]
    vetoes = [(a.rule.terms.within_s, a.when, b.when) for a, b in both if isinstance(a.rule.terms, VetoTerms)]
    for window in {within_s for within_s, _, _ in vetoes}:
        longer = [(a, b) for within_s, a, b in vetoes if within_s >= window]
        lost.append(conj((disj(a for a, _ in longer), neg(disj(b for _, b in longer)))))
    return disj((*lost, conj((full.at_least(action, Level.FORBIDDEN), neg(less.at_least(action, Level.FORBIDDEN))))))


def _sees_less(full: Scene, less: Scene, grows: frozenset[str]) -> bool:
    """Whether the second moment is the first with something hidden; `grows` are memories that hiding makes true."""
    for key, memory in less.state.strict.items():
        whole = full.state.strict.get(key, Memory()).reading
        if memory.reading not in (None, whole) and not (key in grows and memory.reading is True):
            return False
    facts, shown = full.inputs.facts, less.inputs.facts
    for name, value in shown.items():
        if isinstance(value, Mapping):
            over = facts.get(name)
            if not isinstance(over, Mapping) or any(v not in (None, over.get(m)) for m, v in value.items()):
                return False
        elif value not in (None, facts.get(name)):
            return False
    alarms = all(v in (None, full.inputs.alarms.get(name)) for name, v in less.inputs.alarms.items())
    return alarms and less.inputs.stage in (None, full.inputs.stage)


# two passes ----------------------------------------------------------------------------


def second_pass(ruleset: RuleSet, provers: Provers) -> Iterator[Check]:
    """Knowing the confidence never loosens a verdict: where some confidence makes a guard kind, so does one of the
    turning points that the first pass tries. Between two of them the condition cannot change, since `confidence`
    stands only as a side of a comparison; over the members of a dimension this argument stands alone.
    """
    prover = provers.counted
    unproved = []
    for rule in ruleset.compiled:
        if rule.kind in GUARDS and core.mentions(rule.condition, core.Confidence):
            kind = prover.judging.condition_acts(rule)
            kind = kind if rule.kind == "permit" else neg(kind)
            if _in_members(rule.condition):
                continue
            found = prover.ask((kind, *_never_kind(prover.judging.world, rule, kind))).found
            if found is not False:
                unproved.append((rule, Status.UNKNOWN if found is None else Status.ASSUMED))
    for rule, status in unproved:
        says = "some confidence is kinder than every one that the first pass tries"
        yield Check(claim="second_pass", about=rule.id, status=status, says=says, path=rule.path, line=rule.line)
    if not unproved:
        yield Check(claim="second_pass", about="", status=Status.PROVED)


def _in_members(node: Core) -> bool:
    return any(
        isinstance(part, core.Quantified) and core.mentions(part.body, core.Confidence) for part in core.distinct(node)
    )


def _never_kind(world: World, rule: CompiledRule, kind: Bit) -> Iterator[Bit]:
    confidence = world.confidence
    if isinstance(kind, bool):
        yield not kind
        return
    yield neg(z3.substitute(kind, (confidence.known, z3.BoolVal(False))))
    edges = [(True, z3.RealVal(0)), (True, z3.RealVal(1)), *_thresholds(world, rule.condition)]
    middles = [(conj((a, b)), (x + y) / 2) for (a, x), (b, y) in combinations(edges, 2)]
    for there, point in (*edges, *middles):
        at = z3.substitute(kind, (confidence.known, z3.BoolVal(True)), (confidence.value, point))
        yield implies(conj((there, point >= 0, point <= 1)), neg(at))


def _thresholds(world: World, condition: Core) -> Iterator[tuple[Bit, Any]]:
    for part in core.distinct(condition):
        if isinstance(part, core.Compare | core.Between):
            sides = core.parts(part)
            if any(isinstance(side, core.Confidence) for side in sides):
                for side in sides:
                    if not isinstance(side, core.Confidence):
                        value = number(world.value(side))
                        yield conj((value.known, neg(value.endless))), term(value.value)


# order -----------------------------------------------------------------------------------


def order(ruleset: RuleSet, provers: Provers) -> Iterator[Check]:
    """The rules in reverse come to the same: for the solver on all inputs, for the evaluator on one input a level."""
    backwards = replace(ruleset, compiled=ruleset.compiled[::-1])
    for action in ruleset.actions:
        settled = provers.settle(_order_question(ruleset, backwards, action))
        if settled.status is Status.PROVED and not _alike(ruleset, backwards, action, provers.counted):
            settled = Settled(Status.REFUTED)
        if settled.status is not Status.PROVED:
            yield Check(claim="order", about=action.name, status=settled.status, counterexample=settled.counterexample)
            return
    yield Check(claim="order", about="", status=Status.PROVED)


def _order_question(ruleset: RuleSet, backwards: RuleSet, action: ActionDecl) -> Question:
    def differs(prover: Prover) -> Iterable[Bit]:
        one, other = prover.judging, Judging(backwards, prover.judging.world)
        levels = ((one.at_least(action, level), other.at_least(action, level)) for level in Level)
        yield disj(disj((conj((a, neg(b))), conj((neg(a), b)))) for a, b in levels)

    def confirms(moments: Moments) -> bool:
        return verdict_on(ruleset, moments[0], action.name) != verdict_on(backwards, moments[0], action.name)

    return Question(conditions=differs, confirms=confirms, verdicts=told(ruleset, [action.name]))


def _alike(ruleset: RuleSet, backwards: RuleSet, action: ActionDecl, prover: Prover) -> bool:
    """Whether the evaluator gives equal verdicts in both orders, on one moment of each level that there is."""
    reached = [prover.judging.at_least(action, level) for level in Level]
    for bit, beyond in zip(reached, [*reached[1:], False], strict=True):
        answer = prover.ask((bit, neg(beyond)))
        if answer.found:
            moment = scene(prover.judging.world, answer.model, ruleset)
            if verdict_on(ruleset, moment, action.name) != verdict_on(backwards, moment, action.name):
                return False
    return True


# a file's own ------------------------------------------------------------------------------


def invariants(ruleset: RuleSet, provers: Provers) -> Iterator[Check]:
    """Each invariant is surely true for all inputs; `confidence` there is that of the action that it is about."""
    for invariant, node in ruleset.invariants:
        for action in _about(ruleset, node):
            settled = provers.settle(_invariant_question(ruleset, provers.ruleset, node, action))
            yield Check(
                claim="invariant",
                about=invariant.name.text + (f" for {action.name}" if len(_about(ruleset, node)) > 1 else ""),
                status=settled.status,
                says="" if settled.status is Status.PROVED else invariant.because or "does not surely hold",
                counterexample=settled.counterexample,
            )


def _about(ruleset: RuleSet, node: Core) -> tuple[ActionDecl, ...]:
    """The actions for which an invariant is proved one by one."""
    asked = {p.argument for p in core.distinct(node) if isinstance(p, core.Ask) and p.function == "autonomous"}
    if "*" in asked or (not asked and core.mentions(node, core.Confidence)):
        return ruleset.actions
    named = tuple(action for action in ruleset.actions if action.name in asked)
    return named if core.mentions(node, core.Confidence) else named[:1] or ruleset.actions[:1]


def _invariant_question(ruleset: RuleSet, hard: RuleSet, node: Core, action: ActionDecl) -> Question:
    asked = {p.argument for p in core.distinct(node) if isinstance(p, core.Ask) and p.function == "autonomous"}
    names = {argument: action.name if argument == "*" else argument for argument in asked}
    declared = {known.name: known for known in ruleset.actions}

    def conditions(prover: Prover) -> Iterable[Bit]:
        marks = {argument: core.Fact(f"autonomous({argument})", Type.BOOL) for argument in names}
        truth = prover.judging.world.truth(_filled(node, marks))
        yield neg(truth.t)
        for argument, name in names.items():
            mark = prover.judging.world.truth_of(("fact", marks[argument].name, Type.BOOL, None))
            free = _of(prover, declared[name], action)
            yield implies(free, mark.t)
            yield implies(neg(free), mark.f)

    def confirms(moments: Moments) -> bool:
        free = {
            a: verdict_on(hard, _at_its_own(moments[0], name, action), name).autonomous for a, name in names.items()
        }
        filled = _filled(node, {a: core.Const(value, Type.BOOL) for a, value in free.items()})
        one = moments[0]
        walk = Walk(one.inputs, one.state.strict, patient=False, confidence=one.confidence)
        return walk.truth(filled) is not True

    shown = list(dict.fromkeys(names.values())) or [action.name]

    def verdicts(moments: Moments) -> tuple[Mapping[str, str], ...]:
        return ({name: describe(verdict_on(hard, _at_its_own(moments[0], name, action), name)) for name in shown},)

    return Question(conditions=conditions, confirms=confirms, verdicts=verdicts)


def _at_its_own(moment: Scene, name: str, about: ActionDecl) -> Scene:
    """The moment with the confidence of another action, where an invariant speaks of several."""
    if name == about.name:
        return moment
    own = moment.inputs.facts.get(f"confidence({name})", moment.confidence)
    return replace(moment, confidence=own) if own is None or isinstance(own, float) else moment


def _of(prover: Prover, judged: ActionDecl, about: ActionDecl) -> Bit:
    """An action's autonomy; another's than the one that the invariant is about is read at a confidence of its own."""
    if judged == about:
        return prover.judging.autonomous(judged)
    world = prover.judging.world
    world.judged = judged.name
    free = Judging(prover.ruleset, world).autonomous(judged)
    world.judged = ""
    return free


def _filled(node: Core, marks: Mapping[str, Core]) -> Core:
    """An invariant with something in place of each `autonomous(...)`."""
    match node:
        case core.Ask() if node.function == "autonomous":
            return marks[node.argument]
        case core.Logic():
            return replace(node, operands=tuple(_filled(operand, marks) for operand in node.operands))
        case core.Named() | core.Quantified():
            return replace(node, body=_filled(node.body, marks))
        case core.Missing():
            return replace(node, operand=_filled(node.operand, marks))
        case core.Compare():
            return replace(node, left=_filled(node.left, marks), right=_filled(node.right, marks))
        case _:
            return node
