"""Asks before anything is changed outside the prompt: pause, resume, propose, stop-all. Must never close before the
daemon acknowledged, never act without a reason, and never propose what was not shown with its plan.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from healerd.client import Client
from healerd.errors import HealerdError
from healerd_tui.actions import by_id, command
from healerd_tui.inert import inert, show
from healerd_tui.question import expected_lines, reason_problem
from healerd_tui.rehearsal import actions_of, plan_lines, rows_of
from healerd_tui.screens.frame import TOO_SMALL, Screened
from healerd_tui.screens.lines import Painted
from healerd_tui.view import Line

__all__ = ["ConfirmScreen"]

CELLS = 70
STOPPING = frozenset({"pause", "stop_all"})
"""What may be done in a terminal too small to read all of the question: to stop is always right."""

SAYS: Mapping[str, str] = {
    "pause": "Nothing heals {pipeline} until somebody resumes it; an undo asks. What runs now is not interrupted.",
    "resume": "Healing of {pipeline} goes on; the pause of {paused_by} ends.",
    "propose": "Ask for a heal of {pipeline}. The guards judge it like any other, and it is recorded as yours.",
    "stop_all": "Nothing runs any more, on any pipeline: no heal, no promotion, no undo.",
    "resume_all": "What was stopped goes on, on every pipeline.",
}


class ConfirmScreen(Screened, ModalScreen[None]):
    """A small question with a reason; for a proposal which action, and what it would do."""

    PLACES: ClassVar[tuple[str, ...]] = ("confirm",)
    BINDINGS: ClassVar[list[Any]] = [
        Binding("escape", "leave", show=False),
        Binding("up", "choose(-1)", show=False),
        Binding("down", "choose(1)", show=False),
    ]

    def __init__(self, action_id: str, names: Mapping[str, str]) -> None:
        super().__init__()
        self.action_id, self.given = action_id, dict(names)
        self.sending, self.choice = False, 0
        self._opened_s, self._planned = 0.0, ""

    def compose(self) -> ComposeResult:
        """Put the question, the field and the buttons together."""
        with Vertical(id="confirm", classes="panel"):
            yield Painted(id="asked")
            yield Painted(id="choices")
            yield Painted(id="plan")
            yield Painted(id="expected")
            yield Input(id="why", placeholder="why, at least 8 characters; kept in the record", compact=True)
            yield Painted(id="trouble")
            with Horizontal(id="buttons"):
                yield Button("enter  do it", id="do", compact=True)
                yield Button("esc  leave", id="leave", compact=True)

    def on_mount(self) -> None:
        """Say what is asked."""
        self._opened_s = self.ui.monotonic()
        panel = self.query_one("#confirm")
        panel.border_title = inert(f"{by_id(self.action_id).word} {self.given.get('pipeline', '')}".strip())
        view = self.state.pipelines.get(self.given.get("pipeline", ""), {})
        paused = view.get("paused") or self.state.stopped or {}
        words = SAYS[self.action_id].format(
            pipeline=show(self.given.get("pipeline", "")), paused_by=show(str(paused.get("author", "nobody")))
        )
        because = f"It was made because: {show(str(paused['reason']))}" if self._loosens() and paused else ""
        self.query_one("#asked", Painted).put([((line, ""),) for line in (words, because) if line])
        self._show_choices()
        self.query_one("#expected", Painted).display = False
        self.query_one("#plan", Painted).display = False
        self._expect()
        self._rehearse()
        self.query_one("#why", Input).focus()

    def _expect(self) -> None:
        """For a proposal, read what the newest decision expected of each heal; without it the question stands alone."""
        name = self.given.get("pipeline", "")
        if self.action_id != "propose" or not name:
            return
        access = self.ui.access

        def newest() -> Mapping[str, Any]:
            lines = access.traces(pipeline=name, limit=1)["traces"]
            return access.trace(lines[0]["id"])["decision"] if lines else {}

        self.ui.fetch(newest, self._show_expected, failed=lambda error: None, group="expected")

    def _show_expected(self, decision: Mapping[str, Any]) -> None:
        if self.ready and decision:
            expected = self.query_one("#expected", Painted)
            expected.display = True
            expected.put(expected_lines(decision, actions=self._actions(), cells=CELLS))

    def _actions(self) -> tuple[str, ...]:
        return actions_of(self.state.pipelines.get(self.given.get("pipeline", ""), {}))

    def _rehearse(self) -> None:
        """Ask for the plan of the action that is chosen: it may not be proposed before that was shown."""
        name, hand = self.given.get("pipeline", ""), self.ui.hand
        if self.action_id != "propose" or not name or hand is None:
            return
        action, self._planned = self._actions()[self.choice], ""
        self._show_plan([(("asking what it would do", "quiet"),)])

        def told(answer: Mapping[str, Any]) -> None:
            if self._show_rehearsal(action, plan_lines(answer, cells=CELLS)):
                self._planned = action

        def failed(error: HealerdError) -> None:
            self._show_rehearsal(action, [(("plan  ", "label"), (show(str(error))[: CELLS - 6], "failed"))])

        self.ui.fetch(lambda: hand.rehearse(name, action), told, failed=failed, group="plan")

    def _show_rehearsal(self, action: str, lines: Sequence[Line]) -> bool:
        """Show what came for an action, if that is still the one that is chosen."""
        asked_for = self.ready and self._actions()[self.choice] == action
        if asked_for:
            self._show_plan(lines)
        return asked_for

    def _show_plan(self, lines: Sequence[Line]) -> None:
        plan = self.query_one("#plan", Painted)
        plan.display = True
        plan.put(lines)

    def _loosens(self) -> bool:
        return self.action_id in {"resume", "resume_all"}

    def _show_choices(self) -> None:
        choices = self.query_one("#choices", Painted)
        choices.display = self.action_id == "propose"
        number = 0
        lines: list[Line] = []
        rows = rows_of(self._actions(), cells=CELLS - 6)
        for place, row in enumerate(rows):
            parts: list[tuple[str, str]] = [("heal  " if place == 0 else "      ", "label")]
            for action in row:
                parts += [(f" {show(action)} ", "badge" if number == self.choice else "quiet"), ("  ", "")]
                number += 1
            lines.append(tuple(parts))
        told = ("up and down choose", "quiet")
        choices.put([(*lines[0], told)] if len(lines) == 1 else [*lines, (("      ", ""), told)])

    def action_choose(self, step: int) -> None:
        """Choose another action."""
        self.choice = (self.choice + step) % len(self._actions())
        self._show_choices()
        self._rehearse()

    def on_key(self, event: events.Key) -> None:
        """Ignore an enter that nobody can have meant."""
        early = self.ui.monotonic() - self._opened_s < self.ui.guard_s
        if event.key == "enter" and (early or self.ui.key_gap_s < self.ui.burst_s):
            event.stop()
            event.prevent_default()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Do it, or leave."""
        event.stop()
        if event.button.id == "do":
            self._confirm()
        else:
            self.action_leave()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Do it."""
        event.stop()
        self._confirm()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Nobody else hears what is typed here."""
        event.stop()

    def action_leave(self) -> None:
        """Close, unless an answer is under way."""
        if self.sending:
            self.ui.say("the daemon has not acknowledged yet")
        elif self.ui.screen is self:
            self.dismiss()

    def _confirm(self) -> None:
        if not self.is_current:  # an enter that was on its way when the question was left
            return
        reason = self.query_one("#why", Input).value.strip()
        unread = TOO_SMALL if self.is_small and self.action_id not in STOPPING else ""
        problem = self.why_not(self.action_id) or unread or reason_problem(reason)
        hand = self.ui.hand
        if problem or hand is None or self.sending:
            self._trouble(problem)
            return
        action = self._actions()[self.choice]
        if self.action_id == "propose" and self._planned != action:
            self._trouble("wait for its plan; up and down ask for it again", "watch")
            return
        self.sending = True
        self._trouble("waiting for the daemon to acknowledge", "watch")
        call = _CALLS[self.action_id]
        asked = {**self.given, "action": action}
        self.ui.fetch(
            lambda: call(hand, asked, reason), self._done, failed=self._refused, group="confirm", exclusive=False
        )

    def _done(self, given: Mapping[str, Any]) -> None:
        self.sending = False
        name = self.given.get("pipeline", "")
        words = {
            "pause": f"{name} is paused",
            "resume": f"{name} goes on",
            "stop_all": "everything is stopped",
            "resume_all": "everything goes on",
        }.get(self.action_id)
        if words is None:
            held = given.get("chosen") == "hold"
            words = f"{'held' if held else 'proposed'}: {given.get('chosen')}, {given.get('reason')}"
        self.ui.say(words)
        if self.ui.screen is self:
            self.dismiss()

    def _refused(self, error: HealerdError) -> None:
        self.sending = False
        if self.ready:
            self._trouble(str(error))

    def _trouble(self, words: str, role: str = "failed") -> None:
        self.query_one("#trouble", Painted).put([((show(words), role),)])

    def names(self) -> dict[str, str]:
        """Name what is asked about."""
        return dict(self.given)

    def as_command(self) -> str:
        """Write it as a command."""
        return command(by_id(self.action_id), self.given)


Call = Callable[[Client, Mapping[str, str], str], Mapping[str, Any]]
_CALLS: Mapping[str, Call] = {
    "pause": lambda hand, names, reason: hand.pause(names["pipeline"], reason=reason),
    "resume": lambda hand, names, reason: hand.resume(names["pipeline"], reason=reason, if_rev=names["revision"]),
    "propose": lambda hand, names, reason: hand.propose(names["pipeline"], names["action"], reason=reason),
    "stop_all": lambda hand, names, reason: hand.stop_all(reason=reason),
    "resume_all": lambda hand, names, reason: hand.resume_all(reason=reason, if_rev=names["revision"]),
}
