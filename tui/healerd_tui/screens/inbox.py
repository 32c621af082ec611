"""What waits for a person, the most pressing first; and on demand what is decided. Must never answer anything."""

from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical

from healerd.model import AWAITED, TERMINAL_STATES
from healerd_tui.filters import compile_filter
from healerd_tui.places import Place
from healerd_tui.question import Question, question_lines
from healerd_tui.screens.frame import Frame, bindings
from healerd_tui.screens.lines import Painted
from healerd_tui.state import Conn, deadline_of
from healerd_tui.view import inbox_cells
from healerd_tui.widgets import Column, Highlighted, Row, RowTable, Selected

__all__ = ["InboxScreen"]

NARROW = (
    Column("state", "STATE", 19),
    Column("pipeline", "PIPELINE", 12, flex=True),
    Column("action", "ACTION", 16, flex=True),
    Column("left", "LEFT", 11, align="right"),
    Column("confidence", "SURE", 7, align="right"),
)
NORMAL = (
    Column("state", "STATE", 19),
    Column("pipeline", "PIPELINE", 14, flex=True),
    Column("action", "ACTION", 16, flex=True),
    Column("left", "LEFT", 9, align="right"),
    Column("confidence", "SURE", 7, align="right"),
    Column("silence", "IF NOBODY ANSWERS", 20, flex=True),
    Column("age", "AGE", 4, align="right"),
    Column("id", "ID", 18),
)
HISTORY = 200


class InboxScreen(Frame):
    """The intents, one a row."""

    PLACES: ClassVar[tuple[str, ...]] = ("inbox", "list")
    BINDINGS: ClassVar[list[Any]] = bindings("inbox")
    ABOUT = (
        "What healerd wants to do and asks about, the most pressing first: LEFT is the time until silence decides, "
        "SURE the confidence (0.80 is needed to act alone). Enter opens the question. "
        "! shows what is decided as well."
    )

    def body(self) -> ComposeResult:
        """Give the table with its line below."""
        with Vertical(id="panel", classes="panel") as panel:
            panel.border_title = "Inbox"
            yield RowTable(NORMAL, glyphs=self.glyphs)
            yield Painted(id="foot")
            yield Painted(id="empty", classes="empty")
            yield Painted(id="preview")

    everything = False
    _columns: tuple[Column, ...] = NORMAL
    _history: Mapping[str, Mapping[str, Any]] = {}
    _known: frozenset[str] = frozenset()
    _outdated: frozenset[str] = frozenset()

    @property
    def table(self) -> RowTable:
        """The table."""
        return self.query_one(RowTable)

    def fetch(self) -> None:
        """Read what is decided, if that is shown."""
        if self.everything:
            access = self.ui.access
            self.ui.fetch(lambda: access.intents(all_states=True, limit=HISTORY), self._take, group="inbox")

    def _take(self, view: Mapping[str, Any]) -> None:
        self._history = {intent["id"]: intent for intent in view["intents"]}
        self.refresh_all()

    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        """Give the intents to show, by id."""
        if not self.everything:
            return {id_: each for id_, each in self.state.intents.items() if each["state"] in AWAITED}
        ended = {id_: each for id_, each in self._history.items() if each["state"] in TERMINAL_STATES}
        return {**ended, **self.state.intents}

    def _reread(self) -> None:
        """Read again what has ended since it was read as open."""
        open_ = {id_ for id_, each in self._history.items() if each["state"] not in TERMINAL_STATES}
        before, self._outdated = self._outdated, frozenset(open_ - self.state.intents.keys())
        if self._outdated - before:
            self.fetch()

    def refresh_body(self) -> None:
        """Put every row where it belongs."""
        columns = NARROW if self.size.width < 100 else NORMAL
        if columns != self._columns:
            self._columns = columns
            self.table.set_columns(columns)
        self._reread()
        rows = self.rows()
        self.table.drop(sorted(self._known - set(rows)))
        self._known = frozenset(rows)
        self.table.put(self._row(intent) for intent in rows.values())
        self.table.order(lambda key: _order(rows.get(key)))
        self.table.keep(lambda key: self._keeps(rows.get(key)))
        self._say_foot(rows)

    def tick(self) -> None:
        """Let the countdowns run."""
        super().tick()
        if self.ready:
            self.table.put(self._row(each) for each in self.rows().values() if each["state"] in AWAITED)

    def on_resize(self) -> None:
        """Choose the columns that fit."""
        self.refresh_all()

    def focus_body(self) -> None:
        """Give the keys to the table."""
        self.table.focus()

    def _row(self, intent: Mapping[str, Any]) -> Row:
        cells = inbox_cells(intent, state=self.state, at=self.ui.daemon_now(), glyphs=self.glyphs)
        role = "quiet" if self.state.conn == Conn.STALE or intent["state"] not in AWAITED else ""
        return Row(intent["id"], tuple(cells[column.key] for column in self._columns), role)

    def _keeps(self, intent: Mapping[str, Any] | None) -> bool:
        if intent is None:
            return False
        fields = {
            name: str(intent.get(name) or "") for name in ("id", "pipeline", "action", "target", "state", "reason")
        }
        return not self.filter_text or compile_filter(self.filter_text)(fields)

    def _say_foot(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        waiting = sum(each["state"] in AWAITED for each in rows.values())
        words = f" {waiting} {'waits' if waiting == 1 else 'wait'} for a person"
        words += f", {len(rows) - waiting} decided" if self.everything else ", ! shows what is decided"
        words += f"   filter: {self.filter_text}" if self.filter_text else ""
        self.query_one("#foot", Painted).put([((words, "quiet"),)])
        empty = self.query_one("#empty", Painted)
        shown = [each for each in rows.values() if self._keeps(each)]
        empty.display = not shown
        if not shown:
            self.query_one("#preview", Painted).put([])
        said = "nothing matches the filter; esc drops it" if rows else "nothing waits for a person"
        empty.put([((f"  {said}", "quiet"),)])

    def apply_filter(self) -> None:
        """Keep what the filter asks for."""
        self.refresh_body()

    def names(self) -> dict[str, str]:
        """Name the highlighted intent."""
        row = self.table.highlighted
        intent = self.rows().get(row.key) if row else None
        if intent is None:
            return {}
        return {
            "intent": intent["id"],
            "id": intent["id"],
            "pipeline": intent["pipeline"],
            "revision": str(intent["revision"]),
        }

    def on_row_table_highlighted(self, event: Highlighted) -> None:
        """Read what the highlighted one is about."""
        id_, access = event.row.key, self.ui.access
        self.ui.fetch(lambda: access.intent(id_), self._preview, failed=lambda error: None, group="preview")

    def _preview(self, view: Mapping[str, Any]) -> None:
        if self.ready and view["intent"]["id"] == self.names().get("id"):
            cells = max(40, self.size.width - 6)
            lines = question_lines(Question(view), cells=cells, glyphs=self.glyphs)
            self.query_one("#preview", Painted).put(lines)

    def on_row_table_selected(self, event: Selected) -> None:
        """Open the question."""
        self.ui.visit(Place("prompt", event.row.key))

    def do_attention(self) -> None:
        """Show what is decided as well, or only what waits."""
        self.everything = not self.everything
        self.fetch()
        self.refresh_all()


def _order(intent: Mapping[str, Any] | None) -> tuple[Any, ...]:
    """Put what waits first, by deadline; then what is decided, the newest first."""
    if intent is None:
        return (2, "", "")
    if intent["state"] in AWAITED:
        return (0, deadline_of(intent) or "9", intent["id"])
    newest = "".join(chr(0x10FFFF - ord(sign)) for sign in str(intent.get("created_at") or ""))
    return (1, newest, intent["id"])
