"""What the service manager hears: ready once, alive only while ticks end, stopping before the end."""

import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from healerd.daemon.app import RunExit
from healerd.daemon.logs import set_up_logging
from healerd.daemon.supervised import Progress, tell, watchdog_s
from healerd.errors import RulesError
from tests.healerd.daemon.test_app import ScriptedCore, run_with, send


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Stand in for the service manager: a datagram socket of the kind that it names."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield manager


def all_of(manager: socket.socket) -> list[str]:
    manager.setblocking(False)
    said = []
    while True:
        try:
            said.append(manager.recv(4096).decode())
        except BlockingIOError:
            return said


def test_a_daemon_says_ready_and_stopping(tmp_path: Path, heard: socket.socket) -> None:
    """READY comes once everything stands, STOPPING before anything is let go of."""
    code, _ = run_with(tmp_path, lambda core: None, send(signal.SIGTERM))
    said = all_of(heard)
    assert code is RunExit.OK
    assert [each.splitlines()[0] for each in said if "WATCHDOG" not in each] == ["READY=1", "STOPPING=1"]


def test_a_daemon_pings_where_it_is_asked_to(
    tmp_path: Path, heard: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a watchdog the pings come; without one there are none."""
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    run_with(tmp_path, lambda core: None, send(signal.SIGTERM))
    assert "WATCHDOG=1" in all_of(heard)
    monkeypatch.delenv("WATCHDOG_USEC")
    run_with(tmp_path, lambda core: None, send(signal.SIGTERM))
    assert "WATCHDOG=1" not in all_of(heard)


def test_what_a_reload_came_to_is_shown_beside_the_unit(
    tmp_path: Path, heard: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a reload of wrong rules the status says that the old ones stay; after one of good rules it is as before."""
    wrong = [True, False]

    def reload_rules(core: object) -> None:
        if wrong.pop(0):
            raise RulesError("unknown metric")

    monkeypatch.setattr(ScriptedCore, "reload_rules", reload_rules)
    rest = [lambda core: None] * 3
    run_with(tmp_path, send(signal.SIGHUP), *rest, send(signal.SIGHUP), *rest, send(signal.SIGTERM))
    shown = [line for each in all_of(heard) for line in each.splitlines() if line.startswith("STATUS=watching")]
    assert [("stay as they were" in line) for line in shown] == [False, True, False]


def test_a_tick_that_hangs_is_not_covered_up(
    tmp_path: Path, heard: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the writer's thread hangs in a tick, on a clock that goes on, no ping is sent, though the loop is well."""
    from healerd.clock import ManualClock
    from tests.healerd.daemon.test_app import NOON

    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    clock, released = ManualClock(NOON), threading.Event()

    def hang(core: object) -> None:
        all_of(heard)
        clock.advance(3600)
        heard.setblocking(False)
        released.wait(0.3)
        hang.said = all_of(heard)  # type: ignore[attr-defined]

    run_with(tmp_path, lambda core: None, hang, send(signal.SIGTERM), clock=clock)
    assert len(hang.said) <= 1, "one ping may have been under way"  # type: ignore[attr-defined]


def test_progress_is_ticks_that_end() -> None:
    """It goes on while the last tick ended within the watchdog's time, or three ticks, whichever is longer."""
    progress = Progress(0.0)
    assert progress.goes_on(299, watchdog_s=300, every_s=5)
    assert not progress.goes_on(301, watchdog_s=300, every_s=5)
    assert progress.goes_on(301, watchdog_s=300, every_s=200)
    progress.tick_ended(301)
    assert progress.goes_on(600, watchdog_s=300, every_s=5)


def test_without_a_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No socket, a socket that is gone, or a name that is none: the daemon goes on all the same."""
    for name in (None, str(tmp_path / "gone"), "vsock:2:1"):
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
        if name:
            monkeypatch.setenv("NOTIFY_SOCKET", name)
        assert tell("READY=1") is False


def test_a_manager_that_does_not_listen_holds_nothing_up(heard: socket.socket) -> None:
    """When the manager's queue is full a line is lost, and the daemon goes on."""
    sent = [tell("WATCHDOG=1") for _ in range(5000)]
    assert sent[0]
    assert not sent[-1]


def test_an_abstract_address_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leading @ stands for the abstract namespace."""
    name = f"healerd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        assert tell("READY=1", "STATUS=well")
        assert manager.recv(100) == b"READY=1\nSTATUS=well"


def test_the_watchdog_of_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the process that the manager named pings; nonsense counts as no watchdog."""
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    assert watchdog_s() == 2.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_s() is None
    monkeypatch.delenv("WATCHDOG_PID")
    monkeypatch.setenv("WATCHDOG_USEC", "soon")
    assert watchdog_s() is None


def test_the_journal_gets_priorities_and_audit_numbers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under journald a line is its priority and then JSON, with the audit number where one belongs."""
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    set_up_logging(as_json=True)
    logging.getLogger("healerd").error("down", extra={"audit": 41})
    logging.getLogger("healerd").info("up")
    error, info = capsys.readouterr().err.splitlines()
    assert error.startswith("<3>{")
    assert json.loads(error[3:])["audit"] == 41
    assert info.startswith("<6>{")
    assert "audit" not in json.loads(info[3:])
    monkeypatch.delenv("JOURNAL_STREAM")
    set_up_logging(as_json=True)
