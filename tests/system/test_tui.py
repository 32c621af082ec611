"""The terminal UI in a terminal of its own, over a daemon that runs: seen, vetoed, left."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.system.installation import HEALERD, PATIENCE_S, Installation, install

ESCAPES = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|[PX^_].*?\x1b\\|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])", re.DOTALL)


class Terminal:
    """The far side of a pseudo-terminal: what was written to it, and the keys."""

    def __init__(self, master: int, process: "subprocess.Popen[bytes]") -> None:
        self.master, self.process = master, process
        self.seen = b""

    def until(self, words: str) -> None:
        """Read until some words were drawn since the last key."""
        end = time.monotonic() + PATIENCE_S
        while words not in self.text():
            assert time.monotonic() < end, f"`{words}` was never drawn:\n{self.text()[-3000:]}"
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    assert words in self.text(), f"it ended before it drew `{words}`"

    def text(self) -> str:
        return ESCAPES.sub(b"", self.seen).decode("utf-8", "replace")

    def ended(self) -> int:
        """Read until the program ends, as a terminal does, and give its exit code."""
        end = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < end, "it did not end"
            # Once the program has closed its side, reading is an error and all is read.
            with suppress(OSError):
                if select.select([self.master], [], [], 0.1)[0]:
                    os.read(self.master, 65536)
        return self.process.returncode

    def press(self, keys: str) -> None:
        self.seen = b""
        os.write(self.master, keys.encode())


@contextmanager
def terminal(here: Installation, *arguments: str, **environment: str) -> Iterator[Terminal]:
    """Run `healerd tui` in a terminal of 120 by 36 until the block ends."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
    settings = {**here._environment(), "TERM": "xterm-256color", "LANG": "C.UTF-8", "TEXTUAL_ANIMATIONS": "none"}
    process = subprocess.Popen(
        [*HEALERD, "tui", "--state", str(here.state), *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**settings, **environment},
        start_new_session=True,
        close_fds=True,
    )
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
        os.close(master)


@pytest.fixture
def here(tmp_path: Path) -> Installation:
    return install(tmp_path)


def test_a_question_is_seen_and_vetoed_in_a_terminal(here: Installation) -> None:
    """In a real terminal the question shows, a veto by keys reaches the daemon, and the daemon's end is survived."""
    with here.running() as daemon:
        question = here.wait_for_question(daemon)
        with terminal(here) as screen:
            screen.until("1 PENDING")
            screen.press("n")
            screen.until("if nobody answers")
            time.sleep(0.7)  # keys count only after there was time to read
            screen.press("v")
            screen.until("enter confirms")
            time.sleep(0.1)
            os.write(screen.master, b"1")
            screen.until("known campaign")
            time.sleep(0.1)
            screen.press("\r")
            screen.until("esc closes")
            assert here.call("review", question["id"], "--json").json["intent"]["state"] == "vetoed"
            screen.press("\x1b")
            daemon.terminate()
            daemon.wait(PATIENCE_S)
            screen.until("STALE")
            screen.press("\x11")
            assert screen.ended() == 0
    assert here.call("audit", "verify").code == 0


def test_the_past_can_be_replayed_in_a_terminal(here: Installation) -> None:
    """A replay shows its badge and the leaf, steps back, and ends."""
    with here.running() as daemon:
        here.wait_for_question(daemon)
    with terminal(here, "--replay", str(here.state), "--ascii", NO_COLOR="1") as screen:
        screen.until("REPLAY")
        screen.until("spam")
        screen.press("[")
        screen.until("leaf")
        screen.press("\x11")
        assert screen.ended() == 0
