"""The brief's one-step study: 200 drawn scenarios a system, one decision each, and what a random confidence can do.

    python -m experiments.one_step [--seed N] [--studies N] [--json]

The reference's table gave rules-only 272.10 of cost with 18.0% failures and its hybrid 311.62 with 23.5%: rules-only
wins on both. Reproduced here: the size (200 scenarios a system), one decision each, the three kinds of system,
a bandit that never learns, and a hybrid whose confidence is a random draw. NOT reproduced: its cost table and its
draws, which are not given anywhere; those below are our own: the order of systems compares, the money does not.

Such a hybrid is a coin between the rules and a bandit: its expected cost and failures lie between theirs, so it cannot
beat both but by luck of the draw, and where the rules are the better it cannot beat them. The product's policy on the
same draws stands beside it. Must never feed a drawn outcome into the closed loop's tables.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from healerd.model import HOLD
from healerd.policy import POLICIES, ActionPrior, CostModel, Event, PolicyState, Question, Terms, begin, learn_event

__all__ = ["REPORTED", "SYSTEMS", "Scenario", "draw", "study", "table"]

N = 200
REPORTED = {"rules only": (272.10, 0.180), "hybrid": (311.62, 0.235)}
"""What the reference's own table says: cost and failures."""
ACTIONS = (HOLD, "retrain", "rollback", "fallback")
COSTS = {HOLD: 0.0, "retrain": 100.0, "rollback": 20.0, "fallback": 50.0}
SEVERITY = 600.0
FAILS: Mapping[str, tuple[float, float, float, float]] = {
    "healthy": (0.02, 0.10, 0.20, 0.25),
    "covariate drift": (0.50, 0.15, 0.40, 0.35),
    "concept drift": (0.95, 0.15, 0.50, 0.45),
    "bad data": (0.80, 0.90, 0.60, 0.20),
    "bad deploy": (0.95, 0.35, 0.08, 0.40),
}
"""P(failure) of each action, in the order of `ACTIONS`, by cause: our own numbers."""
SHARES = (0.4, 0.2, 0.15, 0.15, 0.1)
FEATURES = ("one", "error", "drift", "bad_data", "moved")
MODEL = CostModel(
    features=FEATURES,
    severity=SEVERITY,
    actions=(
        ActionPrior(action=HOLD, failure=0.2, slopes={"error": 0.6}),
        ActionPrior(action="retrain", cost=COSTS["retrain"], failure=0.25, slopes={"bad_data": 0.5}),
        ActionPrior(action="rollback", cost=COSTS["rollback"], failure=0.4, slopes={"moved": -0.2}),
        ActionPrior(action="fallback", cost=COSTS["fallback"], failure=0.4, slopes={"bad_data": -0.1}),
    ),
)
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One incident: what is seen of it, what each action would come to, and the draws of who decides by chance."""

    cause: str
    context: tuple[float, ...]
    fails: Mapping[str, bool]
    severity: float
    confidence: float
    any_action: str

    def cost(self, action: str) -> float:
        """Give what an action costs here."""
        return COSTS[action] + (self.severity if self.fails[action] else 0.0)


Decide = Callable[[Scenario, PolicyState], str]


def draw(rng: np.random.Generator) -> Scenario:
    """Draw one scenario: signals are noisy, and severities heavy-tailed with the mean that the model is told."""
    cause = str(rng.choice(list(FAILS), p=SHARES))
    seen = {
        "error": cause in ("concept drift", "bad data", "bad deploy"),
        "drift": cause in ("covariate drift", "bad data"),
        "bad_data": cause == "bad data",
        "moved": cause == "bad deploy",
    }
    told = [float(is_so != (rng.random() < 0.1)) for is_so in seen.values()]
    luck = rng.random()
    return Scenario(
        cause=cause,
        context=(1.0, *told),
        fails={action: bool(luck < p) for action, p in zip(ACTIONS, FAILS[cause], strict=True)},
        severity=float(SEVERITY * rng.lognormal(-0.5, 1.0)),
        confidence=float(rng.random()),
        any_action=str(rng.choice(ACTIONS)),
    )


def rules(scenario: Scenario, state: PolicyState) -> str:
    """Decide as the brief's rules were meant to."""
    _, error, drift, bad_data, moved = scenario.context
    if bad_data:
        return "fallback"
    if error and moved:
        return "rollback"
    return "retrain" if error or drift else HOLD


def _never_learned(scenario: Scenario, state: PolicyState) -> str:
    return scenario.any_action


def _coin(scenario: Scenario, state: PolicyState) -> str:
    """Decide as the reference's hybrid: a random confidence picks the bandit or the rules."""
    return scenario.any_action if scenario.confidence >= Terms().gate else rules(scenario, state)


def _greedy(scenario: Scenario, state: PolicyState) -> str:
    question = Question(context=scenario.context, permitted=ACTIONS, rule_action=rules(scenario, state))
    return POLICIES["bayesian"].advise(question, model=MODEL, state=state).candidate


def _gated(scenario: Scenario, state: PolicyState) -> str:
    rule = rules(scenario, state)
    question = Question(context=scenario.context, permitted=ACTIONS, rule_action=rule)
    advice = POLICIES["bayesian"].advise(question, model=MODEL, state=state)
    estimate = advice.of(advice.candidate)
    p = None if estimate is None else estimate.p_cheaper_than_rule
    return advice.candidate if p is not None and p >= Terms().gate else rule


SYSTEMS: Mapping[str, Decide] = {
    "rules only": rules,
    "bandit that never learns": _never_learned,
    "hybrid by a random confidence": _coin,
    "the product's policy, no gate": _greedy,
    "the product's policy behind its gate": _gated,
}


def study(seed: int) -> dict[str, tuple[float, float]]:
    """Run 200 scenarios under each system; give mean cost and failures. All meet the same draws."""
    rng = np.random.Generator(np.random.Philox(seed))
    scenarios = [draw(rng) for _ in range(N)]
    return {name: _played(scenarios, decide) for name, decide in SYSTEMS.items()}


def _played(scenarios: list[Scenario], decide: Decide) -> tuple[float, float]:
    state, costs, failures = begin(MODEL), [], []
    for number, scenario in enumerate(scenarios, 1):
        action = decide(scenario, state)
        failed = scenario.fails[action]
        costs.append(scenario.cost(action))
        failures.append(failed)
        event = Event(
            number=number, at=SINCE, action=action, context=scenario.context, failed=failed, cost=COSTS[action]
        )
        state = learn_event(MODEL, state, event)
    return float(np.mean(costs)), float(np.mean(failures))


def table(seed: int, studies: int) -> list[dict[str, Any]]:
    """Run many studies: the first in numbers, and in how many each system beats rules-only on both."""
    found = [study(seed + number) for number in range(studies)]
    return [
        {
            "system": name,
            "cost": found[0][name][0],
            "failed": found[0][name][1],
            "mean cost": float(np.mean([each[name][0] for each in found])),
            "mean failed": float(np.mean([each[name][1] for each in found])),
            "studies in which it beats rules-only on both": sum(
                each[name][0] < each["rules only"][0] and each[name][1] < each["rules only"][1] for each in found
            ),
            "studies": studies,
        }
        for name in SYSTEMS
    ]


def main() -> int:
    """Run the studies and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--studies", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows = table(asked.seed, asked.studies)
    if asked.json:
        print(json.dumps({"schema": 1, "seed": asked.seed, "reported": REPORTED, "rows": rows}))
        return 0
    for name, (cost, failed) in REPORTED.items():
        print(f"reported by the reference: {name}: cost {cost:.2f}, failures {failed:.1%}")
    for row in rows:
        print(
            f"{row['system']}: cost {row['cost']:.2f}, failures {row['failed']:.1%} in the first study; "
            f"{row['mean cost']:.1f}, {row['mean failed']:.1%} in the mean of {row['studies']}; beats rules-only on "
            f"both in {row['studies in which it beats rules-only on both']}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
