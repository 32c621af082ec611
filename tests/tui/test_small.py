"""A terminal in which the question does not fit: nothing can be approved that was never shown, and stopping works."""

import asyncio
from pathlib import Path

import pytest
from textual.widgets import Input

from healerd.model import AnswerKind
from healerd_tui.screens.fleet import FleetScreen
from healerd_tui.screens.lines import Painted
from tests.served import served
from tests.tui.playing import ask, playing


def test_what_was_never_shown_is_not_approved(tmp_path: Path) -> None:
    """At 20x8 no approval can begin, and says why."""

    async def story() -> None:
        with served(tmp_path) as daemon:
            ask(daemon)
            async with playing(tmp_path, size=(20, 8)) as played:
                await played.live()
                screen = await played.open_prompt()
                await played.press("a")
                played.clock.pass_(1.0)
                await played.press("enter")
                assert screen.step == ""
                assert screen.why_not("approve") == "the terminal is too small to read this"
                assert not [call for call in daemon.core.calls if call[0] == "answer"]

    asyncio.run(story())


@pytest.mark.parametrize("size", [(20, 8), (59, 16), (120, 15)])
def test_s8_a_veto_is_possible_at_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    """Where the question does not fit it names what v stops, shows the reason as it is typed, and that it is vetoed."""

    async def story() -> None:
        with served(tmp_path) as daemon:
            ask(daemon)
            async with playing(tmp_path, size=size) as played:
                await played.live()
                screen = await played.open_prompt()
                screen.show_question()
                assert "v stops the retrain of churn" in played.text()
                await played.press("v", "1")
                field = screen.query_one("#reason", Input)
                assert field.value == "known campaign"
                assert field.region in screen.region
                assert field.region.height == 1
                await played.press("enter")
                await played.until(lambda: screen.acknowledged)
                await played.pilot.pause()
                status = screen.query_one("#status", Painted)
                assert "vetoed: retrain of churn" in status.plain
                assert status.region in screen.region
                assert status.region.height > 1
                assert [call[2] for call in daemon.core.calls if call[0] == "answer"] == [AnswerKind.VETO]

    asyncio.run(story())


def test_s8_a_veto_that_is_typed_outlives_a_terminal_that_shrinks(tmp_path: Path) -> None:
    """What was begun in a terminal that is large enough goes on, letter by letter, in one that is not."""

    async def story() -> None:
        with served(tmp_path) as daemon:
            ask(daemon)
            async with playing(tmp_path) as played:
                await played.live()
                screen = await played.open_prompt()
                await played.press("v", *"data")
                await played.pilot.resize_terminal(20, 8)
                await played.until(lambda: screen.is_small)
                await played.press(*"isbroken", "enter")
                await played.until(lambda: screen.acknowledged)
                assert [call[4] for call in daemon.core.calls if call[0] == "answer"] == ["dataisbroken"]

    asyncio.run(story())


def test_a_terminal_that_shrinks_takes_an_approval_back(tmp_path: Path) -> None:
    """One that is armed ends when the question can no longer be read, and typing on sends nothing."""

    async def story() -> None:
        with served(tmp_path) as daemon:
            ask(daemon, current=None)  # no way back: an approval wants the name typed
            async with playing(tmp_path) as played:
                await played.live()
                screen = await played.open_prompt()
                await played.press("a", "c", "h")
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
