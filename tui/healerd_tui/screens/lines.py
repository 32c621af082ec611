"""Lines that are painted in the colours of the theme, and the line of keys. Must never interpret markup, and never show
a key as possible that can do nothing now.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual.events import Click
from textual.widget import Widget
from textual.widgets import Static

from healerd_tui.actions import Action, key_name
from healerd_tui.glyphs import GlyphSet
from healerd_tui.view import Line, paint

if TYPE_CHECKING:
    from healerd_tui.app import HealerdApp
    from healerd_tui.screens.frame import Screened

__all__ = ["KeyLine", "Painted"]


class Painted(Static):
    """Lines of parts, painted with the colours of the theme."""

    def __init__(self, lines: Iterable[Line] = (), *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__("", id=id, classes=classes, markup=False)
        self._lines: tuple[Line, ...] = tuple(lines)

    def on_mount(self) -> None:
        """Paint, now that the theme is known."""
        self.repaint()

    def put(self, lines: Iterable[Line]) -> None:
        """Show other lines; nothing is painted while they stay the same."""
        new = tuple(lines)
        if new != self._lines:
            self._lines = new
            self.repaint()

    def repaint(self) -> None:
        """Paint the lines as they stand."""
        if self.is_attached:
            ui = cast("HealerdApp", self.app)
            plain = ui.glyphs is GlyphSet.ASCII
            lines = (_in_ascii(line) for line in self._lines) if plain else self._lines
            self.update(paint(lines, ui.styles_by_role))

    @property
    def plain(self) -> str:
        """Give the text without its colours."""
        return "\n".join("".join(words for words, _ in line) for line in self._lines)


_ASCII = str.maketrans("…→›·±", "~>>--")


def _in_ascii(line: Line) -> Line:
    """Write our own signs in ASCII; names from outside keep their letters."""
    return tuple((words.translate(_ASCII), role) for words, role in line)


class KeyLine(Widget):
    """The last line: the keys of this view, each of which can be clicked; what cannot be done now is dim."""

    def __init__(self) -> None:
        super().__init__(id="keys")
        self._spans: list[tuple[int, int, str]] = []

    def render(self) -> Text:
        """Write as many keys as fit; the last one stands at the right."""
        screen = cast("Screened", self.screen)
        shown = [each for each in screen.shown_actions() if each.id not in {"close", "back"}]
        last = next((each for each in screen.shown_actions() if each.id in {"close", "back"}), None)
        text, self._spans = Text(no_wrap=True, end=""), []
        tail = self._width_of(last) if last else 0
        for action in shown:
            if text.cell_len + self._width_of(action) + tail > self.size.width:
                break
            self._add(text, action)
        if last:
            text.append(" " * max(0, self.size.width - text.cell_len - tail))
            self._add(text, last)
        return text

    def on_click(self, event: Click) -> None:
        """Do what was clicked."""
        for start, end, id_ in self._spans:
            if start <= event.x < end:
                cast("Screened", self.screen).action_do(id_)

    @staticmethod
    def _width_of(action: Action) -> int:
        return len(key_name(action.keys[0])) + len(action.word) + 4

    def _add(self, text: Text, action: Action) -> None:
        screen = cast("Screened", self.screen)
        styles = screen.ui.styles_by_role
        start = text.cell_len
        dim = bool(screen.why_not(action.id))
        text.append(" ")
        text.append(f"{key_name(action.keys[0])}", styles.get("quiet" if dim else "key"))
        text.append(f" {action.word}", styles.get("quiet" if dim else ""))
        text.append("  ")
        self._spans.append((start, text.cell_len, action.id))
