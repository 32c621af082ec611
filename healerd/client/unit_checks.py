"""Looks, before a unit is installed, whether systemd could start what it names. Must never change anything.

systemd says of most of this only that a step failed (226/NAMESPACE, 243/CREDENTIALS, 203/EXEC), and tries again.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from healerd.client.units import SOCKET, STATE, Placed, credentials, named_in, needs_room, own_key
from healerd.config import Config
from healerd.errors import ConfigError

__all__ = ["check_places"]

OWN_TMP = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - named because the service does not see what lies there
PLACES = f'say `state = "{STATE}/state"` and `socket = "{SOCKET}"` under `[daemon]`'


def check_places(config: Config, placed: Placed, *, own: bool) -> None:
    """Check keys and places. Raises ConfigError for the first that is missing or closed, with its mend.

    What only the account may know is asked where this process may become it, and left to the daemon elsewhere.
    """
    for name, file in credentials(config, placed):
        _check_key(name, file)
    if own:
        return
    for path in (*placed.programs, placed.config_file, *named_in(config), *needs_room(config)):
        _check_seen(path)
    key = own_key(config)
    for path in needs_room(config, key_made=key is not None and os.access(key, os.F_OK)):
        _check_room(path, placed)
    for path in _closed((*placed.programs, placed.config_file), "-r", placed.user):
        raise ConfigError(f"`{path}` cannot be read by `{placed.user}`: put it where that account may, as in `/opt`")


def _check_key(name: str, file: Path) -> None:
    try:
        there = file.stat().st_size > 0
    except PermissionError:
        return  # systemd reads it as root
    except OSError:
        there = False
    if not there:
        mend = f"(umask 077; openssl genpkey -algorithm ed25519 -out {file})"
        raise ConfigError(
            f"there is no key `{file}` for `credential:{name}`: make one with `{mend}`, or name --key FILE"
        )


def _check_seen(path: Path) -> None:
    if any(path.is_relative_to(folder) for folder in OWN_TMP):
        raise ConfigError(f"`{path}` is out of sight of the service, which has a `/tmp` of its own: put it elsewhere")


def _check_room(path: Path, placed: Placed) -> None:
    make = f"install -d -m 0750 -o {placed.user} -g {placed.group} {path}"
    if not path.is_dir():
        raise ConfigError(f"the daemon is to write to `{path}`, which is not there: {PLACES}, or make it with `{make}`")
    if _closed((path,), "-w", placed.user):
        raise ConfigError(f"`{placed.user}` may not write to `{path}`: {PLACES}, or hand it over with `{make}`")


def _closed(paths: Sequence[Path], how: str, user: str) -> list[Path]:
    """List what is closed to an account; nothing where this process cannot become it."""
    test, account = shutil.which("test"), pwd.getpwnam(user)
    mine = account.pw_uid == os.geteuid()
    if test is None or not (mine or os.geteuid() == 0):
        return []
    groups = None if mine else os.getgrouplist(user, account.pw_gid)
    become = {} if mine else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": groups}
    return [path for path in paths if subprocess.run([test, how, path], check=False, cwd="/", **become).returncode]  # type: ignore[call-overload]  # noqa: S603 - our own words
