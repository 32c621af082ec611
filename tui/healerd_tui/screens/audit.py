"""The record of everything that happened, page by page. Must never load more of it than is looked at."""

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical

from healerd_tui.formats import say_count
from healerd_tui.glyphs import sign
from healerd_tui.inert import show, wrap
from healerd_tui.places import Place
from healerd_tui.screens.frame import Frame, bindings
from healerd_tui.screens.lines import Painted
from healerd_tui.view import Line, parse_query, say_when
from healerd_tui.widgets import Column, Highlighted, Row, RowList, Selected, Source

__all__ = ["AuditScreen"]

COLUMNS = (
    Column("seq", "LEAF", 7, align="right"),
    Column("at", "TIME (UTC)", 17),
    Column("actor", "WHO", 10),
    Column("kind", "KIND", 14),
    Column("pipeline", "PIPELINE", 12),
    Column("said", "WHAT", 30, flex=True),
    Column("chain", "CHAIN", 9),
)
NEWS = "answer,bar,decision,incident,intent,outcome,pause,resolved,stage_change,version"
"""Kinds of leaves that say what was decided and done; the others are bookkeeping."""
NARROW = (COLUMNS[0], COLUMNS[1], COLUMNS[2], COLUMNS[5])


class AuditScreen(Frame):
    """The audit log, the newest leaf first."""

    PLACES: ClassVar[tuple[str, ...]] = ("audit", "list")
    BINDINGS: ClassVar[list[Any]] = bindings("audit")
    TRAIL = "healerd audit"
    ABOUT = (
        "Every leaf of the record, the newest first: who did what, and why. / searches: words, or kind=veto,heal, "
        "actor=bo, pipeline=churn. V recomputes the chain of the whole log. Enter opens the decision behind a leaf."
    )

    verdict: Mapping[str, Any] | None = None
    checkpoint: Mapping[str, Any] | None = None
    news_only = False
    verifying = False

    def body(self) -> ComposeResult:
        """Give the query line, the list and the leaf below."""
        with Vertical(id="panel", classes="panel") as panel:
            panel.border_title = "Audit"
            yield Painted(id="query")
            yield RowList(COLUMNS, self._source(), glyphs=self.glyphs)
            yield Painted(id="leaf")

    @property
    def list(self) -> RowList:
        """The list."""
        return self.query_one(RowList)

    def _source(self) -> Source:
        asked = parse_query(self.filter_text, ("kind", "actor", "pipeline"))
        if self.news_only:
            asked.setdefault("kind", NEWS)

        async def page(after: str | None, limit: int) -> Sequence[Row]:
            access = self.ui.access
            before = int(after) if after else None
            view = await asyncio.to_thread(lambda: access.audit(before=before, limit=limit, **asked))
            if after is None:
                self._take_head(view)
            return [self._row(entry) for entry in view["entries"]]

        return Source(page=page)

    def _take_head(self, view: Mapping[str, Any]) -> None:
        said = view.get("verified")
        if said and (self.verdict is None or self.verdict.get("by") == "daemon"):
            self.verdict = said
        self.checkpoint = view.get("checkpoint")
        self.head_seq = int(view["head"]["seq"])
        self._say_query()

    head_seq = 0

    def _row(self, entry: Mapping[str, Any]) -> Row:
        by_person = entry["actor"] != "daemon"
        cells = {
            "seq": (str(entry["seq"]), "quiet"),
            "at": (say_when(entry["at"], None), "quiet"),
            "actor": (entry["actor"], "title" if by_person else "quiet"),
            "kind": (entry["kind"], ""),
            "pipeline": (entry["pipeline"] or "-", ""),
            "said": (entry["said"], ""),
            "chain": (str(entry.get("chain") or "")[:8], "quiet"),
        }
        return Row(str(entry["seq"]), tuple(cells[column.key] for column in self._columns()), "")

    def _columns(self) -> tuple[Column, ...]:
        return NARROW if (self.size.width or self.ui.size.width) < 100 else COLUMNS

    async def on_resize(self) -> None:
        """Choose the columns that fit."""
        self.list.set_columns(self._columns())
        await self.list.show(self._source())
        self._say_query()

    def refresh_body(self) -> None:
        """Say what is asked and how the chain stands."""
        self._say_query()

    def fetch(self) -> None:
        """Begin at the newest leaf again."""
        self._query()

    @work(group="query", exclusive=True)
    async def _query(self) -> None:
        await self.list.show(self._source())

    def focus_body(self) -> None:
        """Give the keys to the list."""
        self.list.focus()

    def apply_filter(self) -> None:
        """Ask for what the filter says, once typing pauses."""
        self.set_timer(0.15, self.fetch, name="query")
        self._say_query()

    def _say_query(self) -> None:
        everything = "what was decided and done" if self.news_only else "everything"
        asked = self.filter_text or f"{everything} (/ to search, ! {'everything' if self.news_only else 'the news'})"
        leaves = f"{say_count(self.head_seq or self.state.seq)} leaves"
        self.query_one("#query", Painted).put(
            [((" query: ", "label"), (show(asked), ""), ("   ", ""), *self._chain(leaves))]
        )

    def _chain(self, leaves: str) -> Line:
        if self.verifying:
            return ((f"{leaves}, verifying the chain", "watch"),)
        verdict, signed = self.verdict, self._signed()
        if verdict is None:
            return ((f"{leaves}, chain not verified yet (V){signed}", "quiet"),)
        if verdict["sound"]:
            when = say_when(verdict.get("at"), self.ui.daemon_now())
            upto = verdict.get("seq") or verdict.get("leaves")
            part = f" to {say_count(int(upto))}" if upto else ""
            return ((f"{leaves}, chain {sign('check', self.glyphs)} verified{part} {when}{signed}", "ok"),)
        problem = verdict.get("problem") or "; ".join(map(str, verdict.get("problems") or ())) or "unknown"
        return ((f"chain {sign('cross', self.glyphs)} BROKEN: {show(str(problem))}", "failed"),)

    def _signed(self) -> str:
        """Say what the newest checkpoint covers, and how its root begins: to compare with one kept elsewhere."""
        said = self.checkpoint
        return f", signed to {say_count(int(said['seq']))} {show(str(said['root']))[:8]}" if said else ""

    # keys

    def names(self) -> dict[str, str]:
        """Name the highlighted leaf."""
        row = self.list.highlighted
        return {"id": row.key} if row else {}

    def as_command(self) -> str:
        """Write it as a command."""
        asked = parse_query(self.filter_text, ("kind", "actor", "pipeline"))
        options = [f"--{name} {shlex.quote(value)}" for name, value in asked.items() if value]
        return " ".join(["healerd audit list", *options])

    def on_row_list_highlighted(self, event: Highlighted) -> None:
        """Show the whole leaf below."""
        if event.row is not None:
            seq, access = int(event.row.key), self.ui.access
            self.ui.fetch(lambda: access.entry(seq), self._show_leaf, group="leaf", failed=lambda error: None)

    def _show_leaf(self, entry: Mapping[str, Any]) -> None:
        if not self.ready:
            return
        record = entry.get("record") or {}
        words = ", ".join(f"{name} {value}" for name, value in record.items() if isinstance(value, str | int | float))
        cells = max(20, self.size.width - 6)
        lines = wrap(f"{entry['seq']} {entry['kind']} {words}", cells)[:3]
        self.query_one("#leaf", Painted).put([((line, "quiet"),) for line in lines])

    def on_row_list_selected(self, event: Selected) -> None:
        """Open what is behind the leaf: its decision or its intent."""
        seq, access = int(event.row.key), self.ui.access
        self.follow(lambda: access.entry(seq), self._open, group="open")

    def _open(self, entry: Mapping[str, Any]) -> None:
        record = entry.get("record") or {}
        match entry.get("table"):
            case "decision":
                self.ui.visit(Place("trace", record["id"]))
            case "intent":
                self.ui.visit(Place("trace", record["decision_id"]))
            case "answer" | "outcome":
                self.ui.visit(Place("prompt", record["intent_id"]))
            case _ if entry.get("pipeline"):
                self.ui.visit(Place("pipeline", entry["pipeline"]))
            case _:
                self.ui.say("nothing stands behind this leaf but its record")

    def do_attention(self) -> None:
        """Leave out the bookkeeping, or show it again."""
        self.news_only = not self.news_only
        self._say_query()
        self.fetch()

    def do_verify(self) -> None:
        """Recompute the chain of the whole log."""
        if self.verifying:
            return
        self.verifying = True
        self._say_query()
        self.ui.fetch(self.ui.access.verify, self._verified, failed=self._unverified, group="verify")

    def _verified(self, verdict: Mapping[str, Any]) -> None:
        self.verifying, self.verdict = False, verdict
        if self.ready:
            self._say_query()

    def _unverified(self, error: Exception) -> None:
        self.verifying = False
        self.ui.say(str(error), severity="error")
        if self.ready:
            self._say_query()
