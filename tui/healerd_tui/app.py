"""The application: five modes and the views on top of them, the actions that are the same everywhere, and replay.

It must never change the world without a prompt or a confirmation.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from textual.screen import Screen

from healerd.client import Replay, TuiOptions
from healerd.errors import HealerdError
from healerd_tui import themes
from healerd_tui.base import Base
from healerd_tui.inert import show
from healerd_tui.places import MODES, Place
from healerd_tui.screens.answering import Answering
from healerd_tui.screens.audit import AuditScreen
from healerd_tui.screens.confirm import ConfirmScreen
from healerd_tui.screens.diff import DiffScreen
from healerd_tui.screens.fleet import FleetScreen
from healerd_tui.screens.frame import SMALLEST, Frame, Screened, bindings
from healerd_tui.screens.health import HealthScreen
from healerd_tui.screens.help import HelpScreen
from healerd_tui.screens.inbox import InboxScreen
from healerd_tui.screens.palette import PaletteScreen
from healerd_tui.screens.pipeline import PipelineScreen
from healerd_tui.screens.prompt import PromptScreen
from healerd_tui.screens.rules import RulesScreen
from healerd_tui.screens.trace import TraceScreen
from healerd_tui.screens.traces import TracesScreen
from healerd_tui.state import Lost, Snapshot, pending

__all__ = ["HealerdApp", "run"]


class HealerdApp(Base):
    """The terminal UI over one healerd."""

    CSS_PATH = "app.tcss"
    TITLE = "healerd"
    ENABLE_COMMAND_PALETTE = False
    MODES: ClassVar[dict[str, Any]] = {
        "fleet": FleetScreen,
        "inbox": InboxScreen,
        "rules": RulesScreen,
        "audit": AuditScreen,
        "health": HealthScreen,
    }
    DEFAULT_MODE = "fleet"
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - declared so by textual
        (0, "-tiny"),
        (SMALLEST[0], "-narrow"),
        (100, "-normal"),
        (140, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (SMALLEST[1], "-short"), (30, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[Any]] = bindings("global", "replay", skip=("quit",))

    def __init__(self, options: TuiOptions, **settings: Any) -> None:
        super().__init__(options, **settings)
        self.visited: list[Place] = [Place("fleet")]

    def on_mount(self) -> None:
        """Show the record at its moment, or the pipeline that was named."""
        if self.replay:
            self.load_replay()
        if self.options.pipeline:
            self.call_after_refresh(self.visit, Place("pipeline", self.options.pipeline))

    # going places

    def places(self) -> list[str]:
        """List what `:` can complete."""
        found = [f"p {show(name)}" for name in self.state.pipelines]
        found += [f"i {intent['id']}" for intent in pending(self.state)]
        return [*MODES, *found]

    def go(self, text: str) -> None:
        """Go to `p NAME`, `t ID`, `i ID`, `r RULE` or a mode; the beginning of a name will do."""
        word, _, rest = text.strip().removeprefix(":").partition(" ")
        rest = rest.strip()
        mode = next((mode for mode in MODES if word and mode.startswith(word) and not rest), None)
        match word:
            case "p" if rest:
                self._go_to("pipeline", rest, self.state.pipelines)
            case "i" if rest:
                self._go_to("prompt", rest, self.state.intents)
            case "t" if rest:
                self.visit(Place("trace", rest))
            case "t":
                self.visit(Place("traces"))
            case "r":
                self.visit(Place("rules", rest))
            case _ if mode:
                self.visit(Place(mode))
            case _:
                self.say(f"no place `{text}`; try p NAME, t ID, i ID, r RULE, or {', '.join(MODES)}")

    def _go_to(self, kind: str, name: str, known: Iterable[str]) -> None:
        found = [each for each in known if each == name] or [each for each in known if each.startswith(name)]
        found = found or [each for each in known if name.lower() in each.lower()]
        if len(found) == 1:
            self.visit(Place(kind, found[0]))
        elif found:
            self.say(f"`{name}` could be {', '.join(found[:5])}")
        else:
            self.say(f"no {kind} `{name}`; known: {', '.join(list(known)[:5]) or 'none'}")

    def visit(self, place: Place, *, remember: bool = True) -> None:
        """Go to a place, unless an answer is under way: its prompt stays until the daemon has acknowledged."""
        if any(isinstance(screen, Answering | ConfirmScreen) and screen.sending for screen in self.screen_stack):
            self.say("the daemon has not acknowledged yet")
            return
        if remember and (not self.visited or self.visited[-1] != place):
            self.visited = [*self.visited[-20:], place]
        if place.kind in MODES:
            self._switch(place)
            return
        screen: Screen[Any]
        match place.kind:
            case "pipeline":
                screen = PipelineScreen(place.name)
            case "traces":
                screen = TracesScreen(place.name, keep=place.keep)
            case "trace":
                screen = TraceScreen(place.name)
            case "diff":
                screen = DiffScreen(*place.name.split(" "))
            case "prompt":
                screen = PromptScreen(place.name)
            case _:
                raise AssertionError(f"no place {place.kind}")
        self.push_screen(screen)

    def _switch(self, place: Place) -> None:
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if self.current_mode != place.kind:
            self.switch_mode(place.kind)
        if place.kind == "rules" and place.name and isinstance(self.screen, RulesScreen):
            self.screen.find_rule(place.name)

    def leave(self, *, ask: bool = False) -> None:
        """Close the view on top; the first one stays."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
            self.visited = self.visited[:-1] or [Place(self.current_mode)]
        elif ask:
            self.say("this is a first view; ctrl+q ends the terminal UI")

    # actions that are the same everywhere

    def action_do(self, id_: str) -> None:
        """Hand a key to the screen on top."""
        if isinstance(self.screen, Screened):
            self.screen.action_do(id_)

    def do_fleet(self) -> None:
        """Show every pipeline."""
        self.visit(Place("fleet"))

    def do_inbox(self) -> None:
        """Show what waits."""
        self.visit(Place("inbox"))

    def do_rules(self) -> None:
        """Show the rules."""
        self.visit(Place("rules"))

    def do_audit(self) -> None:
        """Show the record."""
        self.visit(Place("audit"))

    def do_health(self) -> None:
        """Show how the daemon does."""
        self.visit(Place("health"))

    def do_next(self) -> None:
        """Open the next intent that waits."""
        self.open_pending(+1)

    def do_previous(self) -> None:
        """Open the one before."""
        self.open_pending(-1)

    def open_pending(self, step: int, after: str = "") -> None:
        """Open the intent that waits, `step` away from `after`."""
        ids = [intent["id"] for intent in pending(self.state)]
        if not ids:
            self.say("nothing waits for a person")
            return
        position = ids.index(after) + step if after in ids else (0 if step > 0 else -1)
        self.visit(Place("prompt", ids[position % len(ids)]))

    def do_last(self) -> None:
        """Go back to the view before this one."""
        if len(self.visited) < 2:
            self.say("there was no view before this one")
            return
        place = self.visited[-2]
        if len(self.screen_stack) > 1 and place.kind not in MODES:
            self.pop_screen()  # it takes the place of this view: going to and fro leaves no heap of views
        self.visit(place)

    def do_refresh(self) -> None:
        """Ask again."""
        if self._follower is not None:
            self._follower.hurry()
        if isinstance(self.screen, Frame):
            self.screen.fetch()
        self.say("asking again" if self.state.live else "trying to reach the daemon now")

    def do_theme(self) -> None:
        """Take the next theme."""
        names = [theme.name for theme in themes.THEMES]
        after = (names.index(self.theme) + 1) % len(names) if self.theme in names else 0
        self.take_theme(names[after])

    def take_theme(self, name: str) -> None:
        """Take a theme, and paint every view anew."""
        self.theme = name
        for screen in self.screen_stack:
            if isinstance(screen, Screened):
                screen.repaint()
        self.say(f"theme {name}")

    def do_palette(self) -> None:
        """Open the command palette."""
        if isinstance(self.screen, Screened):
            self.push_screen(PaletteScreen(self.screen))

    def do_help(self) -> None:
        """Show the keys of the view on top."""
        if isinstance(self.screen, Screened):
            self.push_screen(HelpScreen(self.screen, about=False))

    def do_about(self) -> None:
        """Say what the view on top shows."""
        if isinstance(self.screen, Screened):
            self.push_screen(HelpScreen(self.screen, about=True))

    def do_quit(self) -> None:
        """End."""
        self.exit(0)

    def do_attention(self) -> None:
        """Nothing to filter here."""
        self.say("attention: this view cannot be narrowed")

    def do_wide(self) -> None:
        """Nothing to widen here."""
        self.say("wide: this view has no more columns")

    def do_filter(self) -> None:
        """Nothing to filter here."""
        self.say("filter: this view has no rows")

    def do_go(self) -> None:
        """No bar here."""
        self.say("go: close this first (esc)")

    def do_stop_all(self) -> None:
        """Ask whether to stop everything."""
        self.push_screen(ConfirmScreen("stop_all", {}))

    def do_resume_all(self) -> None:
        """Ask whether to end the stop."""
        self.push_screen(ConfirmScreen("resume_all", {"revision": str(self.state.status.get("stop_revision", ""))}))

    # replay

    def load_replay(self, step: int = 0) -> None:
        """Show the record at a leaf."""
        access = self.access
        assert isinstance(access, Replay)

        def look() -> Snapshot:
            if step:
                access.step(step)
            status, intents = access.status(), access.intents()
            return Snapshot(status=status, intents=tuple(intents["intents"]), heard_s=self.monotonic(), replay=True)

        self.fetch(look, self._take_replay, group="replay", failed=self._replay_failed)

    def _take_replay(self, snapshot: Snapshot) -> None:
        self.hear(snapshot)
        if isinstance(self.screen, Frame):
            self.screen.fetch()

    def _replay_failed(self, error: HealerdError) -> None:
        self.hear(Lost(why=str(error), at_s=self.monotonic()))
        self.say(str(error), severity="error")

    def do_step_back(self) -> None:
        """Go one leaf back."""
        self.load_replay(-1)

    def do_step_on(self) -> None:
        """Go one leaf on."""
        self.load_replay(+1)


def run(options: TuiOptions) -> int:
    """Run the terminal UI until it is quit, and give the exit code."""
    return HealerdApp(options).run() or 0
