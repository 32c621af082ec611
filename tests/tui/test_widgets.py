"""Lists, tables and painted widgets do what a person and a host ask of them, and draw within their cells."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widget import Widget

from healerd.errors import StoreError
from healerd_tui import themes
from healerd_tui.glyphs import GlyphSet
from healerd_tui.inert import width
from healerd_tui.plots import sparkline
from healerd_tui.plots.picture import Canvas
from healerd_tui.widgets import (
    Badge,
    Column,
    Countdown,
    HealSource,
    KeyHelp,
    Plot,
    Row,
    RowList,
    RowTable,
    Source,
    source_of,
)
from healerd_tui.widgets.layout import widths
from healerd_tui.widgets.paging import PAGE_ROWS, PAGES_MAX, Pages
from healerd_tui.widgets.source import tokens

COLUMNS = (Column("name", "NAME", 12), Column("words", "WORDS", 10, flex=True), Column("n", "N", 6, align="right"))
quick = settings(max_examples=60, deadline=None)


def a_row(number: int, words: str = "well", role: str = "ok") -> Row:
    return Row(f"{number:06d}", (f"row {number}", (words, role), str(number)))


class Host(App[None]):
    """Shows one widget, and keeps what it posts."""

    CSS = "Screen { overflow: hidden; }"

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        themes.register(self)
        self.theme = themes.DEFAULT
        self.widget = widget
        self.heard: list[tuple[str, Any]] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return themes.variable_defaults(self.current_theme)

    def compose(self) -> ComposeResult:
        yield self.widget

    def on_mount(self) -> None:
        self.widget.focus()

    def on_row_list_selected(self, event: RowList.Selected) -> None:
        self.heard.append(("selected", event.row.key))

    def on_row_list_highlighted(self, event: RowList.Highlighted) -> None:
        self.heard.append(("highlighted", event.row.key))

    def on_row_list_failed(self, event: RowList.Failed) -> None:
        self.heard.append(("failed", event.why))

    def on_row_list_marked(self, event: RowList.Marked) -> None:
        self.heard.append(("marked", (event.key, event.on)))

    def on_row_table_selected(self, event: RowTable.Selected) -> None:
        self.heard.append(("selected", event.row.key))

    def on_row_table_sort_asked(self, event: RowTable.SortAsked) -> None:
        self.heard.append(("sort", (event.column_key, event.reverse)))
        event.view.show_order(event.column_key, reverse=event.reverse)

    def lines(self) -> list[str]:
        return ["".join(segment.text for segment in line) for line in self.screen._compositor.render_strips()]


def playing(
    widget: Widget, play: Callable[[Host, Pilot[None]], Awaitable[None]], size: tuple[int, int] = (50, 10)
) -> None:
    async def run() -> None:
        app = Host(widget)
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            await play(app, pilot)

    asyncio.run(run())


async def settled(pilot: Pilot[None]) -> None:
    for _ in range(2):
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()


class Asked:
    """A source of many rows that keeps what it was asked."""

    def __init__(self, total: int, *, seek: bool = True, short: int | None = None) -> None:
        self.total, self.short = total, short
        self.asked: list[str | None] = []
        self.source = Source(page=self.page, count=self.count if seek else None, seek=self.seek if seek else None)

    async def page(self, after: str | None, limit: int) -> Sequence[Row]:
        self.asked.append(after)
        start = 0 if after is None else int(after) + 1
        return [a_row(n) for n in range(start, min(start + (self.short or limit), self.total))]

    async def count(self) -> int:
        return self.total

    async def seek(self, position: int) -> str | None:
        return f"{position - 1:06d}" if position else None


def test_a_list_asks_only_for_what_is_in_sight() -> None:
    """A list of a million rows fetches the page in sight, and wherever it jumps the page there."""
    asked = Asked(1_000_000)

    async def play(app: Host, pilot: Pilot[None]) -> None:
        rows = app.query_one(RowList)
        assert asked.asked == [None]
        assert rows.count == 1_000_000
        await pilot.press("G")
        await settled(pilot)
        assert rows.highlighted == a_row(999_999)
        assert "row 999999" in app.lines()[-1]
        assert len(asked.asked) <= 3
        await pilot.press("g")
        await settled(pilot)
        assert rows.highlighted == a_row(0)
        assert len(asked.asked) <= 3

    playing(RowList(COLUMNS, asked.source), play)


def test_a_list_without_positions_grows_as_it_is_read() -> None:
    """Where only the next page can be asked for, scrolling reads on by keys, until a page is empty."""
    asked = Asked(25, seek=False, short=4)

    async def play(app: Host, pilot: Pilot[None]) -> None:
        rows = app.query_one(RowList)
        for _ in range(6):
            await pilot.press("G")
            await pilot.app.workers.wait_for_complete()
        assert rows.count == 25
        assert rows.is_exact
        assert rows.highlighted == a_row(24)
        assert asked.asked == [None, "000003", "000007", "000011", "000015", "000019", "000023", "000024"]

    playing(RowList(COLUMNS, asked.source), play)


def test_keys_move_mark_and_open() -> None:
    """Arrows and letters move, space marks and goes on, enter opens."""

    async def play(app: Host, pilot: Pilot[None]) -> None:
        rows = app.query_one(RowList)
        await pilot.press("j", "down", "k", "space", "space", "up", "space", "enter")
        await settled(pilot)
        assert rows.marked == ("000001",)
        assert app.heard[0] == ("highlighted", "000000")
        assert ("marked", ("000002", True)) in app.heard
        assert ("marked", ("000002", False)) in app.heard
        assert app.heard[-1] == ("highlighted", "000003") or ("selected", "000003") in app.heard
        await pilot.press("pagedown")
        assert rows.cursor == 3 + 8
        assert "▸" in next(line for line in app.lines() if "row 11" in line)

    playing(RowList(COLUMNS, Asked(500).source), play)


def test_the_mouse_moves_opens_and_sorts() -> None:
    """A click moves to a row, a second one opens it, and one on a heading asks for that order, then for its reverse."""
    table = RowTable(COLUMNS)
    table.put(a_row(n) for n in range(5))

    async def play(app: Host, pilot: Pilot[None]) -> None:
        await pilot.click(RowTable, offset=(3, 3))
        assert table.highlighted == a_row(2)
        assert app.heard == []
        await pilot.click(RowTable, offset=(3, 3))
        await pilot.click(RowTable, offset=(3, 0))
        await pilot.click(RowTable, offset=(3, 0))
        await settled(pilot)
        assert app.heard == [("selected", "000002"), ("sort", ("name", False)), ("sort", ("name", True))]
        assert "NAME       ↑" in app.lines()[0]

    playing(table, play)


def test_sort_keys_go_through_the_columns() -> None:
    """`s` asks for the next column, `S` for the reverse order of the same."""
    table = RowTable(COLUMNS)
    table.put([a_row(1)])

    async def play(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press("s", "s", "S", "s", "s")
        await settled(pilot)
        assert [each for _, each in app.heard] == [
            ("name", False),
            ("words", False),
            ("words", True),
            ("n", False),
            ("name", False),
        ]

    playing(table, play)


def test_rows_of_an_older_source_are_not_shown() -> None:
    """A page that comes late for a source that was replaced is thrown away."""
    gate = asyncio.Event()

    async def late(after: str | None, limit: int) -> Sequence[Row]:
        await gate.wait()
        return [a_row(n, "old") for n in range(5)]

    async def play(app: Host, pilot: Pilot[None]) -> None:
        rows = app.query_one(RowList)
        waiting = asyncio.create_task(rows.show(Source(page=late)))
        await asyncio.sleep(0)
        await rows.show(source_of([a_row(7, "new")]))
        gate.set()
        await waiting
        await settled(pilot)
        assert rows.highlighted == a_row(7, "new")
        assert not any("old" in line for line in app.lines())

    playing(RowList(COLUMNS), play)


def test_a_source_that_fails_says_why_and_the_list_lives_on() -> None:
    """A failure of the source is posted with its reason; another source works."""

    async def broken(after: str | None, limit: int) -> Sequence[Row]:
        raise StoreError("cannot read `healerd.db`: try `healerd doctor`")

    async def play(app: Host, pilot: Pilot[None]) -> None:
        rows = app.query_one(RowList)
        assert ("failed", "cannot read `healerd.db`: try `healerd doctor`") in app.heard
        await rows.show(source_of([a_row(1)]))
        assert rows.highlighted == a_row(1)
        await rows.show(source_of([]))
        await settled(pilot)
        assert rows.highlighted is None
        assert rows.count == 0
        await pilot.press("G", "enter", "space", "j")

    playing(RowList(COLUMNS, Source(page=broken)), play)


def test_the_cursor_stays_on_its_row_when_a_list_is_read_again() -> None:
    """Reading again leaves the cursor where the same row is in the same place, else it goes to the first."""

    async def play(app: Host, pilot: Pilot[None]) -> None:
        rows = app.query_one(RowList)
        await pilot.press("j", "j")
        await rows.reload()
        assert rows.cursor == 2
        await rows.show(source_of([a_row(n) for n in range(50, 90)]))
        assert rows.cursor == 0

    playing(RowList(COLUMNS, source_of([a_row(n) for n in range(40)])), play)


@quick
@given(
    st.integers(0, 30 * PAGE_ROWS),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 60)), max_size=20),
)
def test_pages_give_the_rows_of_their_places(total: int, can_seek: bool, looks: list[tuple[int, int]]) -> None:
    """Wherever one looks, the rows are those of that place, every request can be answered, and few pages are kept."""
    pages = Pages(total if can_seek else None, can_seek=can_seek)
    for first, lines in looks:
        for _ in range(50):
            request = pages.missing(first, first + lines)
            if request is None:
                break
            assert request.seek is (request.after is None and request.start > 0)
            if request.after is not None:
                assert int(request.after) + 1 == request.start
            pages.store(request, [a_row(n) for n in range(request.start, min(request.start + PAGE_ROWS, total))])
        for position in range(first, min(first + lines, pages.total)):
            row = pages.row(position)
            assert row is None or row == a_row(position)
            if can_seek:
                assert row is not None
        assert pages.total <= total + 1
        assert len(pages._pages) <= PAGES_MAX


def test_a_table_changes_in_place() -> None:
    """Rows change where they stand; the others are not drawn again, and the cursor keeps its row when rows move."""
    table = RowTable(COLUMNS)
    table.put(a_row(n) for n in range(20))

    async def play(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press("j", "j", "j")
        before = {key: strip for key, (_, strip) in table._strips.items()}
        table.put([a_row(1, "ill", "failed"), a_row(2)])
        await settled(pilot)
        assert "ill" in app.lines()[2]
        assert table._strips["000002", False, False][1] is before["000002", False, False]
        table.order(lambda key: -int(key))
        await settled(pilot)
        assert table.highlighted == a_row(3)
        assert table.cursor == 16
        table.keep(lambda key: int(key) < 10)
        await settled(pilot)
        assert (table.shown, table.total, table.highlighted) == (10, 20, a_row(3))
        table.drop(["000003", "nobody"])
        assert table.highlighted == a_row(2)
        assert table.total == 19
        assert table.move_to_key("000009")
        assert table.cursor == 0
        assert not table.move_to_key("000015")

    playing(table, play)


def test_many_changes_are_drawn_once() -> None:
    """However often rows are put between two drawings, the order is made once."""
    table = RowTable(COLUMNS)
    asked: list[str] = []

    async def play(app: Host, pilot: Pilot[None]) -> None:
        table.put(a_row(n) for n in range(100))
        table.order(lambda key: asked.append(key) or key)
        await settled(pilot)
        asked.clear()
        for n in range(100):
            table.put([a_row(n, "changed")])
        await settled(pilot)
        assert len(asked) == 100
        assert table.row("000042") == a_row(42, "changed")

    playing(table, play)


@quick
@given(st.text(max_size=30), st.integers(1, 60))
def test_rows_keep_their_width_and_markup_is_not_read(text: str, cells: int) -> None:
    """Whatever a cell says, the columns take no more than the width, and each text is drawn inert."""
    sizes = widths(COLUMNS, cells)
    assert 1 + sum(size + 1 for size in sizes if size) - 1 <= cells or cells < 2
    assert all(size >= 0 for size in sizes)
    canvas = Canvas(cells, 1)
    canvas.write(0, 0, text)
    assert width(canvas.picture().plain) == cells


def test_nasty_cells_are_drawn_inert() -> None:
    """Escapes, markup and wide letters in a cell move no column."""
    table = RowTable(COLUMNS)
    names = ["plain", "a\x1b[31mred", "[bold]b[/]", "日本語日本語日本", "e\u0301\u202e", "\n\n"]
    table.put(Row(str(n), (name, name, str(n))) for n, name in enumerate(names))

    async def play(app: Host, pilot: Pilot[None]) -> None:
        lines = app.lines()[1:7]
        assert [width(line) for line in lines] == [50] * 6
        assert all(line.rstrip().endswith(str(n)) for n, line in enumerate(lines))
        assert "\\x1b[31m" in lines[1]
        assert "[bold]b[/]" in lines[2]
        assert "\\u202e" in lines[4]

    playing(table, play)


def test_a_list_in_ascii_is_ascii() -> None:
    """With the ASCII set, everything of ours is ASCII: pointer, marks, the rest of a text, the arrow of the order."""
    table = RowTable(COLUMNS, glyphs=GlyphSet.ASCII)
    table.put([a_row(n, "much too long for any column " * 3) for n in range(3)])

    async def play(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press("space", "s")
        await settled(pilot)
        assert all(line.isascii() for line in app.lines()[:4])

    playing(table, play)


def test_columns_change_with_the_size() -> None:
    """Flexible columns take what is left; other columns can be set at any time."""
    table = RowTable(COLUMNS)
    table.put([a_row(1)])

    async def play(app: Host, pilot: Pilot[None]) -> None:
        assert app.lines()[0].rstrip().endswith("N")
        await pilot.resize_terminal(30, 5)
        await settled(pilot)
        assert app.lines()[0].rstrip().endswith("N")
        table.set_columns(COLUMNS[:1])
        await settled(pilot)
        assert app.lines()[0].split() == ["NAME"]

    playing(table, play)


def test_a_plot_fits_itself() -> None:
    """A plot is drawn anew at every size, and in the colours of every theme."""
    sizes: list[tuple[int, int]] = []

    def draw(cells: int, lines: int, glyphs: GlyphSet) -> Any:
        sizes.append((cells, lines))
        canvas = Canvas(cells, lines)
        canvas.write(0, 0, "▲ PENDING", "drift")
        return canvas.picture()

    async def play(app: Host, pilot: Pilot[None]) -> None:
        assert sizes[-1] == (50, 10)
        await pilot.resize_terminal(33, 7)
        await settled(pilot)
        assert sizes[-1] == (33, 7)
        assert app.lines()[0].startswith("▲ PENDING")
        colours = []
        for theme in ("healerd-light", "healerd-dark"):
            app.theme = theme
            await settled(pilot)
            style = next(iter(app.screen._compositor.render_strips()[0])).style
            colours.append(style.color.name if style and style.color else "")
        assert colours == [
            themes.THEMES[1].variables["state-drift"].lower(),
            themes.THEMES[0].variables["state-drift"].lower(),
        ]

    playing(Plot(draw), play)


def test_the_countdown_stands_still_when_nobody_knows() -> None:
    """The countdown shows what it is told, and `--:--` when the daemon is away."""
    countdown = Countdown()

    async def play(app: Host, pilot: Pilot[None]) -> None:
        assert app.lines()[0].strip() == "--:--"
        countdown.put(221, 300)
        await settled(pilot)
        assert app.lines()[0].startswith("03:41 ▕█")
        countdown.put(None, 300)
        await settled(pilot)
        assert app.lines()[0].strip() == "--:--"

    playing(countdown, play)


def test_badges_keep_to_one_line() -> None:
    """A line of badges is cut at the width, and changes when told."""
    badge = Badge([("● live", "ok"), (" window 14:00", "quiet"), (" a very long name of somebody who is on", "")])

    async def play(app: Host, pilot: Pilot[None]) -> None:
        assert app.lines()[0].startswith("● live window 14:00")
        assert width(app.lines()[0]) == 30
        badge.put([("◌ STALE", "stale")])
        await settled(pilot)
        assert app.lines()[0].strip() == "◌ STALE"

    playing(badge, play, size=(30, 3))


def test_the_keys_say_why_they_do_nothing() -> None:
    """Help shows each key, what it does, and why it does not do it now."""
    help_ = KeyHelp([("Global", [("?", "keys here", "")]), ("Prompt", [("a", "approve", "this view is read-only")])])

    async def play(app: Host, pilot: Pilot[None]) -> None:
        text = "\n".join(line.rstrip() for line in app.lines())
        assert "Global\n?  keys here\n\nPrompt\na  approve: this view is read-only" in text
        help_.put([("Other", [("x", "a sentence that is longer than one line of this help can be", "")])])
        await settled(pilot)
        assert "longer" in "".join(app.lines())
        assert "Global" not in "".join(app.lines())

    playing(help_, play, size=(40, 12))


RULES = """forbid retrain when confidence < 80%   # never unsure
  because "it \\"may\\" be wrong"
cooldown 30m on retrain"""


def test_rules_are_shown_with_their_lines() -> None:
    """A rule file is shown with line numbers, the line in question pointed at and in sight."""
    source = HealSource(RULES)

    async def play(app: Host, pilot: Pilot[None]) -> None:
        assert app.lines()[0].rstrip() == " 1  forbid retrain when confidence < 80%   # never"
        source.show("\n".join(f"const x{n} = {n}" for n in range(100)), marks={70: "ok"}, at=70)
        await settled(pilot)
        assert any(line.startswith("  70▸ const x69 = 69") for line in app.lines())

    playing(source, play)


@quick
@given(st.text(max_size=40).map(lambda text: text.replace("\n", " ")))
def test_highlighting_changes_no_letter(line: str) -> None:
    """The pieces of a line are the line, and each has a role that has a colour."""
    pieces = list(tokens(line))
    assert "".join(piece.text for piece in pieces) == line
    assert {piece.role for piece in pieces} <= {"", *themes.ROLES}


def test_words_of_the_language_are_told_apart() -> None:
    """Keywords, names, numbers with units, texts and comments have roles of their own."""
    roles = {piece.text: piece.role for line in RULES.split("\n") for piece in tokens(line)}
    assert roles["forbid"] == "source-keyword"
    assert roles["retrain"] == "source-name"
    assert roles["80%"] == roles["30m"] == "source-number"
    assert roles['"it \\"may\\" be wrong"'] == "source-string"
    assert roles["# never unsure"] == "source-comment"


def test_a_sparkline_fits_into_a_cell() -> None:
    """A sparkline's text stands in a column as it is."""
    table = RowTable((Column("day", "24H", 8),))
    line = sparkline([1, 2, 3, 4, 5, 6, 7, 8], width=8, glyphs=GlyphSet.BRAILLE)
    table.put([Row("a", ((line.plain, "drift"),))])

    async def play(app: Host, pilot: Pilot[None]) -> None:
        assert "▁▂▃▄▅▆▇█" in app.lines()[1]

    playing(table, play)


@pytest.mark.parametrize("size", [(1, 1), (5, 2)])
@pytest.mark.parametrize(
    "make", [lambda: RowTable(COLUMNS), lambda: RowList(COLUMNS, source_of([a_row(1)])), lambda: HealSource(RULES)]
)
def test_no_size_is_too_small(size: tuple[int, int], make: Callable[[], Widget]) -> None:
    """Lists and sources draw at any size and take keys there."""

    async def play(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press("down", "pagedown", "end", "home")
        await settled(pilot)

    playing(make(), play, size=size)


STEPS = st.one_of(
    st.sampled_from(["up", "down", "j", "k", "g", "G", "pageup", "pagedown", "enter", "space", "s", "S"]),
    st.tuples(st.integers(1, 60), st.integers(1, 20)),
    st.lists(st.integers(0, 50), max_size=40),
)


@settings(max_examples=6, deadline=None)
@given(st.lists(STEPS, max_size=12))
def test_whatever_happens_the_cursor_is_in_sight(steps: list[str | tuple[int, int] | list[int]]) -> None:
    """Through any keys, sizes and changes, every line has its width and the row of the cursor is in sight."""
    table = RowTable(COLUMNS)
    table.put(a_row(n) for n in range(0, 60, 2))

    async def play(app: Host, pilot: Pilot[None]) -> None:
        for step in steps:
            match step:
                case str():
                    await pilot.press(step)
                case tuple():
                    await pilot.resize_terminal(*step)
                case list():
                    table.put(a_row(n, f"changed {len(step)}") for n in step)
                    table.drop(f"{n:06d}" for n in step[::3])
        await settled(pilot)
        assert {width(line) for line in app.lines()} == {app.size.width}
        assert 0 <= table.cursor < max(table.count, 1)
        if table.count and app.size.height > 1:
            assert 0 <= table.cursor - table.scroll_offset.y < app.size.height - 1

    playing(table, play)
