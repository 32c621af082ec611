"""The middle of the line: the rule's action, the policy's candidate, and the gate between them.

Must never choose what the first pass has not permitted, nor let the policy replace the rule's action unless it is at
least 80% sure that its own is cheaper.
"""

from dataclasses import dataclass

from healerd.decision.context import context_of
from healerd.decision.view import View
from healerd.model import HOLD
from healerd.policy import POLICIES, Advice, PolicyFailed, Question
from healerd_rules import Proposal

__all__ = ["SURE_ENOUGH", "Choice", "choose", "consult"]

SURE_ENOUGH = 0.80
"""The deviation gate: below it the rule's action stands."""


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
    advice: Advice | None = None
    failure: str = ""

    @property
    def deviates(self) -> bool:
        """Whether the policy's candidate has replaced the rule's action."""
        return self.chosen != self.rule_action


def choose(view: View) -> Choice:
    """Find the rule's action and let the policy replace it where it is sure enough. Without an incident: hold."""
    rule, rule_action = _rule_action(view)
    if view.situation.open_incident is None:
        return Choice(rule=None, rule_action=HOLD, candidate=HOLD, chosen=HOLD)
    context = context_of(view.situation)
    advice, failure = consult(view, rule_action)
    if advice is None:
        return Choice(
            rule=rule,
            rule_action=rule_action,
            candidate=rule_action,
            chosen=rule_action,
            context=context,
            failure=failure,
        )
    candidate = advice.of(advice.candidate)
    p = candidate.p_cheaper_than_rule if candidate is not None else None
    deviates = p is not None and p >= SURE_ENOUGH and view.situation.wish is None
    chosen = advice.candidate if deviates else rule_action
    estimate = advice.of(chosen)
    return Choice(
        rule=rule,
        rule_action=rule_action,
        candidate=advice.candidate,
        chosen=chosen,
        p_cheaper_than_rule=p,
        confidence=estimate.p_cheaper_than_hold if estimate is not None else None,
        context=context,
        advice=advice,
    )


def consult(view: View, rule_action: str) -> tuple[Advice | None, str]:
    """Ask the policy; None and the reason when it fails."""
    situation = view.situation
    question = Question(context=context_of(situation), permitted=(HOLD, *view.permitted), rule_action=rule_action)
    try:
        return POLICIES[situation.policy].advise(question, model=situation.costs, state=situation.learned), ""
    except PolicyFailed as error:
        return None, str(error)


def _rule_action(view: View) -> tuple[Proposal | None, str]:
    """Take the best proposal among the permitted; a person's wish stands in the place of the rules."""
    wish = view.situation.wish
    if wish is not None:
        return None, wish.action if wish.action in view.permitted else HOLD
    for proposal in view.first.proposals:
        if proposal.action in view.permitted:
            return proposal, proposal.action
    return None, HOLD
