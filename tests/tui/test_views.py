"""Every view over a canned world: going about, filters, help, copying, and names that are not nice."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from healerd.client import Client, TuiOptions
from healerd.clock import ManualClock
from healerd.store import Store
from healerd_tui.actions import DANGEROUS, of_place
from healerd_tui.app import HealerdApp
from healerd_tui.glyphs import GlyphSet
from healerd_tui.places import Place
from healerd_tui.screens.confirm import ConfirmScreen
from healerd_tui.screens.fleet import FleetScreen
from healerd_tui.screens.frame import Screened
from healerd_tui.screens.help import HelpScreen
from healerd_tui.screens.palette import PaletteScreen, offers
from healerd_tui.screens.pipeline import PipelineScreen
from healerd_tui.screens.prompt import PromptScreen
from healerd_tui.screens.rules import RulesScreen
from healerd_tui.screens.trace import TraceScreen
from healerd_tui.state import Lost
from tests.served import a_decision
from tests.tui.canned import AT, Canned, a_question, a_row, a_snapshot
from tests.tui.playing import Clock, Played
from tests.tui.scenes import HEARD_S, an_app, go, painted, scene, settle

Story = Callable[[Played], Awaitable[None]]
EVIL = "ev\x1b[2J\u202eil[bold]\u200b漢字\n"


def play(
    story: Story, *, app: HealerdApp | None = None, size: tuple[int, int] = (120, 36), state: str = "normal"
) -> None:
    async def played() -> None:
        running = app or an_app()
        async with running.run_test(size=size) as pilot:
            await scene("fleet", state=state)(pilot)
            await story(Played(running, pilot, Clock()))

    asyncio.run(played())


def test_modes_go_by_number_and_back() -> None:
    """1 to 5 show the five first views, - goes back to the one before."""

    async def story(played: Played) -> None:
        for key, mode in (("2", "inbox"), ("3", "rules"), ("4", "audit"), ("5", "health"), ("1", "fleet")):
            await played.press(key)
            assert played.app.current_mode == mode
        await played.press("minus")
        assert played.app.current_mode == "health"

    play(story)


def test_enter_drills_and_esc_pops() -> None:
    """Enter opens the pipeline under the cursor, esc comes back."""

    async def story(played: Played) -> None:
        await played.press("enter")
        await played.until(lambda: isinstance(played.app.screen, PipelineScreen))
        await played.press("escape")
        assert isinstance(played.app.screen, FleetScreen)

    play(story)


@pytest.mark.parametrize(
    ("typed", "kind"),
    [("p churn", PipelineScreen), ("i retrain", PromptScreen), ("r safe", RulesScreen), ("t dec-8f3a", TraceScreen)],
)
def test_colon_goes_anywhere(typed: str, kind: type[Any]) -> None:
    """`:` goes to a pipeline, an intent, a rule or a trace by the beginning of its name."""

    async def story(played: Played) -> None:
        await played.press("colon", *[{" ": "space", "-": "minus"}.get(sign, sign) for sign in typed], "enter")
        await played.until(lambda: isinstance(played.app.screen, kind))

    play(story)


def test_a_place_that_is_not_there_is_said() -> None:
    """A name that fits nothing leaves the view and says what would fit."""

    async def story(played: Played) -> None:
        played.app.go("p nonsense")
        played.app.go("nonsense")
        await played.pilot.pause()
        assert isinstance(played.app.screen, FleetScreen)
        assert any("no pipeline `nonsense`" in said for said in played.said())

    play(story)


def test_filter_and_attention_keep_rows_and_say_so() -> None:
    """/ keeps what matches, ! what needs attention; esc drops the filter."""

    async def story(played: Played) -> None:
        await played.press("slash", *"state", "equals_sign", *"drift", "enter")
        await played.pilot.pause()
        assert "1 of 11 shown" in played.text()
        await played.press("escape")
        await played.press("exclamation_mark")
        await played.pilot.pause()
        assert "10 of 11 shown" in played.text()
        assert "1 OK hidden" in played.text()

    play(story)


@pytest.mark.parametrize(
    "view", ["fleet", "inbox", "rules", "audit", "health", "pipeline", "prompt", "traces", "trace", "diff"]
)
def test_every_view_stands_without_unicode(view: str) -> None:
    """Each view is drawn in a small terminal, and with --ascii holds nothing but ASCII."""

    async def story(played: Played) -> None:
        await go(played.app, view)
        await settle(played.pilot)
        assert painted(played.app).isascii()

    play(story, app=an_app(glyphs=GlyphSet.ASCII), size=(80, 24))


@pytest.mark.parametrize("view", ["fleet", "inbox", "prompt", "pipeline"])
def test_names_from_outside_are_inert(view: str) -> None:
    """A name with controls, bidi, markup and wide glyphs is shown as text and moves nothing."""
    row = a_row(("evil", "pending", 61.2, 0.31, "up", 2e-06, "v14", None, None, 1, "daemon", None))
    intent = {**a_snapshot(heard_s=0).intents[0], "pipeline": EVIL, "default": EVIL, "target": EVIL}

    async def story(played: Played) -> None:
        status = {
            **a_snapshot(heard_s=HEARD_S).status,
            "pipelines": [{**row, "name": EVIL, "version": EVIL}],
            "head": 18205,
        }
        snapshot = a_snapshot(heard_s=HEARD_S)
        question = a_question(pipeline=EVIL, target=EVIL, default=EVIL)
        question["prompt"] = {"what": EVIL, "why": EVIL, "default": EVIL}
        assert isinstance(played.app.access, Canned)
        played.app.access.views["/v1/intents/retrain-8f3a"] = question
        played.app.hear(type(snapshot)(status=status, intents=(intent,), heard_s=HEARD_S))
        if view == "pipeline":
            played.app.visit(Place("pipeline", EVIL))
        else:
            await go(played.app, view)
        await settle(played.pilot)
        shown = painted(played.app)
        assert not set("\x1b\u202e\u200b") & set(shown)
        assert r"\x1b[2J" in shown

    play(story)


def test_help_lists_every_key_with_its_reason() -> None:
    """? shows the keys of the view, and why one does nothing now."""

    async def story(played: Played) -> None:
        played.app.hear(Lost(why="no daemon answers", at_s=HEARD_S))
        await played.press("question_mark")
        await played.until(lambda: isinstance(played.app.screen, HelpScreen))
        await settle(played.pilot)
        assert "daemon away" in painted(played.app)
        await played.press("escape")
        assert isinstance(played.app.screen, FleetScreen)

    play(story)


def test_a_disabled_key_says_why() -> None:
    """Pressing a key that can do nothing says the reason, and does nothing."""

    async def story(played: Played) -> None:
        await played.press("p")
        assert not isinstance(played.app.screen, ConfirmScreen)
        assert any("read-only" in said for said in played.said())

    play(story, app=an_app(read_only=True))


def test_what_is_shown_can_be_copied_as_a_command() -> None:
    """Y copies the command that shows or does the same, with the reason that stands in the field."""

    async def story(played: Played) -> None:
        await go(played.app, "prompt")
        await settle(played.pilot)
        await played.press("2", "tab")
        screen = played.app.screen
        assert isinstance(screen, PromptScreen)
        screen.do_prompt_copy()
        assert played.app.clipboard == "healerd veto retrain-8f3a --if-rev 3 --reason 'data bug upstream'"

    play(story)


def test_read_only_offers_nothing_dangerous() -> None:
    """A read-only UI shows its badge, and neither keys nor palette hold a dangerous action."""

    async def story(played: Played) -> None:
        await settle(played.pilot)
        assert " RO " in painted(played.app)
        screen = played.app.screen
        assert isinstance(screen, FleetScreen)
        assert not DANGEROUS & {action.id for action in screen.shown_actions()}

    play(story, app=an_app(read_only=True))


def test_the_mouse_does_what_keys_do() -> None:
    """A click on the line of keys does what the key does."""

    async def story(played: Played) -> None:
        await settle(played.pilot)
        keys = played.app.screen.query_one("#keys")
        start = next(start for start, _, id_ in keys._spans if id_ == "attention")  # type: ignore[attr-defined]
        await played.pilot.click("#keys", offset=(start + 2, 0))
        await settle(played.pilot)
        assert "10 of 11 shown" in played.text()

    play(story)


def test_a_world_without_anything_says_what_to_do() -> None:
    """Without a daemon and a database the first view says so and names the next step."""

    async def story(played: Played) -> None:
        assert "no pipeline yet" in played.text()

    play(story, state="empty")


def test_an_unreachable_daemon_is_a_clear_screen() -> None:
    """No socket and no database: the reason stands on the screen, and the program goes on."""

    async def story() -> None:
        app = HealerdApp(
            TuiOptions(access=Client(Path("/nowhere"))),
            monotonic=lambda: HEARD_S,
            jitter=lambda: 0.0,
            glyphs=GlyphSet.BRAILLE,
        )
        async with app.run_test(size=(100, 30)) as pilot:
            played = Played(app, pilot, Clock())
            await played.until(lambda: bool(app.state.lost_why))
            app._show_dirty()
            await pilot.pause()
            assert "healerd run" in played.text()
            assert app.is_running

    asyncio.run(story())


def test_the_palette_finds_by_a_few_letters_and_does_it() -> None:
    """ctrl+p offers what the view can do; a few letters and enter go there; what cannot be done says why."""

    async def story(played: Played) -> None:
        await played.press("ctrl+p")
        await settle(played.pilot)
        assert isinstance(played.app.screen, PaletteScreen)
        assert "not now: read-only" not in painted(played.app)
        await played.press(*"demand")
        await settle(played.pilot)
        await played.press("enter")
        await played.until(lambda: isinstance(played.app.screen, PipelineScreen))

    play(story)


def test_the_palette_of_a_read_only_ui_holds_nothing_dangerous() -> None:
    """In a read-only UI the palette does not know a dangerous action."""

    async def story(played: Played) -> None:
        screen = played.app.screen
        assert isinstance(screen, FleetScreen)
        words = [words for words, _, _ in offers(screen)]
        assert not [each for each in words if each.startswith(("pause", "stop all", "propose"))]

    play(story, app=an_app(read_only=True))


def test_themes_change_and_stay_readable() -> None:
    """ctrl+t takes the next theme, with every view painted anew."""

    async def story(played: Played) -> None:
        first = played.app.theme
        await played.press("ctrl+t")
        await settle(played.pilot)
        assert played.app.theme != first
        assert "churn-eu" in painted(played.app)

    play(story)


@pytest.mark.parametrize(
    "view", ["fleet", "inbox", "rules", "audit", "health", "pipeline", "prompt", "traces", "trace", "diff"]
)
def test_every_key_of_a_view_is_carried_out(view: str) -> None:
    """Each action of a view, and each that is the same everywhere, has what does it: in the view or in the app."""

    async def story(played: Played) -> None:
        await go(played.app, view)
        await settle(played.pilot)
        screen = played.app.screen
        assert isinstance(screen, Screened)
        places = screen.PLACES if screen.is_modal else (*screen.PLACES, "global")
        for action in (action for place in places for action in of_place(place)):
            name = f"action_{action.id}" if action.id == "preset" else f"do_{action.id}"
            assert hasattr(screen, name) or hasattr(played.app, name), action.id

    play(story)


def test_a_store_of_a_newer_version_is_a_clear_screen(tmp_path: Path) -> None:
    """A database that a newer healerd made is not read: the first view says which and what to do."""
    with Store.open(tmp_path, clock=ManualClock(AT)) as store, store.transaction() as tx:
        tx.put(a_decision())
    with closing(sqlite3.connect(tmp_path / "healerd.db")) as database, database:
        row = "SELECT NULL, migration_set, '_m9999_later', applied_at FROM _sqlite_migrations LIMIT 1"
        database.execute(f"INSERT INTO _sqlite_migrations {row}")

    async def story() -> None:
        app = HealerdApp(
            TuiOptions(access=Client(tmp_path)), monotonic=lambda: HEARD_S, jitter=lambda: 0.0, glyphs=GlyphSet.BRAILLE
        )
        async with app.run_test(size=(100, 30)) as pilot:
            played = Played(app, pilot, Clock())
            await played.until(lambda: bool(app.state.lost_why))
            app._show_dirty()
            await pilot.pause()
            assert "newer healerd" in played.text()
            assert "install that version" in played.text()

    asyncio.run(story())
