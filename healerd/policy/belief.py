"""What is known of one action: a Bayesian linear model of its 0/1 failure, and the running mean of its fixed cost.

Must never learn from anything but an incident's context, whether the action failed, and what it cost.

Normal-inverse-gamma (Raiffa and Schlaifer, 1961): y = x.b + e, e ~ N(0, s2), b | s2 ~ N(m, s2 P^-1), s2 ~ IG(a, r).
Kept as the sums P, P m, 2 r + m.P m and a: observations add to them, and forgetting is a weighted mean with the
prior's own sums, which keeps the posterior proper.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from healerd.policy.prior import PSEUDO_INCIDENTS, UNCONFIGURED_FAILURE, ActionPrior
from healerd.policy.quadrature import Floats, Student

__all__ = ["DISCREPANCY_SD", "Belief", "along", "believe", "forget", "learn", "predict"]

DISCREPANCY_SD = 0.05
"""How far the true P(failure) may lie from the best line, in points: without it confidence grows beyond what holds."""

SHAPE_LEAST = 2.0
"""Shape of the variance's law for the fewest incidents: its mean is then the coin's own variance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """The sums of one action's model; `precision` is a d x d matrix by rows."""

    action: str
    precision: tuple[float, ...]
    information: tuple[float, ...]
    square: float
    shape: float
    cost_sum: float
    cost_weight: float

    @property
    def fixed_cost(self) -> float:
        """The mean of what the action cost, whatever came of it."""
        return self.cost_sum / self.cost_weight


def believe(prior: ActionPrior, features: Sequence[str], *, incidents: float = PSEUDO_INCIDENTS) -> Belief:
    """Turn a prior into sums that weigh as so many incidents; a sceptic takes fewer.

    The variance of the outcome is that of a coin with the prior's failure, drawn towards 1/2 by two incidents, so
    that a prior of almost 0 or 1 does not count as certain. The law has a variance however few the incidents.
    """
    failure = UNCONFIGURED_FAILURE if prior.failure is None else prior.failure
    mean = np.array([failure, *(prior.slopes.get(name, 0.0) for name in features[1:])])
    smoothed = (failure * PSEUDO_INCIDENTS + 1.0) / (PSEUDO_INCIDENTS + 2.0)
    rate = incidents / 2.0 * smoothed * (1.0 - smoothed)
    return Belief(
        action=prior.action,
        precision=tuple((np.eye(len(mean)) * incidents).ravel().tolist()),
        information=tuple((mean * incidents).tolist()),
        square=2.0 * rate + incidents * float(np.sum(mean * mean)),
        shape=max(incidents / 2.0, SHAPE_LEAST),
        cost_sum=prior.cost * incidents,
        cost_weight=incidents,
    )


def forget(belief: Belief, towards: Belief, *, keep: float) -> Belief:
    """Move every sum towards the prior's, keeping the share `keep` of what was learned."""
    return Belief(
        action=belief.action,
        precision=_mix(belief.precision, towards.precision, keep),
        information=_mix(belief.information, towards.information, keep),
        square=_mix((belief.square,), (towards.square,), keep)[0],
        shape=_mix((belief.shape,), (towards.shape,), keep)[0],
        cost_sum=_mix((belief.cost_sum,), (towards.cost_sum,), keep)[0],
        cost_weight=_mix((belief.cost_weight,), (towards.cost_weight,), keep)[0],
    )


def learn(belief: Belief, context: Sequence[float], *, failed: bool, cost: float) -> Belief:
    """Add one incident."""
    x, y = np.array(context), float(failed)
    return Belief(
        action=belief.action,
        precision=_plus(belief.precision, np.outer(x, x)),
        information=_plus(belief.information, x * y),
        square=belief.square + y,
        shape=belief.shape + 0.5,
        cost_sum=belief.cost_sum + cost,
        cost_weight=belief.cost_weight + 1.0,
    )


def predict(belief: Belief, context: Sequence[float]) -> Student:
    """Give the posterior of P(failure | context), widened by the model's discrepancy."""
    x, information = np.array(context), np.array(belief.information)
    precision = np.array(belief.precision).reshape(len(x), len(x))
    mean, spread = np.linalg.solve(precision, np.stack([information, x], axis=1)).T
    rate = 0.5 * (belief.square - float(np.sum(information * mean)))
    variance = rate / belief.shape * float(np.sum(x * spread)) + DISCREPANCY_SD**2
    return Student(location=float(np.sum(x * mean)), scale=float(np.sqrt(variance)), df=2.0 * belief.shape)


def along(belief: Belief, vector: Sequence[float]) -> tuple[float, float]:
    """Give mean and variance of the posterior of vector . b, without the model's discrepancy; `shape` above 1."""
    v, information = np.array(vector), np.array(belief.information)
    precision = np.array(belief.precision).reshape(len(v), len(v))
    mean, spread = np.linalg.solve(precision, np.stack([information, v], axis=1)).T
    rate = 0.5 * (belief.square - float(np.sum(information * mean)))
    return float(np.sum(v * mean)), rate / (belief.shape - 1.0) * float(np.sum(v * spread))


def _mix(learned: Sequence[float], prior: Sequence[float], keep: float) -> tuple[float, ...]:
    return tuple(keep * now + (1.0 - keep) * then for now, then in zip(learned, prior, strict=True))


def _plus(sums: Sequence[float], more: Floats) -> tuple[float, ...]:
    return tuple((np.array(sums) + more.ravel()).tolist())
