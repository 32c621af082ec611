"""The inbox shows as waiting what waits, and nothing else; what is decided stands below it with its end."""

import asyncio
from dataclasses import replace
from pathlib import Path

from healerd.model import Intent, IntentState
from healerd_tui.screens.inbox import InboxScreen
from healerd_tui.screens.lines import Painted
from tests.served import served
from tests.tui.playing import ask, playing


def test_what_is_decided_does_not_come_back(tmp_path: Path) -> None:
    """With `!`, an intent that was read as waiting is shown as vetoed once it is; without it the preview goes too."""

    async def story() -> None:
        with served(tmp_path) as daemon:
            ask(daemon)
            async with playing(tmp_path, size=(140, 36)) as played:
                await played.live()
                await played.press("2", "exclamation_mark")
                screen = played.app.screen
                assert isinstance(screen, InboxScreen)
                preview = screen.query_one("#preview", Painted)
                await played.until(lambda: screen._history and "WHAT" in preview.plain)
                intent = daemon.store.get(Intent, "act-1")
                vetoed = replace(intent, version=intent.version + 1, state=IntentState.VETOED, reason="vetoed by `bo`")
                daemon.store.put(vetoed, instead_of=intent)
                daemon.ring()
                await played.until(lambda: "act-1" not in played.app.state.intents)
                await played.until(lambda: screen._history["act-1"]["state"] == "vetoed")
                played.app._show_dirty()
                await played.until(lambda: "0 wait for a person, 1 decided" in played.text())
                assert screen.rows()["act-1"]["state"] == "vetoed"
                await played.press("exclamation_mark")
                await played.until(lambda: "nothing waits for a person" in played.text())
                assert preview.plain == ""

    asyncio.run(story())
