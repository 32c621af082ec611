"""The middle of the line: the rule's action, the policy's candidate, and the gate between them.

Must never choose what the first pass has not permitted, nor let the policy replace the rule's action unless every test
of `gate` lets it. Rules say when, the policy says which: it starts nothing that no rule asks for.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from healerd.decision.context import contexts_of
from healerd.decision.gate import Coin, Sides, Tried, costs_of, try_deviation
from healerd.decision.view import View
from healerd.model import ACTIONS_THAT_HEAL, HOLD
from healerd.policy import POLICIES, Advice, Estimate, PolicyFailed, Question
from healerd_rules import Proposal

__all__ = ["Choice", "Counsel", "choose", "consult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counsel:
    """The policy's advice, first for the context with 0 for what is unknown, then for each of its other corners.

    What is not known could be either: the least sure corner counts.
    """

    advices: tuple[Advice, ...]

    def of(self, action: str) -> Estimate | None:
        """Find the first estimate of an action."""
        return self.advices[0].of(action)

    def p_cheaper_than_rule(self, action: str) -> float | None:
        """P(cheaper than the rule's action), where it is least."""
        return _least(each.p_cheaper_than_rule if each else None for each in self._each(action))

    def confidence(self, action: str) -> float | None:
        """P(cheaper than holding), where it is least."""
        return _least(each.p_cheaper_than_hold if each else None for each in self._each(action))

    def risk(self, action: str, other: str) -> float:
        """How much more likely than another an action is to fail, where that is most; 1 where it is unknown."""
        pairs = list(zip(self._each(action), self._each(other), strict=True))
        return max(((a.p_failure - b.p_failure) if a and b else 1.0) for a, b in pairs)

    def _each(self, action: str) -> Iterator[Estimate | None]:
        return (advice.of(action) for advice in self.advices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is to be done, before the second pass. `rule` is the proposal behind the rule's action, if any.

    `confidence` is the posterior probability that the chosen action costs less than holding; None when unknown.
    `failure` says why the policy had no answer.
    """

    rule: Proposal | None
    rule_action: str
    candidate: str
    chosen: str
    p_cheaper_than_rule: float | None = None
    confidence: float | None = None
    propensity: float = 1.0
    context: tuple[float, ...] = ()
    counsel: Counsel | None = None
    failure: str = ""
    tried: Tried | None = None

    @property
    def coin(self) -> Coin | None:
        """The coin that was tossed, if one was."""
        return None if self.tried is None else self.tried.coin

    @property
    def deviates(self) -> bool:
        """Whether the policy's candidate has replaced the rule's action."""
        return self.chosen != self.rule_action


def choose(view: View, *, gate: float | None = None) -> Choice:
    """Find the rule's action and let the policy replace it where it is sure enough. Without an incident: hold."""
    rule, rule_action = _rule_action(view)
    if view.situation.open_incident is None:
        return Choice(rule=None, rule_action=HOLD, candidate=HOLD, chosen=HOLD)
    contexts = contexts_of(view.situation)
    context = contexts[0]
    counsel, failure = _consult(view, rule_action, contexts)
    if counsel is None:
        return Choice(
            rule=rule,
            rule_action=rule_action,
            candidate=rule_action,
            chosen=rule_action,
            context=context,
            failure=failure,
        )
    sides = _sides(counsel, rule_action)
    tried = try_deviation(view, sides, contexts, gate=gate)
    return Choice(
        rule=rule,
        rule_action=rule_action,
        candidate=sides.candidate,
        chosen=tried.chosen,
        p_cheaper_than_rule=sides.p,
        confidence=counsel.confidence(tried.chosen),
        propensity=tried.propensity,
        context=context,
        counsel=counsel,
        tried=tried,
    )


def _sides(counsel: Counsel, rule_action: str) -> Sides:
    advice = counsel.advices[0]
    return Sides(
        candidate=advice.candidate,
        rule_action=rule_action,
        p=counsel.p_cheaper_than_rule(advice.candidate),
        confidence=counsel.confidence(advice.candidate),
        rule_confidence=counsel.confidence(rule_action),
        risk=counsel.risk(advice.candidate, rule_action),
        propensity=advice.propensities.get(advice.candidate, 1.0),
    )


def consult(view: View, rule_action: str) -> tuple[Counsel | None, str]:
    """Ask the policy; None and the reason when it fails."""
    return _consult(view, rule_action, contexts_of(view.situation))


def _consult(view: View, rule_action: str, contexts: Sequence[tuple[float, ...]]) -> tuple[Counsel | None, str]:
    """Ask about what heals, and about the rule's action: what an owner has named the policy never starts by itself."""
    situation = view.situation
    asked = {*ACTIONS_THAT_HEAL, rule_action}
    permitted = (HOLD, *(action for action in view.permitted if action in asked))
    if situation.unlearned:
        return None, situation.unlearned
    policy, model = POLICIES[situation.policy], costs_of(situation)
    questions = (
        Question(context=context, permitted=permitted, rule_action=rule_action, key=situation.id)
        for context in contexts
    )
    try:
        advices = tuple(policy.advise(each, model=model, state=situation.learned) for each in questions)
    except PolicyFailed as error:
        return None, str(error)
    return Counsel(advices=advices), ""


def _rule_action(view: View) -> tuple[Proposal | None, str]:
    """Take the best proposal among the permitted; a person's wish stands in the place of the rules."""
    wish = view.situation.wish
    if wish is not None:
        return None, wish.action if wish.action in view.permitted else HOLD
    for proposal in view.first.proposals:
        if proposal.action in view.permitted:
            return proposal, proposal.action
    return None, HOLD


def _least(found: Iterable[float | None]) -> float | None:
    """The least of several probabilities; unknown if one is."""
    values = list(found)
    return None if None in values else min(value for value in values if value is not None)
