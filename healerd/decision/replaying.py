"""Decide again what was decided, from the trace alone: proof that the record holds. Must never mend a difference."""

from healerd.decision.decide import decide
from healerd.decision.situation import from_json
from healerd.decision.steps import redo_step
from healerd.model import Decision
from healerd_rules import RuleSet

__all__ = ["replay"]


def replay(decision: Decision, ruleset: RuleSet) -> Decision:
    """Give the decision that the recorded situation leads to; equal to `decision`, or the record does not hold.

    Raises ValueError when the rules are others than those it was decided under, or the trace cannot be read.
    """
    if ruleset.id != decision.rules_id:
        raise ValueError(f"decision `{decision.id}` stands on rules {decision.rules_id[:12]}, not {ruleset.id[:12]}")
    situation = from_json(decision.trace["situation"])
    if "step" in decision.trace:
        return redo_step(situation, ruleset, decision.trace["step"])
    return decide(situation, ruleset)
