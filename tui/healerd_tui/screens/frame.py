"""What every screen has: the first line, the banner, the line of keys, the bar to type in, and one grammar of keys.

It must never act on the world or fetch anything; and no key may be silent: one that can do nothing now says why.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import Screen
from textual.suggester import SuggestFromList
from textual.widgets import Input

from healerd_tui.actions import Action, by_id, command, of_place, why_not
from healerd_tui.glyphs import GlyphSet, say_state
from healerd_tui.screens.lines import KeyLine, Painted
from healerd_tui.state import State, deadline_of, pending, seconds_left
from healerd_tui.view import Line, banner, head
from healerd_tui.widgets import RowList, RowTable, SortAsked
from healerd_tui.widgets.view import RowView

if TYPE_CHECKING:
    from healerd_tui.app import HealerdApp

__all__ = ["SMALLEST", "TOO_SMALL", "Frame", "Screened", "bindings", "small_lines"]

T = TypeVar("T")
SMALLEST = (60, 16)
"""Cells and lines; below them only what is due is shown, and no question."""
TOO_SMALL = "the terminal is too small to read this"


def bindings(*places: str, skip: Iterable[str] = ()) -> list[Binding]:
    """Make the bindings of places from the table of actions."""
    passed = set(skip)
    return [
        Binding(key, _call(action, key), action.word, show=False, id=f"{place}.{action.id}.{number}")
        for place in places
        for action in of_place(place)
        if action.id not in passed
        for number, key in enumerate(action.keys)
    ]


def _call(action: Action, key: str) -> str:
    return f"preset({key})" if action.id == "preset" else f"do('{action.id}')"


class Screened:
    """What screens and modals share: `do(id)` runs `do_<id>`, here or in the app, or says why it cannot."""

    PLACES: ClassVar[tuple[str, ...]] = ()

    @property
    def ui(self) -> "HealerdApp":
        """The app, with its own type."""
        return cast("HealerdApp", cast(Any, self).app)

    @property
    def state(self) -> State:
        """What is known."""
        return self.ui.state

    @property
    def glyphs(self) -> GlyphSet:
        """What the terminal can draw."""
        return self.ui.glyphs

    @property
    def ready(self) -> bool:
        """Tell whether the parts of this view are there: not before it is mounted, nor while it is taken down."""
        screen = cast(Any, self)
        return bool(screen.is_mounted and screen.is_attached and self.ui.is_running)

    @property
    def is_small(self) -> bool:
        """Tell whether the terminal has no room for this view, so that only what is due is shown."""
        return self.ui.size.width < SMALLEST[0] or self.ui.size.height < SMALLEST[1]

    def refresh_all(self) -> None:
        """Show the state as it is now."""

    def tick(self) -> None:
        """Once a second: whatever counts down."""

    def repaint(self) -> None:
        """Paint with another theme."""
        for each in cast(Any, self).query(Painted):
            each.repaint()

    def shown_actions(self) -> tuple[Action, ...]:
        """List what the line of keys shows: what this view can do first, what every view can do after it."""
        places = self.PLACES if cast(Any, self).is_modal else (*self.PLACES, "global")
        found = [action for place in places for action in of_place(place, read_only=self.ui.read_only) if action.show]
        return tuple(sorted(dict.fromkeys(found), key=lambda action: "global" in action.where))

    def names(self) -> Mapping[str, str]:
        """Name what is highlighted: `pipeline`, `intent`, `revision`, `decision`, `rule`, `id`."""
        return {}

    def taken(self) -> Mapping[str, str]:
        """Say, for what is missing, why it is."""
        return {}

    def can(self) -> Iterable[str]:
        """Name what else can be acted on here."""
        return ()

    def why_not(self, id_: str) -> str:
        """Say why an action cannot be done now; empty when it can."""
        return why_not(by_id(id_), self.ui.situation(self.names(), self.can(), self.taken()))

    def action_do(self, id_: str) -> None:
        """Do it, or say why not; a key that comes late, for a view that is no longer on top, does nothing."""
        if cast(Any, self.ui).screen is not self:
            return
        reason = self.why_not(id_)
        if reason:
            self.ui.say(f"{by_id(id_).word}: {reason}")
            return
        own = getattr(self, f"do_{id_}", None) or getattr(self.ui, f"do_{id_}")
        own()

    def follow(self, call: Callable[[], T], then: Callable[[T], None], *, group: str) -> None:
        """Fetch what leads to another view; whoever is elsewhere by then is left there."""

        def go_on(found: T) -> None:
            if cast(Any, self.ui).screen is self:
                then(found)

        self.ui.fetch(call, go_on, group=group)

    def do_copy_id(self) -> None:
        """Copy the id of what is highlighted."""
        self.ui.copy(self.names()["id"])

    def do_copy_cli(self) -> None:
        """Copy the command that shows or does the same."""
        self.ui.copy(self.as_command())

    def as_command(self) -> str:
        """Write what this view shows as a command."""
        return command(by_id(self.PLACES[0]), self.names())


class Frame(Screened, Screen[None]):
    """A whole view: head, banner, body, bar, keys."""

    TRAIL: ClassVar[str] = "healerd"
    ABOUT: ClassVar[str] = ""
    """What the view shows and how to read it, in a few sentences."""

    def compose(self) -> ComposeResult:
        """Put the parts together; the body is the screen's own."""
        yield Painted(id="head")
        yield Painted(id="banner")
        with Vertical(id="body"):
            yield from self.body()
        yield Input(id="bar", compact=True)
        yield KeyLine()
        yield Painted(id="small")

    def body(self) -> ComposeResult:
        """Give the widgets of the middle."""
        yield from ()

    def on_mount(self) -> None:
        """Show what is known, then fetch what is not."""
        self.query_one("#bar", Input).add_class("-none")
        self.refresh_all()
        self.fetch()
        self.call_after_refresh(self.focus_body)

    def on_screen_resume(self) -> None:
        """Show what has changed meanwhile."""
        self.refresh_all()
        self.fetch()

    def fetch(self) -> None:
        """Ask for what this view needs beside the state."""

    def trail(self) -> str:
        """Say where we are."""
        return self.TRAIL

    # what is shown

    def refresh_all(self) -> None:
        """Show the state as it is now."""
        if not self.ready:
            return
        self.refresh_head()
        self.refresh_body()
        self.query_one(KeyLine).refresh()

    def refresh_body(self) -> None:
        """Show the state in the middle."""

    def tick(self) -> None:
        """Once a second: whatever counts down."""
        if self.ready:
            self.refresh_head()

    def refresh_head(self) -> None:
        """Write the first two lines, and the one that stands alone in a small terminal."""
        ui, cells = self.ui, self.size.width or self.ui.size.width
        first = head(
            ui.state,
            trail=self.trail(),
            title=ui.title_text,
            read_only=ui.read_only,
            monotonic_s=ui.monotonic(),
            cells=cells,
            glyphs=ui.glyphs,
        )
        self.query_one("#head", Painted).put([first])
        second = banner(ui.state, monotonic_s=ui.monotonic(), cells=cells, glyphs=ui.glyphs)
        strip = self.query_one("#banner", Painted)
        strip.set_class(second is None, "-none")
        strip.put([second] if second else [])
        self.query_one("#small", Painted).put(
            small_lines(ui.state, ui.daemon_now(), cells, self.size.height, ui.glyphs)
        )

    def on_row_list_failed(self, event: RowList.Failed) -> None:
        """Say why a page could not be read; it is read again when it comes into sight."""
        self.ui.say(event.why, severity="warning")

    def on_row_table_sort_asked(self, event: RowTable.SortAsked) -> None:
        """Sort, or say why not."""
        self._sort(event)

    def on_row_list_sort_asked(self, event: RowList.SortAsked) -> None:
        """Sort, or say why not."""
        self._sort(event)

    def _sort(self, event: SortAsked) -> None:
        if reason := self.why_not("sort"):
            self.ui.say(f"sort: {reason}")
        else:
            self.sort_by(event.column_key, reverse=event.reverse)
            event.view.show_order(event.column_key, reverse=event.reverse)

    def sort_by(self, column: str, *, reverse: bool) -> None:
        """Bring the rows into another order, where `can` says that they are `sortable`."""

    # lists, for a click on the line of keys and the help screen; the lists have these keys themselves

    def _in_list(self, action: str) -> None:
        lists = self.query(RowView)
        if lists:
            lists.first().focus()
            self.call_later(lists.first().run_action, action)
        else:
            self.ui.say("there is no list in this view")

    def do_open(self) -> None:
        """Open what is highlighted."""
        self._in_list("select")

    def do_down(self) -> None:
        """Go to the next row."""
        self._in_list("step(1)")

    def do_up(self) -> None:
        """Go to the row before."""
        self._in_list("step(-1)")

    def do_first(self) -> None:
        """Go to the first row."""
        self._in_list("first")

    def do_final(self) -> None:
        """Go to the last row."""
        self._in_list("last")

    def do_sort(self) -> None:
        """Sort by the next column."""
        self._in_list("sort")

    def do_reverse(self) -> None:
        """Turn the order about."""
        self._in_list("sort_reverse")

    def do_mark(self) -> None:
        """Mark the row."""
        self._in_list("mark")

    # the bar: filter and go

    def do_filter(self) -> None:
        """Open the bar to filter rows."""
        self._open_bar("/", self.filter_text, ())

    def do_go(self) -> None:
        """Open the bar to go somewhere."""
        self._open_bar(":", "", self.ui.places())

    @property
    def bar_is_open(self) -> bool:
        """Tell whether the bar to type in is open."""
        return not self.query_one("#bar").has_class("-none")

    def _open_bar(self, sign: str, value: str, words: Iterable[str]) -> None:
        bar = self.query_one("#bar", Input)
        bar.suggester = SuggestFromList(list(words), case_sensitive=False)
        bar.remove_class("-none")
        bar.placeholder = "filter: words  !not  key=value  ~fuzzy" if sign == "/" else "go: p NAME  t ID  r RULE  inbox"
        self._bar_sign = sign
        bar.value = value
        bar.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing."""
        if event.input.id == "bar" and self.bar_is_open and self._bar_sign == "/":
            self.filter_text = event.value
            self.apply_filter()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter, or go."""
        if event.input.id != "bar":
            return
        value, sign = event.value, self._bar_sign
        self._close_bar()
        if sign == ":":
            self.ui.go(value)

    def _close_bar(self) -> None:
        self.query_one("#bar", Input).add_class("-none")
        self.focus_body()

    def focus_body(self) -> None:
        """Give the keys back to the view."""
        self.set_focus(None)

    def apply_filter(self) -> None:
        """Keep the rows that `filter_text` asks for."""

    def do_back(self) -> None:
        """Close the bar, then drop the filter, then the view."""
        if self.bar_is_open:
            if self._bar_sign == "/":
                self.filter_text = ""
                self.apply_filter()
            self._close_bar()
        elif self.filter_text:
            self.filter_text = ""
            self.apply_filter()
        else:
            self.ui.leave()

    def do_close(self) -> None:
        """Close this view."""
        self.ui.leave(ask=True)

    filter_text = ""
    _bar_sign = "/"


def small_lines(state: State, at: Any, cells: int, height: int, glyphs: GlyphSet) -> list[Line]:
    """Say that the terminal is too small, and all the same what is due."""
    waiting = pending(state)
    size: Line = ((f"needs {SMALLEST[0]}x{SMALLEST[1]}, is {cells}x{height}", "quiet"),)
    if not waiting:
        return [size]
    first = waiting[0]
    left = seconds_left(first, at)
    due = f" {max(0, int(left)) // 60}:{max(0, int(left)) % 60:02}" if left is not None and deadline_of(first) else ""
    mark = say_state("pending", glyphs).rpartition(" ")[0]
    return [
        ((f"{mark} {len(waiting)} PENDING{due}", "pending"), (" ", ""), *size),
        ((f"healerd review {first['id']}", ""),),
    ]
