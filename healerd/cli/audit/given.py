"""What the verbs of the log share: the files people name, progress, a store to change. Must never print data."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from healerd.audit.notes import Note, VerifierKey, read_checkpoint, read_key, read_notes
from healerd.cli.options import default_config, locate, reason_or_ask
from healerd.client.access import account
from healerd.errors import ConfigError, ControlError

if TYPE_CHECKING:
    from healerd.config import Config
    from healerd.store import Store

__all__ = ["advancing", "configured", "held_store", "read_checkpoints", "read_pinned", "reason_for_log", "who"]

FILE_BYTES_MAX = 256 * 2**20


def read_checkpoints(path: Path) -> list[Note]:
    """Read the checkpoints of a file, one or many. Raises ConfigError that says what such a file looks like."""
    try:
        notes = list(read_notes(_text(path)))
        for note in notes:
            read_checkpoint(note)
    except ValueError as problem:
        raise ConfigError(
            f"`{path}` holds no checkpoints: {problem}; `healerd audit anchor --to FILE` writes such a file"
        ) from problem
    return notes


def read_pinned(path: Path) -> list[VerifierKey]:
    """Read the public keys of a file, one a line as `healerd audit key` prints them. Raises ConfigError."""
    try:
        keys = [read_key(line) for line in _text(path).splitlines() if line.strip()]
        if not keys:
            raise ValueError("it is empty, and would pin nothing")
        return keys
    except ValueError as problem:
        raise ConfigError(f"`{path}` holds no public keys: {problem}; `healerd audit key` prints them") from problem


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(FILE_BYTES_MAX)
    except (OSError, UnicodeDecodeError) as problem:
        said = problem.strerror if isinstance(problem, OSError) else "it is no text"
        raise ConfigError(f"`{path}` cannot be read: {said}; name another file") from problem


@contextmanager
def advancing(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far a long work is: a bar in a terminal, elsewhere a line each tenth of a long one."""
    if sys.stderr.isatty():
        with click.progressbar(length=total, label=label, file=sys.stderr) as bar:
            yield lambda count: bar.update(count - bar.pos) if count % 1000 == 0 or count == total else None
        return
    step = max(total // 10, LONG)

    def tell(count: int) -> None:
        if count % step == 0:
            click.echo(f"{label}: {count:,} of {total:,}", err=True)

    yield tell


LONG = 100_000
"""Leaves below which nobody waits."""


def configured(state: Path | None, config: Path | None) -> "Config | None":
    """Read the configuration that goes with the place that was named; None when only a folder was."""
    from healerd.config import load_config

    if config is not None:
        return load_config(config)
    return load_config(default_config()) if state is None else None


@contextmanager
def held_store(state: Path | None, config: Path | None, **options: Any) -> "Iterator[Store]":
    """Hold the state folder to change it; a daemon that runs on it must be stopped first. Raises LockHeld."""
    from healerd.clock import SystemClock
    from healerd.store import Store

    found = configured(state, config)
    folder = locate(state, config)[0]
    if not (folder / "healerd.db").exists():
        raise ControlError(f"no database in `{folder}`; name the state folder with --state DIR")
    key = found.audit_key if found else None
    with Store.open(folder, clock=SystemClock(), create=False, key=key, **options) as store:
        yield store


def reason_for_log(reason: str | None) -> str:
    """Take the reason of a change made without a daemon, or ask for it. Raises ConfigError as the daemon does."""
    from healerd.client.views import require_reason

    why = reason_or_ask(reason)
    require_reason(why)
    return why


def who() -> str:
    """Name whoever calls, as the system knows them; what the environment says counts for nothing."""
    return account()
