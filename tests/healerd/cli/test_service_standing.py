"""What the verbs of the service do where systemd runs, as a stand-in for `systemctl` on the path says that it does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from healerd.cli.group import invoke
from healerd.client.service import Units, is_enabled, is_up, places
from healerd.client.units import MARK

Say = Callable[[str, str], Units]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Let `systemctl show` say how the service stands; the unit of a session is installed."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr("healerd.client.service.BOOTED", tmp_path)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    units = places(own=True)
    units.folder.mkdir(parents=True)
    units.unit.write_text(f"{MARK}\n[Service]\n")

    def says(active: str, file: str) -> Units:
        command = tmp_path / "bin" / "systemctl"
        command.write_text(f"#!/bin/sh\necho ActiveState={active}\necho UnitFileState={file}\n")
        command.chmod(0o755)
        return units

    return says


@pytest.mark.parametrize(
    ("active", "file", "goes"),
    [
        ("active", "enabled", False),
        ("activating", "disabled", False),
        ("deactivating", "disabled", False),
        ("inactive", "enabled", False),
        ("failed", "enabled-runtime", False),
        ("inactive", "disabled", True),
        ("failed", "disabled", True),
    ],
)
def test_what_runs_or_starts_by_itself_is_not_uninstalled(
    say: Say, active: str, file: str, goes: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A link to a unit that is gone would stay behind: it is disabled first, and that is said."""
    units = say(active, file)
    code = invoke(["service", "uninstall", "--user"])
    said = capsys.readouterr().err
    assert (code == 0, units.unit.exists()) == (goes, not goes), said
    assert ("systemctl --user daemon-reload" if goes else "systemctl --user disable --now healerd") in said


def test_after_a_stop_of_the_machine_nothing_is_up(say: Say) -> None:
    """Up is whatever has or will have a process; enabled is whatever starts by itself."""
    assert is_up(say("active", "disabled"))
    assert not is_up(say("failed", "enabled"))
    assert is_enabled(say("failed", "enabled"))
    assert not is_enabled(say("active", "static"))


def test_what_is_replaced_while_it_runs_is_started_anew(
    say: Say, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`enable --now` does not touch a service that runs: after --replace the printed command is a restart."""
    (tmp_path / "healerd.toml").write_text('[pipeline.p]\nsource = { path = "rows.csv" }\n')
    words = ["service", "install", "--user", "--replace", "--config", str(tmp_path / "healerd.toml")]
    for active, begin in (("active", "restart healerd"), ("inactive", "enable --now healerd")):
        say(active, "enabled")
        assert invoke(words) == 0
        assert f"systemctl --user {begin}" in capsys.readouterr().err


def test_without_its_key_nothing_is_installed(say: Say, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The verb itself looks whether the key is there before it writes."""
    units = say("inactive", "disabled")
    units.unit.unlink()
    (tmp_path / "healerd.toml").write_text('[audit]\nkey = "credential:audit"\n')
    assert invoke(["service", "install", "--user", "--config", str(tmp_path / "healerd.toml")]) == 2
    assert "openssl genpkey" in capsys.readouterr().err
    assert not units.unit.exists()
