"""Widgets that show a `Picture`: plots that fit themselves, the countdown, one line of badges, and the keys of a view.

Must never keep a picture of another size or theme, and never let a countdown run on its own: who owns the clock says.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from healerd_tui import themes
from healerd_tui.glyphs import GlyphSet
from healerd_tui.inert import pad, width, wrap
from healerd_tui.plots import Picture, Span, countdown_bar
from healerd_tui.plots.picture import line_of

__all__ = ["Badge", "Countdown", "KeyHelp", "KeyLines", "Plot"]

Draw = Callable[[int, int, GlyphSet], Picture]
KeyLines = Sequence[tuple[str, str, str]]
"""Keys, what they do, and why they do not do it now (empty if they do)."""


class Plot(Widget):
    """Shows what `draw(width, height, glyphs)` draws, anew at every size."""

    DEFAULT_CSS = """
    Plot { width: 1fr; height: 1fr; background: $background; color: $foreground; }
    """

    def __init__(
        self,
        draw: Draw,
        *,
        glyphs: GlyphSet | None = None,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._draw = draw
        self._glyphs = glyphs
        self._picture: Picture | None = None
        self._strips: list[Strip] = []

    @property
    def glyphs(self) -> GlyphSet:
        """The signs it draws with: those it was given, or else those of the app."""
        of_app = getattr(self.app, "glyphs", GlyphSet.BRAILLE)
        return self._glyphs or (of_app if isinstance(of_app, GlyphSet) else GlyphSet.BRAILLE)

    @property
    def picture(self) -> Picture:
        """What is shown now."""
        if self._picture is None or (self._picture.width, self._picture.height) != self.size:
            self._picture = self._draw(self.size.width, self.size.height, self.glyphs)
            self._strips = []
        return self._picture

    def redraw(self, draw: Draw | None = None) -> None:
        """Draw anew, or something else."""
        self._draw = draw or self._draw
        self._picture = None
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Give the line `y`."""
        picture, base = self.picture, self.rich_style
        if not self._strips:
            self._strips = picture.strips(themes.styles(self.app.theme_variables), base)
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, base)

    def notify_style_update(self) -> None:
        """Forget what was drawn in the colours of another theme."""
        super().notify_style_update()
        self._strips = []


class Countdown(Plot):
    """The time that is left, as text and as a bar; it stands at `--:--` when nobody knows."""

    DEFAULT_CSS = """
    Countdown { height: 1; width: 1fr; }
    """

    def __init__(
        self,
        *,
        glyphs: GlyphSet | None = None,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(self._bar, glyphs=glyphs, id=id, classes=classes)
        self._left_s: float | None = None
        self._of_s: float | None = None

    def put(self, left_s: float | None, of_s: float | None) -> None:
        """Show how much of how much is left, in seconds; None where the daemon is away."""
        if (left_s, of_s) != (self._left_s, self._of_s):
            self._left_s, self._of_s = left_s, of_s
            self.redraw()

    def _bar(self, cells: int, _: int, glyphs: GlyphSet) -> Picture:
        return countdown_bar(self._left_s, self._of_s, width=cells, glyphs=glyphs)


class Badge(Plot):
    """One line of parts, each in its role."""

    DEFAULT_CSS = """
    Badge { height: 1; width: 1fr; }
    """

    def __init__(
        self,
        parts: Sequence[Span] = (),
        *,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(self._line, id=id, classes=classes)
        self._parts = list(parts)

    def put(self, parts: Sequence[Span]) -> None:
        """Show other parts."""
        if list(parts) != self._parts:
            self._parts = list(parts)
            self.redraw()

    def _line(self, cells: int, _: int, __: GlyphSet) -> Picture:
        return line_of(self._parts, cells)


class KeyHelp(Widget):
    """The keys of a view in groups; what cannot be done now says why."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"keyhelp--title"}
    DEFAULT_CSS = """
    KeyHelp { height: auto; width: 1fr; }
    KeyHelp > .keyhelp--title { color: $foreground; text-style: bold; }
    """

    def __init__(
        self,
        groups: Sequence[tuple[str, KeyLines]] = (),
        *,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._groups = tuple(groups)
        self._lines: tuple[int, list[list[Span]]] = (-1, [])

    def put(self, groups: Sequence[tuple[str, KeyLines]]) -> None:
        """Show other keys."""
        self._groups = tuple(groups)
        self._lines = (-1, [])
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Count the lines at that width."""
        del container, viewport
        return len(self._at(width))

    def render_line(self, y: int) -> Strip:
        """Give the line `y`."""
        cells, base = self.size.width, self.rich_style
        lines = self._at(cells)
        if y >= len(lines):
            return Strip.blank(cells, base)
        styles: dict[str, Style] = dict(themes.styles(self.app.theme_variables))
        return line_of(lines[y], cells).strips(styles, base)[0]

    def _at(self, cells: int) -> list[list[Span]]:
        if self._lines[0] != cells:
            self._lines = (cells, key_lines(self._groups, cells))
        return self._lines[1]


def key_lines(groups: Sequence[tuple[str, KeyLines]], cells: int) -> list[list[Span]]:
    """Lay the groups out in lines of at most `cells` cells: keys in a column, what they do beside it, and why not."""
    room = min(max((width(keys) for _, lines in groups for keys, _, _ in lines), default=0), max(cells // 3, 1))
    found: list[list[Span]] = []
    for number, (title, lines) in enumerate(groups):
        found += [[]] if number else []
        found.append([(title, "title")])
        for keys, what, why_not in lines:
            words = f"{what}: {why_not}" if why_not else what
            parts = wrap(words, max(cells - room - 4, 1))
            role = "quiet" if why_not else "text"
            for at, part in enumerate(parts):
                found.append(
                    [(pad("" if at else keys, room), "quiet" if why_not else "strong"), ("  ", ""), (part, role)]
                )
    return found
