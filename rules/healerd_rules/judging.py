"""Verdict levels as z3 terms: which guard acts when, and how strict it makes each action.

It never solves. Levels are joined as `verdicts.join` joins them; when a deferral ends is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

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
from healerd_rules.schema import ActionDecl
from healerd_rules.smt import World
from healerd_rules.terms import Bit, Rails, conj, disj, neg
from healerd_rules.verdicts import Level


@dataclass(frozen=True, slots=True)
class Effect:
    """A guard makes an action at least this strict whenever `when` holds."""

    rule: CompiledRule
    level: Level
    when: Bit


@dataclass(slots=True)
class Judging:
    """One rule set in one world; what a rule comes to is worked out once."""

    ruleset: RuleSet
    world: World
    _acts: dict[int, Bit] = field(default_factory=dict)

    def truth(self, rule: CompiledRule) -> Rails:
        """How a rule's condition comes out: guards read the past strictly, all others patiently."""
        return self.world.truth(rule.condition, patient=rule.kind not in GUARDS)

    def acts(self, rule: CompiledRule) -> Bit:
        """Whether the rule acts here: its scope holds the pipeline, and its condition is as it needs it."""
        if id(rule) not in self._acts:
            self._acts[id(rule)] = conj((self.world.scope(rule.scope), self.condition_acts(rule)))
        return self._acts[id(rule)]

    def condition_acts(self, rule: CompiledRule) -> Bit:
        """Whether the condition alone would make it act."""
        truth = self.truth(rule)
        return truth.t if rule.needs_truth else neg(truth.f)

    def permitted(self, action: ActionDecl) -> Bit:
        """Whether a permit holds."""
        return disj(
            self.acts(rule) for rule in self.ruleset.compiled if rule.kind == "permit" and rule.covers(action.name)
        )

    def effects(self, action: ActionDecl) -> Iterator[Effect]:
        """What each restricting guard does to an action; advisory ones do nothing."""
        for rule in self.ruleset.compiled:
            if rule.kind in GUARDS and rule.kind != "permit" and rule.covers(action.name):
                yield from self._effects(rule, action)

    def _effects(self, rule: CompiledRule, action: ActionDecl) -> Iterator[Effect]:
        if rule.enforcement == "advisory":
            return
        if isinstance(rule.terms, RestTerms | BoundTerms):
            level = Level.APPROVAL_NEEDED if rule.enforcement == "soft" else Level.DEFERRED
            yield Effect(rule, level, conj((self.world.scope(rule.scope), self.world.bars(rule, action))))
        elif isinstance(rule.terms, ApprovalTerms):
            yield Effect(rule, Level.APPROVAL_NEEDED, self.acts(rule))
        elif isinstance(rule.terms, VetoTerms):
            yield Effect(rule, Level.ANNOUNCED, self.acts(rule))
            if rule.unknown == "asks":
                unknown = neg(self.truth(rule).known)
                yield Effect(rule, Level.APPROVAL_NEEDED, conj((self.world.scope(rule.scope), unknown)))
        else:
            level = Level.APPROVAL_NEEDED if rule.enforcement == "soft" else Level.FORBIDDEN
            yield Effect(rule, level, self.acts(rule))

    def at_least(self, action: ActionDecl, level: Level) -> Bit:
        """Whether the verdict on an action is at least that strict."""
        if level is Level.ALLOWED:
            return True
        acting = [effect.when for effect in self.effects(action) if effect.level >= level]
        return disj((neg(self.permitted(action)), *acting))

    def autonomous(self, action: ActionDecl) -> Bit:
        """Whether it runs without a person's word: allowed or announced."""
        return neg(self.at_least(action, Level.APPROVAL_NEEDED))

    def proposed(self, action: ActionDecl) -> Bit:
        """Whether a rule proposes it."""
        return disj(self.acts(r) for r in self.ruleset.compiled if r.kind in PROPOSING and r.covers(action.name))


def hard_part(ruleset: RuleSet) -> RuleSet:
    """The rules that no person may wave through: without soft and advisory guards."""
    return replace(ruleset, compiled=tuple(rule for rule in ruleset.compiled if rule.enforcement == "hard"))
