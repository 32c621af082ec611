"""Every pipeline at a glance: its state in one word and the numbers beside it. Must never take a query for each.

What was read of a pipeline is kept in a `Fleet` and read again only when the audit log says that it has changed; the
word for its state is chosen anew each time, because time alone makes a pipeline stale. Health is 100 (1 - error) /
(1 - reference error), at most 100: the share of right answers that is left of what the reference promised.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from healerd.client.access import ACTIONS, REGISTRY
from healerd.client.asked import Asked
from healerd.client.briefs import DecisionBrief, MeasurementBrief
from healerd.client.views import (
    Json,
    Reader,
    answers_to,
    deadline,
    decision_line,
    intent_line,
    pipeline_revision,
    plain,
    require_pipeline,
    revision_of,
    standing_pause,
)
from healerd.model import (
    ACTIONS_THAT_HEAL,
    AWAITED,
    EVERYTHING,
    OPEN_STATES,
    Answer,
    AnswerKind,
    Decision,
    Incident,
    Intent,
    IntentState,
    Layer,
    Outcome,
    Pause,
    Stage,
    StageChange,
)
from healerd.store import Range, Watermark

__all__ = ["Fleet", "Known", "PipelineState", "pipeline", "pipeline_view", "status", "status_view"]

WORKING = OPEN_STATES - AWAITED
LEAVES_MAX = 5000
"""New leaves beyond which reading every pipeline again is cheaper than asking which ones changed."""
BUCKETS, BUCKET_S = 24, 3600.0
"""A series has a day of hours, or as many windows where these are longer."""
DRIFT, ERROR, ESTIMATED, KS = "drift", "error", "estimated_error", "ks"
TREND_WINDOWS, TREND_MIN = 3, 0.1
"""Drift has a trend when it parts from the mean of the windows before by this share of it."""


class PipelineState(StrEnum):
    """How a pipeline stands, in one word; the order is the order of urgency."""

    PENDING = "pending"
    FAILED = "failed"
    DRIFT = "drift"
    HEALING = "healing"
    WATCH = "watch"
    STALE = "stale"
    PAUSED = "paused"
    VETOED = "vetoed"
    COOLDOWN = "cooldown"
    OK = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the store holds about one pipeline, and the row made of it; only the state depends on the time.

    `judged_to` is up to when its windows were judged, or from when they are; `window_s` how long one is now.
    """

    last: DecisionBrief | None
    newest: IntentState | None
    open: tuple[IntentState, ...]
    incident: Incident | None
    paused: bool
    judged_to: datetime | None
    window_s: float | None
    row: Json


@dataclass(slots=True)
class Fleet:
    """What was read so far, and up to which leaf. One thread at a time."""

    head: int = -1
    known: dict[str, Known] = field(default_factory=dict)

    def refresh(self, reader: Reader, names: Sequence[str]) -> None:
        """Read again what has changed since the last time."""
        head = reader.head()[0]
        changed = None if head < self.head or self.head < 0 else reader.changed_since(self.head, at_most=LEAVES_MAX)
        wanted = [name for name in names if changed is None or name in changed or name not in self.known]
        if wanted:
            self.known |= _read(reader, wanted)
        self.head = head


def status_view(reader: Reader, names: Sequence[str], *, at: datetime, fleet: Fleet | None = None) -> Json:
    """Everything at a glance: each pipeline by urgency, what stands open, and whether all is stopped."""
    fleet = fleet or Fleet()
    fleet.refresh(reader, names)
    rows = [_row(fleet.known[name], at) for name in names]
    urgency = {state.value: place for place, state in enumerate(PipelineState)}
    rows.sort(key=lambda row: (urgency[row["state"]], row["name"]))
    return {
        "schema": 1,
        "at": plain(at),
        "head": fleet.head,
        "stop_revision": pipeline_revision(reader, EVERYTHING),
        "stopped": plain(standing_pause(reader, EVERYTHING)),
        "pipelines": rows,
    }


def pipeline_view(reader: Reader, name: str, *, at: datetime) -> Json:
    """One pipeline: its state and stage, the incident, what is open and what was last decided and done."""
    return _row(_read(reader, [name])[name], at)


def status(reader: Reader, names: Sequence[str], at: datetime, asked: Asked) -> Json:
    """The look at everything."""
    return status_view(reader, names, at=at)


def pipeline(reader: Reader, names: Sequence[str], at: datetime, asked: Asked) -> Json:
    """The look at one pipeline. Raises NotFound with the nearest name."""
    require_pipeline(asked["name"], names)
    return {"schema": 1, **pipeline_view(reader, asked["name"], at=at)}


def _row(known: Known, at: datetime) -> Json:
    until = known.last.deferred_until if known.last else None
    cooling = until is not None and until > at
    return {**known.row, "state": _state(known, at).value, "cooldown_until": plain(until) if cooling else None}


def _state(known: Known, at: datetime) -> PipelineState:
    """Choose the word for a pipeline: what asks for a person first, what is merely so last.

    Rows that do not come ask for a person whatever else is so, and nothing heals or cools down without them.
    """
    last, incident, stale = known.last, known.incident, _is_stale(known, at)
    ladder = (
        (any(state in AWAITED for state in known.open), PipelineState.PENDING),
        (known.paused and not stale, PipelineState.PAUSED),
        (any(state in WORKING for state in known.open) and not stale, PipelineState.HEALING),
        (known.newest is IntentState.FAILED and incident is not None, PipelineState.FAILED),
        (known.newest is IntentState.VETOED and incident is not None, PipelineState.VETOED),
        (stale, PipelineState.STALE),
        (last is not None and last.deferred_until is not None and last.deferred_until > at, PipelineState.COOLDOWN),
        (incident is not None and incident.clean_windows > 0, PipelineState.WATCH),
        (incident is not None, PipelineState.DRIFT),
    )
    return next((state for holds, state in ladder if holds), PipelineState.OK)


def _is_stale(known: Known, at: datetime) -> bool:
    """Tell whether two whole windows have passed without a decision."""
    if known.judged_to is None or known.window_s is None:
        return False
    return at > known.judged_to + timedelta(seconds=3 * known.window_s)


# reading -------------------------------------------------------------------


def _read(reader: Reader, names: Sequence[str]) -> dict[str, Known]:
    """Read what is known about these pipelines, with one query for each kind of record."""
    decisions = reader.newest_each(Decision, names, as_type=DecisionBrief, order="-at")
    # A step of a heal is decided between windows; how the pipeline does is then what its newest window said.
    between = [name for name, last in decisions.items() if last.window_end_at is None]
    judged = reader.newest_each(Decision, between, as_type=DecisionBrief, order="-at", window_end_at=Range(""))
    decisions |= {
        name: replace(decisions[name], window_start_at=w.window_start_at, window_end_at=w.window_end_at)
        for name, w in judged.items()
    }
    open_ = reader.find_each(Intent, names, as_type=Intent, state=OPEN_STATES)
    said = {intent.id: answers_to(reader, intent) for each in open_.values() for intent in each}
    newest = reader.newest_each(Intent, names, as_type=Intent)
    done: dict[str, Any] = {
        "action": ACTIONS_THAT_HEAL,
        "state": frozenset(IntentState) - WORKING,
        "effect_at": Range(""),
    }
    heals = reader.newest_each(Intent, names, as_type=Intent, **done)
    answers = reader.newest_each(Answer, names, as_type=Answer)
    outcomes = reader.get_each(Outcome, [intent.id for intent in newest.values()])
    incidents = reader.newest_each(Incident, names, as_type=Incident, order="-opened_at", closed_at=None)
    pauses = reader.newest_each(Pause, names, as_type=Pause, order="-since_at", ended_at=None)
    stages = reader.newest_each(StageChange, names, as_type=StageChange)
    series = _series(reader, decisions)
    registries, settings = reader.states_each(names, REGISTRY), reader.states_each(names, ACTIONS)
    marks = reader.get_each(Watermark, names)
    return {
        name: _known(
            name,
            last=decisions.get(name),
            open_=open_.get(name, ()),
            answers=said,
            newest=newest.get(name),
            heal=heals.get(name),
            answer=answers.get(name),
            outcome=outcomes.get(newest[name].id) if name in newest else None,
            incident=incidents.get(name),
            pause=pauses.get(name),
            stage=stages[name].stage if name in stages else Stage.SUGGEST,
            series=series.get(name),
            registry=_away(registries.get(name)),
            mark=marks[name].end_at if name in marks else None,
            settings=json.loads(settings.get(name, b"{}")),
        )
        for name in names
    }


def _known(
    name: str,
    *,
    last: DecisionBrief | None,
    open_: tuple[Intent, ...],
    answers: Mapping[str, tuple[Answer, ...]],
    newest: Intent | None,
    heal: Intent | None,
    answer: Answer | None,
    outcome: Outcome | None,
    incident: Incident | None,
    pause: Pause | None,
    stage: Stage,
    series: Json | None,
    registry: Json | None,
    mark: datetime | None,
    settings: Json,
) -> Known:
    said = answer if answer is not None and newest is not None and answer.intent_id == newest.id else None
    vetoed = newest is not None and newest.state is IntentState.VETOED
    row = {
        "name": name,
        "state": PipelineState.OK.value,
        "stage": stage.value,
        "revision": revision_of(stage.value, pause),
        "paused": plain(pause),
        "incident": plain(incident),
        "window_start_at": plain(last.window_start_at) if last else None,
        "window_end_at": plain(last.window_end_at) if last else None,
        "window_s": _window_s(last),
        "decision": decision_line(last) if last else None,
        "open": [intent_line(intent, answers[intent.id]) for intent in open_],
        "last_heal": intent_line(heal, answers.get(heal.id, ())) if heal else None,
        "version": last.trace.situation.active.name if last and last.trace.situation.active else None,
        **_numbers(last, series),
        "last_action": _last_action(newest, said, outcome) if newest else None,
        **deadline(open_, answers),
        "cooldown_until": None,
        "vetoed_by": said.author if vetoed and said is not None and said.kind in STOPPING else None,
        "series": series,
        "registry": registry,
        "actions": settings.get("actions", []),
    }
    states = tuple(intent.state for intent in open_)
    return Known(
        last=last,
        newest=newest.state if newest else None,
        open=states,
        incident=incident,
        paused=pause is not None,
        judged_to=last.window_end_at if last and last.window_end_at else mark,
        window_s=settings.get("window_s") or _window_s(last),
        row=row,
    )


def _away(saved: bytes | None) -> Json | None:
    """Which registry is away, since when and why; None while it answers."""
    told: Json = json.loads(saved) if saved else {}
    return told if told.get("since") else None


STOPPING = (AnswerKind.VETO, AnswerKind.DENY)


def _window_s(last: DecisionBrief | None) -> float | None:
    if last is None:
        return None
    if last.window_start_at is not None and last.window_end_at is not None:
        return (last.window_end_at - last.window_start_at).total_seconds()
    return last.trace.situation.window_s


def _last_action(intent: Intent, said: Answer | None, outcome: Outcome | None) -> Json:
    return {
        "id": intent.id,
        "action": intent.action,
        "target": intent.target,
        "state": intent.state.value,
        "at": plain(intent.ended_at or intent.effect_at or intent.executed_at or intent.created_at),
        "by": said.author if said else intent.author,
        "result": outcome.result.value if outcome else None,
    }


# numbers -------------------------------------------------------------------


def _numbers(last: DecisionBrief | None, series: Json | None) -> Json:
    measured = last.trace.situation.measurements if last else ()
    reference = _number(last.trace.facts.get("reference_error")) if last else None
    error = next((m.value for m in measured if m.layer == Layer.HARM and m.name == ERROR), None)
    if error is None and series is not None:
        error = next((value for value in reversed(series[ERROR]) if value is not None), None)
    features = [m for m in measured if m.layer == Layer.DRIFT and m.name == DRIFT and m.subject is not None]
    foremost = max(features, key=lambda m: abs(m.effect or 0.0), default=None)
    drift = abs(foremost.effect or 0.0) if foremost is not None and foremost.value is not None else None
    p_values = [m.p_value for m in measured if m.name == KS and m.layer == Layer.DRIFT and m.p_value is not None]
    estimated = next((m.value for m in measured if m.name == ESTIMATED), None)
    return {
        "error": error,
        "estimated_error": estimated,
        "segments": _segments(measured),
        "reference_error": reference,
        "health": _health(error, reference),
        "drift": drift,
        "drift_trend": _trend(drift, series),
        "drift_feature": foremost.subject if foremost is not None and drift is not None else None,
        "ks_p": min(p_values, default=None),
    }


def _segments(measured: Sequence[MeasurementBrief]) -> list[Json]:
    """The segments, each with the layers whose alarm stands in it; a measurement names its segment in brackets."""
    found: dict[str, list[str]] = {}
    for one in measured:
        _, _, rest = one.name.partition("[")
        if rest:
            layers = found.setdefault(rest.removesuffix("]"), [])
            if one.alarm and one.layer not in layers:
                layers.append(one.layer)
    return [{"name": name, "alarms": layers} for name, layers in found.items()]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _health(error: float | None, reference: float | None) -> float | None:
    if error is None or reference is None or reference >= 1:
        return None
    return min(100.0, 100 * (1 - error) / (1 - reference))


def _trend(drift: float | None, series: Json | None) -> str | None:
    """Say whether the drift rises: the newest value against the mean of the ones before it."""
    before = [value for value in (series[DRIFT] if series else ()) if value is not None][-1 - TREND_WINDOWS : -1]
    if drift is None or not before:
        return None
    mean = sum(before) / len(before)
    if abs(drift - mean) <= TREND_MIN * mean:
        return "flat"
    return "up" if drift > mean else "down"


def _series(reader: Reader, decisions: Mapping[str, DecisionBrief]) -> dict[str, Json]:
    """A day of each pipeline's drift and error, in buckets of an hour or a window: the largest value in each."""
    ends = {name: last.window_end_at for name, last in decisions.items() if last.window_end_at is not None}
    steps = {name: max(BUCKET_S, _window_s(decisions[name]) or 0.0) for name in ends}
    since = {name: ends[name] - timedelta(seconds=BUCKETS * steps[name]) for name in ends}
    found = reader.values_each(since, (DRIFT, ERROR))
    return {
        name: {
            "from_at": plain(since[name]),
            "step_s": steps[name],
            **{each: _buckets(found.get((name, each), ()), since[name], steps[name]) for each in (DRIFT, ERROR)},
        }
        for name in ends
    }


def _buckets(values: Collection[tuple[str, float | None]], since: datetime, step_s: float) -> list[float | None]:
    """Put each value into the bucket in which the last moment of its window lies; the largest of each stays."""
    buckets: list[float | None] = [None] * BUCKETS
    step = timedelta(seconds=step_s)
    for end_at, value in values:
        if value is not None:
            place = min(BUCKETS - 1, max(0, -((since - datetime.fromisoformat(end_at)) // step) - 1))
            before = buckets[place]
            buckets[place] = value if before is None else max(value, before)
    return buckets
