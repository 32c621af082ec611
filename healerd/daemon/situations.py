"""Put together everything that one decision stands on, out of the store and the registry. Must never decide.

A situation is made at each tick, and again at each recheck: then with the measurements of the newest judged window,
and with the log, the stage, the pauses, the open intents and the alerts of other monitoring of that very moment.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from healerd.actions import Plan, Refusal, World, heals_of
from healerd.client.access import STOP
from healerd.client.views import stage_of
from healerd.config import PipelineSettings
from healerd.daemon.accounts import account_of, log_of, with_severity
from healerd.daemon.alerting import ALERT, ALERTS, outside
from healerd.daemon.lessons import learned_of
from healerd.daemon.pipeline import Pipeline
from healerd.daemon.stakes import stake_of
from healerd.decision import Diagnosis, Logged, Situation, Target, Wish, from_json, logged, rejected_at
from healerd.decision.elsewhere import counted_money, counts, looks_back, looks_elsewhere
from healerd.errors import ActionError
from healerd.model import (
    EVERYTHING,
    OPEN_STATES,
    TERMINAL_STATES,
    Bar,
    Decision,
    Incident,
    Intent,
    Measurement,
    Pause,
    Version,
)
from healerd.policy import CostModel
from healerd.store import Checked, Holding, Range, Reader
from healerd_rules import RuleSet, SignalState

__all__ = [
    "CLOCK_SET",
    "REBOOTED",
    "Carried",
    "Moment",
    "Prospects",
    "carried_on",
    "newest_decision",
    "now_in",
    "prospects_of",
    "situation_of",
    "target_of",
]

EARLIEST = datetime.min.replace(tzinfo=UTC)
CLOCK_SET = "clock set"
"""The kind of the leaf that says by how much the wall clock was set."""
REBOOTED = "rebooted"
"""The kind of the leaf that says by how much the wall clock went on over a boot without anybody knowing what passed."""
REMEMBERED = timedelta(days=1)
"""How long an intent that has ended still matters to the guards: bars and the circuit breaker look back a day."""
LOG_DAYS, LOG_WINDOWS = 31, 64
"""How far back the action log is handed to the rules at least, whichever is longer; further where a rule looks so."""
NEWEST_MAX = 100
"""How many of a pipeline's newest intents are looked at for what ended lately, however long ago it was made."""
CLOCK_SETS_MAX = 1000
TOLD = frozenset({ALERTS, ALERT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospects:
    """What each action would do now, with its plan; and by how much the best stored version is surely better."""

    targets: tuple[Target, ...] = ()
    plans: Mapping[str, Plan] = field(default_factory=dict)
    stored_gain: float | None = None
    p_stored_better: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a window hands on to the next one: the rules' memory, what was found, and which rules proposed."""

    signals: SignalState = field(default_factory=SignalState)
    diagnosis: Diagnosis | None = None
    standing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is common to all pipelines at one moment: the fleet's settings, and why the host lets nothing start."""

    now: datetime
    folder: Path
    pipelines: Mapping[str, PipelineSettings]
    on_hold: str = ""


def prospects_of(world: World, *, wish: Wish | None = None) -> Prospects:
    """Ask every action what it would do. It costs a shadow of the stored versions: for when something is wrong.

    A person who names a version to roll back to gets that one.
    """
    planned = {name: _planned(name, world) for name in heals_of(world.settings)}
    if wish is not None and wish.target is not None:
        planned[wish.action] = _aimed(world, wish.action, wish.target)
    plans = {name: plan for name, plan in planned.items() if isinstance(plan, Plan)}
    rollback = plans.get("rollback")
    return Prospects(
        targets=tuple(_target(name, plan, world) for name, plan in planned.items()),
        plans=plans,
        stored_gain=rollback.args.get("gain") if rollback else None,
        p_stored_better=rollback.args.get("p_better") if rollback else None,
    )


def target_of(world: World, wish: Wish) -> Target:
    """Say what an action that a person asked for would do now; the version they named stays named."""
    plan = _planned(wish.action, world) if wish.target is None else _aimed(world, wish.action, wish.target)
    return _target(wish.action, plan, world)


def _planned(name: str, world: World) -> Plan | Refusal:
    try:
        return heals_of(world.settings)[name].plan(world)
    except ActionError as error:
        return Refusal(action=name, reason=str(error))


def _aimed(world: World, action: str, target: str) -> Plan | Refusal:
    """Plan a move to the version that a person named."""
    if action != "rollback":
        return Refusal(action=action, reason=f"{action} takes no version; leave `--to` out")
    try:
        world.registry.check(target)
        current = world.registry.active
    except ActionError as error:
        return Refusal(action=action, reason=str(error))
    if target == current:
        return Refusal(action=action, reason=f"`{target}` serves already")
    return Plan(action=action, target=target, current=current)


def _target(name: str, plan: Plan | Refusal, world: World) -> Target:
    observable = heals_of(world.settings)[name].observable
    if isinstance(plan, Refusal):
        return Target(action=name, refusal=plan.reason, observable=observable)
    return Target(action=name, version=plan.target, observable=observable)


def now_in(
    situation: Situation, pipeline: Pipeline, reader: Reader, moment: Moment, model: CostModel, *, ruleset: RuleSet
) -> Situation:
    """Bring everything in a situation that is not measured up to this moment, for a decision by these rules."""
    incident = reader.find(Incident, pipeline=pipeline.name, closed_at=None, order="-seq", limit=1)
    history = log_of(reader, pipeline)
    of_incident = reader.find(Intent, incident_id=incident[0].id) if incident else ()
    newest = reader.find(Intent, pipeline=pipeline.name, order="-created_at", limit=NEWEST_MAX)
    model = with_severity(reader, pipeline.settings, pipeline.name, model, history)
    daily_to = moment.now if pipeline.settings.policy.forget == "day" else None
    learned, unlearned = learned_of(history, model, daily_to=daily_to)
    return replace(
        situation,
        now=moment.now,
        measurements=_with_alerts(situation, pipeline, reader, moment.now),
        newest=_is_newest(situation, moment.now),
        on_hold=moment.on_hold,
        stage=stage_of(reader, pipeline.name),
        incident=incident[0] if incident else None,
        active=_active(pipeline),
        registry_away=pipeline.sight.away,
        intents=_intents(reader, pipeline.name, newest, moment.now),
        log=_log(reader, moment, situation, ruleset, newest=newest, of_incident=of_incident),
        bars=reader.find(Bar, pipeline=pipeline.name, lifted_at=None),
        pauses=_pauses(reader, pipeline.name, moment),
        rejected_at=rejected_at(of_incident, incident[0].id) if incident else (),
        stake=stake_of(
            reader,
            pipeline.name,
            pipeline.settings,
            active=pipeline.active,
            now=moment.now,
            matured=situation.cohorts,
        ),
        pipelines=max(1, len(moment.pipelines)),
        policy=pipeline.settings.policy.name,
        learned=learned,
        unlearned=unlearned,
        forget=pipeline.settings.policy.forget,
        account=account_of(reader, pipeline, model, history, moment.now),
        costs=model,
        prices=_prices(pipeline.settings, ruleset),
    )


def _with_alerts(situation: Situation, pipeline: Pipeline, reader: Reader, now: datetime) -> tuple[Measurement, ...]:
    """Put what other monitoring tells now in the place of what it told before; away where none is taken."""
    expire, others = pipeline.alerts_expire, tuple(one for one in situation.measurements if one.name not in TOLD)
    if expire is None:
        return others
    return (*others, *outside(reader, pipeline.name, names=pipeline.settings.alerts, expire=expire, now=now))


# The decision on the newest window was made after that window, and decisions are found by their time: the ends of
# windows have no index, and reading them out of a year of decisions takes longer than the rest of a tick. Only where a
# bug ended the newest tick without a decision are they all looked through.


def newest_decision(reader: Reader, pipeline: str) -> Decision | None:
    """Find the decision on the newest judged window; None before the first tick."""
    mark, found = reader.watermark(pipeline), tuple[Decision, ...]()
    if mark is not None:
        found = reader.find(Decision, pipeline=pipeline, at=Range(mark), window_end_at=mark, order="-seq", limit=1)
    found = found or reader.find(
        Decision, pipeline=pipeline, window_end_at=Range(EARLIEST), order="-window_end_at", limit=1
    )
    return found[0] if found else None


def carried_on(reader: Reader, pipeline: str) -> Carried:
    """Read what the newest judged window hands on: a small part of its decision, and all that a tick needs of it."""
    body = _newest_body(reader, pipeline)
    try:
        trace = _decided(body).trace if body is not None else _Trace()
    except msgspec.ValidationError:  # erased, or of another version of healerd: its memory begins anew
        return Carried()
    standing = tuple(each.rule for each in trace.proposals)
    try:
        return replace(_carried(trace.situation), standing=standing)
    except msgspec.ValidationError:
        return Carried(standing=standing)


def _newest_body(reader: Reader, pipeline: str) -> msgspec.Raw | None:
    mark, names, found = reader.watermark(pipeline), [pipeline], dict[str, msgspec.Raw]()
    if mark is not None:
        found = reader.newest_each(Decision, names, as_type=msgspec.Raw, at=Range(mark), window_end_at=mark)
    found = found or reader.newest_each(
        Decision, names, as_type=msgspec.Raw, order="-window_end_at", window_end_at=Range(EARLIEST)
    )
    return found.get(pipeline)


class _Proposed(msgspec.Struct):
    rule: str


class _Trace(msgspec.Struct):
    situation: msgspec.Raw = msgspec.Raw(b"{}")
    proposals: tuple[_Proposed, ...] = ()


class _Decided(msgspec.Struct):
    trace: _Trace


_decided = msgspec.json.Decoder(_Decided).decode
_carried = msgspec.json.Decoder(Carried).decode


def situation_of(decision: Decision) -> Situation | None:
    """Read what a decision stood on; None when it was erased, or this version of healerd cannot read it."""
    try:
        return from_json(decision.trace.get("situation", {}))
    except ValueError:
        return None


def _is_newest(situation: Situation, now: datetime) -> bool:
    """Tell whether no later window than the judged one is closed by now (SAFETY S16)."""
    if situation.window is None:
        return situation.newest
    return (now - situation.window.end_at).total_seconds() < situation.window_s


def _active(pipeline: Pipeline) -> Version | None:
    name = pipeline.active
    return None if name is None else pipeline.version(name)


def _intents(reader: Reader, pipeline: str, newest: Sequence[Intent], now: datetime) -> tuple[Intent, ...]:
    is_open = reader.find(Intent, pipeline=pipeline, state=OPEN_STATES)
    ended = [each for each in newest if each.ended_at is not None and each.ended_at > now - REMEMBERED]
    return (*is_open, *reversed(ended))


def _log(
    reader: Reader,
    moment: Moment,
    situation: Situation,
    ruleset: RuleSet,
    *,
    newest: Sequence[Intent],
    of_incident: Sequence[Intent],
) -> tuple[Logged, ...]:
    """List what began or stands open, oldest first; with times as if no clock had been set.

    Of other pipelines, only what these rules count: every decision keeps its log, and most rules look at their own.
    """
    where: dict[str, Any] = {} if looks_elsewhere(ruleset) else {"pipeline": situation.pipeline}
    since = moment.now - _reach(moment, situation, ruleset)
    found = (
        *reader.find(Intent, created_at=Range(since), order="created_at", **where),
        *reader.find(Intent, state=OPEN_STATES, **where),
        *(intent for intent in newest if intent.ended_at is not None and intent.ended_at > since),
    )
    ran = {each.action for each in found if each.pipeline == situation.pipeline and each.executed_at is not None}
    found = (*found, *of_incident, *_last_run(reader, situation.pipeline, ruleset.aged - ran))
    told = {intent.id: intent for intent in found}
    parents = {intent.id: intent.parent_id or intent.id for intent in found}
    sets = _clock_sets(reader, min([since, *(intent.created_at for intent in found)]))
    said = {action.name: action.cost for action in ruleset.actions}
    lines = (
        _line(each, moment.pipelines.get(each.pipeline), heal_id=_root(each, parents), price=said.get(each.action))
        for each in told.values()
    )
    moved = (_as_if_unset(line, sets) for line in lines if line is not None)
    counted = (
        line
        for line in moved
        if line.pipeline == situation.pipeline
        or counts(ruleset, line, tags=situation.tags, now=moment.now, window_s=situation.window_s)
    )
    return tuple(sorted(counted, key=lambda line: (line.started_at, line.intent_id)))


def _reach(moment: Moment, situation: Situation, ruleset: RuleSet) -> timedelta:
    longest_s = max([0.0, *(settings.window for settings in moment.pipelines.values())])
    counted = looks_back(ruleset, situation.window_s)
    return max(timedelta(days=LOG_DAYS), timedelta(seconds=LOG_WINDOWS * longest_s), counted)


def _last_run(reader: Reader, pipeline: str, actions: Collection[str]) -> Iterator[Intent]:
    """Find when each of these actions last ran on a pipeline, however long ago: rules ask for its age."""
    of_pipeline = {"pipeline": pipeline, "state": TERMINAL_STATES}
    for action in sorted(actions):
        ran = {"action": Checked(action), "body": Holding("executed_at")}
        yield from reader.find(Intent, order="-ended_at", limit=1, **of_pipeline, **ran)


def _clock_sets(reader: Reader, since: datetime) -> tuple[tuple[datetime, timedelta], ...]:
    """List when the wall clock was set, by the clock before it was, and by how much; in the order of happening.

    What the clock went on by over a boot without anybody knowing what passed counts as set; back, where it is negative.
    """
    leaves = reader.leaves(kind=(CLOCK_SET, REBOOTED), newest_first=True, limit=CLOCK_SETS_MAX)
    by = [(leaf.at, timedelta(seconds=float(leaf.record["by_s"]))) for leaf in reversed(leaves)]
    # By either clock: one that starts in 1970 moves what was done this year, and is set right again.
    return tuple((at - step, step) for at, step in by if max(at, at - step) > since)


def _as_if_unset(line: Logged, sets: tuple[tuple[datetime, timedelta], ...]) -> Logged:
    """Move what happened before the clock was set along with it: a cooldown counts the time that passed (S16)."""
    started_at, ended_at = line.started_at, line.ended_at
    for before, step in sets:
        started_at += step if started_at <= before else timedelta()
        ended_at = ended_at + step if ended_at is not None and ended_at <= before else ended_at
    return replace(line, started_at=started_at, ended_at=ended_at)


def _line(intent: Intent, settings: PipelineSettings | None, *, heal_id: str, price: float | None) -> Logged | None:
    """Write an intent as a line of the log; it cost what the rules say, else what its pipeline's settings say."""
    action = settings.actions.get(intent.action) if settings else None
    cost = action.cost if action and price is None else price
    return logged(intent, heal_id=heal_id, tags=tuple(settings.tags) if settings else (), cost=cost)


def _prices(settings: PipelineSettings, ruleset: RuleSet) -> dict[str, float]:
    """Give the configured price of what a limit on money counts, where the rules do not say it."""
    unsaid = counted_money(ruleset) & {action.name for action in ruleset.actions if action.cost is None}
    priced = {name: action.cost for name, action in settings.actions.items() if name in unsaid}
    return {name: cost for name, cost in priced.items() if cost is not None}


def _root(intent: Intent, parents: Mapping[str, str]) -> str:
    heal = intent.id
    while parents.get(heal, heal) != heal:
        heal = parents[heal]
    return heal


def _pauses(reader: Reader, pipeline: str, moment: Moment) -> tuple[Pause, ...]:
    stopped = (moment.folder / STOP).exists()
    by_file = Pause(pipeline=EVERYTHING, since_at=moment.now, author="file", reason=f"the file `{STOP}` exists")
    return (
        *reader.find(Pause, pipeline=(pipeline, EVERYTHING), ended_at=None),
        *((by_file,) if stopped else ()),
    )
