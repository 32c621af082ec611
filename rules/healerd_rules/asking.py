"""Which rules could propose an action, how each came out, and which single comparison would have made it ask.

It never changes a proposal, and never says that a rule would have asked where that was not evaluated.
"""

from dataclasses import dataclass

from healerd_rules.evaluation import Moment, acting_of, applies
from healerd_rules.explanation import Flip, flips_of
from healerd_rules.inputs import Inputs, SignalState, Truth
from healerd_rules.program import PROPOSING, RuleSet
from healerd_rules.verdicts import Acting


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A rule that may propose an action: whether its condition held, leaf by leaf, and what alone would turn it."""

    rule: Acting
    asks: bool
    truth: Truth
    flips: tuple[Flip, ...]


def asking(ruleset: RuleSet, inputs: Inputs, state: SignalState, action: str) -> tuple[Asking, ...]:
    """Every rule in whose scope the pipeline lies and that names the action, in the order of the files."""
    moment = Moment(ruleset, inputs, state)
    rules = (
        rule
        for rule in ruleset.compiled
        if rule.kind in PROPOSING and action in (rule.actions or ()) and applies(rule, inputs)
    )
    weighed = [moment.weigh(rule, None) for rule in rules]
    return tuple(
        Asking(
            rule=acting_of(one.rule, one.leaves),
            asks=one.acts,
            truth=one.truth,
            flips=() if one.acts else tuple(flips_of(one, inputs, state)),
        )
        for one in weighed
    )
