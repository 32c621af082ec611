"""Deciding: facts, incidents, guards, the one line that leads to a decision, and its explanation. See the README.

Pure: a frozen situation and a rule set in, a decision out. Must never act, read a clock or draw a random number.
"""

from healerd.decision.aftermath import Deed, Move, Trace
from healerd.decision.chain import Link, chain, diagram
from healerd.decision.context import FEATURES, HOLD_PRIOR, cost_model, recorded_context
from healerd.decision.decide import decide
from healerd.decision.diagnosis import Apart, Diagnosis, Moved, diagnosis_said
from healerd.decision.erasure import is_erased
from healerd.decision.explain import Prompt, page, prompt, sentences
from healerd.decision.facts import ALARMS, FACTS, SCHEMA, Fact, alarms, facts, schema
from healerd.decision.gate import SURE_ENOUGH
from healerd.decision.guards import bar_stands
from healerd.decision.incidents import follow, open_for_wish
from healerd.decision.log import logged, rejected_at
from healerd.decision.payback import Payback, Stake, payback
from healerd.decision.recheck import Recheck, recheck
from healerd.decision.replaying import replay
from healerd.decision.situation import Logged, Situation, Target, Wish, from_json, to_json
from healerd.decision.stages import breaker, demote, promote_stage
from healerd.decision.steps import judge_step
from healerd.decision.telling import prose, trace_page
from healerd.decision.view import inputs_of, prepare
from healerd.decision.words import answer_of

__all__ = [
    "ALARMS",
    "FACTS",
    "FEATURES",
    "HOLD_PRIOR",
    "SCHEMA",
    "SURE_ENOUGH",
    "Apart",
    "Deed",
    "Diagnosis",
    "Fact",
    "Link",
    "Logged",
    "Move",
    "Moved",
    "Payback",
    "Prompt",
    "Recheck",
    "Situation",
    "Stake",
    "Target",
    "Trace",
    "Wish",
    "alarms",
    "answer_of",
    "bar_stands",
    "breaker",
    "chain",
    "cost_model",
    "decide",
    "demote",
    "diagnosis_said",
    "diagram",
    "facts",
    "follow",
    "from_json",
    "inputs_of",
    "is_erased",
    "judge_step",
    "logged",
    "open_for_wish",
    "page",
    "payback",
    "prepare",
    "promote_stage",
    "prompt",
    "prose",
    "recheck",
    "recorded_context",
    "rejected_at",
    "replay",
    "schema",
    "sentences",
    "to_json",
    "trace_page",
]
