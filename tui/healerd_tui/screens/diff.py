"""Two decisions side by side, and the first difference that changed the result. Must never hide a step that differs."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import VerticalScroll

from healerd.client import diff_traces
from healerd_tui.formats import say_number
from healerd_tui.glyphs import GlyphSet
from healerd_tui.inert import inert, pad, show
from healerd_tui.neighbours import neighbour
from healerd_tui.places import Place
from healerd_tui.screens.frame import Frame, bindings
from healerd_tui.screens.lines import Painted
from healerd_tui.view import Line, say_when

__all__ = ["DiffScreen"]


class DiffScreen(Frame):
    """The difference of two traces."""

    PLACES: ClassVar[tuple[str, ...]] = ("diff",)
    BINDINGS: ClassVar[list[Any]] = bindings("diff")
    ABOUT = (
        "Two decisions, step by step: what is the same is dim, what differs has its factor. Above stands the "
        "first difference that changed the result. = hides what is the same; [ and ] move the left one."
    )

    def __init__(self, first: str, second: str) -> None:
        super().__init__()
        self.pair = (first, second)
        self.traces: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None
        self.only_changes = False

    def trail(self) -> str:
        """Say which two these are."""
        arrow = "›" if self.glyphs is not GlyphSet.ASCII else ">"
        return f"healerd {arrow} diff {arrow} {self.pair[0]} {self.pair[1]}"

    def body(self) -> ComposeResult:
        """Give the lines."""
        with VerticalScroll(id="diff-panel", classes="panel"):
            yield Painted(id="lines")

    def fetch(self) -> None:
        """Read both."""
        access, (first, second) = self.ui.access, self.pair
        self.ui.fetch(lambda: (access.trace(first), access.trace(second)), self._take, group="diff")

    def _take(self, traces: tuple[Mapping[str, Any], Mapping[str, Any]]) -> None:
        if not self.ready:
            return
        self.traces = traces
        a, b = (each["decision"] for each in traces)
        title = f"diff {a['id']} ({say_when(a['at'], None)}) vs {b['id']} ({say_when(b['at'], None)})"
        self.query_one("#diff-panel").border_title = inert(title)
        self.refresh_all()
        if not self.bar_is_open:  # what is being typed must not become keys
            self.focus_body()

    def refresh_body(self) -> None:
        """Write the lines."""
        if self.traces is None:
            return
        cells = max(40, self.size.width - 6)
        found = diff_traces(*self.traces)
        self.query_one("#lines", Painted).put(_lines(found, cells, only_changes=self.only_changes))

    def on_resize(self) -> None:
        """Fit the columns anew."""
        self.refresh_all()

    def focus_body(self) -> None:
        """Give the keys to the lines."""
        self.query_one("#diff-panel").focus()

    def names(self) -> dict[str, str]:
        """Name the second decision."""
        return {"decision": self.pair[1], "id": self.pair[1]}

    def as_command(self) -> str:
        """Write it as a command."""
        return f"healerd trace diff {self.pair[0]} {self.pair[1]}"

    def do_only_changes(self) -> None:
        """Hide what is the same, or show it."""
        self.only_changes = not self.only_changes
        self.refresh_all()

    def do_older(self) -> None:
        """Compare with an older one."""
        self._step(+1)

    def do_newer(self) -> None:
        """Compare with a newer one."""
        self._step(-1)

    def _step(self, by: int) -> None:
        if self.traces is None:
            return
        access, (first, second) = self.ui.access, self.pair
        name = self.traces[0]["decision"]["pipeline"]

        def find() -> str | None:
            other = neighbour(access, name, first, by)
            return None if other == second else other

        self.follow(find, self._compare_with, group="step")

    def _compare_with(self, other: str | None) -> None:
        if other is None:
            self.ui.say("there is no further one")
            return
        self.pair = (other, self.pair[1])
        self.fetch()

    def do_open(self) -> None:
        """Show the second decision."""
        self.ui.visit(Place("trace", self.pair[1]))


def _lines(found: Mapping[str, Any], cells: int, *, only_changes: bool) -> Iterator[Line]:
    name, value = max(18, cells * 3 // 10), max(10, cells * 2 // 10)
    yield from _first(found.get("first"))
    yield ()
    heads = pad("", name) + pad(str(found["a"]), value) + pad(str(found["b"]), value)
    yield ((heads, "label"),)
    for step in found["steps"]:
        rows = [row for row in step["rows"] if not (only_changes and row["same"])]
        if only_changes and step["same"]:
            continue
        yield (
            (pad(step["step"].upper(), name), "title"),
            ("the same" if step["same"] else "", "quiet"),
        )
        for row in rows:
            yield _row(row, name, value, cells)


def _row(row: Mapping[str, Any], name: int, value: int, cells: int) -> Line:
    role = "quiet" if row["same"] else ""
    ratio = row.get("ratio")
    note = "" if ratio is None or row["same"] else f"{say_number(ratio, 2)}x"
    if row["a"] is None and not row["same"]:
        note = "added"
    elif row["b"] is None and not row["same"]:
        note = "gone"
    return (
        ("  " if row["same"] else "! ", "drift"),
        (pad(str(row["name"]), name - 2), role),
        (pad(_said(row["a"]), value - 1) + " ", role),
        (pad(_said(row["b"]), value - 1) + " ", role if row["same"] else "strong"),
        (pad(note, max(0, cells - name - 2 * value)), "quiet"),
    )


def _first(first: Mapping[str, Any] | None) -> Iterator[Line]:
    if first is None:
        yield (("the result is the same", "ok"),)
        return
    words = f"{first['step'].upper()}: {first['name']} {_said(first['a'])} → {_said(first['b'])}"
    yield (("first difference that changed the result  ", "label"), (show(words), "drift"))


def _said(value: Any) -> str:
    if value is None:
        return "(absent)"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
