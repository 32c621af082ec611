"""The terminal UI over a served control API, driven by keys: what the tests of flows share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from textual import events
from textual.pilot import Pilot

from healerd.client import Client, TuiOptions
from healerd.model import ApprovalNeed, IntentState
from healerd_tui.app import HealerdApp
from healerd_tui.glyphs import GlyphSet
from healerd_tui.screens.lines import Painted
from healerd_tui.screens.prompt import PromptScreen
from tests.served import NOW, Served, a_decision, an_intent

PATIENCE_S = 10.0
CHARACTERS = {
    "space": " ",
    "comma": ",",
    "percent_sign": "%",
    "colon": ":",
    "slash": "/",
    "question_mark": "?",
    "exclamation_mark": "!",
    "minus": "-",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "equals_sign": "=",
    "plus": "+",
    "underscore": "_",
}
"""Names of keys that type something else than themselves."""


class Clock:
    """A monotonic clock that moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds


class Played:
    """The app, its pilot and its clock."""

    def __init__(self, app: HealerdApp, pilot: Pilot[Any], clock: Clock) -> None:
        self.app, self.pilot, self.clock = app, pilot, clock

    async def until(self, holds: Callable[[], Any], *, what: str = "it") -> None:
        """Wait until something holds; a failure says what is on screen."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                await self.pilot.pause(0.01)

    async def live(self) -> None:
        await self.until(lambda: self.app.state.live)
        await self.pilot.pause()
        self.app._show_dirty()
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        """Press keys and wait until each was taken; the pilot's own way waits for an idle processor as well."""
        for key in keys:
            self.send(key)
            for _ in range(2):
                await self.pilot._wait_for_screen()
                await asyncio.sleep(0.005)

    def send(self, key: str) -> None:
        """Send a key as a terminal would."""
        character = CHARACTERS.get(key, key if len(key) == 1 else None)
        event = events.Key(key, character)
        event.set_sender(self.app)
        assert self.app._driver is not None
        self.app._driver.send_message(event)

    async def open_prompt(self) -> PromptScreen:
        """Open the first question and wait until it has been read."""
        await self.press("n")
        screen = self.app.screen
        assert isinstance(screen, PromptScreen)
        await self.until(lambda: screen.question is not None)
        self.clock.pass_(1.0)
        await self.pilot.pause()
        return screen

    def text(self) -> str:
        """Everything painted on the screen on top."""
        return "\n".join(each.plain for each in self.app.screen.query(Painted))

    def said(self) -> list[str]:
        """The sentences shown for a moment."""
        return [str(each.message) for each in self.app._notifications]


@asynccontextmanager
async def playing(
    folder: Path,
    *,
    size: tuple[int, int] = (120, 36),
    read_only: bool = False,
    pipeline: str | None = None,
    guard_s: float = 0.5,
    burst_s: float = 0.0,
    clock: Clock | None = None,
) -> AsyncIterator[Played]:
    """Run the app on a state folder until the block ends."""
    clock = clock or Clock()
    options = TuiOptions(
        access=Client(folder, attended=True, timeout_s=5), read_only=read_only, pipeline=pipeline, title="test"
    )
    app = HealerdApp(
        options, monotonic=clock, jitter=lambda: 0.5, glyphs=GlyphSet.BRAILLE, guard_s=guard_s, burst_s=burst_s
    )
    async with app.run_test(size=size) as pilot:
        yield Played(app, pilot, clock)


def ask(daemon: Served, **changed: Any) -> None:
    """Put a decision and an intent that asks for approval and has four minutes left."""
    need = ApprovalNeed(
        role="operators", deadline_at=NOW + timedelta(minutes=4), otherwise="it is refused", rule="base.ask"
    )
    valid = {"state": IntentState.AWAITING_APPROVAL, "approvals": (need,), "current": "v14"}
    daemon.store.put(a_decision())
    daemon.store.put(an_intent(**{**valid, **changed}))
    daemon.ring()
