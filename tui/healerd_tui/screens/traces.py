"""The decisions, the newest first, of one pipeline or of all. Must never hold more of them than are looked at."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical

from healerd_tui.formats import say_share
from healerd_tui.glyphs import GlyphSet
from healerd_tui.inert import show
from healerd_tui.neighbours import neighbour
from healerd_tui.places import Place
from healerd_tui.screens.frame import Frame, bindings
from healerd_tui.screens.lines import Painted
from healerd_tui.view import parse_query, say_when
from healerd_tui.widgets import Column, Row, RowList, Selected, Source

__all__ = ["TracesScreen"]

COLUMNS = (
    Column("at", "TIME (UTC)", 17),
    Column("pipeline", "PIPELINE", 14),
    Column("chosen", "DECISION", 18),
    Column("level", "LEVEL", 16),
    Column("sure", "SURE", 6, align="right"),
    Column("author", "BY", 9),
    Column("reason", "WHY", 30, flex=True),
    Column("id", "ID", 12),
)
NARROW = (COLUMNS[0], COLUMNS[2], COLUMNS[4], COLUMNS[6])


class TracesScreen(Frame):
    """A list of decisions."""

    PLACES: ClassVar[tuple[str, ...]] = ("traces", "list")
    BINDINGS: ClassVar[list[Any]] = bindings("traces")
    ABOUT = (
        "Every decision, the newest first. Enter shows all it stood on; space marks one, d compares with it. "
        "A filter is a text that the record holds, or `rule=NAME` for the decisions in which a rule acted or proposed."
    )

    def __init__(self, pipeline: str = "", *, keep: str = "") -> None:
        super().__init__()
        self.pipeline = pipeline
        self.deciding_only = False
        self.filter_text = keep

    def trail(self) -> str:
        """Say whose decisions these are."""
        arrow = "›" if self.glyphs is not GlyphSet.ASCII else ">"
        return f"healerd {arrow} {self.pipeline} {arrow} traces" if self.pipeline else f"healerd {arrow} traces"

    def body(self) -> ComposeResult:
        """Give the list."""
        with Vertical(id="panel", classes="panel") as panel:
            panel.border_title = "Decisions"
            yield RowList(COLUMNS, self._source(), glyphs=self.glyphs)
            yield Painted(id="foot")

    @property
    def list(self) -> RowList:
        """The list."""
        return self.query_one(RowList)

    def _source(self) -> Source:
        text, only = _asked_text(self.filter_text), self.deciding_only

        async def page(after: str | None, limit: int) -> Sequence[Row]:
            access, name = self.ui.access, self.pipeline or None
            before = int(after.partition(" ")[0]) if after else None
            while True:
                asked = before
                view = await asyncio.to_thread(
                    lambda: access.traces(pipeline=name, limit=limit, before=asked, text=text)  # noqa: B023 - awaited here
                )
                rows = [self._row(line) for line in view["traces"] if not (only and line["held"])]
                before = view["before"]
                if rows or not view["traces"] or before is None:
                    return rows

        return Source(page=page)

    def _row(self, line: Mapping[str, Any]) -> Row:
        held = line["held"]
        cells = {
            "at": (say_when(line["at"], None), "quiet"),
            "pipeline": (line["pipeline"], ""),
            "chosen": (f"{line['chosen']} {line['target'] or ''}".strip(), "quiet" if held else "title"),
            "level": (line["level"], "quiet" if held else ""),
            "sure": (say_share(line["confidence"]), ""),
            "author": (line["author"], "quiet" if line["author"] == "daemon" else ""),
            "reason": (line["reason"], "quiet" if held else ""),
            "id": (line["id"], "quiet"),
        }
        return Row(f"{line.get('seq', 0)} {line['id']}", tuple(cells[column.key] for column in self._columns()), "")

    def _columns(self) -> tuple[Column, ...]:
        return NARROW if (self.size.width or self.ui.size.width) < 100 else COLUMNS

    async def on_resize(self) -> None:
        """Choose the columns that fit."""
        self.list.set_columns(self._columns())
        await self.list.show(self._source())

    def fetch(self) -> None:
        """Begin at the newest decision again."""
        self._query()

    @work(group="query", exclusive=True)
    async def _query(self) -> None:
        await self.list.show(self._source())

    def focus_body(self) -> None:
        """Give the keys to the list."""
        self.list.focus()

    def refresh_body(self) -> None:
        """Say how the list is kept short."""
        only = "only what acted (!)" if self.deciding_only else "! only what acted"
        kept = f"filter: {self.filter_text} (esc drops it)" if self.filter_text else "/ filter"
        self.query_one("#foot", Painted).put([((show(f" space mark  d diff  {only}  {kept}"), "quiet"),)])

    def apply_filter(self) -> None:
        """Ask for what the filter says."""
        self.refresh_body()
        self.fetch()

    def do_attention(self) -> None:
        """Show only decisions to act, or all."""
        self.deciding_only = not self.deciding_only
        self.apply_filter()

    def names(self) -> dict[str, str]:
        """Name the highlighted decision."""
        row = self.list.highlighted
        if row is None:
            return {"pipeline": self.pipeline}
        id_ = row.key.partition(" ")[2]
        return {"decision": id_, "id": id_, "pipeline": self.pipeline}

    def as_command(self) -> str:
        """Write the list as a command."""
        return f"healerd trace list {self.pipeline}" if self.pipeline else "healerd trace list"

    def on_row_list_selected(self, event: Selected) -> None:
        """Show the decision."""
        self.ui.visit(Place("trace", event.row.key.partition(" ")[2]))

    def do_export(self) -> None:
        """Write the highlighted decision into a file."""
        access, id_ = self.ui.access, self.names()["decision"]
        self.ui.export(lambda: access.trace(id_))

    def do_diff(self) -> None:
        """Compare the highlighted one with the marked one, or with the one before on its pipeline."""
        marked = [key.partition(" ")[2] for key in self.list.marked]
        here = self.names()["decision"]
        others = [each for each in marked if each != here]
        if others:
            self.ui.visit(Place("diff", f"{others[-1]} {here}"))
            return
        access = self.ui.access

        def before() -> str | None:
            return neighbour(access, self.pipeline or access.trace(here)["decision"]["pipeline"], here, +1)

        def compare(other: str | None) -> None:
            if other is None:
                self.ui.say("diff: there is no decision before this one; mark another (space)")
            else:
                self.ui.visit(Place("diff", f"{other} {here}"))

        self.follow(before, compare, group="step")


def _asked_text(filter_text: str) -> str | None:
    """Write a filter as the text that records are searched for; a rule is named in a record as acting or proposing."""
    query = parse_query(filter_text, {"rule"})
    named = f'"rule":"{query["rule"]}"' if query.get("rule") else None
    return named or query["text"]
