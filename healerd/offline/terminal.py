"""A person at the terminal of a demo: asked with a countdown, never waited for for ever.

Must never answer under the person's name: whom silence hands over to is the simulated operator, who says so.
"""

import select
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from healerd.client.views import intent_view
from healerd.client.words import say_intent
from healerd.daemon.core import Core
from healerd.model import ANSWERABLE, AnswerKind, Intent, IntentState
from healerd.offline.operators import SimulatedOperator, answer, promote_if_earned
from healerd.offline.teller import Teller

__all__ = ["Ask", "PersonOperator", "ask_at_terminal"]

Ask = Callable[[str, int], str | None]
"""Asks a question for so many seconds; None is silence."""
FIRST_S, LATER_S = 30, 8
"""Time to read the first question of one's life, and those after it."""
KEYS = "Enter: go on | v REASON: veto | q: ask me no more"
TRIES_MAX = 3
"""How often a person is asked who says what is none of these; then it counts as a veto: nobody agreed."""


@dataclass(slots=True, kw_only=True)
class PersonOperator:
    """Shows each intent once and takes the person's word; `name` is recorded with it."""

    name: str
    ask: Ask
    teller: Teller
    _shown: set[tuple[str, int]] = field(default_factory=set)
    _gone: bool = False

    def look(self, core: Core, pipeline: str) -> None:
        """Look at the pipeline, so that silence counts (SAFETY S9)."""
        core.channel_opened(self.name)

    def attend(self, core: Core, pipeline: str) -> bool:
        """Show what waits, take the answers, and promote the pipeline once it has earned it."""
        told = [self._show(core, intent) for intent in self._waiting(core, pipeline)]
        return any(told) | promote_if_earned(core, pipeline)

    def _waiting(self, core: Core, pipeline: str) -> list[Intent]:
        found = core.store.find(Intent, pipeline=pipeline, state=ANSWERABLE)
        return [intent for intent in found if (intent.id, intent.revision) not in self._shown]

    def _show(self, core: Core, intent: Intent) -> bool:
        """Ask about one intent; tell whether it was answered."""
        wait_s = LATER_S if self._shown else FIRST_S
        self._shown.add((intent.id, intent.revision))
        reply = None if self._gone else self._reply(core, intent, wait_s)
        if reply is not None and _vetoes(reply):
            reason = reply.partition(" ")[2].strip() or "vetoed at the terminal"
            return answer(core, intent, AnswerKind.VETO, author=self.name, reason=reason)
        if reply == "q":
            self._gone, reply = True, None
        if intent.state is IntentState.ANNOUNCED:
            return False  # silence and going on are the same: it runs at its deadline
        if reply is not None:
            return answer(core, intent, AnswerKind.APPROVE, author=self.name, reason="approved at the terminal")
        return SimulatedOperator().approve(core, intent)

    def _reply(self, core: Core, intent: Intent, wait_s: int) -> str | None:
        self.teller.say()
        for line in say_intent(intent_view(core.store, intent.id)):
            self.teller.say(f"    {line}")
        silent = "it runs" if intent.state is IntentState.ANNOUNCED else "the simulated operator approves it"
        for _ in range(TRIES_MAX):
            reply = self.ask(f"    {KEYS} | no answer here: {silent}", wait_s)
            if reply is None or reply in ("", "q") or _vetoes(reply):
                return reply
            self.teller.say(f"    `{reply}` is none of these")
        return f"v {reply}"


def _vetoes(reply: str) -> bool:
    return reply.partition(" ")[0] in ("v", "veto")


def ask_at_terminal(teller: Teller, question: str, seconds: int) -> str | None:
    """Ask, and read a line from stdin; None when nobody answers in time."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        teller.ask(f"{question} | {left:.0f} s ")
        ready, _, _ = select.select([sys.stdin], [], [], min(1.0, left))
        if ready:
            line = sys.stdin.readline()
            return line.strip() if line else None
    return None
