"""`healerd tui`: opened only where somebody sees it, and on what was asked for."""

import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from healerd.cli.exits import Exit
from healerd.clock import ManualClock
from healerd.store import Store, Watermark
from tests.healerd.cli.conftest import Called
from tests.served import NOW, a_decision, an_intent

Call = Callable[..., Called]
QUIT = b"\x11"
PATIENCE_S = 30.0


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder that a daemon has left."""
    with Store.open(tmp_path, clock=ManualClock(NOW)) as store, store.transaction() as tx:
        tx.put(a_decision())
        tx.put(an_intent())
        tx.put(Watermark(pipeline="churn", end_at=NOW))
    return tmp_path


def test_without_a_terminal_it_names_other_ways(call: Call, state: Path) -> None:
    """In a pipe it ends at once, with the verbs that say the same."""
    called = call("tui", "--state", state)
    assert called.code == Exit.USAGE
    assert "healerd status" in called.err
    assert "healerd review" in called.err


def test_a_moment_needs_a_past(call: Call, state: Path) -> None:
    """--at alone would be ignored, so it is refused."""
    called = call("tui", "--state", state, "--at", "2026-05-07T09:11")
    assert called.code == Exit.USAGE
    assert "--replay" in called.err


@pytest.mark.parametrize(
    ("arguments", "shows"),
    [
        (["--state", "{state}"], b"churn"),
        (["--replay", "{state}/healerd.db", "--at", "2026-05-07T14:17"], b"churn"),
    ],
)
def test_it_opens_in_a_terminal_and_ends_well(state: Path, arguments: list[str], shows: bytes) -> None:
    """On a folder without a daemon, and on its past, it shows the pipelines, and ctrl+q ends it with 0."""
    words = [word.format(state=state) for word in arguments]
    screen, terminal = pty.openpty()
    environment = {
        **os.environ,
        "TERM": "xterm-256color",
        "COLUMNS": "120",
        "LINES": "36",
        "TEXTUAL_ANIMATIONS": "none",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "healerd", "tui", *words]
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment) as process:
        os.close(terminal)
        try:
            seen = read_until(screen, shows)
            assert shows in seen
            os.write(screen, QUIT)
            drain(screen)
            assert process.wait(PATIENCE_S) == Exit.OK
        finally:
            process.kill()
            os.close(screen)


def read_until(screen: int, wanted: bytes) -> bytes:
    """Read what is drawn until `wanted` was drawn, or nothing comes any more."""
    seen = b""
    while wanted not in seen and select.select([screen], [], [], PATIENCE_S)[0]:
        try:
            seen += os.read(screen, 65536)
        except OSError:  # it has ended
            break
    return seen


def drain(screen: int) -> None:
    """Read on until the terminal is closed: a program that cannot write does not end."""
    while select.select([screen], [], [], PATIENCE_S)[0]:
        try:
            if not os.read(screen, 65536):
                return
        except OSError:
            return


def test_review_says_it_plainly(call: Call, state: Path) -> None:
    """`review --plain` says one fact a line, and the commands that answer."""
    called = call("review", "act-1", "--plain", "--state", state)
    assert called.code == Exit.OK
    assert "Action: retrain on pipeline churn." in called.out.splitlines()
    assert "healerd veto act-1 --if-rev 3" in called.out
