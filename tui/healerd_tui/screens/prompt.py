"""The question an intent puts to a person, with everything needed to answer it. It must never open by itself, and never
let the countdown run on while the daemon, whose clock it is, is away.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Input

from healerd.errors import HealerdError
from healerd.model import AWAITED
from healerd_tui.glyphs import GlyphSet
from healerd_tui.inert import show
from healerd_tui.question import (
    Question,
    answered_by,
    consequence,
    is_grave,
    preset_lines,
    question_lines,
    resolving,
    summary,
)
from healerd_tui.screens.answering import PLACEHOLDER, Answering
from healerd_tui.screens.frame import TOO_SMALL, bindings, small_lines
from healerd_tui.screens.lines import KeyLine, Painted
from healerd_tui.state import instant, pending, seconds_left
from healerd_tui.view import Line, head

__all__ = ["PromptScreen"]

REREAD_S = 3.0
"""How often the open prompt is read again, which also tells others that it is being reviewed."""


class PromptScreen(Answering):
    """One intent, with everything needed to answer it."""

    PLACES: ClassVar[tuple[str, ...]] = ("prompt",)
    BINDINGS: ClassVar[list[Any]] = [
        *bindings("prompt", skip=("quit",)),
        Binding("enter", "confirm", show=False),
    ]
    ABOUT = (
        "What healerd wants to do, why, how sure it is, what else it could do, and what happens if nobody answers. "
        "v stops it: choose a reason with 1 to 5 or type one, then enter. a arms an approval and says what it will "
        "do; enter lets it run, or the pipeline's name where the risk is high. Esc leaves it open. "
        "The first answer wins; the prompt stays until the daemon has acknowledged it."
    )

    _read_s = 0.0

    def compose(self) -> ComposeResult:
        """Put the parts together: the evidence scrolls, the answer stays in sight."""
        yield Painted(id="head")
        with Vertical(id="question", classes="panel"):
            yield Painted(id="summary")
            with VerticalScroll(id="evidence"):
                yield Painted(id="lines")
            yield Painted(id="status")
            yield Painted(id="presets")
            yield Input(id="reason", placeholder=PLACEHOLDER, compact=True, select_on_focus=False)
            with Horizontal(id="buttons"):
                yield Button("v  VETO", id="veto", compact=True)
                yield Button("a  approve", id="approve", compact=True)
                yield Button("e  evidence", id="more", compact=True)
                yield Button("esc  leave open", id="leave", compact=True)
        yield KeyLine()
        yield Painted(id="small")

    def on_mount(self) -> None:
        """Read the intent; the keys are for reading until there was time to."""
        self.opened_s = self.ui.monotonic()
        self.query_one("#reason", Input).can_focus = False
        self.query_one("#evidence").focus()
        self.fetch()
        self.set_interval(REREAD_S, self.fetch)
        self.refresh_all()

    def on_resize(self) -> None:
        """Break the lines anew; what can no longer be read is not approved."""
        if self.ready and self.is_small and self.step == "approve":
            self.end_step()
        self.refresh_all()

    # reading

    def fetch(self) -> None:
        """Read the intent again, unless an answer is under way."""
        if self.sending or (not self.state.live and self.question is not None):
            return
        access, id_, live = self.ui.access, self.intent_id, self.state.live and not self.ui.read_only

        def look() -> Mapping[str, Any]:
            view: Mapping[str, Any] = access.intent(id_, reviewing=True) if live else access.intent(id_)
            return view

        self.ui.fetch(look, self._take, failed=self._not_read, group=f"prompt {id_}")

    def _take(self, view: Mapping[str, Any]) -> None:
        if not self.ready:
            return
        self.question, self._read_s = Question(view), self.ui.monotonic()
        revision = self.question.revision
        if self.read_revision is None:
            self.read_revision = revision
        elif revision != self.read_revision:
            self._evidence_changed(revision)
        if self.step and self.step not in self.question.answers:
            self.end_step()
        self.refresh_all()

    def _evidence_changed(self, revision: int) -> None:
        """Disarm: what was read is not what would be answered."""
        self.changed, self.read_revision = True, revision
        if self.step == "approve":
            self.end_step()
        self.opened_s = self.ui.monotonic()

    def _not_read(self, error: HealerdError) -> None:
        if self.ready:
            self.error = str(error)
            self.refresh_all()

    def refresh_all(self) -> None:
        """Show what is known now; a leaf that moved this intent has it read again."""
        if not self.ready:
            return
        known = self.state.intents.get(self.intent_id)
        if known is not None and self.question is not None and not self.sending and self._is_newer(known):
            self.fetch()
        self.tick()
        self.show_question()

    def _is_newer(self, known: Mapping[str, Any]) -> bool:
        assert self.question is not None
        shown = self.question.intent
        moved = known["state"] != shown["state"] and shown["state"] in AWAITED
        return moved or int(known["revision"]) > int(shown["revision"])

    def tick(self) -> None:
        """Let the countdown run by the daemon's clock; it stands still while the daemon is away."""
        if not self.ready:
            return
        ui, cells = self.ui, self.size.width or self.app.size.width
        trail = (
            f"healerd › inbox › {self.intent_id}"
            if ui.glyphs is not GlyphSet.ASCII
            else f"healerd > inbox > {self.intent_id}"
        )
        first = head(
            ui.state,
            trail=trail,
            title="",
            read_only=ui.read_only,
            monotonic_s=ui.monotonic(),
            cells=cells,
            glyphs=ui.glyphs,
        )
        self.query_one("#head", Painted).put([first])
        self.query_one("#small", Painted).put(
            small_lines(ui.state, ui.daemon_now(), cells, self.size.height, ui.glyphs)
        )
        if self.question is not None:
            lines = summary(self.question, left_s=self._left(), of_s=self._window(), cells=cells - 4, glyphs=ui.glyphs)
            self.query_one("#summary", Painted).put(lines)
        self.query_one("#status", Painted).put(self._status())
        self._show_place()

    def _left(self) -> float | None:
        """Count what is left: None while the daemon is away, since only its clock counts."""
        assert self.question is not None
        return seconds_left(self.question.review, self.ui.daemon_now()) if self.state.live else None

    def _window(self) -> float | None:
        """Give what is counted down from: all the time for an approval while one is missing, then the veto window."""
        assert self.question is not None
        review = self.question.review
        lacking = any(not need.get("given_by") for need in review.get("approvals") or ())
        if review.get("veto_within_s") and not lacking:
            return float(review["veto_within_s"])
        if not review.get("deadline_at"):
            return None
        return (instant(review["deadline_at"]) - instant(self.question.intent["created_at"])).total_seconds()

    def _show_place(self) -> None:
        ids = [intent["id"] for intent in pending(self.state)]
        panel = self.query_one("#question")
        panel.border_title = "Decision needed" if self.question is None or self.question.waits else "Decided"
        panel.border_subtitle = f"{ids.index(self.intent_id) + 1} of {len(ids)}" if self.intent_id in ids else ""

    def show_question(self) -> None:
        """Show the evidence, and how the answer stands."""
        cells = (self.size.width or self.app.size.width) - 6
        if self.question is not None:
            lines = question_lines(self.question, cells=cells, glyphs=self.glyphs, open_evidence=self.everything)
            self.query_one("#lines", Painted).put(lines)
        else:
            self.query_one("#lines", Painted).put([((self.error or "reading the evidence", "quiet"),)])
        self.query_one("#presets", Painted).put(self._presets(cells))
        self.query_one("#reason", Input).display = bool(self.step)
        self.query_one("#veto", Button).disabled = bool(self.why_not("veto"))
        self.query_one("#approve", Button).disabled = bool(self.why_not("approve"))
        self.query_one("#status", Painted).put(self._status())
        self.query_one(KeyLine).refresh()

    def _presets(self, cells: int) -> tuple[Line, ...]:
        if self.step == "approve" and self.question is not None and is_grave(self.question):
            name = show(self.question.intent["pipeline"])
            return ((("TYPE ", "label"), (name, "strong"), (" to let it run", "")),)
        return preset_lines(cells, open_=bool(self.step))

    def _status(self) -> list[Line]:
        """Say, in one or two lines, how the answer stands: the newest and most pressing first."""
        question = self.question
        if question is None:
            return [()]
        lines = list(self._how_it_stands(question))
        if self.error:
            lines.append(((self.error, "failed"),))
        if not question.answers:
            return lines[:2]
        if self.changed:
            lines.append(((f"evidence changed, re-read: it is revision {question.revision} now", "drift"),))
        if not self.state.live and not self.ui.replay:
            lines.append(((f"{self.why_not('veto')}", "failed"),))
        elif self.step:
            does = "enter confirms" if self.step == "veto" or not is_grave(question) else "type the name, then enter"
            lines.append(((f"{consequence(question, self.step)}. {does}; esc takes it back", "strong"),))
        elif (seconds := self._left()) is not None and seconds <= 0 and not self.ui.replay:
            lines.append((("the deadline has passed: silence decides now, unless your veto is faster", "failed"),))
        return [*lines, self._others()][:2]

    def _how_it_stands(self, question: Question) -> Iterator[Line]:
        if self.cut_short:
            yield (("this ended while you typed: nothing was sent, and keys are ignored until esc", "failed"),)
        if self.acknowledged:
            yield ((self.acknowledged, "ok"),)
        elif self.sending:
            yield ((f"{self.sending}: waiting for the daemon to acknowledge", "watch"),)
        elif question.needs_person:
            yield ((resolving(question), "strong"),)
        elif not question.waits:
            left = "a veto still stops it" if question.answers else "nothing is left to answer; esc closes"
            yield ((answered_by(question), "drift"), (f"  {left}", "quiet"))

    def _others(self) -> Line:
        assert self.question is not None
        if self.is_small:
            return () if self.step else ((f"{self._stop_it()}{TOO_SMALL}", "quiet"),)
        others = [each for each in self.question.view.get("reviewing") or () if each["name"] != self.state.you]
        reading = ", ".join(f"{each['name']} is reviewing ({each['seconds']:.0f} s)" for each in others[:3])
        final = f"you answer revision {self.question.revision}; the first answer wins"
        return ((f"{reading}   " if reading else "", "watch"), (final, "quiet"))

    def _stop_it(self) -> str:
        """Name what a veto stops where nothing else of the question is shown."""
        assert self.question is not None
        intent = self.question.intent
        return "" if self.why_not("veto") else f"v stops the {show(intent['action'])} of {show(intent['pipeline'])}; "
