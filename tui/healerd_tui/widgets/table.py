"""The table of what is held in memory, such as the fleet: rows change in place, and only what is in sight is drawn.

Must never be cleared and filled again for a change, and never lose the row of the cursor while others move.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from healerd_tui.glyphs import GlyphSet
from healerd_tui.widgets import view
from healerd_tui.widgets.layout import Column, Row
from healerd_tui.widgets.view import RowView

__all__ = ["RowTable"]


class RowTable(RowView):
    """A table of rows by key, in an order and through a filter that the host sets."""

    class Highlighted(view.Highlighted):
        """The cursor came to stand on a row."""

    class Selected(view.Selected):
        """A row was asked for."""

    class Marked(view.Marked):
        """A row was marked, or its mark taken away."""

    class SortAsked(view.SortAsked):
        """Another order was asked for."""

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        glyphs: GlyphSet = GlyphSet.BRAILLE,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(columns, glyphs=glyphs, id=id, classes=classes)
        self._rows: dict[str, Row] = {}
        self._shown: list[str] = []
        self._order: Callable[[str], Any] | None = None
        self._reverse = False
        self._keeps: Callable[[str], bool] | None = None
        self._flushing = False

    @property
    def count(self) -> int:
        """Count the rows that are shown."""
        return len(self._shown)

    @property
    def shown(self) -> int:
        """Count the rows that are shown."""
        return len(self._shown)

    @property
    def total(self) -> int:
        """Count the rows, those that the filter hides too."""
        return len(self._rows)

    def row_at(self, position: int) -> Row | None:
        """Give the row at a position."""
        return self._rows[self._shown[position]] if 0 <= position < len(self._shown) else None

    def row(self, key: str) -> Row | None:
        """Give the row with that key, shown or not."""
        return self._rows.get(key)

    def put(self, rows: Iterable[Row]) -> None:
        """Insert rows, or change them in place; drawn once, however often it is called before the next drawing."""
        for row in rows:
            known = self._rows.get(row.key)
            # The very row is kept where nothing changed, for its strip is drawn already.
            if known != row:
                self._rows[row.key] = row
        self._flush_soon()

    def drop(self, keys: Iterable[str]) -> None:
        """Take rows away; keys that are not there are passed over."""
        for key in keys:
            self._rows.pop(key, None)
            self._marks.pop(key, None)
        # What is gone must not be drawn, not even until the next drawing.
        self._flush()

    def order(self, by: Callable[[str], Any] | None, *, reverse: bool = False) -> None:
        """Sort by what `by` says of a key; None leaves the order in which rows came."""
        self._order, self._reverse = by, reverse
        self._flush_soon()

    def keep(self, keeps: Callable[[str], bool] | None) -> None:
        """Show only the rows whose key is kept; None shows all."""
        self._keeps = keeps
        self._flush_soon()

    def move_to_key(self, key: str) -> bool:
        """Move the cursor to a row; False if it is not shown."""
        self._flush()
        if key not in self._shown:
            return False
        self.move_to(self._shown.index(key))
        return True

    def _flush_soon(self) -> None:
        if not self.is_attached:
            self._arrange()
        elif not self._flushing:
            self._flushing = True
            self.call_later(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        self._arrange()
        if self.is_attached:
            self.resize_rows()
            self._bring_into_sight()
            self.say_highlighted()

    def on_mount(self) -> None:
        """Draw what was put before."""
        self._flush()

    def _arrange(self) -> None:
        """Bring the keys into order; the cursor goes with its row, or stays where it was if that is gone."""
        row = self._shown[self.cursor] if self.cursor < len(self._shown) else None
        keys = [key for key in self._rows if self._keeps is None or self._keeps(key)]
        if self._order is not None:
            keys.sort(key=self._order, reverse=self._reverse)
        if keys == self._shown:
            return
        self._shown = keys
        if row is not None and row in self._rows and (self._keeps is None or self._keeps(row)):
            self.cursor = keys.index(row)
        self.cursor = max(min(self.cursor, len(keys) - 1), 0)
