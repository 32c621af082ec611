"""The policy `LinUCB`: optimism in the face of uncertainty (Li et al., 2010). Must never run in production.

For costs optimism is the lower end: mean minus one standard deviation.
"""

from healerd.policy.advice import Advice, Question
from healerd.policy.bayesian import cheapest, contest, estimate, surely
from healerd.policy.learning import PolicyState
from healerd.policy.prior import CostModel

__all__ = ["LinUCB"]

WIDTH = 1.0
"""Standard deviations of optimism."""


class LinUCB:
    """Explores what might be cheap."""

    name = "LinUCB"
    does = "does what might be cheapest: mean cost minus one standard deviation"
    experimental = True

    def advise(self, question: Question, *, model: CostModel, state: PolicyState) -> Advice:
        """Take the least lower end."""
        estimates = estimate(question, model=model, state=state)
        costs = {each.action: each.cost_mean - WIDTH * each.cost_sd for each in contest(estimates)}
        return surely(cheapest(costs, question.rule_action), estimates)
