"""Who is looking, and at which question: kept in memory for minutes at most. Must never reach the audit log.

Clients that say a person sees what they fetch count, and whoever follows the events. Time is that since boot, which
nobody can set.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["Presence"]

PRESENT_S = 10.0
"""Someone who asked for nothing for this long has left, or their terminal has."""
PEOPLE_MAX = 500
QUESTIONS_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """When somebody began to look, when they last did, and as what."""

    role: str
    since_s: float
    seen_s: float


class Presence:
    """Who was here within the last seconds; one for each daemon, used on its event loop alone."""

    def __init__(self) -> None:
        self._people: OrderedDict[str, Look] = OrderedDict()
        self._reviewing: OrderedDict[tuple[str, str], Look] = OrderedDict()

    def seen(self, name: str, role: str, now_s: float) -> None:
        """Note that somebody is here."""
        _note(self._people, name, role, now_s, PEOPLE_MAX)

    def reviewing(self, intent_id: str, name: str, role: str, now_s: float) -> None:
        """Note that somebody has a question before their eyes."""
        _note(self._reviewing, (intent_id, name), role, now_s, QUESTIONS_MAX)

    def here(self, now_s: float) -> list[dict[str, Any]]:
        """List who is here, by name."""
        here = [(name, look) for name, look in self._people.items() if now_s - look.seen_s <= PRESENT_S]
        return [
            {"name": name, "role": look.role, "seen_s": now_s - look.seen_s} for name, look in sorted(here, key=_of)
        ]

    def at(self, intent_id: str, now_s: float) -> list[dict[str, Any]]:
        """List who reviews an intent, for how long, the first one first."""
        looks = [(name, look) for (id_, name), look in self._reviewing.items() if id_ == intent_id]
        here = sorted((look.since_s, name, look) for name, look in looks if now_s - look.seen_s <= PRESENT_S)
        return [
            {"name": name, "role": look.role, "seconds": now_s - since_s, "seen_s": now_s - look.seen_s}
            for since_s, name, look in here
        ]


def _of(item: tuple[str, Look]) -> str:
    return item[0]


def _note(looks: "OrderedDict[Any, Look]", key: Any, role: str, now_s: float, at_most: int) -> None:
    """Go on with a look that never paused, or begin a new one; the oldest makes room."""
    before = looks.pop(key, None)
    fresh = Look(role=role, since_s=now_s, seen_s=now_s)
    paused = before is None or now_s - before.seen_s > PRESENT_S
    looks[key] = fresh if before is None or paused else replace(before, role=role, seen_s=now_s)
    if len(looks) > at_most:
        looks.popitem(last=False)
