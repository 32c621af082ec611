"""What the coin decisions of the canary say: does the policy's action fail less often than the rule's?

Must never count a decision that no coin made: what people approve, or what the gate let through, is confounded.

Each coin decision gives 2 (y - m)(+1 for the policy's action, -1 for the rule's): unbiased for the difference of the
failure rates, where m is the share of failures before. A confidence sequence for its mean (Waudby-Smith and Ramdas,
2024, theorem 2: predictable plug-in empirical Bernstein) holds at all times at once, so that one may look each day.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from healerd.policy.deeds import Deed, over_first

__all__ = ["LEVEL", "Canary", "judge_canary"]

LEVEL = 0.95
CAP = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """The coin decisions so far: outcomes and failures of each side, and the interval of the difference.

    `low` and `high` bound failure rate of the policy's action minus that of the rule's, at 95%, at all times at once.
    `pending` outcomes are not in yet, or wait for one before them.
    """

    policy_outcomes: int = 0
    policy_failures: int = 0
    rule_outcomes: int = 0
    rule_failures: int = 0
    pending: int = 0
    difference: float = 0.0
    low: float = -1.0
    high: float = 1.0

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `not proven`."""
        return "better" if self.high < 0 else "worse" if self.low > 0 else "not proven"


def judge_canary(deeds: Iterable[Deed]) -> Canary:
    """Judge the coin decisions, in their order, up to the first whose outcome is not in; late counts as failed."""
    tossed = [deed for deed in deeds if deed.coin]
    known = list(over_first(tossed))
    sequence = _Sequence()
    for deed in known:
        sequence.take(policy=deed.deviates, failed=bool(deed.counted))
    sides = {side: [bool(deed.counted) for deed in known if deed.deviates is side] for side in (True, False)}
    low, high = sequence.interval()
    return Canary(
        policy_outcomes=len(sides[True]),
        policy_failures=sum(sides[True]),
        rule_outcomes=len(sides[False]),
        rule_failures=sum(sides[False]),
        pending=len(tossed) - len(known),
        difference=_share(sides[True]) - _share(sides[False]),
        low=low,
        high=high,
    )


class _Sequence:
    """The sums of the confidence sequence, on values in [-2, 2] mapped to [0, 1]."""

    def __init__(self) -> None:
        self.n, self.failures = 0, 0
        self.values, self.squares = 0.5, 0.25
        self.weights, self.weighted, self.penalty = 0.0, 0.0, 0.0

    def take(self, *, policy: bool, failed: bool) -> None:
        center = (0.5 + self.failures) / (1.0 + self.n)
        value = (2.0 * (float(failed) - center) * (1.0 if policy else -1.0) + 2.0) / 4.0
        before, variance = self.values / (self.n + 1.0), self.squares / (self.n + 1.0)
        t = self.n + 1
        weight = min(CAP, math.sqrt(2.0 * _log_two_sided() / (variance * t * math.log1p(t))))
        self.weights += weight
        self.weighted += weight * value
        self.penalty += 4.0 * (value - before) ** 2 * (-math.log1p(-weight) - weight) / 4.0
        self.n, self.failures, self.values = t, self.failures + failed, self.values + value
        self.squares += (value - self.values / (t + 1.0)) ** 2

    def interval(self) -> tuple[float, float]:
        if not self.n:
            return -1.0, 1.0
        mean = 4.0 * self.weighted / self.weights - 2.0
        half = 4.0 * (_log_two_sided() + self.penalty) / self.weights
        return max(-1.0, mean - half), min(1.0, mean + half)


def _log_two_sided() -> float:
    return math.log(2.0 / (1.0 - LEVEL))


def _share(failed: list[bool]) -> float:
    return sum(failed) / len(failed) if failed else 0.0
