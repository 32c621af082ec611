"""What is looked at before a unit is installed: keys, places, and who may read and write there."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from healerd.client.unit_checks import check_places
from healerd.client.units import Placed
from healerd.config import Config, parse_config
from healerd.errors import ConfigError

SOMEBODY = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
PLACED = '[daemon]\nstate = "/var/lib/healerd/state"\nsocket = "/run/healerd/control.sock"\n'
can_ask = pytest.mark.skipif(shutil.which("test") is None, reason="no `test` command to ask an account with")


@pytest.fixture
def here() -> Iterator[Path]:
    """A folder that a service sees: one below /tmp it would not."""
    with tempfile.TemporaryDirectory(prefix="healerd-units-", dir="/dev/shm") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def configured(folder: Path, text: str = PLACED) -> Config:
    (folder / "healerd.toml").write_text(text, encoding="utf-8")
    return parse_config(text, path=folder / "healerd.toml")


def check(folder: Path, text: str = PLACED, *, own: bool = False, key: Path | None = None) -> None:
    program = Path(shutil.which("true") or "/bin/true")
    placed = Placed(program=program, config_file=folder / "healerd.toml", user=SOMEBODY, group=SOMEBODY, key=key)
    check_places(configured(folder, text), placed, own=own)


def test_what_systemd_makes_needs_nothing(here: Path) -> None:
    """The places that the guides name pass as they are."""
    check(here)


def test_a_key_that_is_not_there_is_named_with_the_command_that_makes_it(here: Path) -> None:
    """Without the file behind a credential nothing is installed; an empty one is none; a session asks it as well."""
    text = PLACED + '[audit]\nkey = "credential:audit"\n'
    for own in (False, True):
        with pytest.raises(ConfigError, match=r"openssl genpkey -algorithm ed25519 -out \S+/audit"):
            check(here, text, own=own)
    (here / "audit").touch()
    with pytest.raises(ConfigError, match="there is no key"):
        check(here, text)
    (here / "other").write_text("a key")
    check(here, text, key=here / "other")
    (here / "audit").write_text("a key")
    check(here, text)


def test_a_place_to_write_has_to_be_there(here: Path) -> None:
    """systemd would fail for a folder that is not there with a number; here it is named, with both ways out."""
    text = f'[daemon]\nstate = "{here}/state"\nsocket = "/run/healerd/control.sock"\n'
    with pytest.raises(ConfigError, match="not there") as told:
        check(here, text)
    assert f"install -d -m 0750 -o {SOMEBODY} -g {SOMEBODY} {here}/state" in str(told.value)
    assert 'state = "/var/lib/healerd/state"' in str(told.value)
    check(here, text, own=True)


@can_ask
def test_a_place_to_write_has_to_be_open_to_the_account(here: Path) -> None:
    """A state folder that belongs to somebody else is refused before the daemon would fail in it."""
    text = f'[daemon]\nstate = "{here}/state"\nsocket = "/run/healerd/control.sock"\n'
    (here / "state").mkdir(mode=0o555)
    with pytest.raises(ConfigError, match=f"`{SOMEBODY}` may not write"):
        check(here, text)
    (here / "state").chmod(0o777)
    check(here, text)


@can_ask
def test_a_configuration_that_the_account_cannot_read_is_refused(here: Path) -> None:
    """A file of mode 0 would end each start with 78."""
    configured(here)
    file = here / "healerd.toml"
    config = parse_config(PLACED, path=file)
    file.chmod(0)
    placed = Placed(program=Path(shutil.which("true") or "/bin/true"), config_file=file, user=SOMEBODY, group=SOMEBODY)
    with pytest.raises(ConfigError, match="cannot be read by"):
        check_places(config, placed, own=False)


@pytest.mark.parametrize("folder", ["/tmp", "/var/tmp"])
def test_what_lies_in_a_shared_tmp_is_out_of_sight(here: Path, folder: str) -> None:
    """The service has a /tmp of its own: a table there would never be found, and a session sees it."""
    text = PLACED + f'[pipeline.p]\nsource = {{ path = "{folder}/rows.csv" }}\n'
    with pytest.raises(ConfigError, match="out of sight"):
        check(here, text)
    check(here, text, own=True)


@can_ask
def test_the_interpreter_behind_the_links_has_to_be_readable(here: Path) -> None:
    """An environment that all may read, made with an interpreter in a closed home, could not be started."""
    config = configured(here)
    (here / "home").mkdir()
    (here / "home" / "python").touch(mode=0)
    program = Path(shutil.which("true") or "/bin/true")
    placed = Placed(
        program=program,
        config_file=here / "healerd.toml",
        user=SOMEBODY,
        group=SOMEBODY,
        python=here / "home" / "python",
    )
    with pytest.raises(ConfigError, match="home/python` cannot be read by"):
        check_places(config, placed, own=False)


@can_ask
def test_the_folder_of_a_key_is_written_to_until_the_key_is_made(here: Path) -> None:
    """A key that is to be made needs a folder that the account may write to; one that is there needs none."""
    text = PLACED + f'[audit]\nkey = "{here}/keys/audit.key"\n'
    (here / "keys").mkdir(mode=0o555)
    (here / "keys").chmod(0o555)
    with pytest.raises(ConfigError, match="may not write to"):
        check(here, text)
    (here / "keys").chmod(0o755)
    (here / "keys" / "audit.key").touch()
    (here / "keys").chmod(0o555)
    check(here, text)
