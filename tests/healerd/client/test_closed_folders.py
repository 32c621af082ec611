"""Somebody who is not in the daemon's group: told in one sentence what is closed to them, never shown a traceback."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import healerd.client.stored
from healerd.cli.group import invoke
from healerd.client import Client
from healerd.errors import ControlError, NotAllowed

NOBODY = 65534


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A state folder that the one who runs this may not enter: root becomes somebody else for the while."""
    assert healerd.client.stored.open_state, "loaded while the environment can still be read"
    for verb in (["status"], ["audit", "verify"], ["inbox"], ["pause"]):
        invoke([*verb, "--help"])
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0)
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.seteuid(NOBODY)
        yield state
    finally:
        if is_root:
            os.seteuid(0)
        state.chmod(0o700)


def test_looking_says_that_it_is_closed(closed: Path) -> None:
    """Where neither socket nor record may be opened, the error is that of the socket; the record has its own."""
    client = Client(closed)
    with pytest.raises(ControlError, match="not open to you"):
        client.status()
    with pytest.raises(NotAllowed, match=r"state folder `\S+` is not open to you"):
        client.open_store()


@pytest.mark.parametrize(
    ("verb", "code"), [(["status"], 3), (["audit", "verify"], 4), (["inbox"], 3)], ids=["status", "verify", "inbox"]
)
def test_verbs_end_with_a_sentence(
    closed: Path, verb: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each verb ends with its code and one line that says what is closed."""
    capsys.readouterr()
    assert invoke([*verb, "--state", str(closed)]) == code
    said = capsys.readouterr().err
    assert said.startswith("healerd: ")
    assert "not open to you" in said


def test_whatever_else_is_closed_is_named(closed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that no verb of ours expects to be closed, such as the configuration, is named all the same."""
    capsys.readouterr()
    assert invoke(["status", "--config", str(closed / "healerd.toml")]) in {2, 4}
    assert "healerd.toml" in capsys.readouterr().err
