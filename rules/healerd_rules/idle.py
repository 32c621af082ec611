"""Rules that do nothing: never acting, always overruled, or asking for what is never permitted.

It never changes a verdict; each finding is a warning, and names the rules that make it so.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from healerd_rules.core import TRUE
from healerd_rules.program import (
    GUARDS,
    PROPOSING,
    ApprovalTerms,
    BoundTerms,
    CompiledRule,
    RestTerms,
    RuleSet,
    VetoTerms,
)
from healerd_rules.proofs import Check, Status, Weight
from healerd_rules.proving import Answer, Prover, Provers
from healerd_rules.schema import ActionDecl
from healerd_rules.terms import disj, neg
from healerd_rules.verdicts import Level

OWN_PACKS = "healerd_rules/packs/"


def without_switches(ruleset: RuleSet) -> RuleSet:
    """The rule set without what forbids everything, everywhere and always: that is a switch, and meant.

    Beside it no other rule matters, which would be said of each; so they are looked at as if it were off.
    """

    def is_switch(rule: CompiledRule) -> bool:
        always = rule.kind == "forbid" and rule.condition == TRUE and rule.scope is None and rule.actions is None
        return always and rule.enforcement == "hard"

    return replace(ruleset, compiled=tuple(rule for rule in ruleset.compiled if not is_switch(rule)))


def dead(ruleset: RuleSet, provers: Provers) -> Iterator[Check]:
    """Every rule can act on data that is known."""
    prover = provers.counted
    found = []
    for rule in _looked_at(ruleset):
        if isinstance(rule.terms, RestTerms | BoundTerms):
            continue
        here = prover.judging.world.scope(rule.scope)
        answer = prover.ask((here, prover.judging.truth(rule).t))
        if answer.found is None:
            found.append(_left_open("dead", rule))
        elif answer.found is False:
            never = prover.ask((prover.judging.acts(rule),)).found is False
            says = "can never act" if never else "its condition can never be true: it acts on unknown data alone"
            found.append(_warning("dead", rule, says))
    yield from found or [_fine("dead")]


def shadowed(ruleset: RuleSet, provers: Provers) -> Iterator[Check]:
    """Every rule sometimes decides: no set of others, at least as strict, acts whenever it does."""
    prover, found, gone = provers.counted, [], set()
    for rule in reversed(_looked_at(ruleset)):
        others = [r for r in ruleset.compiled if r is not rule and r.id not in gone and _outdoes(r, rule)]
        if not others or prover.ask((prover.judging.acts(rule),)).found is False:
            continue
        answer = _without_others(prover, ruleset, rule, others)
        if answer.found is None:
            found.append(_left_open("shadowed", rule))
        elif answer.found is False:
            gone.add(rule.id)
            says = "another permit holds whenever it does" if rule.kind == "permit" else "others act whenever it does"
            found.append(_warning("shadowed", rule, says, answer.core))
    yield from found[::-1] or [_fine("shadowed")]


def _without_others(prover: Prover, ruleset: RuleSet, rule: CompiledRule, others: list[CompiledRule]) -> Answer:
    """Whether the rule acts on some action on which none of the others does; if not, which of them it was."""
    mine = prover.judging.acts(rule)
    answer, by = Answer(False), set[str]()
    for action in ruleset.actions:
        if not rule.covers(action.name):
            continue
        named = {r.id: neg(prover.judging.acts(r)) for r in others if r.covers(action.name)}
        answer = prover.ask((mine,), named)
        if answer.found is not False:
            return answer
        by.update(answer.core)
    return Answer(False, core=tuple(sorted(by)))


def _outdoes(other: CompiledRule, rule: CompiledRule) -> bool:
    """Whether a rule, when it acts, leaves nothing for another to say."""
    if other.enforcement == "advisory" or rule.enforcement == "advisory" or other.kind not in GUARDS:
        return False
    if rule.kind == "permit" or other.kind == "permit":
        return rule.kind == other.kind
    if rule.kind not in ("forbid", "require"):
        return False
    if other.kind == "forbid" and other.enforcement == "hard":
        return True
    if rule.kind == other.kind == "forbid":
        return rule.enforcement == "soft"
    mine, its = rule.terms, other.terms
    if isinstance(mine, VetoTerms) and isinstance(its, VetoTerms):
        return its.within_s >= mine.within_s and (rule.unknown != "asks" or other.unknown == "asks")
    if isinstance(mine, ApprovalTerms) and isinstance(its, ApprovalTerms):
        sooner = mine.within_s is None or (its.within_s is not None and its.within_s <= mine.within_s)
        return mine.role == its.role and sooner and (mine.otherwise == "defer" or its.otherwise == "deny")
    return False


def contradictory(ruleset: RuleSet, provers: Provers) -> Iterator[Check]:
    """No permit holds only where forbids act on all that it permits."""
    prover, found = provers.counted, []
    for rule in _looked_at(ruleset):
        if rule.kind != "permit" or prover.ask((prover.judging.acts(rule),)).found is False:
            continue
        forbids = [r for r in ruleset.compiled if r.kind == "forbid" and r.enforcement == "hard"]
        answer = _without_others(prover, ruleset, rule, forbids)
        if answer.found is None:
            found.append(_left_open("contradictory", rule))
        elif answer.found is False:
            found.append(_warning("contradictory", rule, "whenever it holds, a forbid acts", answer.core))
    yield from found or [_fine("contradictory")]


def permittable(ruleset: RuleSet, provers: Provers) -> Iterator[Check]:
    """Every action can be permitted on some inputs."""
    prover, found = provers.counted, []
    for action in ruleset.actions:
        forbids = {
            effect.rule.id: neg(effect.when)
            for effect in prover.judging.effects(action)
            if effect.level is Level.FORBIDDEN
        }
        answer = prover.ask((prover.judging.permitted(action),), forbids)
        if answer.found is not True:
            found.append(_about_action(action, answer))
    yield from found or [_fine("permittable")]


def _about_action(action: ActionDecl, answer: Answer) -> Check:
    says = "can never be permitted" if answer.core else "can never be permitted: no permit for it can hold"
    timed_out = answer.found is None
    return Check(
        claim="permittable",
        about=action.name,
        status=Status.UNKNOWN if timed_out else Status.REFUTED,
        weight=Weight.WARNING,
        says="the time ran out" if timed_out else says,
        needs=answer.core,
    )


def proposals(ruleset: RuleSet, provers: Provers) -> Iterator[Check]:
    """No proposal asks only for what is forbidden whenever it asks."""
    prover, found = provers.counted, []
    for rule in _looked_at(ruleset):
        if rule.kind not in PROPOSING or prover.ask((prover.judging.acts(rule),)).found is False:
            continue
        open_ = [neg(prover.judging.at_least(a, Level.FORBIDDEN)) for a in ruleset.actions if rule.covers(a.name)]
        answer = prover.ask((prover.judging.acts(rule), disj(open_)))
        if answer.found is None:
            found.append(_left_open("proposals", rule))
        elif answer.found is False:
            found.append(_warning("proposals", rule, "what it proposes is forbidden whenever it does"))
    yield from found or [_fine("proposals")]


def _looked_at(ruleset: RuleSet) -> list[CompiledRule]:
    """A person's own rules; those of shipped packs only where there is nothing else to look at."""
    own = [rule for rule in ruleset.compiled if not rule.path.startswith(OWN_PACKS)]
    return own or list(ruleset.compiled)


def _warning(claim: str, rule: CompiledRule, says: str, needs: Iterable[str] = ()) -> Check:
    return Check(
        claim=claim,
        about=rule.id,
        status=Status.REFUTED,
        weight=Weight.WARNING,
        says=says,
        path=rule.path,
        line=rule.line,
        needs=tuple(needs),
    )


def _left_open(claim: str, rule: CompiledRule) -> Check:
    return replace(_warning(claim, rule, "the time ran out"), status=Status.UNKNOWN)


def _fine(claim: str) -> Check:
    return Check(claim=claim, about="", status=Status.PROVED, weight=Weight.WARNING)
