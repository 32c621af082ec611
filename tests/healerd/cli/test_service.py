"""Installing the unit: all of it or nothing, never over somebody else's, and what the verbs say."""

import grp
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from healerd.client.service import Units, check_account, install, places, uninstall
from healerd.client.units import MARK
from healerd.errors import ConfigError, Conflict, NotFound

UNIT = f"{MARK}\n[Service]\n"


@pytest.fixture
def units(tmp_path: Path) -> Units:
    return places(own=False, root=tmp_path)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_it_goes_in_and_out_without_a_trace(units: Units, tmp_path: Path) -> None:
    """Install writes unit and drop-in, uninstall takes both; what somebody put beside them stays."""
    install(units, UNIT, strict=UNIT, replace=False)
    assert files(tmp_path) == {"etc/systemd/system/healerd.service", "etc/systemd/system/healerd.service.d/strict.conf"}
    own = units.strict.with_name("override.conf")
    own.write_text("[Service]\n")
    assert set(uninstall(units)) == {units.unit, units.strict}
    assert files(tmp_path) == {"etc/systemd/system/healerd.service.d/override.conf"}


def test_a_second_install_is_refused_unless_asked(units: Units) -> None:
    """What is installed stays as it is; with `replace` it is renewed, and a strict profile no longer wanted goes."""
    install(units, UNIT, strict=UNIT, replace=False)
    with pytest.raises(Conflict, match="--replace"):
        install(units, UNIT + "Nice=1\n", strict=None, replace=False)
    assert units.unit.read_text() == UNIT
    install(units, UNIT + "Nice=1\n", strict=None, replace=True)
    assert "Nice" in units.unit.read_text()
    assert not units.strict.exists()


def test_a_unit_of_somebody_else_is_left_alone(units: Units) -> None:
    """A unit without our mark is neither replaced nor removed."""
    units.folder.mkdir(parents=True)
    units.unit.write_text("[Service]\n")
    with pytest.raises(Conflict):
        install(units, UNIT, strict=None, replace=True)
    with pytest.raises(Conflict):
        uninstall(units)
    assert units.unit.read_text() == "[Service]\n"


def test_what_cannot_be_finished_is_not_begun(units: Units, tmp_path: Path) -> None:
    """When the second file cannot be written the first is gone again, and an older one is back."""
    units.folder.mkdir(parents=True)
    units.strict.parent.write_text("a file where a folder should be")
    for before in (None, UNIT + "Nice=2\n"):
        if before:
            units.unit.write_text(before)
        with pytest.raises(ConfigError, match="cannot be written"):
            install(units, UNIT, strict=UNIT, replace=True)
        assert (units.unit.read_text() if units.unit.exists() else None) == before
    assert files(tmp_path) == {"etc/systemd/system/healerd.service", "etc/systemd/system/healerd.service.d"}


def test_nothing_to_remove_is_said(units: Units) -> None:
    """Removing what is not there names the verb that makes it."""
    with pytest.raises(NotFound, match="install"):
        uninstall(units)


def test_a_missing_account_is_named_with_its_mend() -> None:
    """A group or user that is not there is said with the command that makes it."""
    me, mine = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    check_account(me, mine)
    with pytest.raises(ConfigError, match="groupadd --system no-such-group"):
        check_account(me, "no-such-group")
    with pytest.raises(ConfigError, match=r"useradd .* no-such-user"):
        check_account("no-such-user", mine)


def test_the_units_of_a_session_lie_in_its_own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Your own unit needs no rights of the machine."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert places(own=True).unit == tmp_path / "systemd" / "user" / "healerd.service"
    assert places(own=True).systemctl("status") == ("systemctl", "--user", "status")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "healerd.toml"
    file.write_text('[pipeline.p]\nsource = { path = "rows.csv" }\n')
    return file


@pytest.mark.skipif(not Path(sys.executable).with_name("healerd").exists(), reason="healerd is not installed")
def test_the_verbs_say_what_they_do(call: Callable[..., object], config: Path, tmp_path: Path) -> None:
    """Print, rehearse, install, look and uninstall agree with each other, in JSON with a schema."""
    image = tmp_path / "image"
    printed = call("service", "print", "--config", config, "--json")
    assert printed.code == 0
    rehearsed = call("service", "install", "--config", config, "--root", image, "--dry-run", "--json")
    assert (rehearsed.json["dry_run"], image.exists()) == (True, False)
    done = call("service", "install", "--config", config, "--root", image, "--strict", "--json")
    assert done.json["installed"][0] == rehearsed.json["installed"][0]
    assert Path(done.json["installed"][0]).read_text() == printed.json["unit"]
    assert call("service", "install", "--config", config, "--root", image).code == 6
    stands = call("service", "status", "--root", image, "--json")
    assert (stands.json["installed"], stands.json["strict"]) == (True, True)
    gone = call("service", "uninstall", "--root", image, "--json")
    assert gone.json["removed"]
    assert call("service", "uninstall", "--root", image).code == 5


def test_a_broken_configuration_installs_nothing(call: Callable[..., object], tmp_path: Path) -> None:
    """A configuration with a wrong key is refused before anything is written."""
    (tmp_path / "healerd.toml").write_text("[daemn]\n")
    image = tmp_path / "image"
    told = call("service", "install", "--config", tmp_path / "healerd.toml", "--root", image)
    assert told.code == 2
    assert "did you mean `daemon`" in told.err
    assert not image.exists()


@pytest.mark.parametrize("verb", ["install", "uninstall", "status"])
def test_a_session_has_no_image(call: Callable[..., object], tmp_path: Path, verb: str) -> None:
    """`--user` with `--root` is refused, in either order: what it names lies in a home, not in the image."""
    for options in (("--user", "--root", tmp_path), ("--root", tmp_path, "--user")):
        told = call("service", verb, *options)
        assert (told.code, "--root goes without --user" in told.err) == (2, True)
