"""What is known of what would have been better: coins that were tossed, people who objected, and how heals came out.

Must never count an approval or a veto as an experiment, nor compare what chance did not choose: decisions of rules have
no counterpart. The interval is Newcombe's (1998, method 10): the difference of two Wilson intervals.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from healerd.client.backtest.recorded import Brief
from healerd.client.report.quantiles import share
from healerd.model import HOLD, Answer, AnswerKind, Intent, Outcome
from healerd.policy import failed
from healerd.store import Reader

__all__ = [
    "Arm",
    "Bin",
    "Difference",
    "Evidence",
    "claim_of",
    "difference",
    "is_randomised",
    "reliability",
    "wilson",
]

EVEN = 0.5
OBJECTIONS = (AnswerKind.VETO, AnswerKind.DENY)
EDGES = (0.0, 0.5, 0.8, 0.85, 0.9, 0.95, 1.0)
"""Edges of the bins of claimed confidence; the last one holds 1 too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One side of a comparison: how many came out, and how many of them failed."""

    n: int = 0
    failed: int = 0

    def plus(self, failure: bool) -> "Arm":  # noqa: FBT001 - a value, not a switch
        """Count one more."""
        return Arm(n=self.n + 1, failed=self.failed + failure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Share of failures with what is tried minus the share without, with its 95% interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Past claims of a confidence in [low, high): what was predicted of their failure, and what came of them.

    `arm` counts those that a paired comparison judged, `open` those that came out without one.
    """

    low: float
    high: float
    arm: Arm
    open: int
    predicted: float


class Evidence:
    """What the record holds about decisions, by their ids."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def outcome(self, decision_id: str) -> bool | None:
        """Tell whether the heal of a decision failed; None when there was none, or it has not come out.

        What is over without a verified success counts as failed: so chance must be compared (SAFETY S11).
        """
        told = self.outcomes(decision_id)
        return any(each is not False for each in told) if told else None

    def outcomes(self, decision_id: str) -> Sequence[bool | None]:
        """Tell of each heal of a decision that is over whether it failed; None where no paired comparison judged."""
        found = [intent.id for intent in self._intents(decision_id) if intent.parent_id is None]
        return [failed(each) for each in self._reader.get_each(Outcome, found).values()]

    def objected(self, decision_id: str) -> bool:
        """Tell whether a person vetoed or denied what was decided."""
        ids = tuple(intent.id for intent in self._intents(decision_id))
        return bool(ids) and bool(self._reader.find(Answer, intent_id=ids, kind=OBJECTIONS, limit=1))

    def _intents(self, decision_id: str) -> Sequence[Intent]:
        return self._reader.find(Intent, decision_id=decision_id)


def is_randomised(brief: Brief) -> bool:
    """Tell whether a coin chose between the rule's action and the policy's candidate.

    Only at even odds do the two sides differ by chance alone; what a policy drew by itself is no such comparison.
    """
    return brief.propensity == EVEN and brief.candidate != brief.rule_action


def wilson(arm: Arm) -> tuple[float, float]:
    """Give the 95% interval of a share (Wilson, 1927): [0, 1] when nothing was counted.

    >>> [round(each, 3) for each in wilson(Arm(n=10, failed=1))]
    [0.018, 0.404]
    """
    _, low, high = share(arm.failed, arm.n) or (None, 0.0, 1.0)
    return low, high


def difference(tried: Arm, other: Arm) -> Difference | None:
    """Give the difference of two shares with its 95% interval; None unless both sides have come out at least once.

    >>> found = difference(Arm(n=50, failed=5), Arm(n=50, failed=25))
    >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3)
    (-0.4, -0.545, -0.225)
    """
    if not tried.n or not other.n:
        return None
    p, q = tried.failed / tried.n, other.failed / other.n
    (low_p, high_p), (low_q, high_q) = wilson(tried), wilson(other)
    return Difference(
        mean=p - q,
        low=p - q - math.hypot(p - low_p, high_q - q),
        high=p - q + math.hypot(high_p - p, q - low_q),
    )


def reliability(claims: Mapping[str, tuple[float, float | None]], evidence: Evidence) -> tuple[Bin, ...]:
    """Hold past confidences against what came: `claims` is decision -> (confidence, predicted failure).

    A confidence says that acting is cheaper than doing nothing, and nothing is never observed beside it: so what is
    compared is the failure that was predicted with it.
    """
    arms, unjudged, predicted = [Arm()] * len(EDGES), [0] * len(EDGES), [0.0] * len(EDGES)
    for decision_id, (confidence, p_failure) in claims.items():
        place = min(len(EDGES) - 2, sum(confidence >= edge for edge in EDGES[1:]))
        for failure in evidence.outcomes(decision_id) if p_failure is not None else ():
            if failure is None:
                unjudged[place] += 1
            else:
                arms[place] = arms[place].plus(failure)
                predicted[place] += p_failure or 0.0
    return tuple(
        Bin(low=low, high=high, arm=arm, open=left, predicted=total / max(1, arm.n))
        for low, high, arm, left, total in zip(EDGES, EDGES[1:], arms, unjudged, predicted, strict=False)
        if arm.n or left
    )


def claim_of(brief: Brief) -> tuple[float, float | None] | None:
    """Read the confidence of a heal that was decided, and the failure that was predicted with it."""
    if brief.chosen == HOLD or brief.confidence is None or brief.trace.step is not None:
        return None
    return brief.confidence, next((one.p_failure for one in brief.options if one.action == brief.chosen), None)
