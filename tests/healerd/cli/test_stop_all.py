"""`healerd stop-all` never fails for a formality (SAFETY S15): whoever may write the file stops everything by it."""

import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from healerd.cli.exits import Exit
from tests.served import Served

Call = Callable[..., Any]
NOT_TEXT = os.fsdecode(b"d\xe4mon hangs")


def test_s15_an_account_without_a_name_stops_everything(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system knows no name for whoever calls, as in a container, the file names their number."""

    def nameless(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", nameless)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    assert call("stop-all", "--reason", "the daemon hangs", "--state", tmp_path).code == Exit.OK
    assert (tmp_path / "STOP").read_text() == f"{os.getuid()}: the daemon hangs\n"


def test_s15_a_reason_that_the_daemon_does_not_take_stops_all_the_same(ask: Call, daemon: Served) -> None:
    """The daemon's refusal is said beside the file that stops everything, and does not end the verb."""
    called = ask("stop-all", "--reason", "x", "--json")
    assert called.code == Exit.OK
    assert called.json["file"] == str(daemon.state / "STOP")
    assert "reason" in called.json["refused"]
    assert "it obeys the file" in ask("stop-all", "--reason", "x").out


def test_s15_a_reason_that_is_no_text_stops_all_the_same(ask: Call, daemon: Served) -> None:
    """What a terminal of another encoding gives is written as well as can be, in the file and by the daemon."""
    called = ask("stop-all", "--reason", NOT_TEXT, "--json")
    assert called.code == Exit.OK, called.err
    assert called.json["refused"] == ""
    assert (daemon.state / "STOP").read_text().endswith(": d?mon hangs\n")
    assert ask("pause", "churn", "--reason", NOT_TEXT).code == Exit.OK


def test_resume_says_that_a_file_stopped_everything(ask: Call, daemon: Served) -> None:
    """Where only the file stops everything, it is the file that ends; nobody is told that nothing was paused."""
    (daemon.state / "STOP").write_text("ada: by hand\n")
    called = ask("resume", "--all", "--reason", "it was looked at")
    assert "nothing was paused" not in called.err
    assert str(daemon.state / "STOP") in called.err
    assert not (daemon.state / "STOP").exists()
