"""One pass over what the log recorded, page by page: windows are counted and let go, incidents and intents are kept.

Must never take a number from anywhere but the log, nor call a window clean that nobody could judge.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from healerd.audit.gaps import PRUNED
from healerd.model import (
    DAEMON,
    EVERYTHING,
    Answer,
    Decision,
    Incident,
    Intent,
    IntentState,
    Outcome,
    Pause,
    StageChange,
)
from healerd.store import Range, Reader

__all__ = ["Asked", "Day", "Episode", "Gathered", "IntentLine", "Progress", "gather", "pruned_before", "whole_part"]

PAGE = 100
"""Records that are held at once while they are read: a decision with its trace may have a hundred kilobytes."""
KEPT_MAX = 500
"""Newest degraded windows whose decisions are remembered by id."""
GRAVE = ("harm", "quality", "regret")
"""Alarms that say something is wrong, not merely different."""
TOSSED_MAX = 100_000

Progress = Callable[[int, int], None]
"""Called with the number of the newest leaf that was read, and that of the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The stretch of time [since, until) and the pipelines that a report is about; None is without a bound."""

    since: datetime | None = None
    until: datetime | None = None
    pipeline: str | None = None


def pruned_before(reader: Reader) -> datetime | None:
    """Say up to when decisions that led to nothing were dropped; None where nothing was pruned."""
    said = reader.leaves(kind=PRUNED)
    return max((datetime.fromisoformat(leaf.record["before"]) for leaf in said), default=None)


def whole_part(asked: Asked, pruned: datetime | None) -> Asked:
    """Begin where every decision is kept, unless it was said where to begin, or that the end is to be before then."""
    later = pruned is not None and (asked.until is None or asked.until > pruned)
    return replace(asked, since=pruned) if asked.since is None and later else asked


# the parts of a decision that are read ---------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    layer: str
    alarm: bool | None = False
    since_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    measurements: tuple[Measured, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    deviates: bool = False
    coin: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    alarms: Mapping[str, bool | None] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    proposals: tuple[Proposed, ...] = ()
    situation: Seen = field(default_factory=Seen)
    gate: Gate = field(default_factory=Gate)
    step: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Costed:
    action: str
    cost_mean: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A decision as the report reads it."""

    id: str
    pipeline: str
    at: datetime
    window_start_at: datetime | None
    window_end_at: datetime | None
    incident_id: str | None
    chosen: str
    rule_action: str
    options: tuple[Costed, ...] = ()
    trace: Told = field(default_factory=Told)


# what is kept ----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentLine:
    """An intent without what it carries."""

    id: str
    pipeline: str
    incident_id: str | None
    decision_id: str
    action: str
    state: IntentState
    parent_id: str | None = None
    author: str = DAEMON
    created_at: datetime
    executed_at: datetime | None = None
    effect_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Episode:
    """One incident, and what its windows showed. `harm` None: in none of them could harm be judged."""

    incident: Incident
    opened_by: str = ""
    onset_at: datetime | None = None
    windows: int = 0
    harm: bool | None = None
    retrain_proposed: str = ""
    newest: str = ""


@dataclass(slots=True, kw_only=True)
class Day:
    """The windows that ended on one day, in seconds: observed, with a grave alarm, unknown, on the safe model."""

    observed_s: float = 0.0
    degraded_s: float = 0.0
    unknown_s: float = 0.0
    safe_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class Gathered:
    """Everything the figures are made of. `degraded_ids` are the newest decisions of the `degraded` windows.

    `partly`: the stretch reaches into what was pruned, of which only the decisions that acted are left.
    """

    pipelines: tuple[str, ...]
    partly: bool = False
    windows: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    days: dict[str, Day] = field(default_factory=dict)
    degraded: int = 0
    degraded_ids: list[str] = field(default_factory=list)
    episodes: dict[str, Episode] = field(default_factory=dict)
    deviations: list[tuple[str, float | None]] = field(default_factory=list)
    tossed: dict[str, bool] = field(default_factory=dict)
    intents: dict[str, IntentLine] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()
    pauses: tuple[Pause, ...] = ()
    stages: tuple[StageChange, ...] = ()


def gather(
    reader: Reader,
    asked: Asked,
    names: Sequence[str],
    progress: Progress | None = None,
    *,
    pruned: datetime | None = None,
) -> Gathered:
    """Read the log once. What grows with its length is a small record for each incident, intent and answer."""
    wanted = (asked.pipeline,) if asked.pipeline else tuple(names)
    partly = pruned is not None and (asked.since is None or asked.since < pruned)
    found = Gathered(pipelines=wanted, partly=partly)
    own: dict[str, Any] = {"pipeline": asked.pipeline} if asked.pipeline else {}
    span: dict[str, Any] = {"at": Range(asked.since, asked.until)} if asked.since or asked.until else {}
    for incident in reader.find(Incident, **own):
        if _within(incident.opened_at, asked):
            found.episodes[incident.id] = Episode(incident=incident)
    for tick in _ticks(reader, {**own, **span}, progress):
        _count(tick, found)
    found.intents = {one.id: one for one in _intents(reader, own) if _within(one.created_at, asked)}
    found.outcomes = dict(_outcomes(reader, list(found.intents)))
    found.answers = reader.find(Answer, **own, **span)
    found.pauses = tuple(one for one in reader.find(Pause) if _about(one, asked) and _within(one.since_at, asked))
    found.stages = reader.find(StageChange, **own, **span)
    return found


def _within(at: datetime, asked: Asked) -> bool:
    return (asked.since is None or at >= asked.since) and (asked.until is None or at < asked.until)


def _about(pause: Pause, asked: Asked) -> bool:
    return asked.pipeline is None or pause.pipeline in (asked.pipeline, EVERYTHING)


def _ticks(reader: Reader, filters: Mapping[str, Any], progress: Progress | None) -> Iterator[Tick]:
    """Read the decisions oldest first, a page at a time."""
    after, last = 0, reader.head()[0]
    while True:
        page, _ = reader.page(Decision, as_type=Tick, after=after, limit=PAGE, **filters)
        if not page:
            return
        yield from (tick for _, tick in reversed(page))
        after = page[0][0]
        if progress is not None:
            progress(after, last)


def _intents(reader: Reader, own: Mapping[str, Any]) -> Iterator[IntentLine]:
    after = 0
    while True:
        page, _ = reader.page(Intent, as_type=IntentLine, after=after, limit=PAGE, **own)
        if not page:
            return
        yield from (line for _, line in reversed(page))
        after = page[0][0]


def _outcomes(reader: Reader, ids: Sequence[str]) -> Iterator[tuple[str, Outcome]]:
    for start in range(0, len(ids), PAGE):
        yield from reader.get_each(Outcome, ids[start : start + PAGE]).items()


# counting --------------------------------------------------------------------


def _count(tick: Tick, found: Gathered) -> None:
    found.first_at = found.first_at or tick.at
    found.last_at = tick.at
    if tick.trace.gate.deviates:
        found.deviations.append((tick.id, _saved(tick)))
    if tick.trace.gate.coin and len(found.tossed) < TOSSED_MAX:
        found.tossed[tick.id] = tick.chosen == tick.trace.gate.coin.get("policy")
    if tick.trace.step is None and tick.window_start_at is not None and tick.window_end_at is not None:
        _count_window(tick, (tick.window_end_at - tick.window_start_at).total_seconds(), found)
    episode = found.episodes.get(tick.incident_id or "")
    if episode is not None:
        _count_episode(tick, episode)


def _saved(tick: Tick) -> float | None:
    """What the policy expected to save by deviating: the cost of the rules' action less that of the chosen one."""
    costs = {option.action: option.cost_mean for option in tick.options}
    ours, rules = costs.get(tick.chosen), costs.get(tick.rule_action)
    return None if ours is None or rules is None else rules - ours


def _count_window(tick: Tick, seconds: float, found: Gathered) -> None:
    found.windows += 1
    day = found.days.setdefault(f"{tick.window_end_at:%Y-%m-%d}", Day())
    day.observed_s += seconds
    grave = [tick.trace.alarms.get(layer) for layer in GRAVE]
    if any(grave):
        day.degraded_s += seconds
        found.degraded += 1
        found.degraded_ids.append(tick.id)
        del found.degraded_ids[:-KEPT_MAX]
    elif tick.trace.alarms.get("harm") is None:
        day.unknown_s += seconds
    if tick.trace.facts.get("serving_fallback"):
        day.safe_s += seconds


def _count_episode(tick: Tick, episode: Episode) -> None:
    episode.windows += 1
    episode.newest = tick.id
    harm = tick.trace.alarms.get("harm")
    if harm is not None:
        episode.harm = bool(episode.harm) or harm
    if not episode.opened_by and tick.at == episode.incident.opened_at:
        episode.opened_by = tick.id
        since = (one.since_at for one in tick.trace.situation.measurements if one.alarm and one.since_at)
        episode.onset_at = min(since, default=None)
    if not episode.retrain_proposed and any(one.action == "retrain" for one in tick.trace.proposals):
        episode.retrain_proposed = tick.id
