"""The rules view shows the rules that are in force, and those of the pipeline that it names."""

import asyncio
import copy
from typing import Any

from healerd_tui.places import Place
from healerd_tui.screens.rules import RulesScreen
from healerd_tui.widgets import HealSource
from tests.tui.canned import Canned, default_views
from tests.tui.scenes import an_app, scene, settle


def with_text(old: str, new: str, **changed: Any) -> dict[str, Any]:
    """The rules of `churn-eu`, with another text and other fields."""
    path = next(each for each in default_views() if each.endswith("/rules"))
    view = copy.deepcopy(default_views()[path])
    for source in view["sources"]:
        source["text"] = source["text"].replace(old, new)
    return {**view, **changed}


def test_a_reload_is_shown_though_the_rule_keeps_its_name() -> None:
    """When one number of the rule under the cursor changed, R shows the new number and the new id."""

    async def story() -> None:
        app = an_app()
        access = app.access
        assert isinstance(access, Canned)
        async with app.run_test(size=(160, 40)) as pilot:
            await scene("fleet")(pilot)
            app.visit(Place("rules"))
            await settle(pilot)
            screen = app.screen
            assert isinstance(screen, RulesScreen)
            screen.find_rule("safe_retrain")
            await settle(pilot)
            path = next(each for each in access.asked if each.endswith("/rules"))
            access.views[path] = with_text("10%", "99%", rules_id="ffffffff0000")
            app.do_refresh()
            await settle(pilot)
            shown = "\n".join(screen.query_one(HealSource)._lines)
            assert "99%" in shown
            assert "10%" not in shown
            assert "ffffffff" in str(screen.query_one("#source-panel").border_title)

    asyncio.run(story())
