"""The policy `rules only`: whatever the rules say. Must never deviate; it still says how sure it is of them."""

from healerd.policy.advice import Advice, Question
from healerd.policy.bayesian import estimate, surely
from healerd.policy.learning import PolicyState
from healerd.policy.prior import CostModel

__all__ = ["RulesOnly"]


class RulesOnly:
    """Choose the rule's action, with the same posterior behind its confidence."""

    name = "rules only"
    does = "proposes what the rules propose"
    experimental = False

    def advise(self, question: Question, *, model: CostModel, state: PolicyState) -> Advice:
        """Estimate every action, and take the rule's."""
        estimates = estimate(question, model=model, state=state)
        return surely(question.rule_action, estimates)
