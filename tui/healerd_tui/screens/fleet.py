"""Every pipeline at a glance, the most urgent first. Must never refill the table: rows change where they stand."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical

from healerd_tui.filters import compile_filter
from healerd_tui.formats import say_count
from healerd_tui.glyphs import GlyphSet, urgency
from healerd_tui.inert import show, wrap
from healerd_tui.places import Place
from healerd_tui.screens.confirm import ConfirmScreen
from healerd_tui.screens.frame import Frame, bindings
from healerd_tui.screens.lines import Painted
from healerd_tui.state import Conn, State
from healerd_tui.view import Line, first_waiting, fleet_cells
from healerd_tui.widgets import Column, Row, RowTable, Selected

__all__ = ["FleetScreen"]

NARROW = (
    Column("pipeline", "PIPELINE", 14, flex=True),
    Column("state", "STATE", 11),
    Column("health_short", "HEALTH", 7, align="right"),
    Column("last", "LAST ACTION", 25, flex=True),
    Column("veto_in", "VETO IN", 8, align="right"),
)
NORMAL = (
    Column("pipeline", "PIPELINE", 15, flex=True),
    Column("state", "STATE", 10),
    Column("health", "HEALTH", 12),
    Column("drift", "DRIFT", 6, align="right"),
    Column("ks_p", "KS p", 6),
    Column("model", "MODEL", 8),
    Column("last", "LAST ACTION", 22, flex=True),
    Column("cooldown", "COOLDOWN", 8),
    Column("veto_in", "VETO IN", 8),
    Column("trend", "24H", 8),
)
MODEL_WIDE = Column("model", "MODEL", 16, flex=True)
WIDE = (
    *NORMAL[:2],
    Column("stage", "STAGE", 8),
    *(MODEL_WIDE if each.key == "model" else each for each in NORMAL[2:]),
    Column("incident", "INCIDENT", 30, flex=True),
)
NARROW_BELOW, WIDE_FROM = 100, 140
CALM = ("ok",)
REDRAW_S = 30.0
"""So often every row is drawn, for the sake of the ages in it."""
STATE_ASCII = 13
SPARED = ("incident", "trend", "ks_p", "model", "cooldown", "drift")
"""Columns that go first where there is no room for all."""


class FleetScreen(Frame):
    """The first view: one row a pipeline."""

    PLACES: ClassVar[tuple[str, ...]] = ("fleet", "list")
    BINDINGS: ClassVar[list[Any]] = bindings("fleet")
    ABOUT = (
        "Every pipeline, the most urgent first: what waits for a person, then what failed, then what drifts. "
        "HEALTH is the share of right answers against the reference, DRIFT the largest shift of a feature, "
        "VETO IN what is left of the time in which a person may say no. 24H shows the drift of the last day. "
        "Enter opens a pipeline, n the next question."
    )

    def body(self) -> ComposeResult:
        """Give the table with its line below."""
        with Vertical(id="panel", classes="panel") as panel:
            panel.border_title = "Fleet"
            yield RowTable(NORMAL, glyphs=self.glyphs)
            yield Painted(id="foot")
            yield Painted(id="empty", classes="empty")

    attention, wide = False, False
    _sorted: tuple[str, bool] | None = None
    _columns: tuple[Column, ...] = NORMAL
    _drawn: Mapping[str, Mapping[str, Any]] = {}
    _look: Any = None
    _waiting: Mapping[str, Mapping[str, Any]] = {}
    _filter = staticmethod(compile_filter(""))

    @property
    def table(self) -> RowTable:
        """The table."""
        return self.query_one(RowTable)

    def refresh_body(self) -> None:
        """Put every row where it belongs, with the columns that fit."""
        columns = self._fitting()
        if columns != self._columns:
            self._columns = columns
            self.table.set_columns(columns)
        state = self.state
        self._filter = compile_filter(self.filter_text)
        if gone := self._drawn.keys() - state.pipelines.keys():
            self.table.drop(sorted(gone))
        self._draw_rows(state)
        self.table.order(self._order, reverse=self._sorted is not None and self._sorted[1])
        self.table.keep(self._keeps)
        self._say_foot(state)

    def _draw_rows(self, state: State) -> None:
        """Draw the rows of what has changed and of what counts down; now and then all, since ages are words too."""
        at, was = self.ui.daemon_now(), self._waiting
        self._waiting = first_waiting(state)
        look = (self._columns, state.conn, self.ui.monotonic() // REDRAW_S)
        drawn = self._drawn if look == self._look else {}
        self._look, self._drawn = look, state.pipelines
        rows = [
            self._row(view, at)
            for name, view in state.pipelines.items()
            if drawn.get(name) is not view or view["open"] or name in self._waiting or name in was
        ]
        if rows:
            self.table.put(rows)

    def tick(self) -> None:
        """Let the countdowns run, and the ages."""
        super().tick()
        if self.ready and self.state.live:
            self._draw_rows(self.state)

    def on_resize(self) -> None:
        """Choose the columns that fit."""
        self.refresh_all()

    def focus_body(self) -> None:
        """Give the keys to the table."""
        self.table.focus()

    def _fitting(self) -> tuple[Column, ...]:
        """Choose the columns; in ASCII the sign of a state is wider."""
        columns = self._of_width()
        if self.glyphs is GlyphSet.ASCII:
            columns = tuple(Column("state", "STATE", STATE_ASCII) if each.key == "state" else each for each in columns)
        for key in SPARED:
            if sum(each.width + 1 for each in columns) + 1 > self.size.width - 2 and not self.wide:
                columns = tuple(each for each in columns if each.key != key)
        return columns

    def _of_width(self) -> tuple[Column, ...]:
        if self.size.width < NARROW_BELOW and not self.wide:
            return NARROW
        return WIDE if (self.size.width >= WIDE_FROM) != self.wide or self.wide else NORMAL

    def _row(self, view: Mapping[str, Any], at: Any) -> Row:
        waiting = self._waiting.get(view["name"])
        cells = fleet_cells(view, waiting=waiting, live=self.state.live, at=at, glyphs=self.glyphs)
        role = "quiet" if self.state.conn == Conn.STALE else ""
        return Row(view["name"], tuple(cells[column.key] for column in self._columns), role)

    def _order(self, key: str) -> Any:
        view = self.state.pipelines.get(key, {"state": "stale", "open": ()})
        if self._sorted is None or self._sorted[0] in {"state", "veto_in"}:
            deadlines = [each.get("deadline_at") or "9" for each in view["open"]]
            return (urgency(view["state"]), min(deadlines, default="9") if deadlines else "9", key)
        return _sort_key(view, self._sorted[0]), key

    def _keeps(self, key: str) -> bool:
        view = self.state.pipelines.get(key)
        if view is None or (self.attention and view["state"] in CALM):
            return False
        return not self.filter_text or self._filter(self._fields(view))

    @staticmethod
    def _fields(view: Mapping[str, Any]) -> dict[str, str]:
        incident = view.get("incident") or {}
        return {
            "pipeline": view["name"],
            "state": view["state"],
            "stage": view["stage"],
            "model": view.get("version") or "",
            "incident": incident.get("reason", ""),
        }

    def _say_foot(self, state: State) -> None:
        shown, total = sum(map(self._keeps, state.pipelines)), len(state.pipelines)
        calm = sum(view["state"] in CALM for view in state.pipelines.values())
        dot = " · " if self.glyphs is not GlyphSet.ASCII else " - "
        parts = [
            f"{say_count(shown)} of {say_count(total)} shown"
            if shown != total
            else f"{say_count(total)} pipeline{'' if total == 1 else 's'}"
        ]
        parts += ["attention (!)"] if self.attention else []
        parts += [f"filter: {self.filter_text}"] if self.filter_text else []
        by, turned = self._sorted or ("urgency", False)
        parts += [f"sorted by {by}{', turned about' if turned else ''}"]
        parts += [f"{calm} OK hidden"] if self.attention and calm else []
        away: Line = ((f"  {show(state.lost_why)}", "failed"),) if state.lost_why and state.pipelines else ()
        self.query_one("#foot", Painted).put([((f" {dot.join(parts)}", "quiet"), *away)])
        self._say_empty(state, shown)

    def _say_empty(self, state: State, shown: int) -> None:
        empty = self.query_one("#empty", Painted)
        empty.display = shown == 0
        if state.conn == Conn.CONNECTING:
            words = ["asking the daemon how everything stands"]
        elif not state.pipelines and state.lost_why:
            words = [state.lost_why]
        elif not state.pipelines:
            words = ["no pipeline yet: name one in healerd.toml, then restart `healerd run`"]
        elif self.filter_text:
            words = [f"nothing matches `{self.filter_text}`; esc drops the filter"]
        else:
            words = ["nothing needs you: every pipeline is OK; ! shows them all"]
        role = "failed" if state.lost_why and not state.pipelines else "quiet"
        cells = max(20, self.size.width - 6)
        empty.put([((line, role),) for each in words for line in wrap(each, cells)])

    # keys

    def names(self) -> dict[str, str]:
        """Name the highlighted pipeline."""
        row = self.table.highlighted
        view = self.state.pipelines.get(row.key) if row else None
        if view is None:
            return {}
        return {"pipeline": view["name"], "id": view["name"], "revision": view["revision"]}

    def can(self) -> Iterable[str]:
        """Say that the rows can be sorted."""
        return ("sortable",)

    def on_row_table_selected(self, event: Selected) -> None:
        """Open the pipeline."""
        self.ui.visit(Place("pipeline", event.row.key))

    def sort_by(self, column: str, *, reverse: bool) -> None:
        """Sort by another column."""
        self._sorted = (column, reverse)
        self.refresh_body()

    def apply_filter(self) -> None:
        """Keep what the filter asks for."""
        self._filter = compile_filter(self.filter_text)
        self.table.keep(self._keeps)
        self._say_foot(self.state)

    def do_attention(self) -> None:
        """Show only what needs attention, or everything."""
        self.attention = not self.attention
        self.apply_filter()

    def do_wide(self) -> None:
        """Show more columns, or fewer."""
        self.wide = not self.wide
        self.refresh_body()

    def do_traces(self) -> None:
        """List the decisions about the highlighted pipeline."""
        self.ui.visit(Place("traces", self.names()["pipeline"]))

    def do_pause(self) -> None:
        """Ask whether to pause it."""
        self.ui.push_screen(ConfirmScreen("pause", self.names()))

    def do_resume(self) -> None:
        """Ask whether to end its pause."""
        self.ui.push_screen(ConfirmScreen("resume", self.names()))

    def do_propose(self) -> None:
        """Ask what to propose."""
        self.ui.push_screen(ConfirmScreen("propose", self.names()))


def _sort_key(view: Mapping[str, Any], column: str) -> Any:
    match column:
        case "pipeline":
            return view["name"]
        case "health" | "health_short":
            return view.get("health") if view.get("health") is not None else 101.0
        case "drift" | "trend":
            return -(view.get("drift") or 0.0)
        case "ks_p":
            return view.get("ks_p") if view.get("ks_p") is not None else 2.0
        case "model":
            return view.get("version") or ""
        case "cooldown":
            return view.get("cooldown_until") or "9"
        case "stage":
            return view["stage"]
        case _:
            return ((view.get("last_action") or {}).get("at") or "", view["name"])
