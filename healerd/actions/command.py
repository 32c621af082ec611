"""Run a person's command under limits: memory, CPU time, size of files, a deadline; its output bounded, nothing left.

Must never run a shell, never outlive its deadline, and never leave a process that the command has started, whatever
group or session it has moved to.
"""

import ctypes
import os
import re
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from healerd.errors import ActionError

__all__ = ["LOG_BYTES_MAX", "Ended", "Limits", "adopt_orphans", "run_command"]

LOG_BYTES_MAX = 1024 * 1024
"""What is kept of a command's output; the rest is read and dropped, so that the command is not held up."""
CUT = b"\n[healerd: the log ends here; what follows is dropped]\n"
TAIL_BYTES = 400
LINE_BYTES_MAX = 4096
DRAIN_S = 0.5
ROUNDS_MAX = 200
PROGRESS = re.compile(rb"^healerd: progress (\d(?:\.\d+)?)(?:\s+(.*))?$")
SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2)."""

Tell = Callable[[float, str], None]
"""Takes how far a command says that it is, from 0 to 1, and its words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a command may use. Memory and CPU time count for each of its processes."""

    deadline_s: float
    memory_bytes: int | None = None
    cpu_s: float | None = None
    file_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended: its exit code (negative: the signal), None when its deadline passed; its last words."""

    code: int | None
    said: str

    def failure(self, limits: Limits) -> str:
        """Say what went wrong; empty when nothing did."""
        if self.code == 0:
            return ""
        words = f": {self.said}" if self.said else ""
        if self.code is None:
            return f"killed at its deadline of {limits.deadline_s:g} s{words}"
        if self.code > 0:
            return f"it ended with exit code {self.code}{words}"
        name = signal.Signals(-self.code).name
        why = {"SIGXCPU": " (its CPU time was used up)", "SIGXFSZ": " (it wrote a file that is too large)"}.get(
            name, ""
        )
        return f"it was ended by {name}{why}{words}"


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose own parent ends: nothing can slip away (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0)


def run_command(
    argv: Sequence[str],
    *,
    folder: Path,
    env: Mapping[str, str],
    limits: Limits,
    out: Callable[[bytes], None],
    tell: Tell,
) -> Ended:
    """Run a program in `folder` until it ends or its deadline passes, then kill whatever it has left behind.

    Raises ActionError when it cannot be started at all: then nothing has happened.
    """
    process = _start(argv, folder=folder, env=env, limits=limits)
    output = _Output(out, tell)
    try:
        code = _watch(process, output, until=time.monotonic() + limits.deadline_s)
    finally:
        _kill_all(process)
    return Ended(code=code, said=output.last_words())


def _start(argv: Sequence[str], *, folder: Path, env: Mapping[str, str], limits: Limits) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603 - the owner of the configuration names it; no shell reads it
            list(argv),
            cwd=folder,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: _limit(limits),  # noqa: PLW1509 - the job's process has one thread
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ActionError(f"`{argv[0]}` cannot be started: {error}; mend the command") from error


def _limit(limits: Limits) -> None:
    for what, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, None if limits.cpu_s is None else max(1, int(limits.cpu_s))),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        if most is not None:
            hard = resource.getrlimit(what)[1]
            least = most if hard == resource.RLIM_INFINITY else min(most, hard)
            soon = (
                least + 1 if what == resource.RLIMIT_CPU else least
            )  # the soft limit tells what it was, the hard kills
            resource.setrlimit(what, (least, soon if hard == resource.RLIM_INFINITY else min(soon, hard)))


class _Output:
    """Takes what a command prints: keeps the beginning, remembers the end, and finds the lines on progress."""

    def __init__(self, out: Callable[[bytes], None], tell: Tell) -> None:
        self._out, self._tell = out, tell
        self._left, self._line, self._tail = LOG_BYTES_MAX, b"", b""

    def take(self, block: bytes) -> None:
        if self._left > 0:
            self._out(block[: self._left])
            self._left -= len(block)
            if self._left <= 0:
                self._out(CUT)
        self._tail = (self._tail + block)[-TAIL_BYTES:]
        *lines, rest = (self._line + block).split(b"\n")
        self._line = rest[-LINE_BYTES_MAX:]
        for line in lines[-100:]:
            self._look_for_progress(line)

    def last_words(self) -> str:
        lines = [line for line in self._tail.decode(errors="replace").splitlines() if line.strip()]
        return " | ".join(line for line in lines[-3:] if not line.startswith("healerd: progress"))

    def _look_for_progress(self, line: bytes) -> None:
        found = PROGRESS.match(line.strip()[:LINE_BYTES_MAX])
        if found:
            self._tell(min(1.0, float(found[1])), (found[2] or b"").decode(errors="replace")[:200])


def _watch(process: "subprocess.Popen[bytes]", output: _Output, *, until: float) -> int | None:
    """Read until the program itself has ended; children that keep its output open are not waited for."""
    assert process.stdout is not None, "it was started with a pipe"
    over: float | None = None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := min(until, over or until) - time.monotonic()) > 0:
            if selector.select(min(left, 0.1)):
                block = os.read(process.stdout.fileno(), 65536)
                if not block:
                    break
                output.take(block)
            elif process.poll() is not None:
                break
            if over is None and process.poll() is not None:
                over = time.monotonic() + DRAIN_S
    if over is not None or process.poll() is not None:
        return process.returncode
    with suppress(subprocess.TimeoutExpired):  # it has closed its output and may still work
        process.wait(max(0.0, until - time.monotonic()))
    return process.poll()


def _kill_all(process: "subprocess.Popen[bytes]") -> None:
    """Kill the program and everything below it, also what the job has adopted, until nothing is left."""
    for _ in range(ROUNDS_MAX):
        alive = {process.pid, *_below(process.pid), *_adopted()} if process.poll() is None else _adopted()
        for pid in alive:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if process.poll() is not None and not alive:
            break
        _reap(process)
        time.sleep(0.01)
    if process.stdout is not None:
        process.stdout.close()


def _adopted() -> set[int]:
    """List the processes below this one, where this one adopts orphans: a job of its own has no other children."""
    return set(_below(os.getpid())) if _adopts() else set()


def _adopts() -> bool:
    if sys.platform != "linux":
        return False
    found = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(37, ctypes.byref(found), 0, 0, 0)  # PR_GET_CHILD_SUBREAPER
    return bool(found.value)


def _reap(process: "subprocess.Popen[bytes]") -> None:
    """Take the exit codes of adopted processes, so that they are gone; the program's own is taken by `poll`."""
    process.poll()
    if not _adopts():
        return
    for pid in _below(os.getpid()):
        if pid != process.pid:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _below(pid: int) -> Iterator[int]:
    """List the processes that descend from one."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir() if sys.platform == "linux" else ():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                parent = int(
                    (entry / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[1]
                )
                parents.setdefault(parent, []).append(int(entry.name))
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        yield from children
        waiting += children
