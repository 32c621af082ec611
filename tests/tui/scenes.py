"""The views of the terminal UI over a canned world, at a frozen time: what snapshots and pictures are taken of."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input

from healerd.client import TuiOptions
from healerd_tui.app import HealerdApp
from healerd_tui.glyphs import GlyphSet
from healerd_tui.places import Place
from healerd_tui.screens.prompt import PromptScreen
from healerd_tui.screens.rules import RulesScreen
from healerd_tui.screens.whatif import WhatIfScreen
from healerd_tui.state import Lost
from tests.tui.canned import Canned, a_snapshot

SIZES = ((80, 24), (100, 30), (120, 36), (200, 50))
HEARD_S = 1000.0

Before = Callable[[Pilot[Any]], Awaitable[None]]


def an_app(*, read_only: bool = False, glyphs: GlyphSet = GlyphSet.BRAILLE, no_colour: bool = False) -> HealerdApp:
    """An app over the canned world, whose clock stands still."""
    if no_colour:
        os.environ["NO_COLOR"] = "1"
    options = TuiOptions(access=Canned(), read_only=read_only, ascii=glyphs is GlyphSet.ASCII, title="prod-a")
    app = HealerdApp(
        options, monotonic=lambda: HEARD_S, jitter=lambda: 0.5, glyphs=glyphs, guard_s=0.0, burst_s=0.0, follow=False
    )
    app.animation_level = "none"
    return app


async def settle(pilot: Pilot[Any]) -> None:
    """Wait until everything that was asked for is there, and what is painted has stayed the same for a while."""
    app = pilot.app
    assert isinstance(app, HealerdApp)
    before, same = "", 0
    for _ in range(200):
        await pilot._wait_for_screen()
        while not all(worker.is_finished for worker in app.workers):
            await asyncio.sleep(0.005)
        app._show_dirty()
        await pilot._wait_for_screen()
        now = painted(app)
        before, same = now, same + 1 if now == before else 0
        if same == 3:
            return
        await asyncio.sleep(0.015)
    raise AssertionError("what is painted never came to rest")


def painted(app: HealerdApp) -> str:
    """Everything on the screen, as a terminal gets it."""
    return "\n".join("".join(part.text for part in strip) for strip in app.screen._compositor.render_strips())


def scene(name: str, *, state: str = "normal") -> Before:
    """What to do before the picture is taken: hear a snapshot, then go to a view."""

    async def before(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, HealerdApp)
        await pilot.pause()
        app.hear(a_snapshot(heard_s=HEARD_S, **({"pipelines": []} if state == "empty" else {})))
        if state in {"stale", "error"}:
            why = (
                "no daemon answers at `/run/healerd/control.sock`; start it with `healerd run`, or see `healerd doctor`"
            )
            if state == "error":
                why = "the database is of version 9, and this healerd knows 3; install a newer healerd"
            app.hear(Lost(why=why, at_s=HEARD_S - 42, retry_at_s=HEARD_S + 4))
        await settle(pilot)
        await go(app, name)
        await settle(pilot)  # what was asked for is there only now
        for field in app.screen.query(Input):
            field.cursor_blink = False  # a picture must not hang on the moment at which it is taken
        await settle(pilot)

    return before


async def try_number(app: HealerdApp, value: str) -> None:
    """Open the what-if of the rule `safe_retrain` and try another number in it."""
    rules = app.screen
    assert isinstance(rules, RulesScreen)
    while rules.view is None:
        await asyncio.sleep(0.005)
    rules.find_rule("safe_retrain")
    rules.do_what_if()
    while not (isinstance(app.screen, WhatIfScreen) and app.screen.ready):
        await asyncio.sleep(0.005)
    field = app.screen.query_one("#number", Input)
    field.value = value
    await field.action_submit()


async def go(app: HealerdApp, name: str) -> None:
    match name:
        case "fleet":
            pass
        case "inbox" | "rules" | "audit" | "health":
            app.visit(Place(name))
        case "pipeline":
            app.visit(Place("pipeline", "churn-eu"))
        case "prompt":
            app.visit(Place("prompt", "retrain-8f3a"))
        case "veto":
            await go(app, "prompt")
            screen = app.screen
            assert isinstance(screen, PromptScreen)
            await app.workers.wait_for_complete()
            screen.call_after_refresh(screen.action_preset, 1)
        case "traces":
            app.visit(Place("traces", ""))
        case "trace":
            app.visit(Place("trace", "dec-8f3a"))
        case "diff":
            app.visit(Place("diff", "dec-61d0 dec-8f3a"))
        case "what-if":
            await go(app, "rules")
            await try_number(app, "25%")
        case "palette":
            app.do_palette()
        case "help":
            app.do_help()
        case _:
            raise AssertionError(name)
