"""The prior check: do the rules' actions fail as often as the configuration says? Must never look at a deviation.

An e-process (Ville, 1939; Ramdas et al., 2023): for each action a mixture of likelihood ratios of its outcomes, under
predictions shifted in log-odds, against the configured prediction; the mean over actions. If the predictions are right
its expectation never exceeds 1, so that it reaches 20 with probability 1/20 at most, however often one looks. A misfit
of less than a quarter in log-odds lowers every ratio of the mixture: it is let pass.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from healerd.model import HOLD
from healerd.policy.deeds import Deed, over_first
from healerd.policy.prior import ActionPrior, CostModel

__all__ = ["SHIFTS", "TRIP", "Checked", "PriorCheck", "check_prior", "predicted"]

TRIP = 20.0
SHIFTS = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)
LEAST = 0.02
"""Predictions are kept within [0.02, 0.98]: a line may leave [0, 1], and nothing is impossible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One action: its outcomes, how many failed, how many were predicted to, and the logarithm of its evidence."""

    action: str
    outcomes: int
    failures: int
    expected: float
    log_evidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorCheck:
    """The evidence against the configured predictions now, and the highest it has been: that is what trips."""

    outcomes: int = 0
    log_evidence: float = 0.0
    log_highest: float = 0.0
    actions: tuple[Checked, ...] = ()

    @property
    def tripped(self) -> bool:
        """Whether the predictions have been refuted; stays so until they are changed."""
        return self.log_highest >= math.log(TRIP)


def check_prior(model: CostModel, deeds: Iterable[Deed]) -> PriorCheck:
    """Weigh the outcomes of the rules' actions, in the order of the decisions, up to the first that is not in."""
    priors = {each.action: each for each in model.actions if each.failure is not None and each.action != HOLD}
    ratios = {action: np.zeros(len(SHIFTS)) for action in priors}
    seen: dict[str, tuple[int, int, float]] = dict.fromkeys(priors, (0, 0, 0.0))
    now = highest = 0.0
    for deed in over_first(deeds):
        prior = priors.get(deed.action)
        if prior is None or deed.failed is None or deed.deviates or deed.wished:
            continue
        p = predicted(prior, model, deed.context)
        ratios[deed.action] = ratios[deed.action] + _log_ratios(p, failed=deed.failed)
        count, failures, expected = seen[deed.action]
        seen[deed.action] = (count + 1, failures + deed.failed, expected + p)
        now = _log_mean([_log_mean(list(each)) for each in ratios.values()])
        highest = max(highest, now)
    return PriorCheck(
        outcomes=sum(count for count, _, _ in seen.values()),
        log_evidence=now,
        log_highest=highest,
        actions=tuple(_checked(action, seen, ratios) for action in priors),
    )


def predicted(prior: ActionPrior, model: CostModel, context: Iterable[float]) -> float:
    """Give P(failure | context) as configured."""
    assert prior.failure is not None, "only what somebody configured predicts anything"
    line = prior.failure + sum(
        prior.slopes.get(name, 0.0) * value for name, value in zip(model.features[1:], list(context)[1:], strict=True)
    )
    return min(1.0 - LEAST, max(LEAST, line))


def _log_ratios(p: float, *, failed: bool) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    odds = math.log(p / (1.0 - p))
    shifted = 1.0 / (1.0 + np.exp(-(odds + np.array(SHIFTS))))
    return np.asarray(np.log(shifted / p) if failed else np.log((1.0 - shifted) / (1.0 - p)))


def _log_mean(logs: list[float]) -> float:
    top = max(logs)
    return float(top + math.log(sum(math.exp(each - top) for each in logs) / len(logs)))


def _checked(action: str, seen: Mapping[str, tuple[int, int, float]], ratios: Mapping[str, object]) -> Checked:
    count, failures, expected = seen[action]
    logs = [float(each) for each in np.asarray(ratios[action])]
    return Checked(action=action, outcomes=count, failures=failures, expected=expected, log_evidence=_log_mean(logs))
