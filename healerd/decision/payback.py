"""Whether a retraining is likely to pay for itself: what a new fit would spare, against what it costs.

Must never guess: where too little is known the answer is None, and unknown counts against acting (SAFETY S4).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from healerd.policy.prior import UNCONFIGURED_FAILURE

__all__ = ["DEGRADED", "FRESH_KEPT", "Payback", "Stake", "payback"]

DEGRADED = 0.10
"""`degraded_cost` is the cost of a window with so many more wrong answers, as a share; other rises in proportion."""
FRESH_KEPT = 24
"""Newest fits whose held-out error says what the next one will have."""
FADES = 0.9
"""Weight of each fit against the one after it: the world moves, and the last ten fits make the expectation."""
USUAL_SD, USUAL_WEIGHT = 0.03, 4
"""How much healthy windows differ beyond chance as a rule, and how many windows that rule is worth."""
FRESH_SD, FRESH_WEIGHT = 0.04, 4
"""How much the errors of new fits differ as a rule, and how many fits that rule is worth."""
PSEUDO_FITS = 10.0
"""Weight of the configured share of failures, as in the policy's beliefs: it counts like so many fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """What is known at one moment of what a retraining would spare, and of what it costs.

    `window_cost`: cost of a window whose error is DEGRADED higher. `retrain_cost`: of one fit. `failure`: share of
    fits expected to be rejected, None if nobody said (every other one then). `horizon`: windows that a new model is
    expected to serve.
    `recent`: labelled rows and wrong ones of the active version's newest known windows. `fresh`: errors of new fits
    on rows they never saw, oldest first. Of `judged` candidates so far `accepted` were promoted or about to be.
    """

    window_cost: float
    retrain_cost: float
    failure: float | None
    horizon: int
    recent: tuple[tuple[int, float], ...] = ()
    fresh: tuple[float, ...] = ()
    judged: int = 0
    accepted: int = 0

    def __post_init__(self) -> None:
        assert self.window_cost > 0, "harm costs something"
        assert self.horizon >= 1, "a new model serves for a window at least"
        assert 0 <= self.accepted <= self.judged, "what was accepted was judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payback:
    """What a retraining is expected to spare: excess error per window with its standard deviation, and its price.

    `expected_loss`: cost over the horizon of not having a new fit. `price`: of one accepted candidate, rejected ones
    paid for. `p_pays`: posterior probability that the loss exceeds the price.
    """

    excess: float
    sd: float
    expected_loss: float
    price: float
    p_pays: float


def payback(stake: Stake | None) -> Payback | None:
    """Weigh the error that a new fit would spare over the horizon against its price; None while either is unknown.

    With excess d ~ N(m, s^2), m the active version's mean error less what new fits mostly have, and s^2 the variance
    of both (of the mean of a few windows, and of one more fit), a horizon of H windows and the cost k of a whole
    window of wrong answers: P(pays) = P(k H d > price) and expected loss = k H E[max(d, 0)] = k H s (phi(z) +
    z Phi(z)) with z = m / s, the normal loss integral (Raiffa and Schlaifer, 1961). The price of an accepted
    candidate is the cost of a fit over the share that is accepted, a beta posterior around the configured share.

    >>> bad = Stake(window_cost=1.0, retrain_cost=0.1, failure=0.3, horizon=14, recent=((500, 200.0),), fresh=(0.2,))
    >>> round(payback(bad).p_pays, 2)
    1.0
    """
    if stake is None or not stake.fresh or not any(rows for rows, _ in stake.recent):
        return None
    error, error_sd = _served(stake.recent)
    usual, usual_sd = _expected(stake.fresh[-FRESH_KEPT:])
    excess, sd = error - usual, math.hypot(error_sd, usual_sd)
    failure = UNCONFIGURED_FAILURE if stake.failure is None else stake.failure
    share = (PSEUDO_FITS * (1 - failure) + stake.accepted) / (PSEUDO_FITS + stake.judged)
    price = stake.retrain_cost / share
    per_error = stake.window_cost / DEGRADED * stake.horizon
    z = excess / sd
    spared = sd * (math.exp(-z * z / 2) / math.sqrt(2 * math.pi) + z * float(ndtr(z)))
    return Payback(
        excess=excess,
        sd=sd,
        expected_loss=per_error * max(0.0, spared),
        price=price,
        p_pays=float(ndtr((excess - price / per_error) / sd)),
    )


def _served(recent: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Mean error of the windows, each counted alike, and the standard deviation of that mean."""
    errors = np.array([wrong / rows for rows, wrong in recent if rows])
    rows = float(np.mean([rows for rows, _ in recent if rows]))
    mean = float(errors.mean())
    usual = mean * (1 - mean) / rows + USUAL_SD**2
    variance = (len(errors) * float(errors.var()) + USUAL_WEIGHT * usual) / (len(errors) + USUAL_WEIGHT)
    return mean, math.sqrt(variance / len(errors))


def _expected(fresh: Sequence[float]) -> tuple[float, float]:
    """Mean error that one more fit is expected to have, newer fits counting more, and its predictive deviation."""
    errors = np.array(fresh)
    weights = FADES ** np.arange(len(errors))[::-1]
    weights /= weights.sum()
    mean = float(weights @ errors)
    spread = float(weights @ (errors - mean) ** 2)
    variance = (len(errors) * spread + FRESH_WEIGHT * FRESH_SD**2) / (len(errors) + FRESH_WEIGHT)
    return mean, math.sqrt(variance * (1 + float(weights @ weights)))
