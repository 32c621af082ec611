"""What the owner of a pipeline believes before anything has happened: what actions cost and how often they fail.

Must never guess silently: an action without a configured failure has no say, and a number that makes no sense is a
ValueError that names its key.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from healerd.config import PipelineSettings
from healerd.model import ACTIONS_THAT_HEAL, HOLD

__all__ = ["COST_MAX", "DEFAULT_PRIORS", "PSEUDO_INCIDENTS", "UNCONFIGURED_FAILURE", "ActionPrior", "CostModel"]

PSEUDO_INCIDENTS = 10.0
"""Weight of the configured belief: it counts like so many incidents that were really seen."""
UNCONFIGURED_FAILURE = 0.5
"""Stands in the log for an action without a configured failure; nothing is decided by it."""
SEVERITIES = ("low", "medium", "high", "critical")
FACTOR_MAX = 1e3
COST_MAX = 1e12
"""A cost above this is a slip of the keyboard, and would drown every other number."""


def _require(holds: bool, key: str, value: object, wanted: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise ValueError(f"`{key}` is {value}, and must be {wanted}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionPrior:
    """What is believed of one action: its fixed cost, and P(failure) = failure + slopes . context, in points.

    A failure is an incident that is not resolved, or harm caused. `failure` None means that nobody said.
    """

    action: str
    cost: float = 0.0
    failure: float | None = None
    slopes: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        key = f"actions.{self.action}"
        _require(math.isfinite(self.cost) and 0 <= self.cost <= COST_MAX, f"{key}.cost", self.cost, "from 0 to 1e12")
        within = self.failure is None or 0 < self.failure < 1
        _require(within, f"{key}.failure", self.failure, "between 0 and 1")
        for feature, slope in self.slopes.items():
            _require(-1 <= slope <= 1, f"{key}.slopes.{feature}", slope, "from -1 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """The cost model of one pipeline: expected cost of an action = fixed cost + severity x P(failure | context).

    `features` names the context's numbers; the first is the constant 1. `severity` is what an unresolved incident
    costs, times the factor of its severity: low, medium, high, critical. `actions` holds a prior for each action,
    `hold` among them.
    """

    features: tuple[str, ...]
    severity: float
    actions: tuple[ActionPrior, ...]
    factors: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        sound = math.isfinite(self.severity) and 0 < self.severity <= COST_MAX
        _require(sound, "degraded_cost x degraded_windows", self.severity, "above 0, and at most 1e12")
        for name, factor in zip(SEVERITIES, self.factors, strict=True):
            within = math.isfinite(factor) and 0 < factor <= FACTOR_MAX
            _require(within, f"severity.{name}", factor, "above 0, and at most 1000")
        names = [prior.action for prior in self.actions]
        _require(len(set(names)) == len(names), "actions", names, "each named once")
        _require(HOLD in names, "actions", names, "complete: `hold` is an action too")
        unknown = sorted({name for prior in self.actions for name in prior.slopes} - set(self.features[1:]))
        _require(not unknown, "slopes", unknown, f"of the features {', '.join(self.features[1:])}")

    @classmethod
    def of(cls, settings: PipelineSettings, *, features: tuple[str, ...], hold: ActionPrior) -> "CostModel":
        """Take the cost model from a pipeline's configuration. Raises ValueError with the key."""
        priors = [_prior_of(name, settings) for name in ACTIONS_THAT_HEAL]
        severity = settings.window_cost * settings.degraded_windows
        factors = settings.severity
        return cls(
            features=features,
            severity=severity,
            actions=(hold, *priors),
            factors=(factors.low, factors.medium, factors.high, factors.critical),
        )

    def at(self, severity: int) -> "CostModel":
        """Give the model of an incident of this severity, 1 to 4: what it costs is in its `severity` then."""
        factor = self.factors[min(4, max(1, severity)) - 1]
        return self if factor == 1.0 else replace(self, severity=self.severity * factor, factors=(1.0, 1.0, 1.0, 1.0))

    def prior(self, action: str) -> ActionPrior | None:
        """Find the prior of an action."""
        return next((prior for prior in self.actions if prior.action == action), None)

    def configured(self, action: str) -> bool:
        """Tell whether somebody said how often the action fails; without it the policy stays in shadow."""
        prior = self.prior(action)
        return prior is not None and prior.failure is not None


def _prior_of(name: str, settings: PipelineSettings) -> ActionPrior:
    """Read one action: what it costs is its price, and the time in which nothing is served."""
    found = settings.actions.get(name)
    if found is None:
        return ActionPrior(action=name)
    downtime = found.downtime / 60.0 * settings.downtime_cost
    return ActionPrior(action=name, cost=(found.cost or 0.0) + downtime, failure=found.failure)


DEFAULT_PRIORS: Mapping[str, ActionPrior] = {
    "retrain": ActionPrior(action="retrain", cost=40.0, failure=0.25),
    "rollback": ActionPrior(action="rollback", cost=1.0, failure=0.35),
    "fallback": ActionPrior(action="fallback", cost=5.0, failure=0.40),
}
"""Values to *write into* a configuration where nobody has a better guess, as `try` and `demo` do: in units of which one
degraded window costs 100. A new fit on good data mostly helps and takes work; an old version costs nothing to bring
back and fits less often; a safe model stops the worst and resolves little. Nothing reads them by itself."""
