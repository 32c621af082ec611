"""What the application knows and hears: the state, the link, the calls on threads, and what screens ask of it.

It must never change the world by itself, never end because the daemon went away, and never hold what a read-only UI
could act with: there, `hand` is None.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rich.style import Style
from textual import events
from textual.app import App
from textual.message import Message as TextualMessage
from textual.worker import get_current_worker

from healerd.client import Client, Replay, TuiOptions
from healerd.errors import HealerdError
from healerd_tui import themes
from healerd_tui.actions import Situation
from healerd_tui.export import write_trace
from healerd_tui.glyphs import GlyphSet, detect
from healerd_tui.inert import show
from healerd_tui.link import Follower
from healerd_tui.screens.frame import Screened
from healerd_tui.state import Leaf, Message, State, now, pending, reduce, seconds_left

__all__ = ["Base"]

T = TypeVar("T")
FLUSH_S = 0.33
"""What changed is painted at most this often."""
TICK_S = 1.0
AGAIN_S = 0.2
"""What is said twice within so short a time was one thing."""
LAST_S = 60.0
"""The bell rings once more when so little time is left."""
GUARD_S = 0.5
"""A prompt ignores keys for this long after it opened."""
BURST_S = 0.03
"""Keys closer together than this were pasted, not pressed."""
ATTENDED_S = 60.0
"""So long after a key or the mouse somebody is taken to see what is on screen (SAFETY S9)."""

OWN_ROLES: Mapping[str, tuple[str, str]] = {
    "label": ("quiet", "bold"),
    "strong": ("text", "bold"),
    "key": ("healing", "bold"),
    "badge": ("drift", "bold reverse"),
    "pending-text": ("healing", "bold"),
}
"""Roles of the screens: what they are made of, and what marks them."""


class Heard(TextualMessage):
    """Something came over the link that cannot wait for the next flush."""


class Fetched(TextualMessage):
    """A call on a thread has ended; `then` takes what it gave."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self.then = then


class Base(App[int]):
    """The terminal UI without its views."""

    def __init__(
        self,
        options: TuiOptions,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] | None = None,
        glyphs: GlyphSet | None = None,
        guard_s: float = GUARD_S,
        burst_s: float = BURST_S,
        follow: bool = True,
    ) -> None:
        super().__init__()
        themes.register(self)
        self.theme = themes.DEFAULT
        self.options, self.monotonic = options, monotonic
        self.access = options.access
        self.replay = isinstance(options.access, Replay)
        self.read_only = options.read_only or self.replay
        self.hand: Client | None = options.access if isinstance(options.access, Client) and not self.read_only else None
        self.title_text = options.title
        encoding = getattr(sys.stdout, "encoding", "") or ""
        self.glyphs = glyphs or detect(os.environ, encoding, ascii_only=options.ascii)
        self.set_class(self.glyphs is GlyphSet.ASCII, "-ascii")
        self.guard_s, self.burst_s = guard_s, burst_s
        self.state = State()
        self._said: tuple[str, str, float] = ("", "", float("-inf"))
        self._came: deque[Message] = deque()
        self._by_role: tuple[str, Mapping[str, Style]] | None = None
        self.key_gap_s, self._key_time = float("inf"), float("-inf")
        self._dirty, self._follow, self._belled = False, follow, frozenset[tuple[str, str]]()
        self._jitter = jitter or _jitter
        self._follower: Follower | None = None
        self._touched_s = monotonic()  # somebody has just started it

    # life

    def on_mount(self) -> None:
        """Begin to follow, to flush and to tick."""
        self.set_interval(FLUSH_S, self._show_dirty)
        self.set_interval(TICK_S, self._tick)
        if self._follow and isinstance(self.access, Client):
            self.access.link.watched = self._is_watched
            self._follower = Follower(self.access, self._say_heard, jitter=self._jitter, monotonic=self.monotonic)
            self._follower.start()

    def on_unmount(self) -> None:
        """Let go of the link."""
        if self._follower is not None:
            self._follower.close()

    def _say_heard(self, message: Message) -> None:
        """Keep what came, on the thread of the link; leaves come in thousands, and wait for the next flush."""
        self._came.append(message)
        if isinstance(message, Leaf):
            return
        try:
            self.post_message(Heard())
        except RuntimeError:
            return  # the loop has ended, and nobody is left to hear it

    def on_heard(self, event: Heard) -> None:
        """Take what came into the state."""
        self._take_what_came()

    def _take_what_came(self) -> None:
        if self._came:
            self.hear(*(self._came.popleft() for _ in range(len(self._came))))

    def hear(self, *messages: Message) -> None:
        """Reduce messages, in their order; what changed is painted with the next flush."""
        before = self.state
        for message in messages:
            self.state = reduce(self.state, message)
        self._dirty = self._dirty or self.state is not before
        if self.state.gap and self._follower is not None:
            self._follower.hurry()
        if before.conn != self.state.conn:
            self._show_dirty()
        self._ring()

    def _ring(self) -> None:
        """Ring once for each intent that begins to wait, and once a minute before silence decides about it."""
        waiting, at = pending(self.state), self.daemon_now()
        left = ((intent["id"], seconds_left(intent, at)) for intent in waiting)
        last = {(id_, "last") for id_, seconds in left if seconds is not None and seconds <= LAST_S}
        due = frozenset({(intent["id"], "new") for intent in waiting} | last)
        if not self.state.live:
            return
        if due - self._belled:
            self.bell()
        self._belled = due

    def _show_dirty(self) -> None:
        self._take_what_came()
        if not self._dirty or not self.is_running:
            return
        self._dirty = False
        with self.batch_update():
            for screen in self.screen_stack:
                if isinstance(screen, Screened):
                    screen.refresh_all()

    def _tick(self) -> None:
        self._ring()
        for screen in self.screen_stack:
            if isinstance(screen, Screened):
                screen.tick()

    # what screens ask of the app

    @property
    def styles_by_role(self) -> Mapping[str, Style]:
        """Colours of the theme, by role."""
        if self._by_role is None or self._by_role[0] != self.theme:
            known = dict(themes.styles(self.theme_variables))
            own = {role: known[of] + Style.parse(marks) for role, (of, marks) in OWN_ROLES.items()}
            self._by_role = (self.theme, {**known, **own})
        return self._by_role[1]

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Give every theme the variables of ours."""
        return dict(themes.variable_defaults(self.current_theme))

    def daemon_now(self) -> Any:
        """Give the daemon's time."""
        return now(self.state, self.monotonic())

    def situation(
        self, names: Mapping[str, str], can: Iterable[str] = (), taken: Mapping[str, str] | None = None
    ) -> Situation:
        """Say what decides whether an action can be done."""
        has = {name for name, value in names.items() if value} | set(can)
        has |= {"pending"} if pending(self.state) else set()
        has |= {"stopped"} if self.state.stopped else set()
        has |= {"paused"} if self.state.pipelines.get(names.get("pipeline", ""), {}).get("paused") else set()
        has |= {"replay"} if self.replay else set()
        return Situation(
            live=self.state.live,
            read_only=self.read_only,
            replay=self.replay,
            roles=self.state.roles,
            has=frozenset(has),
            taken=taken,
        )

    def fetch(
        self,
        call: Callable[[], T],
        then: Callable[[T], None],
        *,
        failed: Callable[[HealerdError], None] | None = None,
        group: str = "fetch",
        exclusive: bool = True,
    ) -> None:
        """Run `call` on a thread, then `then` or `failed` here; a newer one of the same group replaces it."""

        def work() -> None:
            try:
                found = call()
            except HealerdError as error:
                self._post_fetched(lambda caught=error: (failed or self._failed)(caught))  # type: ignore[misc]
            else:
                self._post_fetched(lambda: then(found))

        self.run_worker(work, thread=True, group=group, exclusive=exclusive)

    def _post_fetched(self, then: Callable[[], None]) -> None:
        if not get_current_worker().is_cancelled:
            self.post_message(Fetched(then))

    def on_fetched(self, event: Fetched) -> None:
        """Take what a call gave."""
        if self.is_running:
            event.then()

    def _failed(self, error: HealerdError) -> None:
        self.say(str(error), severity="warning")

    def say(self, words: str, *, severity: Any = "information") -> None:
        """Show a sentence for a moment, in the place of the one before; what is in it is never markup."""
        if (words, severity) == self._said[:2] and self.monotonic() - self._said[2] < AGAIN_S:
            return
        self._said = (words, severity, self.monotonic())
        self.clear_notifications()
        self.notify(show(words), severity=severity, timeout=6, markup=False)

    def _is_watched(self) -> bool:
        """Tell whether somebody is at the keys: a screen that was left open shows every question to nobody."""
        return self.monotonic() - self._touched_s <= ATTENDED_S

    async def on_event(self, event: events.Event) -> None:
        """Note how long after the one before a key came, those of a paste at once; what is pasted is made inert."""
        if isinstance(event, events.InputEvent | events.Paste) and not event.is_forwarded:
            self._touched_s = self.monotonic()
        if isinstance(event, events.Paste) and not event.is_forwarded:
            event.text = "\n".join(map(show, event.text.splitlines()))
        if isinstance(event, events.Key) and not event.is_forwarded:
            self.key_gap_s, self._key_time = event.time - self._key_time, event.time
        await super().on_event(event)

    def export(self, read: Callable[[], Mapping[str, Any]]) -> None:
        """Write the trace that `read` gives into a file of the folder we were started in, and say where."""
        self.fetch(lambda: write_trace(read(), Path.cwd()), lambda path: self.say(f"written: {path}"), group="export")

    def copy(self, words: str) -> None:
        """Copy words by way of the terminal, and show them."""
        self.copy_to_clipboard(words)
        self.say(f"copied: {words}")


def _jitter() -> float:
    return int.from_bytes(os.urandom(4), "big") / 2**32
