"""The policy `LinTS`: Thompson sampling on a linear model (Agrawal and Goyal, 2013). Must never run in production.

The draws come from the stream of the decision: the same decision draws the same.
"""

import math

from healerd.policy.advice import Advice, Question
from healerd.policy.bayesian import cheapest, contest, estimate
from healerd.policy.chance import stream
from healerd.policy.learning import PolicyState
from healerd.policy.prior import CostModel

__all__ = ["LinTS"]


class LinTS:
    """Draws a cost for each action from its posterior, and takes the least."""

    name = "LinTS"
    does = "does what is cheapest in one draw from the posterior"
    experimental = True

    def advise(self, question: Question, *, model: CostModel, state: PolicyState) -> Advice:
        """Take the least draw; its propensity is the posterior probability of being the cheapest."""
        estimates = estimate(question, model=model, state=state)
        chance = stream(question.key, "LinTS")
        drawn = {
            each.action: each.cost_mean
            + each.cost_sd * math.sqrt((each.df - 2.0) / each.df) * chance.standard_t(each.df)
            for each in contest(estimates)
        }
        return Advice(
            candidate=cheapest(drawn, question.rule_action),
            estimates=estimates,
            propensities={each.action: each.p_best or 0.0 for each in estimates},
        )
