"""The command palette: every action of the view below, every pipeline, what waits, the themes, found by a few letters.

It must never offer what the view below cannot do without its reason, and never act by itself: what is dangerous opens
its question, as the key does.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.fuzzy import Matcher
from textual.screen import ModalScreen
from textual.widgets import Input

from healerd_tui import themes
from healerd_tui.actions import of_place, say_keys
from healerd_tui.inert import show
from healerd_tui.places import Place
from healerd_tui.screens.frame import Screened
from healerd_tui.screens.lines import Painted
from healerd_tui.state import pending
from healerd_tui.widgets import Column, Row, RowTable, Selected

__all__ = ["PaletteScreen", "offers"]

Offer = tuple[str, str, Callable[[], None]]
ITSELF = frozenset({"palette", "preset", "down", "up", "first", "final", "open", "sort", "reverse", "mark"})
COLUMNS = (Column("words", "COMMAND", 34, flex=True), Column("help", "WHAT IT DOES", 44, flex=True))


class PaletteScreen(Screened, ModalScreen[None]):
    """A field to type in, and what matches."""

    PLACES: ClassVar[tuple[str, ...]] = ("palette",)
    BINDINGS: ClassVar[list[Any]] = [
        Binding("escape,ctrl+p", "leave", show=False),
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("pageup", "move(-10)", show=False),
    ]

    def __init__(self, below: Screened) -> None:
        super().__init__()
        self.offers = {words: (help_, call) for words, help_, call in offers(below)}
        self.query_text = ""

    def compose(self) -> ComposeResult:
        """Give the field and the list."""
        with Vertical(id="palette", classes="panel"):
            yield Input(id="wanted", placeholder="what do you want to do?", compact=True)
            yield Painted(id="none", classes="empty")
            yield RowTable(COLUMNS, glyphs=self.glyphs)

    def on_mount(self) -> None:
        """Offer everything."""
        self.query_one("#palette").border_title = "Commands"
        table = self.query_one(RowTable)
        table.can_focus = False
        table.put(Row(words, (words, (help_, "quiet"))) for words, (help_, _) in self.offers.items())
        self._narrow()
        self.query_one("#wanted", Input).focus()

    def _narrow(self) -> None:
        matcher = Matcher(self.query_text)
        scores = {words: matcher.match(words) if self.query_text else 1.0 for words in self.offers}
        places = {words: number for number, words in enumerate(self.offers)}
        table = self.query_one(RowTable)
        table.keep(lambda words: scores.get(words, 0.0) > 0)
        table.order(lambda words: (-scores.get(words, 0.0), places.get(words, 0)))
        table.move_to(0)
        none = self.query_one("#none", Painted)
        none.display = not any(scores.values())
        none.put([((f" nothing is called `{show(self.query_text)}`; esc closes", "quiet"),)])

    def on_input_changed(self, event: Input.Changed) -> None:
        """Keep what matches."""
        event.stop()
        self.query_text = event.value
        self._narrow()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Do what is highlighted."""
        event.stop()
        row = self.query_one(RowTable).highlighted
        if row is not None:
            self._do(row.key)

    def on_row_table_selected(self, event: Selected) -> None:
        """Do what was clicked."""
        self._do(event.row.key)

    def action_move(self, rows: int) -> None:
        """Move in the list."""
        table = self.query_one(RowTable)
        table.move_to(max(0, min(table.shown - 1, table.cursor + rows)))

    def action_leave(self) -> None:
        """Close, once."""
        if self.ui.screen is self:
            self.dismiss()

    def _do(self, words: str) -> None:
        if self.ui.screen is self:
            self.dismiss()
            self.ui.call_later(self.offers[words][1])


def offers(below: Screened) -> Iterator[Offer]:
    """List what can be done from a view: words, help, and the call."""
    ui = below.ui
    modal = bool(cast(Any, below).is_modal)
    for place in below.PLACES if modal else (*below.PLACES, "global"):
        for action in of_place(place, read_only=ui.read_only):
            if action.id not in ITSELF:
                reason = below.why_not(action.id)
                help_ = f"not now: {reason}" if reason else action.says
                yield f"{action.word} ({say_keys(action)})", help_, partial(below.action_do, action.id)
    for intent in pending(ui.state):
        words = f"review: {intent['action']} {intent['pipeline']} {intent['id']}"
        yield words, intent["state"], partial(ui.visit, Place("prompt", intent["id"]))
    for name, view in ui.state.pipelines.items():
        yield f"pipeline: {name}", view["state"], partial(ui.visit, Place("pipeline", name))
    for theme in themes.THEMES:
        yield f"theme: {theme.name}", "colours", partial(ui.take_theme, theme.name)
