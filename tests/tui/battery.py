"""Presses keys at random, for as long as wanted: nothing acts without a confirmed prompt, and nothing crashes.

`python -m tests.tui.battery 10000` is the long form.
"""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from textual import events

from healerd.client import Client
from healerd.model import Intent, IntentState
from healerd_tui.actions import ACTIONS
from healerd_tui.screens.confirm import ConfirmScreen
from healerd_tui.screens.prompt import PromptScreen
from tests.served import Served, served
from tests.tui.playing import CHARACTERS, Played, ask, playing

NAMED = {sign: name for name, sign in CHARACTERS.items()}
KEYS = sorted({NAMED.get(key, key) for action in ACTIONS for key in action.keys if key != "ctrl+q"})
MORE = (
    "enter",
    "enter",
    "escape",
    "tab",
    "shift+tab",
    "backspace",
    "left",
    "right",
    "pagedown",
    "c",
    "h",
    "z",
    "space",
)
SIZES = ((120, 36), (80, 24), (50, 10), (200, 50))


class Hand:
    """Passes changes on, and notes each that no open, confirmed question stands behind."""

    def __init__(self, client: Client, played: Played) -> None:
        self._client, self._played = client, played
        self.done: list[str] = []
        self.unasked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name == "rehearse":  # which changes nothing
            return getattr(self._client, name)

        def change(*given: Any, **named: Any) -> Any:
            # Of every mode: a question may be confirmed while the program is on its way to another place.
            stacks = list(self._played.app._screen_stacks.values())
            open_ = [each for stack in stacks for each in stack if isinstance(each, PromptScreen | ConfirmScreen)]
            asked = any(bool(each.sending) for each in open_)
            (self.done if asked else self.unasked).append(name)
            return getattr(self._client, name)(*given, **named)

        return change


async def press(folder: Path, daemon: Served, *, count: int, seed: int, read_only: bool = False) -> Hand:
    """Press `count` random keys and give what was changed."""
    rng = np.random.default_rng(seed)  # noqa: TID251 - a seeded battery
    async with playing(folder, guard_s=0.0, read_only=read_only) as played:
        hand = Hand(Client(folder, timeout_s=5), played)
        if played.app.hand is not None:
            played.app.hand = hand  # type: ignore[assignment]
        played.app.exit = lambda *given, **named: None  # type: ignore[method-assign] - it must go on until the last key
        await played.live()
        for number in range(count):
            await _one(played, daemon, rng, number)
            assert played.app.is_running, "it ended"
        await played.press("escape", "escape", "escape")
        return hand


async def _one(played: Played, daemon: Served, rng: Any, number: int) -> None:
    chance = rng.random()
    if chance < 0.02:
        played.app.post_message(events.Paste("v1\nknown campaign\nenter\n"))
    elif chance < 0.04:
        await played.pilot.resize_terminal(*SIZES[rng.integers(len(SIZES))])
    elif chance < 0.08:
        width, height = played.app.size
        await played.pilot.click(offset=(int(rng.integers(width)), int(rng.integers(height))))
    else:
        keys = (*KEYS, *MORE)
        played.send(keys[rng.integers(len(keys))])
    # Pilot waits for an idle processor after each key; here it is enough that the key was taken.
    await asyncio.sleep(0.002)
    if number % 10 == 0:
        await played.pilot.pause(0.01)
    if number % 97 == 50:
        _ask_again(daemon, number)


def _ask_again(daemon: Served, number: int) -> None:
    """Let something wait again, or change its evidence."""
    intent = daemon.store.get(Intent, "act-1")
    assert intent is not None
    fresh = replace(
        intent, state=IntentState.AWAITING_APPROVAL, revision=intent.revision + number % 2, version=intent.version + 1
    )
    daemon.store.put(fresh, instead_of=intent)
    daemon.ring()


def run(count: int, seed: int, *, read_only: bool = False) -> tuple[Sequence[str], Sequence[str], Sequence[Any]]:
    """Give what was done after a question, what without one, and what reached the core."""
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as daemon:
        ask(daemon)
        hand = asyncio.run(press(Path(name), daemon, count=count, seed=seed, read_only=read_only))
        changes = [call for call in daemon.core.calls if call[0] not in {"channel_opened", "run_due"}]
        return hand.done, hand.unasked, changes


if __name__ == "__main__":
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    done, unasked, changes = run(total, seed=11)
    sys.stdout.write(f"{total} keys: {len(done)} changes after a confirmed question, {len(unasked)} without one\n")
    sys.exit(1 if unasked else 0)
