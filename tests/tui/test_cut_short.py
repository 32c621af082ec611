"""What ends or arrives while a person types: no letter of a reason may become a key, and no view may take it over."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from healerd.client import TuiOptions
from healerd.model import Intent, IntentState
from healerd_tui.app import HealerdApp
from healerd_tui.glyphs import GlyphSet
from healerd_tui.places import Place
from healerd_tui.screens.prompt import PromptScreen
from tests.served import Served, an_intent, served
from tests.tui.canned import Canned, a_snapshot
from tests.tui.playing import Clock, Played, ask, playing
from tests.tui.scenes import an_app, scene


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        ask(running, current=None)  # no way back: an approval wants the name typed
        running.store.put(an_intent(id="act-2", key="k2", pipeline="fraud"))
        yield running


def answers(daemon: Served) -> list[Any]:
    return [call for call in daemon.core.calls if call[0] == "answer"]


@pytest.mark.parametrize(
    ("begun", "moved"),
    [
        (("v", "a", "space"), {"state": IntentState.WITHDRAWN, "reason": "its incident closed"}),
        (("a", "c", "h"), {"revision": 4}),
    ],
    ids=["a veto of what is withdrawn", "an approval of what has changed"],
)
def test_the_rest_of_a_text_is_no_key(daemon: Served, begun: tuple[str, ...], moved: dict[str, Any]) -> None:
    """When a step ends between two letters the others do nothing until esc: no answer, no other question."""

    async def story() -> None:
        async with playing(daemon.state) as played:
            await played.live()
            screen = await played.open_prompt()
            await played.press(*begun)
            intent = daemon.store.get(Intent, screen.intent_id)
            daemon.store.put(replace(intent, version=intent.version + 1, **moved), instead_of=intent)
            daemon.ring()
            await played.until(lambda: not screen.step)
            played.clock.pass_(1.0)
            await played.press("n", "a", "tab", "enter", "v", "1", "colon")
            played.clock.pass_(1.0)
            await played.press("a", "enter")
            assert played.app.screen is screen
            assert screen.step == ""
            assert "keys are ignored until esc" in played.text()
            assert answers(daemon) == []
            await played.press("escape")
            assert played.app.screen is screen
            await played.press("escape")
            assert played.app.screen is not screen

    asyncio.run(story())


class Slow(Canned):
    """A client that gives a leaf only when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def entry(self, seq: int) -> Any:
        assert self.go.wait(10)
        return {"seq": seq, "table": "decision", "kind": "decision", "pipeline": "churn", "record": {"id": "dec-8f3a"}}


def test_a_view_that_comes_late_stays_away() -> None:
    """A view that was asked for before a question was opened does not come down on the reason that is being typed."""

    async def story() -> None:
        access = Slow()
        app = HealerdApp(TuiOptions(access=access), glyphs=GlyphSet.BRAILLE, guard_s=0.0, burst_s=0.0, follow=False)
        async with app.run_test(size=(120, 36)) as pilot:
            played = Played(app, pilot, Clock())
            app.hear(a_snapshot(heard_s=app.monotonic()))
            app.visit(Place("audit"))
            await played.until(lambda: app.screen.query("RowList") and app.screen.list.highlighted)  # type: ignore[attr-defined]
            await played.press("enter", "n")
            screen = app.screen
            assert isinstance(screen, PromptScreen)
            await played.until(lambda: screen.question is not None)
            await played.press("v", "b")
            access.go.set()
            await app.workers.wait_for_complete()
            await pilot.pause()
            assert app.screen is screen
            assert screen.step == "veto"

    asyncio.run(story())


@pytest.mark.parametrize("view", ["trace", "diff"])
def test_what_comes_late_takes_no_keys_from_the_bar(view: str) -> None:
    """A record that arrives while a filter is typed is shown, and the keys stay with what is typed."""

    async def story() -> None:
        app = an_app()
        async with app.run_test(size=(120, 36)) as pilot:
            await scene(view)(pilot)
            screen: Any = app.screen
            await pilot.press("slash")
            screen._take({**screen.view, "said": []} if view == "trace" else screen.traces)
            await pilot.pause()
            assert app.focused is screen.query_one("#bar")

    asyncio.run(story())
