"""The first half of the line: facts, then the guards with confidence free, then what is permitted (SAFETY S1).

Must never ask the policy: what is not permitted here, nobody gets to choose.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from healerd.decision.facts import FactValue, alarms, facts
from healerd.decision.guards import HEAL_GUARDS, Asked, guard
from healerd.decision.incidents import follow
from healerd.decision.log import records
from healerd.decision.situation import Situation
from healerd.model import NOT_STARTED, Intent, Stage
from healerd_rules import Acting, Evaluation, Inputs, Level, RuleSet, Verdict, advance, evaluate, join

__all__ = ["View", "Way", "inputs_of", "judge", "look", "prepare", "second_pass"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """An intent that waits and is not in the way, and why: the decision may withdraw it (SAFETY S10)."""

    intent: Intent
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A situation as the guards see it: verdicts of the first pass, and the actions they leave open."""

    situation: Situation
    ruleset: RuleSet
    facts: Mapping[str, FactValue]
    alarms: Mapping[str, bool | None]
    inputs: Inputs
    first: Evaluation
    verdicts: Mapping[str, Verdict]
    ignoring: frozenset[str]
    gives_way: tuple[Way, ...]

    @property
    def permitted(self) -> tuple[str, ...]:
        """The actions that are allowed, announced or approval-needed."""
        return tuple(action for action, verdict in self.verdicts.items() if verdict.level <= Level.APPROVAL_NEEDED)


def prepare(situation: Situation, ruleset: RuleSet) -> Situation:
    """Take up a closed window, once: move the rules' memory and the incident along. Its result is what is decided on.

    `situation` comes with the memory and the incident of the window before.
    """
    signals = advance(ruleset, inputs_of(situation), situation.signals)
    seen = replace(situation, signals=signals)
    proposals = evaluate(ruleset, inputs_of(seen), signals, confidence=None).proposals
    return replace(seen, incident=follow(seen, proposals))


def look(situation: Situation, ruleset: RuleSet, *, without: Collection[str] = ()) -> View:
    """Evaluate the guards with confidence free. `without` names intents to leave out: the one that is rechecked."""
    waiting = [
        intent
        for intent in situation.intents
        if intent.pipeline == situation.pipeline and intent.state in NOT_STARTED and intent.id not in without
        if intent.action not in ("undo", "return")
    ]
    ignoring = frozenset((*without, *(intent.id for intent in waiting)))
    inputs = inputs_of(situation, without=ignoring)
    first = evaluate(ruleset, inputs, situation.signals, confidence=None)
    gives_way = tuple(Way(intent=i, because=why) for i in waiting if (why := _gives_way(i, situation, first)))
    if len(gives_way) < len(waiting):
        ignoring = frozenset((*without, *(way.intent.id for way in gives_way)))
        inputs = inputs_of(situation, without=ignoring)
        first = evaluate(ruleset, inputs, situation.signals, confidence=None)
    heals = [action.name for action in ruleset.actions if not action.step]
    return View(
        situation=situation,
        ruleset=ruleset,
        facts=facts(situation),
        alarms=alarms(situation),
        inputs=inputs,
        first=first,
        verdicts={action: judge(situation, action, first, ignoring) for action in heals},
        ignoring=ignoring,
        gives_way=gives_way,
    )


def judge(situation: Situation, action: str, evaluation: Evaluation, ignoring: frozenset[str]) -> Verdict:
    """Join the rules' verdict on a heal with that of the built-in guards."""
    wished = situation.wish is not None and situation.wish.action == action
    asked = Asked(
        situation=situation,
        action=action,
        proposed=wished or any(proposal.action == action for proposal in evaluation.proposals),
        ignoring=ignoring,
    )
    return join(evaluation.verdicts[action], guard(HEAL_GUARDS, asked))


def second_pass(view: View, action: str, confidence: float | None) -> Verdict:
    """Judge a heal with its confidence known; never looser than the first pass (SAFETY S1)."""
    situation = view.situation
    second = evaluate(view.ruleset, view.inputs, situation.signals, confidence={action: confidence})
    return join(view.verdicts[action], judge(situation, action, second, view.ignoring))


def inputs_of(
    situation: Situation, *, without: Collection[str] = (), stage: Stage | None = None, incident: bool | None = None
) -> Inputs:
    """Give the rules what they may know; `stage` and `incident` in the place of the situation's own."""
    open_ = situation.open_incident
    return Inputs(
        pipeline=situation.pipeline,
        tags=situation.tags,
        now=situation.now,
        window_s=situation.window_s,
        stage=(stage or situation.stage).value,
        incident=open_ is not None if incident is None else incident,
        incident_id=None if open_ is None else open_.id,
        facts=facts(situation),
        alarms=alarms(situation),
        log=records(situation, without=without),
        pipelines=situation.pipelines,
        prices=situation.prices,
    )


def _gives_way(intent: Intent, situation: Situation, alone: Evaluation) -> str:
    """Say why an intent that has not started is not in the way of a decision; empty when it is."""
    incident = situation.open_incident
    if incident is None:
        return ""
    if intent.severity < incident.severity:
        return f"the incident has become more severe: {incident.reason}"
    verdict = alone.verdicts.get(intent.action)
    barred = verdict is not None and any(map(_surely_forbids, verdict.acting))
    return f"{intent.action} is no longer permitted" if barred else ""


def _surely_forbids(acting: Acting) -> bool:
    """Tell a forbid that stands whatever is unknown: hiding data must not clear the way for another action (S4)."""
    known = all(leaf.truth is not None for leaf in acting.leaves)
    return acting.kind == "forbid" and acting.enforcement == "hard" and bool(acting.path) and known
