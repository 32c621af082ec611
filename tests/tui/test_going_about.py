"""Small promises of the views: an order is turned about, the bell rings once it can, `-` heaps up no views."""

import asyncio
from dataclasses import replace
from typing import Any

from healerd_tui.app import HealerdApp
from healerd_tui.neighbours import neighbour
from healerd_tui.places import Place
from healerd_tui.screens.diff import DiffScreen
from healerd_tui.view import parse_query
from healerd_tui.widgets import RowList, RowTable
from tests.tui.canned import Canned, a_line, a_snapshot
from tests.tui.scenes import HEARD_S, an_app, painted, scene, settle


def test_the_order_is_turned_about_and_where_there_is_one_that_is_said() -> None:
    """In the fleet S turns the rows, not only the arrow; a list that cannot be sorted draws no arrow and says why."""

    async def story() -> None:
        app = an_app()
        async with app.run_test(size=(120, 36)) as pilot:
            await scene("fleet")(pilot)
            table = app.screen.query_one(RowTable)
            await pilot.press("s")
            await settle(pilot)
            names = list(table._shown)
            assert names == sorted(names)
            await pilot.press("S")
            await settle(pilot)
            assert table._shown == names[::-1]
            assert table.sorted_by == ("pipeline", True)
            assert "turned about" in painted(app)
            for mode in ("inbox", "audit"):
                app.visit(Place(mode))
                await settle(pilot)
                rows = app.screen.query_one(RowTable if mode == "inbox" else RowList)
                await pilot.press("s")
                await settle(pilot)
                assert rows.sorted_by is None
                assert any("one order" in str(each.message) for each in app._notifications)

    asyncio.run(story())


def test_what_began_to_wait_unheard_rings_once_the_daemon_is_back() -> None:
    """Questions read from the store while the daemon is away ring when it is live, and only then."""

    async def story() -> None:
        app, rung = an_app(), []
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.pause()
            app.bell = lambda: rung.append(1)  # type: ignore[method-assign]
            snapshot = a_snapshot(heard_s=HEARD_S)
            app.hear(replace(snapshot, status={**snapshot.status, "daemon": {"state": "away"}}))
            assert rung == []
            app.hear(snapshot)
            app.hear(snapshot)
            assert rung == [1]

    asyncio.run(story())


def test_going_to_and_fro_leaves_no_heap_of_views() -> None:
    """However often `-` is pressed, as few views lie on one another as before."""

    async def story() -> None:
        app = an_app()
        async with app.run_test(size=(120, 36)) as pilot:
            await scene("fleet")(pilot)
            for place in (Place("pipeline", "churn-eu"), Place("traces", "churn-eu")):
                app.visit(place)
                await settle(pilot)
            for _ in range(5):
                await pilot.press("minus")
                await pilot.pause()
            assert len(app.screen_stack) == 3
            assert type(app.screen).__name__ == "PipelineScreen"

    asyncio.run(story())


class Long(Canned):
    """A client with a record of many pages."""

    def look(self, path: str, **query: str | int | None) -> Any:
        if path != "/v1/traces":
            return super().look(path, **query)
        newest = int(query.get("before") or 1201) - 1
        numbers = range(newest, max(0, newest - int(query["limit"] or 0)), -1)
        lines = [{**a_line(number), "id": f"dec-{number}"} for number in numbers]
        return {"schema": 1, "traces": lines, "before": numbers[-1] if numbers[-1] > 1 else None}


def test_a_decision_has_neighbours_at_any_depth() -> None:
    """The decision before and after are found across pages, and only the ends of the record have none."""
    access = Long()
    found = {
        number: (neighbour(access, "p", f"dec-{number}", +1), neighbour(access, "p", f"dec-{number}", -1))
        for number in (1200, 701, 700, 2, 1)
    }
    assert found == {
        1200: ("dec-1199", None),
        701: ("dec-700", "dec-702"),
        700: ("dec-699", "dec-701"),
        2: ("dec-1", "dec-3"),
        1: (None, "dec-2"),
    }
    assert neighbour(access, "p", "dec-0", +1) is None


def test_without_a_mark_a_decision_is_compared_with_the_one_before() -> None:
    """d in a list of decisions needs no mark: it takes the decision before on the same pipeline."""

    async def story() -> None:
        app: HealerdApp = an_app()
        assert isinstance(app.access, Canned)
        lines = [{**a_line(18204), "id": "dec-8f3a"}, {**a_line(18203), "id": "dec-61d0"}]
        app.access.views["/v1/traces"] = {"schema": 1, "traces": lines, "before": None}
        async with app.run_test(size=(120, 36)) as pilot:
            await scene("traces")(pilot)
            await pilot.press("d")
            await settle(pilot)
            assert isinstance(app.screen, DiffScreen)
            assert app.screen.pair == ("dec-61d0", "dec-8f3a")

    asyncio.run(story())


def test_an_unknown_field_is_searched_for_as_text() -> None:
    """A query never shows more than it asks for: what names no field is a text, only a field without value waits."""
    assert parse_query("stage=live kind=veto actor=", ("kind", "actor")) == {"kind": "veto", "text": "stage=live"}
