"""Tries another number in a rule on past decisions. Must never change a rule in force; a draft is a new file, and asked
for.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input

from healerd.errors import HealerdError
from healerd_tui.actions import by_id, command
from healerd_tui.inert import inert, show
from healerd_tui.screens.frame import Screened
from healerd_tui.screens.lines import Painted
from healerd_tui.view import Line
from healerd_tui.whatif import Spot, edited, found_lines, numbers_of, write_draft

__all__ = ["WhatIfScreen"]

DAYS = 7
MARGIN = 8


class WhatIfScreen(Screened, ModalScreen[None]):
    """One number, another in its place, and what would have followed."""

    PLACES: ClassVar[tuple[str, ...]] = ("what_if",)
    BINDINGS: ClassVar[list[Any]] = [
        Binding("escape", "leave", show=False),
        Binding("up", "choose(-1)", show=False),
        Binding("down", "choose(1)", show=False),
        Binding("ctrl+s", "save", show=False),
    ]

    def __init__(self, *, pipeline: str, rules_id: str, source: Mapping[str, str], rule: Mapping[str, Any]) -> None:
        super().__init__()
        self.pipeline, self.rules_id, self.source, self.rule = pipeline, rules_id, dict(source), dict(rule)
        self.spots: tuple[Spot, ...] = numbers_of(self.source["text"], int(rule["line"]))
        self.choice, self.saving, self.tried = 0, False, ""

    def compose(self) -> ComposeResult:
        """Put the numbers, the field and what follows together."""
        with Vertical(id="what-if", classes="panel"):
            yield Painted(id="spots")
            yield Input(id="number", compact=True)
            with VerticalScroll(id="found-panel"):
                yield Painted(id="found")
            yield Painted(id="hint")

    def on_mount(self) -> None:
        """Begin at the first number."""
        self.query_one("#what-if").border_title = inert(f"what if: {self.rule['name']}")
        self._show()
        self._take_spot()
        self.query_one("#number", Input).focus()

    @property
    def spot(self) -> Spot:
        """The number that is edited."""
        return self.spots[self.choice]

    @property
    def text(self) -> str:
        """The whole file with the number that is typed."""
        return edited(self.source["text"], self.spot, self.tried)

    def _take_spot(self) -> None:
        self.tried = self.spot.text
        self.query_one("#number", Input).value = self.spot.text

    def _show(self) -> None:
        lines = self.source["text"].splitlines()
        rows: list[Line] = []
        for number, spot in enumerate(self.spots):
            chosen = number == self.choice
            before, after = lines[spot.line - 1][: spot.start], lines[spot.line - 1][spot.start + len(spot.text) :]
            head = (f"{spot.line:>4} ", "quiet")
            rows.append(
                (head, (show(before), ""), (show(spot.text), "badge" if chosen else "strong"), (show(after), ""))
            )
        self.query_one("#spots", Painted).put(rows)
        hint = "enter writes the new file; esc leaves it" if self.saving else HINT
        self.query_one("#hint", Painted).put([((hint, "quiet"),)])

    def _say(self, words: str, role: str = "quiet") -> None:
        self.query_one("#found", Painted).put([((show(words), role),)])

    def action_choose(self, step: int) -> None:
        """Edit another number; what was typed at the one before is dropped."""
        if not self.saving:
            self.choice = (self.choice + step) % len(self.spots)
            self._take_spot()
            self._say("")
            self._show()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Nobody else hears what is typed here."""
        event.stop()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Try the number, or write the draft."""
        event.stop()
        if self.saving:
            self._write(event.value.strip())
            return
        self.tried = event.value.strip()
        if not self.tried or "\n" in self.tried:
            self._say("write a number with its unit, such as 25% or 2h", "failed")
            return
        self._say(f"looking back {DAYS} days")
        access, name, rules_id, path = self.ui.access, self.pipeline, self.rules_id, self.source["path"]
        text, asked = self.text, (self.spot, self.tried)

        def found(view: Mapping[str, Any]) -> None:
            if self._still_asks(asked):
                self._show_found(view)

        def failed(error: HealerdError) -> None:
            if self._still_asks(asked):
                self._say(str(error), "failed")

        self.ui.fetch(
            lambda: access.what_if(name, rules_id=rules_id, path=path, text=text, days=DAYS),
            found,
            failed=failed,
            group="what-if",
        )

    def _still_asks(self, asked: tuple[Spot, str]) -> bool:
        """Tell whether an answer is to what is chosen now, and stands in nothing's way."""
        return self.ready and not self.saving and asked == (self.spot, self.tried)

    def _show_found(self, view: Mapping[str, Any]) -> None:
        cells = max(20, min(self.size.width or 80, 112) - MARGIN)
        words = f"line {self.spot.line}: {self.spot.text} → {self.tried}, the last {DAYS} days of {self.pipeline}"
        self.query_one("#found", Painted).put([((show(words), "label"),), *found_lines(view, cells=cells)])

    def action_save(self) -> None:
        """Ask for the name of a new file."""
        if self.tried == self.spot.text:
            self._say("nothing is edited yet: type another number, and try it with enter")
            return
        self.saving = True
        self.query_one("#number", Input).value = f"{Path(self.source['path']).stem}-draft.heal"
        self._say(f"write the file with {self.spot.text} → {self.tried} into this folder? Nothing comes in force by it")
        self._show()

    def _write(self, name: str) -> None:
        try:
            path = write_draft(self.text, name, Path.cwd())
        except HealerdError as error:
            self._say(str(error), "failed")
            return
        self.saving = False
        self.query_one("#number", Input).value = self.tried
        self._say(f"written: {path}; check it with `healerd rules check {path.name}`", "ok")
        self._show()

    def action_leave(self) -> None:
        """Leave the draft, or close."""
        if self.saving:
            self.saving = False
            self.query_one("#number", Input).value = self.tried
            self._say("no file was written")
            self._show()
        elif self.ui.screen is self:
            self.dismiss()

    def names(self) -> dict[str, str]:
        """Name the pipeline and the rule."""
        return {"pipeline": self.pipeline, "rule": str(self.rule["name"])}

    def as_command(self) -> str:
        """Write it as a command."""
        return command(by_id("what_if"), self.names())


HINT = "enter tries it on the record   up and down choose the number   ctrl+s saves a draft   esc closes"
