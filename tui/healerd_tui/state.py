"""What the terminal UI knows: a pure reducer over snapshots of the daemon and the leaves that follow them.

It must never read a clock, a socket or a widget, and never guess what a leaf that did not arrive may have said: leaves
are applied in the order of their numbers only, and a gap asks for a snapshot. The daemon owns the clock: `now` goes on
from what the daemon said last, and stands still while it is away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from healerd.model import AWAITED, EVERYTHING, TERMINAL_STATES, IntentState

__all__ = [
    "BUFFER_MAX",
    "NEEDS_PERSON",
    "NEWS_MAX",
    "Conn",
    "Leaf",
    "Lost",
    "Message",
    "Snapshot",
    "State",
    "deadline_of",
    "instant",
    "now",
    "pending",
    "reduce",
    "seconds_left",
]

Json = Mapping[str, Any]

NEEDS_PERSON = IntentState.NEEDS_PERSON
"""State of an intent whose effect nobody knows: no silence decides about it, only a person who has looked."""
NEWS_MAX = 500
"""Leaves kept for the log on screen; the audit screen reads the rest from the store."""
BUFFER_MAX = 2000
"""Leaves that may wait for the one before them; beyond this a snapshot is cheaper."""
INTENTS_MAX = 1000


class Conn:
    """How the link stands, in one word."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything at one leaf: `status` and `intents` as the client gives them, heard at `heard_s` (monotonic)."""

    status: Json
    intents: tuple[Json, ...]
    heard_s: float
    replay: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One entry of the audit log, as the event stream sends it."""

    event: Json
    heard_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The daemon is away: why, when that was noticed, and when it is tried again (both monotonic seconds)."""

    why: str
    at_s: float
    retry_at_s: float | None = None


Message = Snapshot | Leaf | Lost


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is known. `seq` is the newest leaf that is applied; `waiting` are leaves that lack one before them."""

    conn: str = Conn.CONNECTING
    seq: int = 0
    status: Json = field(default_factory=dict)
    pipelines: Mapping[str, Json] = field(default_factory=dict)
    intents: Mapping[str, Json] = field(default_factory=dict)
    news: tuple[Json, ...] = ()
    waiting: Mapping[int, Json] = field(default_factory=dict)
    overflow: bool = False
    at: datetime | None = None
    heard_s: float = 0.0
    lost_s: float | None = None
    lost_why: str = ""
    retry_at_s: float | None = None

    @property
    def gap(self) -> bool:
        """Tell whether a leaf is missing, so that a snapshot is needed."""
        return bool(self.waiting) or self.overflow

    @property
    def live(self) -> bool:
        """Tell whether what is shown is as the daemon sees it now."""
        return self.conn == Conn.LIVE

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles that the daemon says we hold; none while it is away."""
        return tuple((self.status.get("you") or {}).get("roles", ())) if self.live else ()

    @property
    def you(self) -> str:
        """Name under which the daemon knows us."""
        return str((self.status.get("you") or {}).get("name", ""))

    @property
    def stopped(self) -> Json | None:
        """The stop of everything that stands, with its author and reason."""
        found = self.status.get("stopped")
        if found:
            return dict(found)
        return {"author": "?", "reason": "a stop file is there"} if self.status.get("stop_file") else None


def reduce(state: State, message: Message) -> State:
    """Give the state after `message`. Leaves that come twice, late or out of order change nothing that is known."""
    match message:
        case Snapshot():
            return _snapshot(state, message)
        case Leaf():
            return _leaf(state, message)
        case Lost():
            first = state.lost_s is None
            return replace(
                state,
                conn=Conn.STALE,
                at=now(state, message.at_s) if first else state.at,
                heard_s=message.at_s if first else state.heard_s,
                lost_s=message.at_s if first else state.lost_s,
                lost_why=message.why,
                retry_at_s=message.retry_at_s,
            )


def now(state: State, monotonic_s: float) -> datetime | None:
    """Give the daemon's time: what it said last, and what has passed since while it was live."""
    if state.at is None or not state.live:
        return state.at
    return state.at + timedelta(seconds=max(0.0, monotonic_s - state.heard_s))


def pending(state: State) -> tuple[Json, ...]:
    """List the intents that wait for a person, the most pressing first."""
    waiting = [intent for intent in state.intents.values() if intent["state"] in AWAITED]
    return tuple(sorted(waiting, key=lambda each: (deadline_of(each) or "9", each["created_at"] or "", each["id"])))


def deadline_of(intent: Json) -> str | None:
    """Give the moment at which silence decides, as the daemon says it of an intent or its review, or None."""
    found = intent.get("deadline_at")
    return None if found is None or intent.get("state") == NEEDS_PERSON else str(found)


def seconds_left(intent: Json, at: datetime | None) -> float | None:
    """Count the seconds to the deadline; negative once it has passed, None when there is none or no clock."""
    deadline = deadline_of(intent)
    if deadline is None or at is None:
        return None
    return (instant(deadline) - at).total_seconds()


def instant(text: str) -> datetime:
    """Read ISO 8601 text, as the views write it."""
    return datetime.fromisoformat(text)


# snapshots and leaves --------------------------------------------------------


def _snapshot(state: State, message: Snapshot) -> State:
    """Take a snapshot, then the leaves that are newer than it. One that is older than what is known is not taken."""
    head = int(message.status.get("head", 0))
    away = (message.status.get("daemon") or {}).get("state") == "away"
    if head < state.seq and not message.replay and not _is_other_log(state, message):
        return replace(state, overflow=False) if away else _alive(replace(state, overflow=False), message)
    taken = replace(
        state,
        seq=head,
        status=message.status,
        pipelines={view["name"]: _same(state.pipelines, view) for view in message.status["pipelines"]},
        intents={intent["id"]: intent for intent in message.intents},
        overflow=False,
    )
    if message.replay:
        at = instant(message.status["at"])
        return replace(taken, conn=Conn.REPLAY, at=at, waiting={}, news=())
    if away:
        return _drain(taken if taken.at else replace(taken, at=instant(message.status["at"])))
    return _drain(_alive(taken, message))


def _same(known: Mapping[str, Json], view: Json) -> Json:
    """Keep the very view that is known where nothing changed, so that its row need not be drawn again."""
    before = known.get(view["name"])
    return before if before is not None and before == view else view


def _is_other_log(state: State, message: Snapshot) -> bool:
    """Tell whether the log was begun anew, for instance with another state folder behind the same socket."""
    return state.lost_s is not None and (message.status.get("daemon") or {}).get("state") == "live"


def _alive(state: State, message: Snapshot) -> State:
    return replace(
        state,
        conn=Conn.LIVE,
        at=instant(message.status["at"]),
        heard_s=message.heard_s,
        lost_s=None,
        lost_why="",
        retry_at_s=None,
    )


def _leaf(state: State, message: Leaf) -> State:
    seq = int(message.event["seq"])
    if seq <= state.seq or state.conn == Conn.REPLAY:
        return state
    if len(state.waiting) >= BUFFER_MAX:
        return replace(state, waiting={}, overflow=True)
    return _drain(replace(state, waiting={**state.waiting, seq: message.event}))


def _drain(state: State) -> State:
    """Apply the leaves that wait, in order, up to the first that is missing."""
    waiting = {seq: event for seq, event in state.waiting.items() if seq > state.seq}
    while (event := waiting.pop(state.seq + 1, None)) is not None:
        state = _apply(state, event)
    return replace(state, waiting=waiting)


def _apply(state: State, event: Json) -> State:
    """Apply one leaf: what stands in its record is shown at once, before the next snapshot."""
    state = replace(state, seq=int(event["seq"]), news=(*state.news, event)[-NEWS_MAX:])
    record, name = event.get("record"), event.get("pipeline")
    if not isinstance(record, Mapping):
        return state
    match event.get("table"):
        case "intent":
            return _intent_moved(state, record)
        case "pause" if name == EVERYTHING:
            return replace(state, status={**state.status, "stopped": None if record["ended_at"] else record})
        case "pause":
            return _patch(state, name, {"paused": None if record["ended_at"] else record})
        case "stage_change":
            return _patch(state, name, {"stage": record["stage"]})
        case "incident":
            return _patch(state, name, {"incident": None if record["closed_at"] else record})
        case _:
            return state


def _intent_moved(state: State, record: Json) -> State:
    known = state.intents.get(record["id"], {})
    intents = {**state.intents, record["id"]: {**known, **record, "deadline_at": _first_deadline(record)}}
    while len(intents) > INTENTS_MAX:
        del intents[next(iter(intents))]
    moved = replace(state, intents=intents)
    view = moved.pipelines.get(record["pipeline"])
    if view is None:
        return moved
    others = [each for each in view["open"] if each["id"] != record["id"]]
    still = others if record["state"] in TERMINAL_STATES else [*others, record]
    changes: dict[str, Any] = {"open": still}
    if any(each["state"] in AWAITED for each in still):
        changes["state"] = "pending"
    return _patch(moved, record["pipeline"], changes)


def _first_deadline(record: Json) -> str | None:
    """Find the first deadline in a record: of its approvals as long as nobody has given one, else of its window too."""
    needs = [need.get("deadline_at") for need in record.get("approvals") or ()]
    veto = None if needs and not record.get("approved_by") else record.get("deadline_at")
    return min((str(at) for at in (veto, *needs) if at), default=None)


def _patch(state: State, name: Any, changes: Json) -> State:
    view = state.pipelines.get(name)
    if view is None:
        return state
    return replace(state, pipelines={**state.pipelines, name: {**view, **changes}})
