"""Lists and plots are read again when there is something new, and a page that failed is not the end of a list."""

import asyncio
from typing import Any

from healerd.client import TuiOptions
from healerd.errors import TimedOut
from healerd_tui.app import HealerdApp
from healerd_tui.glyphs import GlyphSet
from healerd_tui.places import Place
from healerd_tui.screens.pipeline import PipelineScreen
from healerd_tui.widgets import RowList
from tests.tui.canned import Canned, a_line, a_snapshot, ago, default_views
from tests.tui.scenes import HEARD_S, an_app, scene, settle

LEAVES = 350


class Flaky(Canned):
    """A client whose third page of the log cannot be read, once."""

    failed = False

    def look(self, path: str, **query: str | int | None) -> Any:
        if path != "/v1/audit":
            return super().look(path, **query)
        before = int(query.get("before") or LEAVES + 1)
        if before == LEAVES - 199 and not self.failed:
            self.failed = True
            raise TimedOut("the daemon did not answer within 10 s")
        view = default_views()["/v1/audit"]
        numbers = range(before - 1, max(0, before - 1 - int(query["limit"] or 0)), -1)
        return {**view, "entries": [{**view["entries"][0], "seq": number} for number in numbers]}


def test_a_page_that_failed_is_not_the_end() -> None:
    """The reason is said, the list does not end there, and the page is read when it is asked for once more."""

    async def story() -> None:
        access = Flaky()
        clock = {"monotonic": lambda: HEARD_S, "jitter": lambda: 0.5}
        app = HealerdApp(TuiOptions(access=access), glyphs=GlyphSet.BRAILLE, follow=False, **clock)
        async with app.run_test(size=(120, 36)) as pilot:
            await scene("audit")(pilot)
            rows = app.screen.query_one(RowList)
            for _ in range(6):
                await pilot.press("G")
                await settle(pilot)
            assert access.failed
            assert any("did not answer" in str(each.message) for each in app._notifications)
            assert rows.is_exact
            assert rows.count == LEAVES

    asyncio.run(story())


def test_the_decisions_are_read_again() -> None:
    """R shows a decision that is new, and the cursor stays on the one it stood on."""

    async def story() -> None:
        app = an_app()
        assert isinstance(app.access, Canned)
        async with app.run_test(size=(120, 36)) as pilot:
            await scene("traces")(pilot)
            rows = app.screen.query_one(RowList)
            rows.move_to(3)
            stood = rows.highlighted
            lines = [a_line(seq) for seq in range(18205, 18180, -1)]
            app.access.views["/v1/traces"] = {"schema": 1, "traces": lines, "before": None}
            await pilot.press("R")
            await settle(pilot)
            first = rows.row_at(0)
            assert first is not None
            assert first.key.startswith("18205 ")
            assert stood is not None
            assert rows.highlighted is not None
            assert rows.highlighted.key == stood.key
            assert rows.cursor == 4

    asyncio.run(story())


def test_a_new_window_is_read_into_the_plots() -> None:
    """When a window was judged while its pipeline is shown, the plots are read again, and otherwise not."""

    async def story() -> None:
        app = an_app()
        assert isinstance(app.access, Canned)
        path = "/v1/pipelines/churn-eu/timeline"
        async with app.run_test(size=(120, 36)) as pilot:
            await scene("fleet")(pilot)
            app.visit(Place("pipeline", "churn-eu"))
            await settle(pilot)
            screen = app.screen
            assert isinstance(screen, PipelineScreen)
            screen.do_cursor_left()
            assert screen.timeline is not None
            stood = screen.timeline["windows"][screen.cursor]
            read = app.access.asked.count(path)
            snapshot = a_snapshot(heard_s=HEARD_S)
            app.hear(snapshot)
            await settle(pilot)
            assert app.access.asked.count(path) == read
            view = default_views()[path]
            app.access.views[path] = {**view, "windows": view["windows"][1:]}
            moved = [{**each, "window_end_at": ago(minutes=3)} for each in snapshot.status["pipelines"]]
            app.hear(type(snapshot)(status={**snapshot.status, "pipelines": moved}, intents=(), heard_s=HEARD_S))
            await settle(pilot)
            assert app.access.asked.count(path) == read + 1
            assert screen.cursor is not None
            assert screen.timeline["windows"][screen.cursor] == stood

    asyncio.run(story())
