"""The systems that are compared: each is a rule file, a policy, a prior, and what it learned before; no more.

Must never hold a way of deciding: `decision.decide` decides for all of them, through the daemon's own loop.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from experiments.ablation.world import PIPELINE, WINDOW_S, Costs
from healerd.config import Config, PolicySettings, parse_config
from healerd.policy import POLICIES, Terms

__all__ = ["FIXED", "HYBRID", "LAX", "RULES", "SYSTEMS", "System", "configuration"]

RULES = Path(__file__).parent / "rules"
FAILURES: Mapping[str, float] = {"retrain": 0.3, "rollback": 0.3, "fallback": 0.4}
"""The configured beliefs, those that `try` and `demo` ship with."""
FLAT = 0.5
DEGRADED_WINDOWS = 8.0
"""Windows that an unresolved incident is believed to go on: what passes by itself takes 5 to 10, what stays 16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One row of the table. `everywhere`: plays all scenarios, not only the slice of each site.

    `alpha` is the ledger's share, 0.10 as shipped, and `margin` the shipped `failure_margin`.

    `lessons`: `none` forgets what each scenario taught, `own` keeps it, `logs` begins with those of the shadow logs.
    """

    name: str
    says: str
    rules: str
    policy: str
    lessons: Literal["none", "own", "logs"] = "none"
    prior: Literal["configured", "flat", "swapped"] = "configured"
    alpha: float = 0.10
    margin: float = Terms().failure_margin
    everywhere: bool = False


class AnyPolicy(PolicySettings, frozen=True, kw_only=True):
    """The policy's settings, with those for experiments let through: no configuration file can ask for them."""

    def __post_init__(self) -> None:
        assert self.name in POLICIES, "a policy of the table"


HYBRID = "hybrid (shadow logs)"
LAX = "hybrid (lax ledger)"
_TABLE = (
    System(
        name="brief's rules",
        says="drift retrains, collapse rolls back, a safe model is the last resort",
        rules="briefs",
        policy="rules only",
        everywhere=True,
    ),
    System(
        name="tuned rules",
        says="the shipped pack `default`, its times scaled to this world",
        rules="tuned",
        policy="rules only",
        everywhere=True,
    ),
    System(
        name="bandit only (cold)",
        says="the cheapest in expectation on any incident; no gate, no rules but `base`",
        rules="open",
        policy="greedy",
        lessons="own",
        everywhere=True,
    ),
    System(
        name="bandit only (same logs)",
        says="the same, after the shadow logs",
        rules="open",
        policy="greedy",
        lessons="logs",
        everywhere=True,
    ),
    System(
        name=HYBRID,
        says="tuned rules, the policy behind its gate, after the shadow logs",
        rules="tuned",
        policy="bayesian",
        lessons="logs",
        everywhere=True,
    ),
    System(
        name=LAX,
        says="the same, its deviations free to fail more often, and to cost as much again as the rules: the gate alone",
        rules="tuned",
        policy="bayesian",
        lessons="logs",
        alpha=1.0,
        margin=1.0,
        everywhere=True,
    ),
    System(
        name="hybrid (cold)",
        says="as shipped, without shadow logs",
        rules="tuned",
        policy="bayesian",
        lessons="own",
    ),
    System(
        name="hybrid (frozen prior)",
        says="as shipped, and never learns",
        rules="tuned",
        policy="bayesian",
    ),
    System(
        name="hybrid (flat prior)",
        says="with shadow logs, and every action believed to fail half the time",
        rules="tuned",
        policy="bayesian",
        lessons="logs",
        prior="flat",
    ),
    System(
        name="hybrid (two costs swapped)",
        says="with shadow logs, and the costs of retraining and rollback confused in its configuration",
        rules="tuned",
        policy="bayesian",
        lessons="logs",
        prior="swapped",
    ),
)
_BASELINES = tuple(
    System(
        name=f"{name} (same logs)",
        says=f"the baseline `{name}` of `healerd.policy`: no gate, no rules but `base`",
        rules="open",
        policy=name,
        lessons="logs",
    )
    for name in ("LinTS", "LinUCB", "uniform")
)
SYSTEMS: Mapping[str, System] = {system.name: system for system in (*_TABLE, *_BASELINES)}
"""Every system by its name."""
FIXED: Mapping[str, System] = {
    f"always {action}": System(
        name=f"always {action}", says=f"{action} on harm or bad data", rules=f"always_{action}", policy="rules only"
    )
    for action in FAILURES
}
"""One answer to everything: what the shadow logs were made with, in turn, and what the floor may pick from."""


def configuration(system: System, costs: Costs, folder: Path) -> Config:
    """Make the configuration of a system at a site, as a `healerd.toml` in its state folder would."""
    config = parse_config(_text(system, costs), path=folder / "healerd.toml")
    settings = msgspec.structs.replace(
        config.pipeline[PIPELINE],
        policy=AnyPolicy(name=system.policy, alpha=system.alpha, failure_margin=system.margin),
    )
    return msgspec.structs.replace(config, pipeline={PIPELINE: settings})


def _text(system: System, costs: Costs) -> str:
    believed = {"retrain": costs.retrain, "rollback": costs.rollback, "fallback": costs.fallback}
    if system.prior == "swapped":
        believed = {**believed, "retrain": costs.rollback, "rollback": costs.retrain}
    failures = dict.fromkeys(FAILURES, FLAT) if system.prior == "flat" else FAILURES
    trains = (
        'entry = "healerd.offline.estimator:fit"\n'
        'args = { task = "classification", estimator = "sklearn.linear_model:LogisticRegression" }\n'
    )
    actions = "".join(
        f"[pipeline.{PIPELINE}.actions.{action}]\ncost = {believed[action]!r}\nfailure = {failures[action]!r}\n"
        + (trains if action == "retrain" else "")
        for action in FAILURES
    )
    return f"""
[daemon]
state = "."
[pipeline.{PIPELINE}]
window = {WINDOW_S}
label_horizon = {WINDOW_S}
loss = "zero-one"
rules = ["{RULES / system.rules}.heal"]
degraded_cost = {costs.degraded!r}
degraded_windows = {DEGRADED_WINDOWS}
[pipeline.{PIPELINE}.source]
kind = "memory"
[pipeline.{PIPELINE}.detection]
clean_windows = 4
[pipeline.{PIPELINE}.healing]
rows_min = 150
train_windows = 8
judge_windows = 2
choose_windows = 3
choose_rows = 300
verify_windows = 3
refit = false
{actions}"""
