"""How the daemon itself does: its jobs, its store, its log. Must never show numbers of yesterday as if of now."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll

from healerd_tui.filters import compile_filter
from healerd_tui.formats import ago, clock, say_count, say_number
from healerd_tui.glyphs import GlyphSet, sign
from healerd_tui.inert import clip, pad, show, wrap
from healerd_tui.screens.frame import Frame, bindings
from healerd_tui.screens.lines import Painted
from healerd_tui.state import Conn, State
from healerd_tui.view import Line, say_when

__all__ = ["HealthScreen", "health_lines", "log_lines"]

Json = Mapping[str, Any]
LEVELS: Mapping[str, str] = {
    "ok": "ok",
    "late": "watch",
    "warn": "drift",
    "running": "healing",
    "failed": "failed",
    "fail": "failed",
}
REREAD_S = 2.0


class HealthScreen(Frame):
    """The daemon, its jobs and its log."""

    PLACES: ClassVar[tuple[str, ...]] = ("health",)
    BINDINGS: ClassVar[list[Any]] = bindings("health")
    TRAIL = "healerd health"
    ABOUT = (
        "The daemon itself: when it last ticked and how long that took, how large its store is, what is wrong, and "
        "its log. While the daemon is away this view says since when and why, and R tries to reach it at once."
    )

    view: Json | None = None
    following, everything = True, False

    def body(self) -> ComposeResult:
        """Give the facts above and the log below."""
        with Vertical(id="panel", classes="panel") as panel:
            panel.border_title = "Health"
            yield Painted(id="facts")
            yield Painted(id="log-title")
            with VerticalScroll(id="log"):
                yield Painted(id="lines")

    def on_mount(self) -> None:
        """Read now and then."""
        super().on_mount()
        self.set_interval(REREAD_S, self._reread)

    def _reread(self) -> None:
        if self.is_current:
            self.fetch()

    def fetch(self) -> None:
        """Read the health."""
        self.ui.fetch(self.ui.access.health, self._take, failed=lambda error: None, group="health")

    def _take(self, view: Json) -> None:
        self.view = view
        self.refresh_all()

    def refresh_body(self) -> None:
        """Write the facts and the log."""
        cells = max(40, self.size.width - 6)
        monotonic_s = self.ui.monotonic()
        facts = health_lines(
            self.view,
            state=self.state,
            monotonic_s=monotonic_s,
            cells=cells,
            glyphs=self.glyphs,
            everything=self.everything,
        )
        self.query_one("#facts", Painted).put(facts)
        lines = list(log_lines(self.view, self.state, cells, self.filter_text))
        follows = "following" if self.following else "not following (f)"
        title = f"LOG  {len(lines)} lines, {follows}" + (f", filter: {self.filter_text}" if self.filter_text else "")
        self.query_one("#log-title", Painted).put([((show(title), "label"),)])
        self.query_one("#lines", Painted).put(lines)
        if self.following:
            self.query_one("#log").scroll_end(animate=False)

    def tick(self) -> None:
        """Count on how long the daemon is away."""
        super().tick()
        if self.ready:
            self.refresh_body()

    def on_resize(self) -> None:
        """Fit the lines anew."""
        self.refresh_all()

    def focus_body(self) -> None:
        """Give the keys to the log."""
        self.query_one("#log").focus()

    def apply_filter(self) -> None:
        """Keep lines that the filter asks for."""
        self.refresh_body()

    def as_command(self) -> str:
        """Write it as a command."""
        return "healerd doctor"

    def can(self) -> Iterable[str]:
        """Tell that there are checks to show."""
        return ("findings",) if (self.view or {}).get("findings") else ()

    def do_doctor(self) -> None:
        """Show everything the doctor looked at, or only what should be mended."""
        self.everything = not self.everything
        self.fetch()
        self.refresh_body()

    def do_follow(self) -> None:
        """Follow the newest line, or not."""
        self.following = not self.following
        self.refresh_body()


def health_lines(
    view: Json | None, *, state: State, monotonic_s: float, cells: int, glyphs: GlyphSet, everything: bool = False
) -> Iterator[Line]:
    """Write how the daemon, its jobs and its store do; with `everything`, what the doctor found sound too."""
    yield from _daemon(view, state, monotonic_s, cells, glyphs)
    if view is None:
        return
    yield ()
    if view.get("jobs"):
        yield from _jobs(view, state)
        yield ()
    yield from _store(view, cells)
    yield from _pipelines(view, cells)
    yield from _findings(view, cells, glyphs, everything=everything)
    yield ()


def _daemon(view: Json | None, state: State, monotonic_s: float, cells: int, glyphs: GlyphSet) -> Iterator[Line]:
    label = (pad("daemon", 10), "label")
    if state.conn == Conn.STALE:
        away = clock(monotonic_s - state.lost_s) if state.lost_s is not None else "--:--"
        retry = state.retry_at_s - monotonic_s if state.retry_at_s is not None else None
        again = f"retry in {max(0, retry):.0f} s (R now)" if retry is not None else "R tries now"
        yield (label, (f"{sign('away', glyphs)} away {away}, last leaf {say_count(state.seq)}, {again}", "failed"))
        for line in wrap(state.lost_why, max(10, cells - 10)):
            yield ((pad("", 10), ""), (line, "quiet"))
        words = "what is shown is of then, read from the store; countdowns stand still; nothing can be decided"
        yield ((pad("shown", 10), "label"), (words, ""))
        return
    if state.conn == Conn.REPLAY:
        yield (label, (f"a replay of the record at leaf {say_count(state.seq)}", "watch"))
        return
    daemon = {**dict(state.status.get("daemon") or {}), **dict((view or {}).get("daemon") or {})}
    since = say_when(daemon.get("since"), None)
    pid = f" process {daemon['pid']}" if daemon.get("pid") else ""
    yield (label, (f"{sign('live', glyphs)} live", "ok"), (f"{pid} since {since}, leaf {say_count(state.seq)}", ""))


def _jobs(view: Json, state: State) -> Iterator[Line]:
    heads = [
        pad("JOB", 14),
        *(pad(head, 11, align="right") for head in ("EVERY", "TOOK", "LAG")),
        "  ",
        pad("LAST RUN", 20),
    ]
    yield (("".join(heads) + "STATE", "label"),)
    for job in view.get("jobs") or ():
        words = [pad(job["name"], 14)]
        words += [pad(ago(job.get("every_s")), 11, align="right")]
        words += [
            pad(_seconds(job.get("took_s")), 11, align="right"),
            pad(_seconds(job.get("lag_s")), 11, align="right"),
        ]
        words += ["  ", pad(say_when(job.get("last_at"), state.at), 20)]
        yield (("".join(words), ""), (str(job["state"]), LEVELS.get(job["state"], "")))


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{say_number(seconds, 2)} s"


def _store(view: Json, cells: int) -> Iterator[Line]:
    store, writer = view.get("store") or {}, view.get("writer") or {}
    words = (
        f"{_bytes(store.get('bytes'))}, WAL {_bytes(store.get('wal_bytes'))}, free {_bytes(store.get('free_bytes'))}, "
        f"{say_count(store.get('leaves'))} leaves, oldest {say_when(store.get('oldest_at'), None)}"
    )
    for number, line in enumerate(wrap(words, max(10, cells - 10))):
        yield ((pad("store" if number == 0 else "", 10), "label"), (line, ""))
    if writer:
        since = f" since {say_when(writer['since'], None)}" if writer.get("since") else ""
        yield ((pad("writer", 10), "label"), (f"epoch {writer.get('epoch')}{since}", ""))


def _pipelines(view: Json, cells: int) -> Iterator[Line]:
    behind = [each for each in view.get("pipelines") or () if (each.get("behind_s") or 0) > 0]
    words = ", ".join(f"{each['name']} {ago(each['behind_s'])} behind" for each in behind[:6]) or "none behind"
    for number, line in enumerate(wrap(words, max(10, cells - 10))[:2]):
        yield ((pad("windows" if number == 0 else "", 10), "label"), (line, ""))


def _findings(view: Json, cells: int, glyphs: GlyphSet, *, everything: bool) -> Iterator[Line]:
    findings = [each for each in view.get("findings") or () if everything or each["level"] != "ok"]
    for number, finding in enumerate(findings):
        sound = finding["level"] == "ok"
        mark = sign("check" if sound else "warn", glyphs)
        mend = f"  mend: {finding['mend']}" if finding.get("mend") else ""
        for place, line in enumerate(wrap(f"{mark} {finding['check']}: {finding['said']}{mend}", max(10, cells - 10))):
            label = "doctor" if not number and not place else ""
            yield ((pad(label, 10), "label"), (line, "quiet" if sound else LEVELS.get(finding["level"], "drift")))


def log_lines(view: Json | None, state: State, cells: int, filter_text: str) -> Iterator[Line]:
    """Write the log, the newest line last; while there is none, what the link heard."""
    keeps = compile_filter(filter_text)
    for line in (view or {}).get("log") or ():
        fields = {"level": line["level"], "from": line.get("from") or "", "message": line["message"]}
        if not filter_text or keeps(fields):
            role = {"warning": "drift", "error": "failed"}.get(line["level"], "quiet")
            words = f"{say_when(line['at'], state.at)} {line['level'].upper():<8}{fields['from']}  {line['message']}"
            yield ((clip(words, cells), role),)
    if state.lost_why:
        yield ((clip(f"{say_when(None, None)} link  {state.lost_why}", cells), "failed"),)


def _bytes(size: float | None) -> str:
    if size is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{say_number(size, 3)} {unit}"
        size /= 1000
    return "-"
