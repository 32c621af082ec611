"""What a pipeline's policy had learned, and what bounded it, at any recorded decision: again, under another cost model.

Must never define what a lesson or a deed is: that is done where the daemon has it from, in `healerd.client.heals`,
`healerd.decision.deeds` and `healerd.policy`. With the costs that were in force, what comes out is what was recorded.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice

from healerd.client.heals import Log, activated_at, events_of, holds_of, read_log, refused_of, told_by
from healerd.decision import Situation
from healerd.decision.deeds import Told, deed_of_heal, deed_of_hold
from healerd.model import HOLD, Decision, Incident, Intent, IntentState
from healerd.policy import Account, CostModel, Deed, PolicyState, begin, keep_account, learn_all, learn_event
from healerd.store import Reader

__all__ = ["History"]

NEVER = datetime.max.replace(tzinfo=UTC)


class History:
    """One pipeline's heals and outcomes, as they were known at a recorded decision."""

    def __init__(self, reader: Reader, name: str, actions: Collection[str]) -> None:
        self._reader, self._name = reader, name
        self._log = read_log(reader, name, [action for action in actions if action != HOLD])
        self._states: dict[str, list[PolicyState]] = {}

    def learned(self, situation: Situation, model: CostModel) -> PolicyState:
        """Learn what the recorded decision had learned, under another cost model."""
        if situation.unlearned:
            return begin(model)
        events = events_of(self._log, model)[: situation.learned.events]
        if situation.forget == "day":
            return learn_all(model, events, daily_to=situation.now)
        states = self._states.setdefault(repr(model), [begin(model)])
        for event in events[len(states) - 1 :]:
            states.append(learn_event(model, states[-1], event))
        return states[min(situation.learned.events, len(states) - 1)]

    def account(self, situation: Situation, model: CostModel, *, without: Collection[str] = ()) -> Account | None:
        """Put the account together as of a recorded decision; `without` are the deeds that a trial does not do.

        Until when a heal's outcome was waited for is not in the record: of a deviation the recorded account tells
        whether it still was, another heal is over when it has ended.
        """
        was = situation.account
        if was is None or situation.unlearned:
            return was
        then = self._then(situation)
        refused, irregular = refused_of(then)
        deeds = (*self._heals(situation, then, was), *self._holds(situation, then, was))
        return keep_account(
            model,
            sorted((deed for deed in deeds if deed.key not in without), key=lambda deed: deed.at),
            terms=was.terms,
            since_at=was.since_at,
            refused=refused,
            irregular=irregular,
        )

    def _then(self, situation: Situation) -> Log:
        """The log as it was: heals that had begun, and the outcomes that had arrived."""
        outcomes = dict(islice(self._log.outcomes.items(), situation.learned.events))
        begun = (_then(heal, situation.now) for heal in self._log.heals)
        heals = tuple(each for each in begun if each.executed_at is not None or each.id in outcomes)
        return replace(self._log, heals=heals, outcomes=outcomes)

    def _heals(self, situation: Situation, then: Log, was: Account) -> Iterator[Deed]:
        newest_at = activated_at(self._reader, self._name, until=situation.now)[1]
        for heal in then.heals:
            told = then.told.get(heal.id)
            if told is None or not told.context:
                continue
            over = heal.ended_at is not None or _is_late(heal, situation) or _is_counted(told, heal, was)
            yield deed_of_heal(
                heal,
                told,
                then.outcomes.get(heal.id),
                due_at=situation.now if over else NEVER,
                now=situation.now,
                since_at=was.since_at,
                newest_at=newest_at,
            )

    def _holds(self, situation: Situation, then: Log, was: Account) -> Iterator[Deed]:
        for incident_id, told in self._held:
            incident = self._reader.get(Incident, incident_id)
            if incident is None or not told.context or told.at >= situation.now:
                continue
            if incident.closed_at is not None and incident.closed_at >= situation.now:
                incident = replace(incident, closed_at=None, closed_by=None)
            patience = timedelta(seconds=was.terms.hold_windows * situation.window_s)
            yield deed_of_hold(
                told,
                incident,
                (heal for heal in then.heals if heal.incident_id == incident_id),
                due_at=told.at + patience,
                now=situation.now,
                since_at=was.since_at,
            )

    @cached_property
    def _held(self) -> Sequence[tuple[str, Told]]:
        found = ((name, self._reader.get(Decision, id_)) for name, id_ in holds_of(self._reader, self._name).items())
        return tuple(
            (name, told_by(self._reader, decision))
            for name, decision in found
            if decision and decision.candidate == HOLD
        )


def _then(heal: Intent, now: datetime) -> Intent:
    """The heal as it was at that moment, as far as deeds ask; what happens at a tick's own moment follows it."""
    if heal.executed_at is not None and heal.executed_at >= now:
        return replace(heal, executed_at=None, ended_at=None, state=IntentState.EXECUTING)
    if heal.ended_at is not None and heal.ended_at >= now:
        return replace(heal, ended_at=None, state=IntentState.EXECUTING)
    return heal


def _is_late(heal: Intent, situation: Situation) -> bool:
    """A window after its test's deadline nobody waits for the outcome any more."""
    return heal.test is not None and (situation.now - heal.test.deadline_at).total_seconds() >= situation.window_s


def _is_counted(told: Told, heal: Intent, was: Account) -> bool:
    """A deviation of the recorded account that waits for nothing."""
    active = was.since_at is not None and told.at >= was.since_at
    return active and not told.wished and told.rule_action != heal.action and heal.id not in was.pending
