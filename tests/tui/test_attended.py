"""What is open in the terminal UI while nobody sits there is no look (SAFETY S9)."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual import events

from healerd_tui.base import ATTENDED_S
from healerd_tui.screens.prompt import PromptScreen
from tests.served import Served, served
from tests.tui.playing import Played, ask, playing


def looks(daemon: Served) -> int:
    return sum(call[0] == "channel_opened" for call in daemon.core.calls)


async def read_again(played: Played, screen: PromptScreen) -> None:
    """Let time pass, and have everything that stands open read once more."""
    screen.fetch()
    played.clock.pass_(1.0)
    at_s = played.clock()
    assert played.app._follower is not None
    played.app._follower.hurry()
    await played.until(lambda: played.app.state.heard_s >= at_s)
    await played.app.workers.wait_for_complete()


def left_alone(folder: Path, touch: Callable[[Played], Awaitable[object]]) -> tuple[int, int, int]:
    """Count the looks: at the start, by a question left open, and after somebody has come back."""
    found: list[int] = []

    async def story() -> None:
        with served(folder) as daemon:
            ask(daemon)
            async with playing(folder) as played:
                await played.live()
                screen = await played.open_prompt()
                found.append(looks(daemon))
                played.clock.pass_(ATTENDED_S)
                await read_again(played, screen)  # what was under way has ended
                before = looks(daemon)
                await read_again(played, screen)
                found.append(looks(daemon) - before)
                await touch(played)
                before = looks(daemon)
                await read_again(played, screen)
                await played.until(lambda: looks(daemon) > before)
                found.append(looks(daemon) - before)

    asyncio.run(story())
    return found[0], found[1], found[2]


def test_s9_a_question_left_on_screen_is_no_look(tmp_path: Path) -> None:
    """Whoever starts it has looked; a minute after the last key nothing it fetches counts, until the next key."""
    first, alone, back = left_alone(tmp_path, lambda played: played.press("j"))
    assert first > 0
    assert alone == 0
    assert back > 0


def test_s9_the_mouse_is_a_look(tmp_path: Path) -> None:
    """A mouse that moves over the question is somebody who sees it."""

    async def move(played: Played) -> None:
        moved = events.MouseMove(None, 3, 3, 1, 0, 0, shift=False, meta=False, ctrl=False)
        moved.set_sender(played.app)
        assert played.app._driver is not None
        played.app._driver.process_message(moved)

    _, alone, back = left_alone(tmp_path, move)
    assert alone == 0
    assert back > 0
