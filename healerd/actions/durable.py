"""Write files so that after a crash either the old or the whole new content is there. Must never leave a half."""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from healerd.errors import ActionError, RegistryAway

__all__ = ["exclusive", "fsync_folder", "move_folder", "read_json", "write_json"]

TRIES, BETWEEN_S = 250, 0.02
"""How often a lock is tried, and how long after each; who holds it does so for some fsyncs, or one HTTP request."""


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace `path` by `content`: temporary file, fsync, rename, fsync of the folder. Raises ActionError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        fsync_folder(path.parent)
    except OSError as error:
        raise ActionError(f"`{path}` cannot be written: {error.strerror}; {_mend(path.parent)}") from error


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None when there is no such file. Raises ActionError when it is anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ActionError(f"`{path}` cannot be read: {error.strerror}; {_mend(path)}") from error
    except ValueError as error:
        raise ActionError(f"`{path}` is not JSON ({error}); restore it from a backup or remove it") from error
    if not isinstance(content, dict):
        raise ActionError(f"`{path}` holds no JSON object; restore it from a backup or remove it")
    return content


def move_folder(source: Path, target: Path) -> bool:
    """Give a finished folder its name, durably; False when the name is taken. Raises ActionError."""
    try:
        for file in source.iterdir():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
        fsync_folder(source)
        if target.exists():
            return False
        source.rename(target)
        fsync_folder(target.parent)
    except FileExistsError:
        return False
    except OSError as error:
        if target.is_dir() and any(target.iterdir()):
            return False
        raise ActionError(f"`{target}` cannot be made: {error.strerror}; {_mend(target.parent)}") from error
    return True


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, so that reading, comparing and replacing are one step.

    Raises ActionError where there can be no such file, RegistryAway when another process does not let go of it: one
    that was stopped, or hangs on a disk that is gone, must not take this one with it.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ActionError(f"`{path}` cannot be locked: {error.strerror}; {_mend(path.parent)}") from error
    try:
        _lock(handle, path)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    for _ in range(TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(BETWEEN_S)
        else:
            return
    raise RegistryAway(
        f"`{path}` has been held by another process for {TRIES * BETWEEN_S:g} s; "
        f"find it with `fuser {path}`: it is stopped or hangs, end it"
    )


def fsync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _mend(path: Path) -> str:
    return f"make `{path}` readable and writable for the user that runs healerd"
