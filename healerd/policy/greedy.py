"""The policy `greedy`: the lowest posterior expected cost, whatever the rules say. Must never run in production."""

from healerd.policy.advice import Advice, Question
from healerd.policy.bayesian import cheapest, contest, estimate, surely
from healerd.policy.learning import PolicyState
from healerd.policy.prior import CostModel

__all__ = ["Greedy"]


class Greedy:
    """The candidate of `bayesian` with no gate before it: what the gate is worth is the difference of the two."""

    name = "greedy"
    does = "does what has the lowest expected cost, with no gate"
    experimental = True

    def advise(self, question: Question, *, model: CostModel, state: PolicyState) -> Advice:
        """Take the cheapest in expectation."""
        estimates = estimate(question, model=model, state=state)
        costs = {each.action: each.cost_mean for each in contest(estimates)}
        return surely(cheapest(costs, question.rule_action), estimates)
