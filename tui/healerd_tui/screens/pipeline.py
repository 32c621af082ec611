"""One pipeline: how a feature is distributed against the reference, its measurements over time with what was done, its
versions, and what waits. Must never draw a window that was not judged: it is a gap.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll

from healerd.errors import HealerdError
from healerd.model import AWAITED
from healerd_tui.detail import (
    METRICS,
    draw_feature,
    draw_shares,
    draw_timeline,
    estimate_words,
    is_within,
    segment_words,
    version_lines,
)
from healerd_tui.formats import say_count, say_number, say_p
from healerd_tui.glyphs import GlyphSet, say_state, sign
from healerd_tui.inert import inert, show, wrap
from healerd_tui.places import Place
from healerd_tui.plots import Picture
from healerd_tui.screens.confirm import ConfirmScreen
from healerd_tui.screens.frame import Frame, bindings
from healerd_tui.screens.lines import Painted
from healerd_tui.state import deadline_of
from healerd_tui.view import Line, inbox_cells, say_when
from healerd_tui.widgets import Plot

__all__ = ["PipelineScreen"]

Json = Mapping[str, Any]
WINDOWS = (30, 60, 120, 240, 500)


class PipelineScreen(Frame):
    """Everything about one pipeline."""

    PLACES: ClassVar[tuple[str, ...]] = ("pipeline",)
    BINDINGS: ClassVar[list[Any]] = bindings("pipeline")
    ABOUT = (
        "One pipeline. Above: a feature of the newest window against the reference, as shares and as cumulative "
        "shares with the largest gap (d: next feature). In the middle: a measurement over time with what was done "
        "(m: next, [ and ] move the cursor, enter opens the decision there). Below: versions, and what waits."
    )

    def __init__(self, name: str) -> None:
        super().__init__()
        self.pipeline = name
        self.distributions: Json | None = None
        self.timeline: Json | None = None
        self.stored: Json | None = None
        self.feature, self.metric_at, self.zoom = 0, 0, 1
        self.cursor: int | None = None
        self._read_to = ""

    def trail(self) -> str:
        """Say which pipeline this is."""
        view = self.state.pipelines.get(self.pipeline)
        arrow = "›" if self.glyphs is not GlyphSet.ASCII else ">"
        stands = f"   {say_state(view['state'], self.glyphs)}" if view else ""
        health = f"   health {say_number(view['health'], 2)}" if view and view.get("health") is not None else ""
        version = f"   model {view['version']}" if view and view.get("version") else ""
        stage = f"   {view['stage']}" if view else ""
        return f"healerd {arrow} {self.pipeline}{stands}{stage}{health}{version}"

    def body(self) -> ComposeResult:
        """Give the plots, the versions and what waits."""
        with VerticalScroll(id="detail"):
            with Horizontal(id="top"):
                with Vertical(id="histogram-panel", classes="panel"):
                    yield Plot(self._histogram, id="histogram")
                    yield Painted(id="feature-note")
                with Vertical(id="ecdf-panel", classes="panel"):
                    yield Plot(self._ecdf, id="ecdf")
            with Vertical(id="timeline-panel", classes="panel"):
                yield Plot(self._line, id="timeline")
                yield Painted(id="timeline-note")
            with Horizontal(id="bottom"):
                with Vertical(id="versions-panel", classes="panel"):
                    yield Painted(id="versions")
                with Vertical(id="pending-panel", classes="panel"):
                    yield Painted(id="waits")

    def on_mount(self) -> None:
        """Name the panels."""
        super().on_mount()
        for name, title in (("versions", "versions"), ("ecdf", "cumulative shares")):
            self.query_one(f"#{name}-panel").border_title = title
        self.focus_body()

    def fetch(self) -> None:
        """Read the plots and the versions."""
        self._read_to = self._newest()
        access, name, windows = self.ui.access, self.pipeline, WINDOWS[self.zoom]
        look, failed = self.ui.fetch, self._not_read
        look(lambda: access.distributions(name), self._take_distributions, failed=failed, group="distributions")
        look(lambda: access.timeline(name, windows=windows), self._take_timeline, failed=failed, group="timeline")
        look(lambda: access.versions(name), self._take_versions, failed=failed, group="versions")

    def _newest(self) -> str:
        """Tell when the newest window that was judged ended."""
        return str(self.state.pipelines.get(self.pipeline, {}).get("window_end_at") or "")

    def _not_read(self, error: HealerdError) -> None:
        """Say why; what was never read is shown as empty, not as if it were still to come."""
        self.distributions = self.distributions or {"features": []}
        self.timeline = self.timeline or {"windows": [], "marks": []}
        self.stored = self.stored or {"versions": []}
        self.ui.say(str(error), severity="warning")
        self.refresh_all()

    def _take_distributions(self, view: Json) -> None:
        """Show what came; the most drifted feature leads, unless another one was chosen."""
        chosen = self._chosen() if self.feature else None
        self.distributions = view
        if chosen is not None:
            self.feature = _place(view["features"], "name", chosen["name"], otherwise=self.feature)
        self._redraw()

    def _take_timeline(self, view: Json) -> None:
        """Show what came; the cursor stays on its window."""
        before = (self.timeline or {}).get("windows") or ()
        self.timeline = view
        if self.cursor is not None:
            last = len(view["windows"]) - 1
            at = before[self.cursor]["end_at"] if self.cursor < len(before) else None
            self.cursor = _place(view["windows"], "end_at", at, otherwise=min(self.cursor, last))
        self._redraw()

    def _take_versions(self, view: Json) -> None:
        self.stored = view
        self.refresh_all()

    def focus_body(self) -> None:
        """Give the keys to the view."""
        self.query_one("#detail").focus()

    # plots

    def _redraw(self) -> None:
        if not self.ready:
            return
        self.query_one("#histogram", Plot).redraw(self._histogram)
        self.query_one("#ecdf", Plot).redraw(self._ecdf)
        self.query_one("#timeline", Plot).redraw(self._line)
        self._say_feature()
        self._say_timeline()

    def _features(self) -> Sequence[Json]:
        return (self.distributions or {}).get("features") or ()

    def _chosen(self) -> Json | None:
        features = self._features()
        return features[self.feature % len(features)] if features else None

    def _histogram(self, width: int, height: int, glyphs: GlyphSet) -> Picture:
        return draw_feature(self._chosen(), read=self.distributions is not None, size=(width, height), glyphs=glyphs)

    def _ecdf(self, width: int, height: int, glyphs: GlyphSet) -> Picture:
        return draw_shares(self._chosen(), size=(width, height), glyphs=glyphs)

    def _line(self, width: int, height: int, glyphs: GlyphSet) -> Picture:
        name = tuple(METRICS)[self.metric_at]
        return draw_timeline(self.timeline, name, cursor=self.cursor, size=(width, height), glyphs=glyphs)

    def _say_feature(self) -> None:
        feature = self._chosen()
        panel = self.query_one("#histogram-panel")
        if feature is None:
            panel.border_title = "features"
            return
        number = self.feature % len(self._features()) + 1
        panel.border_title = inert(f"{feature['name']}  reference against newest window")
        words = f"n {say_count(feature['n'])} of {say_count(feature['n_reference'])}"
        words += f"  KS {say_number(feature.get('ks'), 2)} p {say_p(feature.get('ks_p'))}" if feature.get("ks") else ""
        words += f"  PSI {say_number(feature['psi'], 2)}" if feature.get("psi") is not None else ""
        alarm: Line = ((f"  {sign('warn', self.glyphs)} ALARM", "drift"),) if feature.get("alarm") else ()
        self.query_one("#feature-note", Painted).put(
            [((words, "quiet"), *alarm, (f"  d: {number} of {len(self._features())}", "quiet"))]
        )

    def _say_timeline(self) -> None:
        windows = (self.timeline or {}).get("windows") or ()
        name = tuple(METRICS)[self.metric_at]
        self.query_one("#timeline-panel").border_title = f"{METRICS[name]}, {len(windows)} windows"
        note = self.query_one("#timeline-note", Painted)
        if self.cursor is None or not windows:
            note.put([((f"[ ] cursor  + _ zoom  enter trace  m next of {len(METRICS)}", "quiet"),)])
            return
        window = windows[self.cursor]
        alarms = ", ".join(window["alarms"]) or "no alarm"
        said = (
            f"{say_when(window['end_at'], None)}  {name} {say_number(window.get(name), 3)}  {window['version'] or '-'}"
        )
        near = [each["text"] for each in (self.timeline or {})["marks"] if is_within(each["at"], window)]
        words = f"{said}  {alarms}  {'; '.join(near)}"
        note.put([((show(words), "strong" if near else ""),)])

    # words

    def refresh_body(self) -> None:
        """Say how the pipeline stands, what versions there are, and what waits; a new window is read."""
        if self.timeline is not None and self._newest() != self._read_to:
            self.fetch()
        cells = max(20, self.query_one("#versions-panel").size.width - 4)
        self.query_one("#versions", Painted).put(version_lines(self.stored, self.state.at, cells, self.glyphs))
        self._say_waits()
        self._redraw()

    def tick(self) -> None:
        """Let the countdown run."""
        super().tick()
        if self.ready:
            self._say_waits()

    def _say_waits(self) -> None:
        view = self.state.pipelines.get(self.pipeline)
        panel, cells = self.query_one("#pending-panel"), max(20, self.query_one("#pending-panel").size.width - 4)
        if view is None:
            panel.border_title = "how it stands"
            self.query_one("#waits", Painted).put([((f"no pipeline `{show(self.pipeline)}` is known", "failed"),)])
            return
        waiting = [
            each
            for each in self.state.intents.values()
            if each["pipeline"] == self.pipeline and each["state"] in AWAITED
        ]
        panel.border_title = "waits for a person (n opens it)" if waiting else "how it stands"
        lines = [line for intent in waiting for line in self._intent_lines(intent, cells)] or self._stands(view, cells)
        self.query_one("#waits", Painted).put(lines)

    def _intent_lines(self, intent: Json, cells: int) -> list[Line]:
        parts = inbox_cells(intent, state=self.state, at=self.ui.daemon_now(), glyphs=self.glyphs)
        due = f"  {parts['left'][0]} left" if deadline_of(intent) else "  no deadline"
        silence = wrap(f"if nobody answers, {intent['default']}", cells)
        return [
            (
                (show(parts["action"][0]), "title"),
                (f"  sure {parts['confidence'][0]}", parts["confidence"][1]),
                (due, "urgent"),
            ),
            *(((line, "quiet"),) for line in silence),
        ]

    def _stands(self, view: Json, cells: int) -> list[Line]:
        lines: list[Line] = []
        if view.get("paused"):
            words = f"paused by {view['paused']['author']}: {view['paused']['reason']}"
            lines += [((line, "paused"),) for line in wrap(words, cells)]
        if view.get("incident"):
            words = f"incident {view['incident']['id']}: {view['incident']['reason']}"
            lines += [((line, "drift"),) for line in wrap(words, cells)]
        lines += [((line, "drift"),) for words in segment_words(view) for line in wrap(words, cells)]
        lines += [((line, "quiet"),) for words in estimate_words(view) for line in wrap(words, cells)]
        decision = view.get("decision")
        if decision:
            words = f"{decision['chosen']}: {decision['reason']}"
            lines += [((line, "quiet"),) for line in wrap(words, cells)]
        return lines or [(("nothing is wrong, nothing waits", "ok"),)]

    # keys

    def names(self) -> dict[str, str]:
        """Name the pipeline."""
        view = self.state.pipelines.get(self.pipeline)
        return {
            "pipeline": self.pipeline if view else "",
            "id": self.pipeline,
            "revision": str(view["revision"]) if view else "",
        }

    def as_command(self) -> str:
        """Write it as a command."""
        from healerd_tui.actions import by_id, command

        return command(by_id("versions"), self.names())

    def do_traces(self) -> None:
        """List its decisions."""
        self.ui.visit(Place("traces", self.pipeline))

    def do_pause(self) -> None:
        """Ask whether to pause it."""
        self.ui.push_screen(ConfirmScreen("pause", self.names()))

    def do_resume(self) -> None:
        """Ask whether to end its pause."""
        self.ui.push_screen(ConfirmScreen("resume", self.names()))

    def do_propose(self) -> None:
        """Ask what to propose."""
        self.ui.push_screen(ConfirmScreen("propose", self.names()))

    def do_metric(self) -> None:
        """Show the next measurement."""
        self.metric_at = (self.metric_at + 1) % len(METRICS)
        self._redraw()

    def do_feature(self) -> None:
        """Show the next feature."""
        self.feature += 1
        self._redraw()

    def do_cursor_left(self) -> None:
        """Move the cursor to the window before."""
        self._move_cursor(-1)

    def do_cursor_right(self) -> None:
        """Move the cursor to the window after."""
        self._move_cursor(+1)

    def _move_cursor(self, by: int) -> None:
        windows = (self.timeline or {}).get("windows") or ()
        if not windows:
            self.ui.say("there is no window yet")
            return
        start = len(windows) if self.cursor is None else self.cursor
        self.cursor = max(0, min(len(windows) - 1, start + by))
        self._redraw()

    def do_zoom_in(self) -> None:
        """Show fewer windows."""
        self._zoom(-1)

    def do_zoom_out(self) -> None:
        """Show more windows."""
        self._zoom(+1)

    def _zoom(self, by: int) -> None:
        self.zoom = max(0, min(len(WINDOWS) - 1, self.zoom + by))
        self.cursor = None
        self.fetch()

    def do_at_cursor(self) -> None:
        """Show the decision at the cursor."""
        windows = (self.timeline or {}).get("windows") or ()
        decision = windows[self.cursor]["decision_id"] if self.cursor is not None and windows else None
        if decision:
            self.ui.visit(Place("trace", decision))
        else:
            self.ui.say("move the cursor first ([ and ])")

    def do_versions(self) -> None:
        """Bring the versions into sight."""
        self.query_one("#versions-panel").scroll_visible(animate=False)


def _place(rows: Sequence[Json], field: str, value: Any, *, otherwise: int) -> int:
    """Find the row whose field has a value."""
    return next((number for number, row in enumerate(rows) if row[field] == value), otherwise)
