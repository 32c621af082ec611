"""The policy `uniform`: any permitted action, each as likely. Must never run in production."""

from healerd.policy.advice import Advice, Question
from healerd.policy.bayesian import estimate
from healerd.policy.chance import stream
from healerd.policy.learning import PolicyState
from healerd.policy.prior import CostModel

__all__ = ["Uniform"]


class Uniform:
    """What knows nothing does: the floor of every comparison."""

    name = "uniform"
    does = "does any permitted action, each as likely"
    experimental = True

    def advise(self, question: Question, *, model: CostModel, state: PolicyState) -> Advice:
        """Draw one of the permitted."""
        estimates = estimate(question, model=model, state=state)
        permitted = [each.action for each in estimates if each.permitted]
        chosen = permitted[int(stream(question.key, "uniform").integers(len(permitted)))]
        share = 1.0 / len(permitted)
        return Advice(
            candidate=chosen,
            estimates=estimates,
            propensities={each.action: share if each.permitted else 0.0 for each in estimates},
        )
