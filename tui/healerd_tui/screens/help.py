"""The keys of a view, with the reason for each that does nothing now. Must never list a key that is not there."""

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen

from healerd_tui.actions import PLACES, of_place, say_keys
from healerd_tui.glyphs import STATES, say_state
from healerd_tui.inert import wrap
from healerd_tui.screens.frame import Screened
from healerd_tui.screens.lines import Painted
from healerd_tui.view import Line
from healerd_tui.widgets import KeyHelp

__all__ = ["HelpScreen"]


class HelpScreen(Screened, ModalScreen[None]):
    """Help on one view."""

    BINDINGS: ClassVar[list[Any]] = [
        Binding("escape,q,question_mark,f1", "leave", show=False),
        Binding("j,down", "scroll(2)", show=False),
        Binding("k,up", "scroll(-2)", show=False),
        Binding("pagedown,space", "scroll(15)", show=False),
        Binding("pageup", "scroll(-15)", show=False),
    ]

    def __init__(self, of: Screened, *, about: bool) -> None:
        super().__init__()
        self.of, self.about = of, about

    def compose(self) -> ComposeResult:
        """Give what the view shows, the words of the states, and the keys."""
        with Vertical(id="help", classes="panel"), VerticalScroll(id="scroll"):
            yield Painted(self._about(), id="about")
            yield KeyHelp(self._groups())

    def on_mount(self) -> None:
        """Say whose keys these are."""
        panel = self.query_one("#help")
        panel.border_title = f"{'Help' if self.about else 'Keys'}: {PLACES.get(self.of.PLACES[0], 'this view')}"
        panel.border_subtitle = "esc closes"

    def _about(self) -> list[Line]:
        lines: list[Line] = [((line, ""),) for line in wrap(getattr(self.of, "ABOUT", ""), 88)]
        if self.about:
            lines += [(), (("States, by urgency", "title"),)]
            lines += [
                ((f"{say_state(word, self.glyphs):<14}", word), (state.meaning, "quiet"))
                for word, state in STATES.items()
            ]
        return [*lines, ()]

    def _groups(self) -> list[tuple[str, list[tuple[str, str, str]]]]:
        groups = []
        modal = self.of.PLACES[0] == "prompt"
        places = self.of.PLACES if modal else (*self.of.PLACES, "global", *(["replay"] if self.ui.replay else []))
        for place in places:
            actions = of_place(place, read_only=False)
            if actions:
                groups.append(
                    (PLACES[place], [(say_keys(each), each.says, self.of.why_not(each.id)) for each in actions])
                )
        return groups

    def action_leave(self) -> None:
        """Close, once."""
        if self.ui.screen is self:
            self.dismiss()

    def action_scroll(self, lines: int) -> None:
        """Scroll by some lines."""
        self.query_one("#scroll").scroll_relative(y=lines, animate=False)

    def action_do(self, id_: str) -> None:
        """Do nothing but close: this is a page to read."""
