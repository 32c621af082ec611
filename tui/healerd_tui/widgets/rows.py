"""The endless list: rows fetched page by page, by key, as they come into sight.

Must never fetch on the thread that draws (the source's functions are awaited), never hold more than a bounded number of
rows, and never show rows of one source under another.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from textual.message import Message
from textual.scroll_view import ScrollView

from healerd.errors import HealerdError
from healerd_tui.glyphs import GlyphSet
from healerd_tui.widgets import view
from healerd_tui.widgets.layout import Column, Row
from healerd_tui.widgets.paging import PAGE_ROWS, Pages, Request
from healerd_tui.widgets.view import RowView

__all__ = ["RowList", "Source", "source_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where rows come from.

    `page(after, limit)` gives the rows after a key (None: from the start); an empty answer is the end. With `count` and
    `seek(position)`, the key of the last row before a position, the list can jump anywhere at once.
    """

    page: Callable[[str | None, int], Awaitable[Sequence[Row]]]
    count: Callable[[], Awaitable[int | None]] | None = None
    seek: Callable[[int], Awaitable[str | None]] | None = None


def source_of(rows: Sequence[Row]) -> Source:
    """Make a source of rows that are at hand."""
    held = tuple(rows)
    places = {row.key: number for number, row in enumerate(held)}

    async def page(after: str | None, limit: int) -> Sequence[Row]:
        start = 0 if after is None else places[after] + 1
        return held[start : start + limit]

    async def count() -> int:
        return len(held)

    async def seek(position: int) -> str | None:
        return held[position - 1].key if position > 0 else None

    return Source(page=page, count=count, seek=seek)


class RowList(RowView):
    """A list over a `Source`; a million rows cost what a hundred do."""

    class Highlighted(view.Highlighted):
        """The cursor came to stand on a row."""

    class Selected(view.Selected):
        """A row was asked for."""

    class Marked(view.Marked):
        """A row was marked, or its mark taken away."""

    class SortAsked(view.SortAsked):
        """Another order was asked for."""

    class Failed(Message):
        """A page could not be read; `why` says the reason, and how to go on."""

        def __init__(self, why: str) -> None:
            super().__init__()
            self.why = why

    def __init__(
        self,
        columns: Sequence[Column],
        source: Source | None = None,
        *,
        glyphs: GlyphSet = GlyphSet.BRAILLE,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(columns, glyphs=glyphs, id=id, classes=classes)
        self._source = source
        self._pages = Pages(0, can_seek=False)
        self._filling: Pages | None = None

    @property
    def count(self) -> int:
        """Count the rows that can be scrolled to; one more than known while more may come."""
        return self._pages.total

    @property
    def is_exact(self) -> bool:
        """Tell whether `count` is all there is."""
        return self._pages.is_exact

    def row_at(self, position: int) -> Row | None:
        """Give the row at a position, or None while its page is not at hand."""
        return self._pages.row(position)

    def on_mount(self) -> None:
        """Fetch the first page."""
        if self._source is not None:
            self.run_worker(self.show(self._source), group="rows")

    async def show(self, source: Source) -> None:
        """Show the rows of another source; below the top the cursor stays on its row, if that is near."""
        before = self.highlighted
        self._source = source
        total = await self._ask(source.count) if source.count is not None else None
        if self._source is not source:
            return
        pages = Pages(total, can_seek=source.seek is not None)
        self._pages = pages
        await self._fill(pages)
        row = self.highlighted
        if self._pages is pages and (before is None or row is None or row.key != before.key):
            self.move_to(self._position(before.key) if before is not None and self.cursor else 0)
        self.resize_rows()
        self.say_highlighted()

    def _position(self, key: str) -> int:
        """Find a row not far below the cursor; 0 where it is gone."""
        near = range(min(self.count, self.cursor + PAGE_ROWS))
        return next((at for at in near if (row := self.row_at(at)) is not None and row.key == key), 0)

    async def reload(self) -> None:
        """Read the same source again; the cursor stays where it is."""
        if self._source is not None:
            await self.show(self._source)

    def resize_rows(self) -> None:
        """Tell the scrollbar how many rows there are, draw what is in sight, and fetch what is missing there."""
        super().resize_rows()
        self._fetch()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Fetch what comes into sight."""
        ScrollView.watch_scroll_y(self, old_value, new_value)
        self._fetch()

    def _move_by(self, rows: int) -> None:
        super()._move_by(rows)
        self._fetch()  # also where nothing scrolled: a page that failed is asked for again

    def _fetch(self) -> None:
        if self.is_attached and self._filling is not self._pages and self._missing(self._pages) is not None:
            self.run_worker(self._fill(self._pages), group="rows")

    def _missing(self, pages: Pages) -> Request | None:
        top = self.scroll_offset.y
        return pages.missing(top, top + self._rows_in_sight)

    async def _fill(self, pages: Pages) -> None:
        """Fetch page after page until what is in sight is at hand, wherever it has been scrolled to meanwhile."""
        if self._filling is pages:
            return
        self._filling = pages
        try:
            while (request := self._missing(pages)) is not None:
                rows = await self._ask(partial(self._read, request))
                if self._pages is not pages or rows is None:
                    return
                known = pages.total
                pages.store(request, rows)
                if pages.total != known:
                    super().resize_rows()
                self.refresh()
                self.say_highlighted()
        finally:
            if self._filling is pages:
                self._filling = None

    async def _read(self, request: Request) -> Sequence[Row]:
        source = self._source
        assert source is not None
        after = request.after
        if request.seek:
            assert source.seek is not None
            after = await source.seek(request.start)
        return await source.page(after, PAGE_ROWS)

    async def _ask(self, read: Callable[[], Awaitable[Any]]) -> Any:
        """Await an answer of the source; one that cannot be given is posted, and is None."""
        try:
            return await read()
        except HealerdError as failure:
            self.post_message(self.Failed(str(failure)))
            return None
