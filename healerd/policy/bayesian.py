"""The policy `bayesian`: among the permitted actions, the one with the lowest posterior expected cost.

Must never explore: a random action on a live model gains nothing and does harm. Expected cost = fixed cost + severity
x P(failure): money itself is too heavy-tailed to be learned from a few incidents, failure is not.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from healerd.model import HOLD
from healerd.policy.advice import Advice, Estimate, PolicyFailed, Question
from healerd.policy.belief import predict
from healerd.policy.learning import PolicyState
from healerd.policy.prior import CostModel
from healerd.policy.quadrature import Student, p_least, p_less

__all__ = ["Bayesian", "cheapest", "contest", "estimate", "surely"]


class Bayesian:
    """Choose the cheapest in expectation; a tie with the rule is the rule's action."""

    name = "bayesian"
    does = "proposes the permitted action with the lowest expected cost"
    experimental = False

    def advise(self, question: Question, *, model: CostModel, state: PolicyState) -> Advice:
        """Estimate every action and pick the cheapest permitted one that has a configured prior."""
        estimates = estimate(question, model=model, state=state)
        costs = {each.action: each.cost_mean for each in contest(estimates)}
        return surely(cheapest(costs, question.rule_action), estimates)


def contest(estimates: Sequence[Estimate]) -> list[Estimate]:
    """List what may be proposed: permitted, with a configured prior."""
    return [each for each in estimates if each.permitted and each.configured]


def cheapest(costs: Mapping[str, float], rule_action: str) -> str:
    """Name the action with the least number; a tie is the rule's action, else the first's."""
    order = {action: number for number, action in enumerate(costs)}
    return min(costs, key=lambda action: (costs[action], action != rule_action, order[action]))


def surely(action: str, estimates: tuple[Estimate, ...]) -> Advice:
    """Give the advice of a policy that does not draw: it would propose this action each time."""
    propensities = {each.action: float(each.action == action) for each in estimates}
    return Advice(candidate=action, estimates=estimates, propensities=propensities)


def estimate(question: Question, *, model: CostModel, state: PolicyState) -> tuple[Estimate, ...]:
    """Work out every action's posterior and compare them. Raises PolicyFailed."""
    assert HOLD in question.permitted, "nothing can forbid to hold"
    actions = [prior.action for prior in model.actions]
    failures = [_failure(state, action, question.context) for action in actions]
    fixed = {action: _belief_cost(state, action) for action in actions}
    costs = {
        action: Student(
            location=fixed[action] + model.severity * law.location, scale=model.severity * law.scale, df=law.df
        )
        for action, law in zip(actions, failures, strict=True)
    }
    speaks = [action for action in actions if model.configured(action)]
    contest = [action for action in speaks if action in question.permitted]
    best = dict(zip(contest, p_least([costs[action] for action in contest]), strict=True))
    return tuple(
        Estimate(
            action=action,
            permitted=action in question.permitted,
            configured=action in speaks,
            p_failure=min(1.0, max(0.0, law.location)),
            p_failure_sd=law.sd,
            df=law.df,
            fixed_cost=fixed[action],
            cost_mean=costs[action].location,
            cost_sd=costs[action].sd,
            p_cheaper_than_rule=_p_cheaper(costs, speaks, action, question.rule_action),
            p_cheaper_than_hold=_p_cheaper(costs, speaks, action, HOLD),
            p_best=best.get(action),
        )
        for action, law in zip(actions, failures, strict=True)
    )


def _p_cheaper(costs: dict[str, Student], speaks: Sequence[str], action: str, other: str) -> float | None:
    """Nothing is cheaper than itself; nothing is known of what nobody configured."""
    if action == other or action not in speaks or other not in speaks:
        return None
    return p_less(costs[action], costs[other])


def _failure(state: PolicyState, action: str, context: Sequence[float]) -> Student:
    belief = state.belief(action)
    if belief is None or len(belief.information) != len(context):
        raise PolicyFailed(f"nothing is known of `{action}` in this context: the state does not fit the cost model")
    try:
        law = predict(belief, context)
    except np.linalg.LinAlgError as error:
        raise PolicyFailed(f"the posterior of `{action}` cannot be solved: {error}") from error
    sound = np.isfinite([law.location, law.scale, law.df]).all() and law.scale > 0 and law.df > 2
    if not sound:
        raise PolicyFailed(f"the posterior of `{action}` is not a law: {law}")
    return law


def _belief_cost(state: PolicyState, action: str) -> float:
    belief = state.belief(action)
    assert belief is not None, "asked for its failure before"
    return belief.fixed_cost
