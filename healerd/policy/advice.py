"""What a policy is asked, what it answers, and how it says that it cannot. Must never hold a policy's own numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from healerd.policy.learning import PolicyState
from healerd.policy.prior import CostModel

__all__ = ["Advice", "Estimate", "Policy", "PolicyFailed", "Question"]


class PolicyFailed(ArithmeticError):
    """The policy has no answer: its numbers have left the range in which they mean anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One incident: its context, what the guards permit (`hold` always is), and what the rules would do.

    `key` is the decision's id: what draws at random draws from the stream of this key.
    """

    context: tuple[float, ...]
    permitted: tuple[str, ...]
    rule_action: str
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What an action is expected to do here. The probabilities are None where nobody configured a prior.

    `p_failure` is shown within [0, 1]; costs come from the straight line and may lie a little outside.
    """

    action: str
    permitted: bool
    configured: bool
    p_failure: float
    p_failure_sd: float
    df: float
    fixed_cost: float
    cost_mean: float
    cost_sd: float
    p_cheaper_than_rule: float | None
    p_cheaper_than_hold: float | None
    p_best: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The policy's candidate among the permitted, with every estimate behind it."""

    candidate: str
    estimates: tuple[Estimate, ...]
    propensities: Mapping[str, float]

    def of(self, action: str) -> Estimate | None:
        """Find the estimate of an action."""
        return next((estimate for estimate in self.estimates if estimate.action == action), None)


class Policy(Protocol):
    """Proposes, within what the guards permit.

    `experimental`: for comparisons alone. No gate stands before it, and the configuration refuses it.
    """

    name: str
    does: str
    experimental: bool

    def advise(self, question: Question, *, model: CostModel, state: PolicyState) -> Advice:
        """Answer a question. Raises PolicyFailed."""
        ...
