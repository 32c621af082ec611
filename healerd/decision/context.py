"""The context: the few numbers that the policy sees of an incident, each in [0, 1], 0 where all is as usual.

Must never hold what a rule should decide, nor a number that grows without bound.
"""

import math
from collections.abc import Callable, Mapping
from itertools import product

from healerd.config import PipelineSettings
from healerd.decision.facts import alarms, facts
from healerd.decision.log import last_ended_at
from healerd.decision.situation import Situation
from healerd.model import HOLD, Decision, Layer, Quality
from healerd.policy import ActionPrior, CostModel

__all__ = ["FEATURES", "HOLD_PRIOR", "contexts_of", "cost_model", "recorded_context"]

HALF_LIFE_WINDOWS = 8.0
"""Windows after which a heal counts half as recent: effects show within a few windows."""


def _one(situation: Situation) -> float | None:
    return 1.0


def _log_effect(situation: Situation) -> float | None:
    """Half the logarithm of error over reference error: 0.35 when the error has doubled, 1 from 7.4-fold on."""
    known = facts(situation)
    error, reference = known["error_rate"], known["reference_error"]
    if not isinstance(error, float) or not isinstance(reference, float):
        return None
    least = 1e-3
    return min(1.0, max(0.0, math.log(max(error, least) / max(reference, least)) / 2.0))


def _covariates(situation: Situation) -> float | None:
    return _truth(alarms(situation)[Layer.DRIFT])


def _bad_data(situation: Situation) -> float | None:
    return {Quality.GOOD: 0.0, Quality.BAD: 1.0, Quality.UNKNOWN: None}[situation.quality]


def _no_harm(situation: Situation) -> float | None:
    """What labels have shown in this incident stays shown until it is closed."""
    incident = situation.open_incident
    if incident is not None and incident.kind in (Layer.HARM, Layer.REGRET):
        return 0.0
    alarm = alarms(situation)[Layer.HARM]
    return None if alarm is None else float(not alarm)


def _recent_heal(situation: Situation) -> float | None:
    ended_at = last_ended_at(situation)
    if ended_at is None:
        return 0.0
    windows = max(0.0, (situation.now - ended_at).total_seconds()) / situation.window_s
    return float(0.5 ** (windows / HALF_LIFE_WINDOWS))


def _truth(alarm: bool | None) -> float | None:  # noqa: FBT001 - a value, not a switch
    return None if alarm is None else float(alarm)


CONTEXT: Mapping[str, tuple[str, Callable[[Situation], float | None]]] = {
    "one": ("always 1: how often an action fails at all", _one),
    "log_effect": ("how far the error is above the reference's", _log_effect),
    "covariates": ("1 while the inputs are known to have drifted", _covariates),
    "bad_data": ("1 while the data is bad", _bad_data),
    "no_harm": ("1 unless labels have shown harm, or a better version, in this incident", _no_harm),
    "recent_heal": ("1 right after a heal, half after 8 windows", _recent_heal),
}
"""Each number of the context: what it means, and how it is found."""

FEATURES = tuple(CONTEXT)

HOLD_PRIOR = ActionPrior(action=HOLD, cost=0.0, failure=0.90, slopes={"no_harm": -0.5})
"""Nothing heals by itself: of the incidents with harm one in ten passes on its own. Without harm most alarms come to
nothing: holding fails in four of ten."""


def cost_model(settings: PipelineSettings) -> CostModel:
    """Take the policy's cost model from the configuration. Raises ValueError with the key."""
    return CostModel.of(settings, features=FEATURES, hold=HOLD_PRIOR)


def contexts_of(situation: Situation) -> tuple[tuple[float, ...], ...]:
    """Give the context as the policy's vector, first with 0 for what is unknown, then with every mix of 0 and 1.

    # INVARIANT: hiding data never makes a choice surer. Between the corners P(cheaper) is at least that of the least
    # sure corner wherever that is above 1/2: a positive line over a norm is quasi-concave.
    """
    found = [find(situation) for _, find in CONTEXT.values()]
    return tuple(product(*((0.0, 1.0) if value is None else (value,) for value in found)))


def recorded_context(decision: Decision) -> tuple[float, ...]:
    """Read the context that a recorded decision stood on, for the lesson of its outcome; empty when it had none.

    By name: the audit log's form of JSON sorts keys, so that their order says nothing.
    """
    held = decision.trace.get("context", {})
    return tuple(float(held[name]) for name in FEATURES) if set(FEATURES) <= held.keys() else ()
