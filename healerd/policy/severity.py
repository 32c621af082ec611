"""What an unresolved incident costs: the configured belief, pooled with how long such incidents went on.

Must never let one long incident make the number: the longest tenth counts as long as the next.
"""

import math
from collections.abc import Sequence

from healerd.policy.prior import PSEUDO_INCIDENTS

__all__ = ["POOLED_MAX", "pooled_windows"]

POOLED_MAX = 200
"""The newest incidents that count."""
WINSOR = 0.90


def pooled_windows(configured: float, realised: Sequence[float]) -> float:
    """Give the windows that an unresolved incident is expected to go on: a winsorised mean.

    `realised` are the degraded windows of incidents that no heal resolved, oldest first. The configured number counts
    like 10 of them. Winsorised (Dixon, 1960): what lies above the 90th of a hundred counts as that one.

    >>> pooled_windows(3.0, [])
    3.0
    >>> pooled_windows(3.0, [500.0])
    3.0
    >>> pooled_windows(3.0, [9.0] * 10)
    6.0
    """
    newest = list(realised[-POOLED_MAX:])
    everything = sorted([*newest, *[configured] * int(PSEUDO_INCIDENTS)])
    cap = everything[math.ceil(WINSOR * len(everything)) - 1]
    return math.fsum(min(each, cap) for each in everything) / len(everything)
