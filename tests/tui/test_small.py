"""A terminal in which the question does not fit: nothing can be answered that was never shown."""

import asyncio
from pathlib import Path

from healerd_tui.screens.fleet import FleetScreen
from healerd_tui.screens.prompt import PromptScreen
from tests.served import served
from tests.tui.playing import ask, playing


def test_what_was_never_shown_is_not_answered(tmp_path: Path) -> None:
    """At 20x8 neither an approval nor a veto can begin, and both say why."""

    async def story() -> None:
        with served(tmp_path) as daemon:
            ask(daemon)
            async with playing(tmp_path, size=(20, 8)) as played:
                await played.live()
                screen = await played.open_prompt()
                await played.press("a")
                played.clock.pass_(1.0)
                await played.press("enter", "v", "1", "enter")
                assert screen.step == ""
                assert screen.why_not("approve") == screen.why_not("veto") == "the terminal is too small to read this"
                assert not [call for call in daemon.core.calls if call[0] == "answer"]

    asyncio.run(story())


def test_a_terminal_that_shrinks_takes_the_step_back(tmp_path: Path) -> None:
    """A step that is begun ends when the question can no longer be read, and typing on sends nothing."""

    async def story() -> None:
        with served(tmp_path) as daemon:
            ask(daemon)
            async with playing(tmp_path) as played:
                await played.live()
                screen = await played.open_prompt()
                assert isinstance(screen, PromptScreen)
                await played.press("v", "1")
                await played.pilot.resize_terminal(120, 15)
                await played.until(lambda: not screen.step)
                played.clock.pass_(1.0)
                await played.press("a", "enter")
                await played.pilot.resize_terminal(120, 36)
                await played.until(lambda: not screen.is_small)
                await played.press("n", "enter")
                assert played.app.screen is screen
                assert screen.step == ""
                assert not [call for call in daemon.core.calls if call[0] == "answer"]

    asyncio.run(story())


def test_a_pause_is_ended_where_its_question_can_be_read(tmp_path: Path) -> None:
    """u, a reason and enter end a pause; at 20x8 they do not, though a pause may begin there."""

    async def story() -> None:
        with served(tmp_path) as daemon:
            ask(daemon)
            async with playing(tmp_path, size=(20, 8)) as played:
                await played.live()
                await played.press("p")
                played.clock.pass_(1.0)
                await played.press(*"labelsarewrong", "enter")
                await played.until(lambda: isinstance(played.app.screen, FleetScreen))
                await played.until(lambda: "running" not in played.app.state.pipelines["churn"]["revision"])
                await played.press("u")
                played.clock.pass_(1.0)
                await played.press(*"labelsareright", "enter")
                assert [call for call in daemon.core.calls if call[0] == "resume"] == []
                await played.pilot.resize_terminal(120, 36)
                await played.press("enter")
                await played.until(lambda: [call for call in daemon.core.calls if call[0] == "resume"])

    asyncio.run(story())
