"""The daemon as a process: what ends it and how, what it survives, and that it stays responsive."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from healerd.client import Link
from healerd.clock import Clock, ManualClock
from healerd.config import Config, DaemonSettings, Duration
from healerd.daemon.app import RunExit, run
from healerd.daemon.executor import Move
from healerd.daemon.logs import set_up_logging
from healerd.daemon.notices import notices
from healerd.daemon.recording import MemoryStore, RecordingCore
from healerd.daemon.scheduler import Ticker
from healerd.daemon.supervised import Progress
from healerd.errors import (
    ActionError,
    ConfigError,
    HealerdError,
    LockHeld,
    RulesError,
    SourceError,
    StaleEpoch,
    StoreAway,
    StoreError,
)
from healerd.listen_settings import NotifySettings
from healerd.model import IntentState
from tests.served import a_decision, an_intent

NOON = datetime(2026, 5, 7, 12, 0, tzinfo=UTC)
Tick = Callable[["ScriptedCore"], None]


class ScriptedCore(RecordingCore):
    """A recording core whose ticks do what the test says, one after another; after the last, it asks to be stopped."""

    def __init__(self, clock: Clock, ticks: Sequence[Tick]) -> None:
        super().__init__(MemoryStore(clock), clock)
        self._ticks = list(ticks)

    def run_due(self) -> Sequence[object]:
        super().run_due()
        if not self._ticks:
            os.kill(os.getpid(), signal.SIGTERM)
            return ()
        self._ticks.pop(0)(self)
        return ()


def run_with(state: Path, *ticks: Tick, clock: ManualClock | None = None) -> tuple[RunExit, ScriptedCore]:
    clock = clock or ManualClock(NOON)
    core = ScriptedCore(clock, ticks)
    code = run(config_in(state), open_core=lambda config, clock: core, clock=clock)
    return code, core


def config_in(state: Path) -> Config:
    return Config(daemon=DaemonSettings(state=str(state), tick=Duration(0.05)), folder="/")


def send(number: int) -> Tick:
    return lambda core: os.kill(os.getpid(), number)


def fail_with(error: Exception) -> Tick:
    def tick(core: ScriptedCore) -> None:
        raise error

    return tick


class Took(BaseHTTPRequestHandler):
    """A channel that takes every message."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Print nothing."""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the library's own
def test_s9_the_core_hears_which_question_a_channel_took(tmp_path: Path) -> None:
    """A question that stands open goes to the channel, and the core is told of it, by intent and revision."""
    pytest.importorskip("apprise", reason="the extra `notify` is not installed")
    server = HTTPServer(("127.0.0.1", 0), Took)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = tmp_path / "channels"
    file.touch(0o600)
    file.write_text(f"json://127.0.0.1:{server.server_port}/\n")

    def tick(core: ScriptedCore) -> None:
        core.store.put(an_intent())
        core._ticks = [wait] * 200

    def wait(core: ScriptedCore) -> None:
        if ("reached", ("act-1", 3)) in core.calls:
            core._ticks.clear()

    clock = ManualClock(NOON)
    core = ScriptedCore(clock, [tick])
    config = replace(config_in(tmp_path), notify=NotifySettings(urls_file=str(file)))
    assert run(config, open_core=lambda config, clock: core, clock=clock) is RunExit.OK
    server.shutdown()
    server.server_close()
    assert ("reached", ("act-1", 3)) in core.calls


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(tmp_path: Path, number: int) -> None:
    """A stop closes the core last and takes the socket away."""
    code, core = run_with(tmp_path, send(number), lambda core: None, lambda core: None)
    assert code is RunExit.OK
    assert core.calls[-1] == ("close",)
    assert not (tmp_path / "control.sock").exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LockHeld("held"), 75),
        (StoreError("damaged"), 66),
        (StoreAway("locked"), 69),
        (ConfigError("misspelt"), 78),
        (RulesError("a syntax error"), 78),
        (SourceError("no file"), 69),
        (ActionError("no registry"), 70),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_keeps_it_from_starting_is_its_exit_code(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: HealerdError, code: int
) -> None:
    """A daemon that cannot start says why, once, and ends with the code for it."""

    def open_core(config: Config, clock: Clock) -> RecordingCore:
        raise error

    assert run(config_in(tmp_path), open_core=open_core) == code
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [str(error)]


def test_a_failure_of_the_world_is_survived(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A full disk or a missing source ends one tick, not the daemon."""
    code, core = run_with(tmp_path, fail_with(StoreError("the disk is full")), fail_with(SourceError("no file")))
    assert code is RunExit.OK
    assert len([call for call in core.calls if call == ("run_due",)]) >= 3
    assert "the disk is full" in caplog.text


def test_a_bug_ends_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After an assertion nothing goes on: the daemon says so and ends, with its core closed."""
    code, core = run_with(tmp_path, fail_with(AssertionError("impossible")))
    assert code is RunExit.INTERNAL
    assert core.calls[-1] == ("close",)
    assert "impossible" in caplog.text


def test_s14_a_daemon_that_was_fenced_off_ends(tmp_path: Path) -> None:
    """When a newer daemon has taken over, this one ends at once, as if it had never got the lock."""
    code, _ = run_with(tmp_path, fail_with(StaleEpoch("a newer daemon acts")))
    assert code is RunExit.LOCK_HELD


def test_a_daemon_on_standby_leads_once_the_folder_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On standby it says once whom it waits for, and runs as soon as the folder can be taken."""
    monkeypatch.setattr("healerd.daemon.app.STANDBY_S", 0.01)
    clock, tries, alive = ManualClock(NOON), list[Config](), list[bool]()
    core = ScriptedCore(clock, [lambda core: None])

    async def ping(progress: Progress, *, now_s: Callable[[], float], every_s: float) -> None:
        alive.append(progress.goes_on(now_s(), watchdog_s=300.0, every_s=every_s))

    monkeypatch.setattr("healerd.daemon.app.ping_while_it_goes_on", ping)

    def open_core(config: Config, clock: Clock) -> RecordingCore:
        tries.append(config)
        if len(tries) < 4:
            clock.advance(3600)
            raise LockHeld("held by process 7")
        return core

    with caplog.at_level(logging.INFO, logger="healerd"):
        assert run(config_in(tmp_path), open_core=open_core, clock=clock, standby=True) is RunExit.OK
    assert caplog.text.count("on standby: held by process 7") == 1
    assert alive == [True], "who waited for longer than a tick may take has not stopped"
    assert ("run_due",) in core.calls


def test_a_daemon_on_standby_can_be_ended(tmp_path: Path) -> None:
    """A signal ends a daemon that has never led, and it has touched nothing."""

    def open_core(config: Config, clock: Clock) -> RecordingCore:
        os.kill(os.getpid(), signal.SIGTERM)
        raise LockHeld("held by process 7")

    assert run(config_in(tmp_path), open_core=open_core, clock=ManualClock(NOON), standby=True) is RunExit.OK
    assert list(tmp_path.iterdir()) == []


def test_a_daemon_that_was_replaced_leaves_the_new_ones_socket(tmp_path: Path) -> None:
    """An old leader that ends takes away its own socket, not the one that its successor has put there."""
    path = tmp_path / "control.sock"

    def replaced(core: ScriptedCore) -> None:
        path.unlink()
        path.write_text("the successor's")
        raise StaleEpoch("a newer daemon acts")

    assert run_with(tmp_path, replaced)[0] is RunExit.LOCK_HELD
    assert path.read_text() == "the successor's"


def test_sighup_reads_the_rules_anew(tmp_path: Path) -> None:
    """SIGHUP reloads the rules and nothing else."""
    code, core = run_with(tmp_path, send(signal.SIGHUP), lambda core: None, lambda core: None)
    assert code is RunExit.OK
    assert ("reload_rules",) in core.calls


@pytest.mark.parametrize("error", [RulesError("unknown metric"), StoreAway("the disk is full")])
def test_rules_that_do_not_compile_change_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, error: HealerdError
) -> None:
    """When the new rules do not compile, or cannot be written down, the daemon keeps the old ones and says so."""

    def reload_rules(core: RecordingCore) -> None:
        raise error

    monkeypatch.setattr(ScriptedCore, "reload_rules", reload_rules)
    code, _ = run_with(tmp_path, send(signal.SIGHUP), lambda core: None, lambda core: None)
    assert code is RunExit.OK
    assert "the rules stay as they were" in caplog.text


def test_s16_a_set_clock_is_told_before_the_next_tick(tmp_path: Path) -> None:
    """No tick runs on a clock that was just set before the core was told by how much."""
    clock = ManualClock(NOON)
    _, core = run_with(tmp_path, lambda core: clock.jump(-3600), lambda core: None, clock=clock)
    assert ("clock_jumped", -3600.0) in core.calls
    assert core.calls.index(("clock_jumped", -3600.0)) == 1


def test_s16_a_jump_that_a_tick_finds_first_moves_the_next_one_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds that the clock was set, the next tick is looked for anew: it may be as far away as the jump."""
    aligned = list[str]()
    monkeypatch.setattr(Ticker, "realign", lambda ticker: aligned.append("anew"))
    clock = ManualClock(NOON)
    run_with(tmp_path, lambda core: clock.jump(-3600), *[lambda core: None] * 3, clock=clock)
    assert aligned == ["anew"]


def test_s16_a_set_clock_that_could_not_be_written_down_is_told_again(tmp_path: Path) -> None:
    """While the disk is full the jump is not forgotten: nothing is judged until the core has taken it down."""

    class Full(ScriptedCore):
        full = True

        def clock_jumped(self, seconds: float) -> None:
            super().clock_jumped(seconds)
            if self.full:
                self.full = False
                raise StoreError("the disk is full")

    clock = ManualClock(NOON)
    core = Full(clock, [lambda core: clock.jump(3600)])
    assert run(config_in(tmp_path), open_core=lambda config, clock: core, clock=clock) is RunExit.OK
    assert core.calls.count(("clock_jumped", 3600.0)) == 2


def test_it_answers_while_a_tick_hangs(tmp_path: Path) -> None:
    """The control API shows how things stand while a tick takes its time, and says since when it runs."""
    seen = {}

    def hang(core: ScriptedCore) -> None:
        looker = threading.Thread(target=lambda: seen.update(Link(tmp_path / "control.sock").get("/v1/status")))
        looker.start()
        looker.join(10)

    code, _ = run_with(tmp_path, hang)
    assert code is RunExit.OK
    assert seen["daemon"]["ticking_since"] == "2026-05-07T12:00:00Z"
    assert seen["daemon"]["pid"] == os.getpid()


def test_its_health_shows_the_tick_and_the_newest_lines(tmp_path: Path) -> None:
    """After a tick that failed, the health says how long it took, what went wrong, and what was logged."""
    seen: dict[str, Any] = {}

    def look(core: ScriptedCore) -> None:
        looker = threading.Thread(target=lambda: seen.update(Link(tmp_path / "control.sock").get("/v1/health")))
        looker.start()
        looker.join(10)

    run_with(tmp_path, fail_with(SourceError("`rows.csv` cannot be read")), look)
    (job,) = seen["jobs"]
    assert (job["name"], job["every_s"], job["state"]) == ("tick", 0.05, "running")
    assert job["took_s"] == 0.0
    assert (job["said"], seen["daemon"]["state"]) == ("`rows.csv` cannot be read", "live")
    told = [(line["level"], line["message"]) for line in seen["log"]]
    assert ("error", "`rows.csv` cannot be read") in told
    assert seen["store"]["leaves"] == 0


def test_s8_a_veto_is_taken_while_a_tick_hangs(tmp_path: Path) -> None:
    """A veto does not wait for the tick that might start what it stops."""
    taken = []

    def hang(core: ScriptedCore) -> None:
        core.store.put(an_intent())
        link = Link(tmp_path / "control.sock")
        path = "/v1/intents/act-1/answer"
        person = threading.Thread(target=lambda: taken.append(link.post(path, reason="bad timing", kind="veto")))
        person.start()
        person.join(10)

    run_with(tmp_path, hang)
    assert taken[0]["done"]["state"] == "vetoed"


def test_the_log_says_what_happened_in_words() -> None:
    """Decisions to act and intents that moved are logged as sentences; holding is not worth a line."""
    moved = Move(was=IntentState.READY, intent=an_intent(state=IntentState.CONFIRMED))
    told = (a_decision(), a_decision(chosen="hold"), None, moved)
    assert list(notices(told)) == [
        "churn: decided to retrain: the error rose",
        "churn: retrain is confirmed  [act-1]",
    ]


def test_something_in_the_way_of_the_socket_is_not_removed(tmp_path: Path) -> None:
    """A file where the socket should be is somebody's: it stays, and the daemon does not start."""
    (tmp_path / "control.sock").write_text("mine")
    code, core = run_with(tmp_path)
    assert code is RunExit.CONFIGURATION
    assert (tmp_path / "control.sock").read_text() == "mine"
    assert core.calls == [("close",)]


def test_a_socket_path_that_is_too_long_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The kernel's limit on socket paths is an error with a mend, not a traceback."""
    state = tmp_path / ("x" * 100)
    state.mkdir()
    code, _ = run_with(state)
    assert code is RunExit.CONFIGURATION
    assert "`daemon.socket`" in caplog.text


def test_a_socket_in_a_place_that_cannot_be_written_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A read-only root, or somebody else's folder, is an error with a mend, not a traceback."""
    settings = DaemonSettings(state=str(tmp_path), socket="/proc/healerd/control.sock")
    core = ScriptedCore(ManualClock(NOON), ())
    config = Config(daemon=settings, folder="/")
    assert run(config, open_core=lambda config, clock: core, clock=ManualClock(NOON)) is RunExit.CONFIGURATION
    assert "`/proc/healerd/control.sock` cannot be made" in caplog.text


def test_the_folder_of_the_socket_is_made_for_its_owner_and_group(tmp_path: Path) -> None:
    """A folder that is not there is made so that its owner can enter it, and others cannot."""
    from healerd.daemon.listen import bind

    bind(tmp_path / "run" / "control.sock").close()
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "run" / "control.sock").stat().st_mode & 0o777 == 0o660


def test_a_socket_left_by_a_crash_is_replaced(tmp_path: Path) -> None:
    """After a crash the next daemon takes the socket over."""
    from healerd.daemon.listen import bind

    bind(tmp_path / "control.sock").close()
    code, _ = run_with(tmp_path, lambda core: None)
    assert code is RunExit.OK


@pytest.mark.parametrize("as_json", [True, False])
def test_logs_go_to_stderr(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    """Log lines are plain, or JSON with the error in it, and never on stdout."""
    import json

    before = logging.getLogger().handlers[:]
    try:
        set_up_logging(as_json=as_json)
        try:
            raise ValueError("why")
        except ValueError:
            logging.getLogger("healerd").exception("what")
    finally:
        logging.getLogger().handlers[:] = before
    printed = capsys.readouterr()
    assert printed.out == ""
    if as_json:
        line = json.loads(printed.err)
        assert (line["level"], line["message"]) == ("error", "what")
        assert "ValueError: why" in line["error"]
    else:
        assert "ERROR   what" in printed.err
