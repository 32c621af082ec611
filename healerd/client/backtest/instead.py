"""What would have been in force instead: other rules, another policy, another gate, other costs.

Must never invent a setting: a key that nothing reads is a ConfigError that lists those that are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from healerd.errors import ConfigError
from healerd.model import ACTIONS_THAT_HEAL, HOLD
from healerd.policy import POLICIES, ActionPrior, CostModel
from healerd_rules import RuleSet

__all__ = ["KEYS", "Instead", "instead_of"]

GATE, SEVERITY = "gate", "severity"
KEYS = (
    GATE,
    SEVERITY,
    *(f"{action}.{what}" for action in (*ACTIONS_THAT_HEAL, HOLD) for what in ("cost", "failure")),
)
"""What `--set` may change: the deviation gate, what an unresolved incident costs, and each action's prior."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instead:
    """What is tried; None, or no cost, leaves what was in force. `name` is how people call it."""

    name: str = "the same"
    ruleset: RuleSet | None = None
    policy: str | None = None
    gate: float | None = None
    costs: Mapping[str, float] = field(default_factory=dict)

    @property
    def asks_policy(self) -> bool:
        """Whether the answer may change though the rules give the same one."""
        return self.policy is not None or self.gate is not None or bool(self.costs)

    def model(self, was: CostModel) -> CostModel:
        """Give the cost model with the other costs. Raises ConfigError for one that makes no sense."""
        try:
            return replace(
                was,
                severity=self.costs.get(SEVERITY, was.severity),
                actions=tuple(self._prior(prior) for prior in was.actions),
            )
        except ValueError as error:
            raise ConfigError(f"--set: {error}") from error

    def _prior(self, prior: ActionPrior) -> ActionPrior:
        return replace(
            prior,
            cost=self.costs.get(f"{prior.action}.cost", prior.cost),
            failure=self.costs.get(f"{prior.action}.failure", prior.failure),
        )


def instead_of(
    *, name: str = "", ruleset: RuleSet | None = None, policy: str | None = None, settings: Sequence[str] = ()
) -> Instead:
    """Read what is tried, settings as `key=value`. Raises ConfigError with what there is."""
    if policy is not None and policy not in POLICIES:
        raise ConfigError(f"no policy `{policy}`; there are {', '.join(f'`{each}`' for each in POLICIES)}")
    given = dict(_setting(each) for each in settings)
    gate = given.pop(GATE, None)
    if gate is not None and not 0.5 <= gate <= 1.0:
        raise ConfigError(f"--set: `gate` is {gate:g}, and must be from 0.5 to 1: a probability that it is cheaper")
    words = (name, f"policy {policy}" if policy else "", *settings)
    said = ", ".join(each for each in words if each) or "the same"
    made = Instead(name=said, ruleset=ruleset, policy=policy, gate=gate, costs=given)
    made.model(_ANY)
    return made


def _setting(text: str) -> tuple[str, float]:
    key, equals, value = text.partition("=")
    if key.strip() not in KEYS or not equals:
        raise ConfigError(f"--set `{text}`: expected key=value; the keys are {', '.join(KEYS)}")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"--set `{text}`: `{value}` is no number")
    return key.strip(), number


_ANY = CostModel(
    features=("one",),
    severity=1.0,
    actions=tuple(ActionPrior(action=action, failure=0.5) for action in (HOLD, *ACTIONS_THAT_HEAL)),
)
"""Any model: a cost that makes no sense in it makes none in a recorded one, and is said before anything is read."""
