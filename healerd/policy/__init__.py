"""The policy: which permitted action is expected to cost least, and how sure that is. See the README.

Pure: events in, state out. Must never see an action that the guards have not permitted as a choice, never draw a
random number, and never act.
"""

from collections.abc import Mapping

from healerd.policy.advice import Advice, Estimate, Policy, PolicyFailed, Question
from healerd.policy.bayesian import Bayesian
from healerd.policy.learning import KEEP, Event, PolicyState, begin, learn_all, learn_event
from healerd.policy.prior import DEFAULT_PRIORS, PSEUDO_INCIDENTS, ActionPrior, CostModel
from healerd.policy.reward import event_of, failed
from healerd.policy.rules_only import RulesOnly

__all__ = [
    "DEFAULT_PRIORS",
    "KEEP",
    "POLICIES",
    "PSEUDO_INCIDENTS",
    "ActionPrior",
    "Advice",
    "CostModel",
    "Estimate",
    "Event",
    "Policy",
    "PolicyFailed",
    "PolicyState",
    "Question",
    "begin",
    "event_of",
    "failed",
    "learn_all",
    "learn_event",
]

POLICIES: Mapping[str, Policy] = {policy.name: policy for policy in (Bayesian(), RulesOnly())}
"""Every policy by its name."""
