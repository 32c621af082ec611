"""A pipeline's heals out of the store: what was decided, what came of it, and the lessons, in their order of arrival.

Must never skip an outcome, nor define what one is worth: that is `healerd.policy.event_of`. The daemon learns from this
at each tick, and a backtest again under other costs: what both read is read here alone.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from healerd.decision.deeds import Told, impossible, told_of
from healerd.model import ACTS_ALONE, HOLD, Decision, Intent, Outcome, StageChange
from healerd.policy import KEEP, CostModel, Event, event_of
from healerd.store import Checked, Reader, Transaction
from healerd.store.tables import HOLDS, TOLD

__all__ = ["Log", "activated_at", "events_of", "holds_of", "keep_told", "read_log", "refused_of", "told_by"]


LESSONS = round(1.0 / (1.0 - KEEP))
"""As many newest outcomes make the belief; an outcome that cannot be is forgotten when it is none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What the store holds of one pipeline's heals: those that began, and the outcomes in the order of arrival."""

    heals: tuple[Intent, ...]
    told: Mapping[str, Told]
    outcomes: Mapping[str, Outcome]


def read_log(reader: Reader, name: str, actions: Collection[str], *, kept: dict[str, Told] | None = None) -> Log:
    """Read the heals of a pipeline by these actions. `kept` holds what decisions told already, and takes up the new."""
    kept = {} if kept is None else kept
    found = reader.find(Intent, pipeline=name, action=Checked(tuple(actions)), parent_id=Checked(None))
    outcomes = reader.find(Outcome, row_key=tuple(heal.id for heal in found)) if found else ()
    by_heal = {each.intent_id: each for each in outcomes}
    heals = tuple(each for each in found if each.executed_at is not None or each.id in by_heal)
    told = {heal.id: each for heal in heals if (each := _told(reader, heal, kept)) is not None}
    return Log(heals=heals, told=told, outcomes=by_heal)


def events_of(log: Log, model: CostModel) -> tuple[Event, ...]:
    """List the lessons of the heals that are over: one a heal, with the context of its decision."""
    heals = {heal.id: heal for heal in log.heals}
    return tuple(
        _lesson(heals[name], outcome, log.told.get(name), model, number=number)
        for number, (name, outcome) in enumerate(log.outcomes.items(), 1)
    )


def refused_of(log: Log) -> tuple[tuple[str, ...], bool]:
    """List the outcomes that cannot be, and tell whether one of them is among the newest lessons."""
    said = [impossible(name, outcome, log.told.get(name)) for name, outcome in log.outcomes.items()]
    return tuple(each for each in said if each), any(said[-LESSONS:])


def activated_at(
    reader: Reader, name: str, *, until: datetime | None = None
) -> tuple[datetime | None, datetime | None]:
    """Tell since when the pipeline may act alone, None while it may not; and when it last was let, over or not."""
    since: datetime | None = None
    newest: datetime | None = None
    for change in reader.find(StageChange, pipeline=name):
        if until is None or change.at <= until:
            since = (since or change.at) if change.stage in ACTS_ALONE else None
            newest = since or newest
    return since, newest


def holds_of(reader: Reader, name: str) -> dict[str, str]:
    """Name the holds in the place of what the rules proposed: incident -> decision, oldest first."""
    saved = reader.state(name, HOLDS)
    return dict(json.loads(saved)) if saved else {}


def told_by(reader: Reader, decision: Decision) -> Told:
    """Read what a decision tells; of one that was erased, what was kept of it."""
    told = told_of(decision)
    return told if told.context else _kept_told(reader, decision.pipeline).get(decision.id, told)


def keep_told(tx: Transaction, leaves: Collection[int]) -> None:
    """Keep what these decisions tell of heals and holds: nothing of it is about a person, and they are to be erased."""
    kept: dict[str, dict[str, Told]] = {}
    for decision in (each for seq in sorted(leaves) for each in tx.find(Decision, seq=seq)):
        told = told_of(decision)
        if told.context and (decision.chosen != HOLD or decision.candidate == HOLD != decision.rule_action):
            kept.setdefault(decision.pipeline, _kept_told(tx, decision.pipeline))[decision.id] = told
    for name, of_pipeline in kept.items():
        tx.save_state(name, TOLD, of_pipeline)


def _kept_told(reader: Reader, name: str) -> dict[str, Told]:
    saved = reader.state(name, TOLD)
    return _told_in(saved) if saved else {}


_told_in = msgspec.json.Decoder(dict[str, Told]).decode


def _told(reader: Reader, heal: Intent, kept: dict[str, Told]) -> Told | None:
    """Read what the decision behind a heal tells, once: of what was asked anew, the decision that first chose it."""
    if heal.id not in kept:
        decision = reader.get(Decision, heal.decision_id)
        if decision is None or decision.chosen != heal.action:
            first = reader.find(Decision, pipeline=heal.pipeline, at=heal.created_at, chosen=heal.action, limit=1)
            decision = first[0] if first else decision
        if decision is None:
            return None
        kept[heal.id] = told_by(reader, decision)
    return kept[heal.id]


def _lesson(heal: Intent, outcome: Outcome, told: Told | None, model: CostModel, *, number: int) -> Event:
    """Without the context of its decision, as an older version of healerd saw it, an outcome teaches nothing."""
    prior = model.prior(heal.action)
    sound = told is not None and bool(told.context) and not impossible(heal.id, outcome, told)
    event = event_of(
        outcome,
        number=number,
        action=heal.action,
        context=told.context if told is not None else (),
        cost=prior.cost if prior is not None else 0.0,
    )
    return event if sound else Event(number=number, at=event.at, action=event.action, context=(), failed=None, cost=0.0)
