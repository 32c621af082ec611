"""A proposal from the terminal: every configured action is offered, and its plan stands there before it is asked."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from healerd.client import Client
from healerd.errors import TimedOut
from healerd_tui.rehearsal import actions_of, plan_lines, rows_of
from healerd_tui.screens.confirm import ConfirmScreen
from tests.served import Served, served
from tests.tui.canned import Canned
from tests.tui.playing import ask, playing
from tests.tui.scenes import an_app, painted, scene, settle

ACTIONS = ["retrain", "rollback", "fallback", "recalibrate", "restart_feed", "page"]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        ask(running)
        yield running


def words(lines) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


def test_what_a_rehearsal_says_becomes_lines() -> None:
    """The plan, where it leads and who is asked; a refusal and a hold say why; nothing is wider than its place."""
    plan = {"target": None, "current": "v14", "note": "train on 400 rows"}
    told = {"would": "retrain", "verdict": "announced", "veto_within_s": 600.0, "approvals": ["ml"], "plan": plan}
    assert words(plan_lines(told, cells=70)) == [
        "plan  train on 400 rows",
        "moves v14 to a version that it makes",
        "would retrain, announced; asks ml; may be vetoed for 10m",
    ]
    held = {"would": "hold", "why": "no incident is open", "plan": None, "refusal": "`v14` serves already"}
    assert words(plan_lines(held, cells=70)) == ["plan  `v14` serves already", "would hold: no incident is open"]
    assert all(len(line) <= 40 for line in words(plan_lines({**held, "why": "x" * 200}, cells=40)))


def test_names_are_put_into_rows() -> None:
    """All actions stand there, in order, in rows no wider than the dialog; where nobody says, the usual three."""
    rows = rows_of(ACTIONS, cells=40)
    assert [name for row in rows for name in row] == ACTIONS
    assert all(sum(len(name) + 4 for name in row) <= 40 for row in rows)
    assert actions_of({}) == ("retrain", "rollback", "fallback")
    assert actions_of({"actions": ACTIONS}) == tuple(ACTIONS)


def test_every_configured_action_is_offered_with_its_plan() -> None:
    """Going through the choices asks for the plan of each, and shows it."""

    async def played() -> None:
        app = an_app()
        access = app.access
        assert isinstance(access, Canned)
        access.views["rehearse page"] = {"would": "hold", "why": "somebody was paged", "plan": None, "refusal": "no"}
        async with app.run_test(size=(120, 36)) as pilot:
            await scene("fleet")(pilot)
            app.state.pipelines["churn-eu"] = {**app.state.pipelines["churn-eu"], "actions": ACTIONS}
            app.push_screen(ConfirmScreen("propose", {"pipeline": "churn-eu"}))
            await settle(pilot)
            shown = painted(app)
            assert all(name in shown for name in ACTIONS)
            assert "train on 5120 rows" in shown
            await pilot.press("up")
            await settle(pilot)
            assert "hold: somebody was paged" in painted(app)
            assert [each for each in access.asked if each.startswith("rehearse")] == [
                "rehearse retrain",
                "rehearse page",
            ]

    asyncio.run(played())


def test_nothing_is_proposed_before_its_plan_is_shown(daemon: Served) -> None:
    """With the plan still on its way, enter asks to wait; once it is there, enter proposes what is chosen."""

    async def story() -> None:
        async with playing(daemon.state) as played:
            await played.live()
            await played.press("b")
            screen = played.app.screen
            assert isinstance(screen, ConfirmScreen)
            await played.until(lambda: "as it was asked for" in played.text())
            screen._planned = ""  # as while the daemon has not answered yet
            played.clock.pass_(1.0)
            await played.press(*"labelsarewrong", "enter")
            assert "wait for its plan" in played.text()
            assert [call for call in daemon.core.calls if call[0] == "propose"] == []
            await played.press("down")
            await played.until(lambda: screen._planned == "rollback")
            await played.press("enter")
            await played.until(lambda: any(call[0] == "propose" for call in daemon.core.calls))
            (call,) = [call for call in daemon.core.calls if call[0] == "propose"]
            assert "rollback" in call

    asyncio.run(story())


def test_a_plan_that_could_not_be_made_is_no_plan(daemon: Served) -> None:
    """Where the rehearsal failed its error stands there, and nothing is proposed."""

    async def story() -> None:
        async with playing(daemon.state) as played:
            await played.live()
            played.app.hand = Broken(daemon.state)
            await played.press("b")
            await played.until(lambda: "no answer within" in played.text())
            played.clock.pass_(1.0)
            await played.press(*"labelsarewrong", "enter")
            assert "wait for its plan" in played.text()
            assert [call for call in daemon.core.calls if call[0] == "propose"] == []

    asyncio.run(story())


class Broken(Client):
    """A hand whose rehearsals are never answered in time."""

    def rehearse(self, name: str, action: str, *, to: str | None = None) -> Any:
        raise TimedOut("no answer within 10 s")
