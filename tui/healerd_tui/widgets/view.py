"""The list that all lists are: a heading, rows drawn line by line, a cursor, marks, keys and mouse.

Only lines in sight are drawn, so its length costs nothing. Must never read a row but through `row_at`, never wait, and
never act: it posts what the person asked for.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from healerd_tui import themes
from healerd_tui.glyphs import GlyphSet, sign
from healerd_tui.widgets.layout import Column, Row, header_strip, row_strip, widths

__all__ = ["Highlighted", "Marked", "RowView", "Selected", "SortAsked"]

HEADER = 1
STRIPS_MAX = 4000


class _RowMessage(Message):
    def __init__(self, view: "RowView") -> None:
        super().__init__()
        self.view = view

    @property
    def control(self) -> "RowView":
        """The list that posted it."""
        return self.view


class Highlighted(_RowMessage):
    """The cursor came to stand on a row."""

    def __init__(self, view: "RowView", row: Row) -> None:
        super().__init__(view)
        self.row = row


class Selected(_RowMessage):
    """A row was asked for: enter, or a click on the row of the cursor."""

    def __init__(self, view: "RowView", row: Row) -> None:
        super().__init__(view)
        self.row = row


class Marked(_RowMessage):
    """A row was marked, or its mark taken away."""

    def __init__(self, view: "RowView", key: str, *, on: bool) -> None:
        super().__init__(view)
        self.key, self.on = key, on


class SortAsked(_RowMessage):
    """Another order was asked for: who owns the rows brings them into it, and then has the heading say so."""

    def __init__(self, view: "RowView", column_key: str, *, reverse: bool) -> None:
        super().__init__(view)
        self.column_key, self.reverse = column_key, reverse


class RowView(ScrollView, can_focus=True):
    """A list of rows under a heading; `RowList` and `RowTable` say where the rows come from."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--heading", "rows--cursor"}
    DEFAULT_CSS = """
    RowView {
        background: $background;
        color: $foreground;
        overflow-x: hidden;
        overflow-y: auto;
        height: 1fr;
        scrollbar-size-vertical: 1;
        & > .rows--heading { color: $text-muted; text-style: bold; }
        & > .rows--cursor { background: $panel; }
        &:focus > .rows--cursor { background: $panel; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "up", show=False),
        Binding("down,j", "step(1)", "down", show=False),
        Binding("pageup", "leap(-1)", "page up", show=False),
        Binding("pagedown", "leap(1)", "page down", show=False),
        Binding("home,g", "first", "first", show=False),
        Binding("end,G", "last", "last", show=False),
        Binding("enter", "select", "open", show=False),
        Binding("space", "mark", "mark", show=False),
        Binding("s", "sort", "sort", show=False),
        Binding("S", "sort_reverse", "reverse", show=False),
    ]

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        glyphs: GlyphSet = GlyphSet.BRAILLE,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.columns = tuple(columns)
        self.glyphs = glyphs
        self.sorted_by: tuple[str, bool] | None = None
        self.cursor = 0
        self._marks: dict[str, None] = {}
        self._strips: dict[tuple[str, bool, bool], tuple[Row, Strip]] = {}
        self._styles: tuple[Style, Style, Style] | None = None
        self._said: Row | None = None

    # what the two lists say of themselves

    @property
    def count(self) -> int:
        """Count the rows that can be scrolled to."""
        raise NotImplementedError

    def row_at(self, position: int) -> Row | None:
        """Give the row at a position, or None while it is not at hand."""
        raise NotImplementedError

    def _message(self, of: type[_RowMessage], *args: object, **named: object) -> Message:
        """Make a message of this list's own kind, so that handlers may name the list."""
        own: Callable[..., Message] = getattr(type(self), of.__name__)
        return own(self, *args, **named)

    # what hosts use

    @property
    def highlighted(self) -> Row | None:
        """The row of the cursor."""
        return self.row_at(self.cursor) if self.count else None

    @property
    def marked(self) -> tuple[str, ...]:
        """The keys that are marked, in the order in which they were."""
        return tuple(self._marks)

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show other columns; rows must have as many cells."""
        self.columns = tuple(columns)
        self.repaint()

    def show_order(self, column_key: str | None, *, reverse: bool = False) -> None:
        """Say in the heading by which column the rows are sorted."""
        self.sorted_by = None if column_key is None else (column_key, reverse)
        self.repaint()

    def move_to(self, position: int) -> None:
        """Move the cursor, and scroll as little as brings it into sight."""
        self.cursor = max(min(position, self.count - 1), 0)
        self._bring_into_sight()
        self.say_highlighted()
        self.refresh()

    def repaint(self) -> None:
        """Draw everything anew."""
        self._strips.clear()
        self._styles = None
        self.resize_rows()

    def resize_rows(self) -> None:
        """Tell the scrollbar how many rows there are, and draw what is in sight."""
        self.cursor = max(min(self.cursor, self.count - 1), 0)
        self.virtual_size = Size(max(self.scrollable_size.width, 1), self.count + HEADER)
        self.refresh()

    def say_highlighted(self) -> None:
        """Post the row of the cursor, if it is another than before."""
        row = self.highlighted
        if row is not self._said:
            self._said = row
            if row is not None:
                self.post_message(self._message(Highlighted, row))

    # drawing

    def render_line(self, y: int) -> Strip:
        """Draw the line `y` of what is in sight."""
        base, heading, at_cursor = self._get_styles()
        cells = self.scrollable_size.width
        gutter = 2 if self._marks else 1
        sizes = widths(self.columns, cells, gutter=gutter)
        if y < HEADER:
            return header_strip(
                self.columns,
                sizes,
                cells=cells,
                gutter=gutter,
                base=heading,
                glyphs=self.glyphs,
                sorted_by=self.sorted_by,
            )
        position = y - HEADER + self.scroll_offset.y
        if position >= self.count:
            return Strip.blank(cells, base)
        row = self.row_at(position)
        is_cursor = position == self.cursor
        if row is None:
            waiting = f"{' ' * gutter}{sign('more', self.glyphs)}"
            return Strip.blank(cells, base) if cells < 3 else self._waiting(waiting, cells, base)
        is_marked = row.key in self._marks
        known = self._strips.get((row.key, is_cursor, is_marked))
        if known is not None and known[0] is row and known[1].cell_length == cells:
            return known[1]
        strip = row_strip(
            row,
            self.columns,
            sizes,
            cells=cells,
            gutter=self._gutter(is_cursor=is_cursor, is_marked=is_marked, cells=gutter),
            base=at_cursor if is_cursor else base,
            styles=self._roles,
            glyphs=self.glyphs,
        )
        if len(self._strips) >= STRIPS_MAX:
            self._strips.clear()
        self._strips[row.key, is_cursor, is_marked] = (row, strip)
        return strip

    def notify_style_update(self) -> None:
        """Forget what was drawn in the colours of another theme."""
        super().notify_style_update()
        self._strips.clear()
        self._styles = None

    def _get_styles(self) -> tuple[Style, Style, Style]:
        if self._styles is None:
            self._roles = themes.styles(self.app.theme_variables)
            self._styles = (
                self.rich_style,
                self.get_component_rich_style("rows--heading"),
                self.get_component_rich_style("rows--cursor"),
            )
            self._strips.clear()
        return self._styles

    def _gutter(self, *, is_cursor: bool, is_marked: bool, cells: int) -> str:
        pointer = sign("pointer", self.glyphs) if is_cursor else " "
        return pointer if cells == 1 else pointer + (sign("marked", self.glyphs) if is_marked else " ")

    def _waiting(self, text: str, cells: int, base: Style) -> Strip:
        style = base + self._roles["quiet"]
        return row_strip(
            Row("", (text,)),
            (Column("", "", cells - 1),),
            (cells - 1,),
            cells=cells,
            gutter="",
            base=style,
            styles={},
            glyphs=self.glyphs,
        )

    # moving

    @property
    def _rows_in_sight(self) -> int:
        return max(self.size.height - HEADER, 1)

    def _bring_into_sight(self) -> None:
        top, lines = self.scroll_offset.y, self._rows_in_sight
        wanted = min(max(top, self.cursor - lines + 1), self.cursor)
        if wanted != top:
            self.scroll_to(y=wanted, animate=False, immediate=True, force=True)

    def _move_by(self, rows: int) -> None:
        before = self.cursor
        self.cursor = max(min(before + rows, self.count - 1), 0)
        self._bring_into_sight()
        for position in {before, self.cursor}:
            self.refresh(Region(0, position - self.scroll_offset.y + HEADER, self.size.width, 1))
        self.say_highlighted()

    def action_step(self, rows: int) -> None:
        """Move the cursor by rows."""
        self._move_by(rows)

    def action_leap(self, pages: int) -> None:
        """Move the cursor by what is in sight."""
        self._move_by(pages * max(self._rows_in_sight - 1, 1))

    def action_first(self) -> None:
        """Move to the first row."""
        self._move_by(-self.cursor)

    def action_last(self) -> None:
        """Move to the last row."""
        self._move_by(self.count - 1 - self.cursor)

    def action_select(self) -> None:
        """Ask for the row of the cursor."""
        if (row := self.highlighted) is not None:
            self.post_message(self._message(Selected, row))

    def action_mark(self) -> None:
        """Mark the row of the cursor, or take its mark away, and go on."""
        row = self.highlighted
        if row is None:
            return
        on = row.key not in self._marks
        if on:
            self._marks[row.key] = None
        else:
            del self._marks[row.key]
        # The first mark and the last change the gutter of every row.
        self._strips.clear()
        self.refresh()
        self.post_message(self._message(Marked, row.key, on=on))
        self._move_by(1)

    def action_sort(self) -> None:
        """Ask for the order of the next column."""
        keys = [column.key for column in self.columns]
        current = self.sorted_by[0] if self.sorted_by else None
        following = keys[(keys.index(current) + 1) % len(keys)] if current in keys else keys[0]
        self._ask_order(following, reverse=False)

    def action_sort_reverse(self) -> None:
        """Ask for the order turned round."""
        key, reverse = self.sorted_by or (self.columns[0].key, False)
        self._ask_order(key, reverse=not reverse)

    def _ask_order(self, key: str, *, reverse: bool) -> None:
        self.post_message(self._message(SortAsked, key, reverse=reverse))

    # mouse and size

    def on_click(self, event: events.Click) -> None:
        """Move to the row that was clicked; a click on the cursor's row opens it, one on a heading sorts."""
        place = event.get_content_offset(self)
        if place is None:
            return
        event.stop()
        if place.y < HEADER:
            self._sort_at(place.x)
            return
        position = place.y - HEADER + self.scroll_offset.y
        if position >= self.count:
            return
        if position == self.cursor:
            self.action_select()
        else:
            self._move_by(position - self.cursor)

    def _sort_at(self, x: int) -> None:
        gutter = 2 if self._marks else 1
        at = gutter
        for column, size in zip(
            self.columns, widths(self.columns, self.scrollable_size.width, gutter=gutter), strict=True
        ):
            if at <= x <= at + size:
                same = self.sorted_by is not None and self.sorted_by[0] == column.key
                self._ask_order(column.key, reverse=same and not (self.sorted_by or ("", False))[1])
                return
            at += size + 1

    def on_resize(self) -> None:
        """Fit the columns into the new width."""
        self.repaint()
        self._bring_into_sight()
