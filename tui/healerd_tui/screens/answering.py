"""Answering an intent: veto in one step and a reason, approval armed first. It must never act on a key that was pressed
before it could be read or that was pasted, never close before the daemon acknowledged, and never send an approval of
evidence that has changed since it was read.
"""

from collections.abc import Mapping
from typing import Any

from textual import events
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from healerd.errors import Conflict, HealerdError
from healerd_tui.actions import by_id, command
from healerd_tui.inert import show
from healerd_tui.places import Place
from healerd_tui.question import PRESETS, Question, answered_by, is_grave, reason_problem, resolving
from healerd_tui.screens.frame import TOO_SMALL, Screened

__all__ = ["PLACEHOLDER", "Answering"]

DIGITS = frozenset("123456")
ACTING = frozenset({"v", "a", "enter", *DIGITS})
NEVER_TYPED = frozenset({"escape", "ctrl+q"})
"""Keys that are no part of a text: they work even where a text was cut short."""
PLACEHOLDER = "why, in a few words; kept in the record"
OPTIONAL = "tab goes here, for a reason to keep; without one the record says how long it was read"


class Answering(Screened, ModalScreen[None]):
    """The steps from a question to an acknowledged answer; what is shown is up to the prompt."""

    def __init__(self, intent_id: str) -> None:
        super().__init__()
        self.intent_id = intent_id
        self.question: Question | None = None
        self.read_revision: int | None = None
        self.step, self.sending, self.acknowledged = "", "", ""
        self.error, self.changed = "", False
        self.everything = False
        self.cut_short = False
        self.digit: str | None = ""  # what stands for a reason: empty before anything is typed, None for own words
        self.opened_s = self.armed_s = 0.0

    def fetch(self) -> None:
        """Read the intent again."""
        raise NotImplementedError

    def show_question(self) -> None:
        """Show how the answer stands."""
        raise NotImplementedError

    # keys

    def on_key(self, event: events.Key) -> None:
        """Ignore keys that nobody can have meant: too early, in a burst that was pasted, or the rest of a text."""
        early = self.ui.monotonic() - self.opened_s < self.ui.guard_s
        pasted = self.ui.key_gap_s < self.ui.burst_s
        typed = self.cut_short and event.key not in NEVER_TYPED
        if typed or (event.key in ACTING and (early or pasted)):
            event.stop()
            event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        """Never act on pasted text; in the field for the reason it is text."""
        event.stop()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Do what the button says, as its key would."""
        event.stop()
        if self.ui.monotonic() - self.opened_s < self.ui.guard_s:
            return
        match event.button.id:
            case "veto":
                self._confirm() if self.step == "veto" else self.action_do("veto")
            case "approve":
                self._confirm() if self.step == "approve" else self.action_do("approve")
            case "more":
                self.action_do("evidence")
            case _:
                self.action_do("back")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Confirm with enter in the field."""
        event.stop()
        self._confirm()

    def action_confirm(self) -> None:
        """Confirm with enter outside the field."""
        self._confirm()

    def do_veto(self) -> None:
        """Ask for the reason."""
        self.set_step("veto")

    def do_approve(self) -> None:
        """Arm; a second press confirms where the risk is not high."""
        if self.step == "approve":
            self._confirm()
        else:
            self.set_step("approve")

    def do_preset(self) -> None:
        """Unused: `action_do` gets the number with the key."""

    def action_preset(self, number: int) -> None:
        """Take a reason that is worded already; 6 is one's own words."""
        if reason := self.why_not("preset"):
            self.ui.say(f"reason: {reason}")
            return
        if not self.step:
            self.set_step("veto")
        self.digit = None
        self._write(PRESETS[number - 1] if number <= len(PRESETS) else "")

    def _write(self, text: str) -> None:
        field = self.query_one("#reason", Input)
        field.value, field.cursor_position = text, len(text)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Take a digit that is all that was ever typed here for the reason it stands for."""
        event.stop()
        value = event.input.value
        if self.step and value and not self._types_name():
            self._take_digit(value)
        if value:
            self.error = ""

    def _take_digit(self, value: str) -> None:
        """Take a first digit for its reason, and give it back where more is typed."""
        if self.digit == "" and value in DIGITS:
            self.action_preset(int(value))
            self.digit = value if int(value) <= len(PRESETS) else None
        elif not self.digit:
            self.digit = None
        elif (preset := PRESETS[int(self.digit) - 1]) != value:
            digit, self.digit = self.digit, None
            if value.startswith(preset):
                self._write(digit + value.removeprefix(preset))

    def _types_name(self) -> bool:
        return self.step == "approve" and self.question is not None and is_grave(self.question)

    def set_step(self, step: str) -> None:
        """Begin a veto or arm an approval; an empty step takes it back."""
        self.step, self.error, self.cut_short = step, "", False
        self.digit = ""
        if step:
            self.acknowledged = ""
        self.armed_s = self.ui.monotonic()
        self.changed = self.changed and not step
        field = self.query_one("#reason", Input)
        field.value = ""
        field.can_focus = bool(step)
        field.display = bool(step)
        # Where the keys stay with the prompt, an empty field must not look as if one could type.
        field.placeholder = OPTIONAL if step == "approve" else PLACEHOLDER
        if self._types_name() and self.question:
            field.placeholder = show(f"type {self.question.intent['pipeline']}")
        if step == "veto" or self._types_name():
            field.focus()
        else:
            self.query_one("#evidence").focus()
        self.set_class(step == "approve", "-armed")
        self.show_question()

    def end_step(self) -> None:
        """Take the step back, though nobody asked for it: what is still being typed must not become keys."""
        typing = self.query_one("#reason", Input).has_focus
        self.set_step("")
        self.cut_short = typing
        self.opened_s = self.ui.monotonic()
        self.show_question()

    def _confirm(self) -> None:
        """Send the answer that is armed, if it may be sent."""
        if not self.step or self.sending or self.question is None:
            return
        if self.step == "approve" and self.ui.monotonic() - self.armed_s < self.ui.guard_s:
            return  # a double press or a double click arms, and no more: what it will do has not been read
        text = self.query_one("#reason", Input).value.strip()
        problem = self.why_not(self.step) or self._problem(text)
        if problem:
            self.error = problem
            self.show_question()
            return
        self._send(self.step, self._reason(text))

    def _problem(self, text: str) -> str:
        assert self.question is not None
        if self._types_name():
            name = self.question.intent["pipeline"]
            return "" if text == name else f"type `{name}` to let it run"
        if self.step == "approve" and not text:
            return ""
        return reason_problem(text)

    def _reason(self, text: str) -> str:
        assert self.question is not None
        if self.step == "veto" or (text and not self._types_name()):
            return text
        seconds = self.ui.monotonic() - self.opened_s
        return f"approved revision {self.read_revision} after {seconds:.0f} s on screen"

    def _send(self, kind: str, reason: str) -> None:
        hand = self.ui.hand
        if hand is None:
            self.error = self.why_not(kind)
            return
        self.sending = kind
        revision, id_ = str(self.read_revision), self.intent_id

        def answer() -> Mapping[str, Any]:
            done: Mapping[str, Any] = hand.answer(id_, kind, reason=reason, if_rev=revision)
            return done

        self.ui.fetch(answer, self._acknowledged, failed=self._refused, group=f"answer {id_}", exclusive=False)
        self.show_question()

    def _acknowledged(self, intent: Mapping[str, Any]) -> None:
        words = {"veto": "vetoed", "approve": "approved"}[self.sending]
        self.acknowledged = f"{words}: {intent['action']} of {intent['pipeline']} is {intent['state']}; esc closes"
        self.sending, self.step, self.error = "", "", ""
        if self.ready:
            self.set_step("")
            self.fetch()

    def _refused(self, error: HealerdError) -> None:
        """Stay open and say why; what somebody else decided meanwhile is read at once."""
        self.sending, self.error = "", str(error)
        if not self.ready:
            return
        if isinstance(error, Conflict):
            self.set_step("")
            self.error = str(error)
            self.fetch()
        self.show_question()

    def do_back(self) -> None:
        """Take the step back, then close; never while an answer is under way."""
        if self.sending:
            self.ui.say("the daemon has not acknowledged yet")
        elif self.step or self.cut_short:
            self.set_step("")
        else:
            self.ui.leave()

    def do_evidence(self) -> None:
        """Show all evidence, or the alarms."""
        self.everything = not self.everything
        self.show_question()

    def do_prompt_trace(self) -> None:
        """Show the decision behind it."""
        self.ui.visit(Place("trace", self.names()["decision"]))

    def do_prompt_next(self) -> None:
        """Leave this open and go to the next."""
        if self.sending:
            return
        self.ui.leave()
        self.ui.open_pending(+1, after=self.intent_id)

    def do_prompt_copy(self) -> None:
        """Copy the command that gives the armed answer, or a veto."""
        if self.question is not None and self.question.needs_person:
            self.ui.copy(command(by_id("evidence"), self.names()))
            return
        kind = "approve" if self.step == "approve" else "veto"
        reason = self.query_one("#reason", Input).value if self.step == kind else ""
        self.ui.copy(command(by_id(kind), {**self.names(), "reason": reason}))

    def do_prompt_copy_id(self) -> None:
        """Copy the id."""
        self.ui.copy(self.intent_id)

    # what can be done

    def names(self) -> dict[str, str]:
        """Name the intent and what stands behind it."""
        if self.question is None:
            return {"intent": self.intent_id, "id": self.intent_id}
        intent = self.question.intent
        return {
            "intent": self.intent_id,
            "id": self.intent_id,
            "pipeline": intent["pipeline"],
            "decision": intent["decision_id"],
            "revision": str(self.read_revision),
        }

    def can(self) -> tuple[str, ...]:
        """Say which answers are still asked for."""
        if self.question is None or self.sending:
            return ()
        answers = [each for each in self.question.answers if each == "veto" or not self.is_small]
        return (*answers, "answerable") if answers else ()

    def taken(self) -> Mapping[str, str]:
        """Say why an answer is not asked for."""
        if self.question is None:
            said = "the evidence is still being read"
        elif self.sending:
            said = "an answer is on its way"
        elif self.question.answers:
            return {"approve": TOO_SMALL} if self.is_small else {}
        elif self.question.needs_person:
            said = resolving(self.question)
        else:
            said = answered_by(self.question) or "it is decided already"
        return dict.fromkeys(("veto", "approve", "answerable"), said)
