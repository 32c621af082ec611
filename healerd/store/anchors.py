"""Put a signed checkpoint where whoever can change the log cannot reach: a file, journald, git, or any command.

Must never hold up the daemon for long, nor call an anchor kept that was not: each place answers for itself.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from healerd.audit.notes import read_checkpoint, read_notes
from healerd.config import AuditSettings

__all__ = ["Anchored", "anchor", "keep_in_file", "places"]

JOURNAL = "/run/systemd/journal/socket"
COMMAND_S = 30.0
"""How long a command may take; a place that is slower is called failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchored:
    """What became of one place; `problem` is empty when the checkpoint is there."""

    where: str
    problem: str = ""


def places(settings: AuditSettings) -> tuple[str, ...]:
    """Name the places that a configuration has."""
    return tuple(name for name, _ in _keepers(settings))


def anchor(note: str, settings: AuditSettings) -> tuple[Anchored, ...]:
    """Keep a checkpoint in every place that is configured, and say what became of each."""
    return tuple(_tried(name, keep, note) for name, keep in _keepers(settings))


def keep_in_file(path: Path, note: str) -> None:
    """Add a checkpoint to a file, unless it is there already. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        file.seek(0)
        before = file.read()
        if note in before:
            return
        file.write(f"\n{note}" if before else note)
        file.flush()
        os.fsync(file.fileno())


def _keepers(settings: AuditSettings) -> Iterator[tuple[str, Callable[[str], object]]]:
    file, git, command = settings.anchor_file, settings.anchor_git, settings.anchor_command
    if file:
        yield f"file {file}", lambda note: keep_in_file(Path(file), note)
    if settings.anchor_journal:
        yield "journal", _keep_in_journal
    if git:
        yield f"git {git}", lambda note: _keep_in_git(Path(git), note)
    if command:
        yield f"command {command[0]}", lambda note: _run(command, note)


def _tried(name: str, keep: Callable[[str], object], note: str) -> Anchored:
    try:
        keep(note)
    except subprocess.TimeoutExpired:
        return Anchored(where=name, problem=f"it took longer than {COMMAND_S:.0f} s")
    except subprocess.CalledProcessError as failed:
        said = (failed.stderr or failed.stdout or b"").decode(errors="replace").strip().splitlines()
        return Anchored(
            where=name, problem=f"it ended with {failed.returncode}: {said[-1] if said else 'no word'}"[:300]
        )
    except (OSError, ValueError) as problem:
        return Anchored(where=name, problem=str(problem)[:300])
    return Anchored(where=name)


def _keep_in_journal(note: str) -> None:
    """Send it in journald's own form, in which a field may have several lines; else through `logger`."""
    (said,) = read_notes(note)
    message = f"healerd checkpoint of {read_checkpoint(said).size} leaves"
    if Path(JOURNAL).exists():
        data = note.encode()
        field = b"HEALERD_CHECKPOINT\n" + len(data).to_bytes(8, "little") + data + b"\n"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(COMMAND_S)
            sender.sendto(f"MESSAGE={message}\nSYSLOG_IDENTIFIER=healerd\nPRIORITY=6\n".encode() + field, JOURNAL)
        return
    logger = shutil.which("logger")
    if logger is None:
        raise ValueError("neither journald's socket nor `logger` is here")
    _run([logger, "--tag", "healerd"], note)


def _keep_in_git(folder: Path, note: str) -> None:
    (said,) = read_notes(note)
    checkpoint = read_checkpoint(said)
    name = f"{checkpoint.origin.replace('/', '-')}.checkpoints"
    git = ["git", "-C", str(folder)]
    keep_in_file(folder / name, note)
    _run([*git, "add", "--", name], "")
    if _run([*git, "status", "--porcelain", "--", name], "").strip():
        _run([*git, "commit", "--quiet", "-m", f"healerd checkpoint of {checkpoint.size} leaves", "--", name], "")


def _run(command: list[str], note: str) -> bytes:
    # The words are those of the configuration, handed over one by one, without a shell.
    done = subprocess.run(  # noqa: S603 - as above
        command, input=note.encode(), capture_output=True, timeout=COMMAND_S, check=True
    )
    return done.stdout
