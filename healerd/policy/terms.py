"""The terms under which a policy may replace what the rules propose. Must never hold what has happened under them."""

import math
from dataclasses import dataclass

__all__ = ["ALPHA", "PENDING_MAX", "SURE_ENOUGH", "Terms"]

SURE_ENOUGH = 0.95
"""The deviation gate: below it the rule's action stands."""
FAILURE_MARGIN = 0.05
"""How much more likely than the rule's action a deviation may be to fail, as a share; 1 is no bound."""
ALPHA = 0.10
"""Share of the rules' cost that all deviations together may cost on top of it."""
PENDING_MAX = 2
"""Deviations whose outcome is not in yet: one that is judged, and one more for what comes in between."""

HOLD_WINDOWS = 24.0
"""Windows that a hold has to come out well: those an unresolved incident goes on, and the clean ones that close it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How sure, how dear and how many. Raises ValueError with the key of a number that makes no sense.

    `gate` is the least P(cheaper than the rule's action); `alpha` the ledger's share, None for no ledger; `budget` the
    realised excess up to which deviations go on, None for no cap; `check` whether a tripped prior check bars;
    `hold_windows` after how many windows a hold has failed whose incident is still open.
    A lower gate, no ledger and no check are for experiments: the configuration knows no key for them.
    """

    gate: float = SURE_ENOUGH
    failure_margin: float = FAILURE_MARGIN
    alpha: float | None = ALPHA
    budget: float | None = None
    pending_max: int = PENDING_MAX
    check: bool = True
    hold_windows: float = HOLD_WINDOWS

    def __post_init__(self) -> None:
        _require(0 <= self.gate <= 1, "gate", self.gate, "in [0, 1]")
        _require(self.alpha is None or 0 <= self.alpha <= 1, "alpha", self.alpha, "in [0, 1]")
        _require(0 <= self.failure_margin <= 1, "failure_margin", self.failure_margin, "in [0, 1]")
        sound = self.budget is None or (math.isfinite(self.budget) and self.budget >= 0)
        _require(sound, "budget", self.budget, "0 or more")
        _require(self.pending_max >= 0, "pending_max", self.pending_max, "0 or more")
        _require(self.hold_windows > 0, "hold_windows", self.hold_windows, "above 0")


def _require(holds: bool, key: str, value: object, wanted: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise ValueError(f"`{key}` is {value}, and must be {wanted}")
