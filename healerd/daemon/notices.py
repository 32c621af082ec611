"""What the daemon's log says about a tick, in plain words. Must never be the only place of a fact: the trace is."""

from collections.abc import Iterable, Iterator

from healerd.client.views import plain
from healerd.client.words import say_event
from healerd.daemon.executor import Move
from healerd.model import DAEMON, HOLD, Decision

__all__ = ["notices"]


def notices(told: Iterable[object]) -> Iterator[str]:
    """Say what a run of the core came to: decisions to act, and intents that moved. Holding is not worth a line."""
    for each in told:
        match each:
            case Decision(chosen=chosen) if chosen != HOLD:
                yield _say("decision", each)
            case Move(intent=intent):
                yield _say("intent", intent)


def _say(table: str, record: object) -> str:
    view = plain(record)
    return say_event({"table": table, "kind": table, "pipeline": view["pipeline"], "actor": DAEMON, "record": view})
