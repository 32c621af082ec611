"""Shows a rule file with its words coloured, lines numbered and marked. Must never change the text it shows, and never
need the text to be right: what is no word of the language is shown as it stands.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from healerd_rules.tokens import Kind
from healerd_rules.tokens import tokens as rule_tokens
from healerd_tui import themes
from healerd_tui.glyphs import GlyphSet, sign
from healerd_tui.inert import pad, show, width

__all__ = ["HealSource", "Token", "tokens"]

_ROLES: Mapping[Kind, str] = {
    **dict.fromkeys((Kind.STATEMENT, Kind.KEYWORD, Kind.CLOSED, Kind.TYPE, Kind.ANNOTATION), "source-keyword"),
    **dict.fromkeys((Kind.NAME, Kind.FUNCTION, Kind.BUILTIN), "source-name"),
    **dict.fromkeys((Kind.NUMBER, Kind.TIME), "source-number"),
    Kind.STRING: "source-string",
    Kind.COMMENT: "source-comment",
    **dict.fromkeys((Kind.OPERATOR, Kind.PUNCTUATION, Kind.ERROR), "source-sign"),
}
"""The language says what a word is; here it gets one of five colours."""


class Token(NamedTuple):
    """A piece of a line, and the role that colours it."""

    text: str
    role: str


def tokens(line: str) -> Iterator[Token]:
    """Split one line of a rule file into pieces that together are the line."""
    end = 0
    for found in rule_tokens(line):
        if found.start > end:
            yield Token(line[end : found.start], "")
        yield Token(line[found.start : found.end], _ROLES[found.kind])
        end = found.end
    if end < len(line):
        yield Token(line[end:], "")


class HealSource(ScrollView, can_focus=True):
    """A rule file, highlighted."""

    DEFAULT_CSS = """
    HealSource { background: $background; color: $foreground; height: 1fr; overflow: auto auto; }
    """

    def __init__(
        self,
        text: str = "",
        *,
        first_line: int = 1,
        glyphs: GlyphSet | None = None,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._glyphs = glyphs
        self._first = first_line
        self._lines: list[str] = text.split("\n") if text else []
        self._marks: dict[int, str] = {}
        self._at: int | None = None
        self._styles: Mapping[str, Style] | None = None

    def show(self, text: str, *, marks: Mapping[int, str] | None = None, at: int | None = None) -> None:
        """Show another text; `marks` gives numbers of lines a role, and line `at` is pointed at and in sight."""
        self._lines = text.removesuffix("\n").split("\n") if text else []
        self._marks, self._at = dict(marks or {}), at
        widest = max((width(line.expandtabs(4)) for line in self._lines), default=0)
        self.virtual_size = Size(widest + self._gutter, len(self._lines))
        if at is not None:
            self._bring_into_sight(at - self._first)
        self.refresh()

    def on_mount(self) -> None:
        """Show what it was made with."""
        if self._lines:
            self.show("\n".join(self._lines), marks=self._marks, at=self._at)

    def render_line(self, y: int) -> Strip:
        """Draw the line `y` of what is in sight."""
        base, cells = self.rich_style, self.scrollable_size.width
        across, down = self.scroll_offset
        number = y + down
        if not 0 <= number < len(self._lines):
            return Strip.blank(cells, base)
        styles = self._get_styles()
        line = self._first + number
        role = self._marks.get(line, "title" if line == self._at else "quiet")
        pointer = sign("pointer", self._get_glyphs()) if line == self._at else " "
        ground = base + Style(bold=True) if line == self._at else base
        head = Segment(f"{pad(str(line), self._gutter - 2, align='right')}{pointer} ", base + styles.get(role, Style()))
        body = [
            Segment(show(token.text), ground + styles.get(token.role, Style()))
            for token in tokens(self._lines[number].expandtabs(4))
        ]
        text = Strip(body).crop_extend(across, across + max(cells - self._gutter, 0), base)
        return Strip([head, *text]).adjust_cell_length(cells, base)

    def notify_style_update(self) -> None:
        """Forget the colours of another theme."""
        super().notify_style_update()
        self._styles = None

    @property
    def _gutter(self) -> int:
        return len(str(self._first + len(self._lines))) + 3

    def _get_styles(self) -> Mapping[str, Style]:
        if self._styles is None:
            self._styles = themes.styles(self.app.theme_variables)
        return self._styles

    def _get_glyphs(self) -> GlyphSet:
        of_app = getattr(self.app, "glyphs", GlyphSet.BRAILLE)
        return self._glyphs or (of_app if isinstance(of_app, GlyphSet) else GlyphSet.BRAILLE)

    def _bring_into_sight(self, number: int) -> None:
        top, lines = self.scroll_offset.y, max(self.size.height, 1)
        if not top <= number < top + lines:
            self.scroll_to(y=max(number - lines // 3, 0), animate=False, immediate=True, force=True)
