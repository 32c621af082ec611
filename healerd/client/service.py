"""Installs the unit of the daemon where systemd reads it, takes it away again, and says how it stands.

Must never leave half an installation, nor replace or remove a unit that is not its own.
"""

import errno
import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from healerd.client.units import MARK, NAME, STRICT
from healerd.errors import ConfigError, Conflict, ControlError, NotFound

__all__ = ["Units", "check_account", "install", "is_enabled", "is_up", "places", "standing", "uninstall"]

BOOTED = Path("/run/systemd/system")
"""Is there exactly when systemd runs this machine."""
PATIENCE_S = 30.0
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says when there is no room: on the disk, for this account, for this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Where the units of the machine or of one's own session lie; `own` says which of the two."""

    folder: Path
    own: bool

    @property
    def unit(self) -> Path:
        """The unit itself."""
        return self.folder / f"{NAME}.service"

    @property
    def strict(self) -> Path:
        """The drop-in of the strict profile."""
        return self.folder / f"{NAME}.service.d" / STRICT

    def systemctl(self, *words: str) -> tuple[str, ...]:
        """Write the call that a person would type."""
        return ("systemctl", *(("--user",) if self.own else ()), *words)


def places(*, own: bool, root: Path = Path("/")) -> Units:
    """Say where units are read from; `root` is another root than this machine's, as in an image."""
    if own:
        home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        return Units(folder=home / "systemd" / "user", own=True)
    return Units(folder=root / "etc" / "systemd" / "system", own=False)


def check_account(user: str, group: str) -> None:
    """Check that the account is there. Raises ConfigError with the command that makes it."""
    try:
        grp.getgrnam(group)
    except KeyError:
        raise ConfigError(f"there is no group `{group}`: make it with `groupadd --system {group}`") from None
    try:
        pwd.getpwnam(user)
    except KeyError:
        mend = f"useradd --system --gid {group} --home-dir /var/lib/{NAME} --shell /usr/sbin/nologin {user}"
        raise ConfigError(f"there is no user `{user}`: make it with `{mend}`") from None


def install(units: Units, unit: str, *, strict: str | None, replace: bool) -> tuple[Path, ...]:
    """Write the unit, and the drop-in where `strict` is given; give the files.

    Raises:
        Conflict: there is a unit already, and it is not ours or not to be replaced.
        ConfigError: the place cannot be written; then nothing of it is left.
    """
    _check_free(units, replace=replace)
    wanted = {units.unit: unit, **({units.strict: strict} if strict else {})}
    before = {path: _read(path) for path in (units.unit, units.strict)}
    try:
        for path, text in wanted.items():
            _write(path, text)
        if strict is None:
            _remove(units.strict)
    except OSError as problem:
        for path, text_before in before.items():
            _put_back(path, text_before)
        said = problem.strerror or str(problem)
        raise ConfigError(f"the unit `{units.unit}` cannot be written: {said}; {_mend(problem, units)}") from problem
    return tuple(wanted)


def _mend(problem: OSError, units: Units) -> str:
    if problem.errno in FULL:
        return "free some disk space; nothing of it was left"
    return "check its rights" if units.own else "run this as root, or install for yourself with --user"


def uninstall(units: Units) -> tuple[Path, ...]:
    """Take the units away; the state stays. Raises NotFound where there is none, Conflict where it is not ours."""
    if not units.unit.exists():
        raise NotFound(f"there is no unit `{units.unit}`: `healerd service install` makes it")
    if not _is_ours(units.unit):
        raise Conflict(f"the unit `{units.unit}` is not from `healerd service install`: remove it by hand")
    try:
        gone = tuple(path for path in (units.strict, units.unit) if _remove(path))
    except OSError as problem:
        raise ConfigError(f"`{units.unit}` cannot be removed: {problem.strerror}; run this as root") from problem
    return gone


def standing(units: Units) -> Mapping[str, object]:
    """Say what is installed and, where systemd runs, how the service stands. Raises ControlError."""
    told: dict[str, object] = {
        "unit": str(units.unit),
        "installed": units.unit.exists(),
        "ours": units.unit.exists() and _is_ours(units.unit),
        "strict": units.strict.exists(),
        "systemd": is_booted(),
    }
    return {**told, **(_shown(units) if is_booted() else {})}


def is_booted() -> bool:
    """Tell whether systemd runs this machine."""
    return BOOTED.is_dir() and shutil.which("systemctl") is not None


def is_up(units: Units) -> bool:
    """Tell whether the service runs, comes up, or waits for its next start. Raises ControlError."""
    return standing(units).get("active_state") in {"active", "activating", "reloading", "deactivating"}


def is_enabled(units: Units) -> bool:
    """Tell whether the service starts by itself: then its name is linked from where it would be missed."""
    return standing(units).get("unit_file_state") in {"enabled", "enabled-runtime"}


SHOWN = ("ActiveState", "SubState", "UnitFileState", "MainPID", "NRestarts", "Result", "ExecMainStatus", "StatusText")


def _shown(units: Units) -> Mapping[str, object]:
    words = units.systemctl("show", f"{NAME}.service", f"--property={','.join(SHOWN)}")
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)  # noqa: S603 - our own words
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise ControlError(f"`{' '.join(words)}` gives no answer: {problem}; is systemd well?") from problem
    if done.returncode:
        raise ControlError(f"`{' '.join(words)}` failed: {done.stderr.strip()}; see `systemctl status`")
    pairs = (line.partition("=") for line in done.stdout.splitlines() if "=" in line)
    return {_snake(name): value for name, _, value in pairs}


def _snake(name: str) -> str:
    return {"MainPID": "main_pid", "NRestarts": "restarts"}.get(name) or "".join(
        f"_{letter.lower()}" if letter.isupper() else letter for letter in name
    ).lstrip("_")


def _check_free(units: Units, *, replace: bool) -> None:
    if not units.unit.exists():
        return
    if not _is_ours(units.unit):
        raise Conflict(f"there is a unit `{units.unit}` that is not from here: move it away first")
    if not replace:
        raise Conflict(f"`{units.unit}` is installed already: say --replace, or `healerd service uninstall` first")


def _is_ours(path: Path) -> bool:
    return (_read(path) or "").startswith(MARK)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None


def _write(path: Path, text: str) -> None:
    """Write a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.chmod(0o644)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _put_back(path: Path, before: str | None) -> None:
    """Undo what can be undone; where nothing can be written, nothing was."""
    try:
        if before is None:
            _remove(path)
        else:
            _write(path, before)
    except OSError:
        return


def _remove(path: Path) -> bool:
    if not path.exists():
        return False
    path.unlink()
    if path.name == STRICT and not any(path.parent.iterdir()):
        path.parent.rmdir()
    return True
