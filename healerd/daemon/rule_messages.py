"""What `notify` rules say at the newest judged window, as messages. Must never send one.

A decision records which rules spoke; what they say, and whether they knew, is worked out from what it stood on.
"""

from collections.abc import Iterator, Sequence

from healerd.daemon.messages import Message
from healerd.daemon.rulebook import Rulebook
from healerd.daemon.situations import situation_of
from healerd.decision.view import look
from healerd.model import Decision

__all__ = ["said_by_rules"]


def said_by_rules(told: Sequence[object], rules: Rulebook) -> Iterator[Message]:
    """Give the messages of the newest of some decisions; the others are past."""
    decisions = [each for each in told if isinstance(each, Decision)]
    newest = decisions[-1] if decisions else None
    if newest is None or not newest.trace.get("notifications"):
        return
    situation = situation_of(newest)
    if situation is None:
        return
    for each in look(situation, rules.of(newest.pipeline)).first.notifications:
        known = f"{each.because}\n" if each.because else ""
        unknown = "its condition is unknown, and counts as true\n" if each.unknown else ""
        yield Message(
            key=f"rule:{newest.pipeline}:{each.rule}",
            kind="rule",
            pipeline=newest.pipeline,
            what=f"{each.rule} on {newest.pipeline}",
            text=f"{known}{unknown}for {each.channel}",
            repeat_s=each.repeat_s,
        )
