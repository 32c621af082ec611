"""One decision with everything it stood on and what came of it: as a tree, a page, a diagram of causes, or JSON.

Must never show what is not in the trace: its words are those of `healerd trace show`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Tree

from healerd.client import trace_steps
from healerd_tui.glyphs import GlyphSet, sign
from healerd_tui.inert import clip, inert, pad, show, wrap
from healerd_tui.neighbours import neighbour
from healerd_tui.places import Place
from healerd_tui.screens.frame import Frame, bindings
from healerd_tui.screens.lines import Painted
from healerd_tui.view import Line, say_when

__all__ = ["TraceScreen"]

JSON_MAX = 200_000
OPEN_MAX = 12
"""A step of more rows than these begins closed, unless something is sought."""


class TraceScreen(Frame):
    """A trace: its steps at the left, in plain words at the right."""

    PLACES: ClassVar[tuple[str, ...]] = ("trace",)
    BINDINGS: ClassVar[list[Any]] = bindings("trace")
    ABOUT = (
        "One decision, step by step: what was measured, the facts, the rules, the policy, the gate, the people, the "
        "action and its outcome. Enter opens and closes a step. d compares it with the decision before, [ and ] go "
        "to the older and the newer one. c draws the causes, p is the page, x shows the record itself; "
        "/ finds a text in any of them."
    )

    def __init__(self, decision_id: str) -> None:
        super().__init__()
        self.decision_id = decision_id
        self.view: Mapping[str, Any] | None = None
        self.shape = "tree"
        self._cells = 0

    def trail(self) -> str:
        """Say which decision this is."""
        arrow = "›" if self.glyphs is not GlyphSet.ASCII else ">"
        name = f"{self.view['decision']['pipeline']} {arrow} " if self.view else ""
        return f"healerd {arrow} {name}traces {arrow} {self.decision_id}"

    def body(self) -> ComposeResult:
        """Give the tree, the words, and the page that may take their place."""
        with Horizontal(id="sides"):
            with Vertical(id="tree-panel", classes="panel"):
                tree: Tree[str] = Tree("trace")
                tree.show_root = False
                tree.guide_depth = 2
                if self.glyphs is GlyphSet.ASCII:
                    tree.show_guides = False
                    tree.ICON_NODE, tree.ICON_NODE_EXPANDED = "> ", "v "
                yield tree
            with VerticalScroll(id="words-panel", classes="panel"):
                yield Painted(id="words")
        with VerticalScroll(id="page-panel", classes="panel"):
            yield Painted(id="page")

    def fetch(self) -> None:
        """Read the trace."""
        access, id_ = self.ui.access, self.decision_id
        self.ui.fetch(lambda: access.trace(id_), self._take, group="trace")

    def _take(self, view: Mapping[str, Any]) -> None:
        if not self.ready or self.view == view:
            return
        self.view = view
        decision = view["decision"]
        panel = self.query_one("#tree-panel")
        panel.border_title = inert(f"trace {decision['id']}  {decision['pipeline']}  {say_when(decision['at'], None)}")
        self.query_one("#words-panel").border_title = "in plain words"
        self._cells = self.query_one(Tree).size.width
        self._grow(trace_steps(view))
        self._say()
        self.refresh_all()
        if not self.bar_is_open:  # what is being typed must not become keys
            self.focus_body()

    def _grow(self, steps: Sequence[Mapping[str, Any]]) -> None:
        tree = self.query_one(Tree)
        tree.clear()
        styles, more = self.ui.styles_by_role, sign("more", self.glyphs)
        name_cells, value_cells, note_cells = _widths(max(40, tree.size.width - 6))
        for number, step in enumerate(steps, 1):
            label = inert(f"{number} {step['step'].upper()}  ")
            label.append(show(step["title"]), styles.get("quiet"))
            rows = [row for row in step["rows"] if not self.filter_text or self._sought(_row_text(row))]
            branch = tree.root.add(label, expand=bool(self.filter_text) or len(rows) <= OPEN_MAX)
            for row in rows:
                name = pad(str(row["name"]), name_cells, more=more)
                note = str(row.get("note") or "")
                room = value_cells if note else value_cells + 1 + note_cells
                leaf = inert(f"{name} {pad(_value(row.get('value')), room, more=more)}")
                if note:
                    leaf.append(f" {clip(note, note_cells, more=more)}", styles.get("quiet"))
                branch.add_leaf(leaf)
        tree.root.expand()

    def _say(self) -> None:
        assert self.view is not None
        cells = max(20, self.query_one("#words-panel").size.width - 3)
        lines: list[Line] = []
        for sentence in self.view["said"]:
            lines += [((line, ""),) for line in wrap(sentence, cells)] + [()]
        self.query_one("#words", Painted).put(lines)

    def refresh_body(self) -> None:
        """Show the tree or the page."""
        self.query_one("#sides").display = self.shape == "tree"
        self.query_one("#page-panel").display = self.shape != "tree"
        if self.view is not None and self.shape != "tree":
            cells = max(20, self.size.width - 6)
            if self.shape == "diagram":
                told = [_arrowed(line, self.glyphs) for line in self.view["diagram"].splitlines()]
            else:
                raw = self.shape == "raw"
                text = json.dumps(self.view["decision"], indent=1)[:JSON_MAX] if raw else self.view["page"]
                told = [line for part in text.splitlines() for line in wrap(part, cells)]
            self.query_one("#page", Painted).put([((line, "title" if self._sought(line) else ""),) for line in told])
        elif self.view is not None:
            self._say()

    def on_resize(self) -> None:
        """Fit the tree and the words anew."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        cells = self.query_one(Tree).size.width
        if self.view is not None and cells and cells != self._cells:
            self._cells = cells
            self._grow(trace_steps(self.view))
        self.refresh_all()

    def focus_body(self) -> None:
        """Give the keys to the tree or the page."""
        (self.query_one(Tree) if self.shape == "tree" else self.query_one("#page-panel")).focus()

    def _shape(self, shape: str) -> None:
        self.shape = "tree" if self.shape == shape else shape
        self.refresh_all()
        self.focus_body()

    # keys

    def names(self) -> dict[str, str]:
        """Name the decision."""
        pipeline = self.view["decision"]["pipeline"] if self.view else ""
        return {"decision": self.decision_id, "id": self.decision_id, "pipeline": pipeline}

    def as_command(self) -> str:
        """Write it as a command."""
        return f"healerd trace show {self.decision_id}"

    def apply_filter(self) -> None:
        """Keep the rows of the tree that hold the text, or mark the lines of the page and go to the first."""
        if self.view is None:
            return
        self._grow(trace_steps(self.view))
        self.refresh_all()
        lines = self.query_one("#page", Painted).plain.splitlines()
        first = next((place for place, line in enumerate(lines) if self._sought(line)), None)
        if first is not None:
            self.query_one("#page-panel").scroll_to(y=first, animate=False)

    def _sought(self, text: str) -> bool:
        return bool(self.filter_text) and self.filter_text.casefold() in text.casefold()

    def do_raw(self) -> None:
        """Show the record as JSON."""
        self._shape("raw")

    def do_plain(self) -> None:
        """Show it as a page."""
        self._shape("plain")

    def do_diagram(self) -> None:
        """Show it as a diagram of causes."""
        self._shape("diagram")

    def do_export(self) -> None:
        """Write it into a file."""
        if self.view is not None:
            view = self.view
            self.ui.export(lambda: view)

    def do_older(self) -> None:
        """Show the decision before."""
        self._step(+1, self._move)

    def do_newer(self) -> None:
        """Show the decision after."""
        self._step(-1, self._move)

    def do_diff(self) -> None:
        """Compare with the decision before."""
        self._step(+1, lambda other: self.ui.visit(Place("diff", f"{other} {self.decision_id}")))

    def _step(self, by: int, then: Any) -> None:
        if self.view is None:
            return
        access, name, here = self.ui.access, self.view["decision"]["pipeline"], self.decision_id

        def go(other: str | None) -> None:
            then(other) if other else self.ui.say("there is no further one")

        self.follow(lambda: neighbour(access, name, here, by), go, group="step")

    def _move(self, other: str) -> None:
        self.decision_id = other
        self.fetch()


def _row_text(row: Mapping[str, Any]) -> str:
    return f"{row['name']} {_value(row.get('value'))} {row.get('note') or ''}"


def _arrowed(line: str, glyphs: GlyphSet) -> str:
    """Draw the arrow between two links with the sign that the terminal has for it."""
    return show(line.replace("v", "▼") if line.strip() == "v" and glyphs is not GlyphSet.ASCII else line)


def _widths(cells: int) -> tuple[int, int, int]:
    """Share the cells of a line among a name, its value and a note."""
    name, value = max(18, min(36, cells * 45 // 100)), max(12, min(20, cells // 4))
    return name, value, max(0, cells - name - value - 2)


def _value(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
