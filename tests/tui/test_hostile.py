"""Texts from outside that want to steer the terminal, or are no markup: every view shows them as the text they are."""

import asyncio
import copy
import unicodedata
from typing import Any

from textual import events

from healerd.client import TuiOptions
from healerd_tui.app import HealerdApp
from healerd_tui.glyphs import GlyphSet
from healerd_tui.screens.prompt import PromptScreen
from tests.tui.canned import Canned, default_views
from tests.tui.scenes import HEARD_S, an_app, go, painted, scene, settle

EVIL = "a\x1b]0;owned\x07\x1b[2J\u202eb\nc"
WORDED = frozenset(
    (
        "reason",
        "because",
        "note",
        "author",
        "said",
        "why",
        "why_not",
        "text",
        "default",
        "on_silence",
        "silence_by",
        "decided_by",
        "reversible",
        "actor",
        "level",
        "detail",
        "message",
        "page",
        "given_by",
        "otherwise",
    )
)
"""Fields whose text somebody else wrote."""


def poisoned(view: Any, key: str = "") -> Any:
    """The same view with a hostile text in every field of words."""
    if isinstance(view, dict):
        return {name: poisoned(value, name) for name, value in view.items()}
    if isinstance(view, list | tuple):
        return [poisoned(each, key) for each in view]
    return f"{EVIL} {view}" if isinstance(view, str) and key in WORDED else view


def controls(app: HealerdApp) -> set[str]:
    return {sign for sign in painted(app) if sign != "\n" and unicodedata.category(sign) in {"Cc", "Cf"}}


def test_no_control_reaches_the_terminal() -> None:
    """With hostile words in every answer of the daemon no view paints a control, whatever state the prompt is in."""

    async def story() -> None:
        views = {path: poisoned(copy.deepcopy(view)) for path, view in default_views().items() if "status" not in path}
        options = TuiOptions(access=Canned(views), title=EVIL)
        clock = {"monotonic": lambda: HEARD_S, "jitter": lambda: 0.5}
        app = HealerdApp(options, glyphs=GlyphSet.BRAILLE, guard_s=0.0, burst_s=0.0, follow=False, **clock)
        async with app.run_test(size=(120, 36)) as pilot:
            await scene("fleet")(pilot)
            for view in ("inbox", "rules", "audit", "health", "pipeline", "traces", "trace", "diff", "prompt"):
                await go(app, view)
                await settle(pilot)
                assert controls(app) == set(), view
            screen = app.screen
            assert isinstance(screen, PromptScreen)
            assert screen.question is not None
            answer = {"kind": "veto", "author": EVIL, "reason": EVIL, "seconds_ago": 3}
            screen.question.review = {**screen.question.review, "answered": [answer]}
            screen.question.intent = {**screen.question.intent, "state": "vetoed"}
            screen.question.view = {**screen.question.view, "answers": []}
            for name in ("error", "acknowledged"):
                screen.refresh_all()
                await settle(pilot)
                assert r"\x1b[2J" in painted(app)
                assert controls(app) == set()
                setattr(screen, name, EVIL)
            app.post_message(events.Paste(EVIL))
            await settle(pilot)
            assert controls(app) == set()

    asyncio.run(story())


def test_brackets_in_a_name_are_letters() -> None:
    """A column whose name looks like markup keeps its letters in the title of its plot."""

    async def story() -> None:
        app = an_app()
        assert isinstance(app.access, Canned)
        path = "/v1/pipelines/churn-eu/distributions"
        view = default_views()[path]
        names = ("price [USD]", "x[/b]", "a[b=]")
        app.access.views[path] = {**view, "features": [{**view["features"][0], "name": name} for name in names]}
        async with app.run_test(size=(120, 36)) as pilot:
            await scene("pipeline")(pilot)
            for name in names:
                assert f"{name}  reference" in painted(app)
                await pilot.press("d")
                await settle(pilot)

    asyncio.run(story())
