"""The policy: which permitted action is expected to cost least, and how sure that is. See the README.

Pure: events in, state out. Must never see an action that the guards have not permitted as a choice, never draw a
number from a stream that is not keyed by the decision, and never act.
"""

from collections.abc import Mapping

from healerd.policy.account import BARS, Account, Deviation, bar, begin_account, keep_account
from healerd.policy.advice import Advice, Estimate, Policy, PolicyFailed, Question
from healerd.policy.bayesian import Bayesian
from healerd.policy.canary import Canary, judge_canary
from healerd.policy.chance import coin
from healerd.policy.deeds import Deed
from healerd.policy.greedy import Greedy
from healerd.policy.learning import KEEP, Event, PolicyState, begin, learn_all, learn_event
from healerd.policy.ledger import Balance, Charge
from healerd.policy.lints import LinTS
from healerd.policy.linucb import LinUCB
from healerd.policy.prior import DEFAULT_PRIORS, PSEUDO_INCIDENTS, ActionPrior, CostModel
from healerd.policy.prior_check import PriorCheck, check_prior
from healerd.policy.reward import event_of, failed
from healerd.policy.rules_only import RulesOnly
from healerd.policy.severity import pooled_windows
from healerd.policy.terms import Terms
from healerd.policy.uniform import Uniform

__all__ = [
    "BARS",
    "DEFAULT_PRIORS",
    "KEEP",
    "POLICIES",
    "PSEUDO_INCIDENTS",
    "Account",
    "ActionPrior",
    "Advice",
    "Balance",
    "Canary",
    "Charge",
    "CostModel",
    "Deed",
    "Deviation",
    "Estimate",
    "Event",
    "Policy",
    "PolicyFailed",
    "PolicyState",
    "PriorCheck",
    "Question",
    "Terms",
    "bar",
    "begin",
    "begin_account",
    "check_prior",
    "coin",
    "event_of",
    "failed",
    "judge_canary",
    "keep_account",
    "learn_all",
    "learn_event",
    "pooled_windows",
]

_ALL: tuple[Policy, ...] = (Bayesian(), RulesOnly(), Greedy(), LinTS(), LinUCB(), Uniform())
POLICIES: Mapping[str, Policy] = {policy.name: policy for policy in _ALL}
"""Every policy by its name; those for experiments alone say so."""
