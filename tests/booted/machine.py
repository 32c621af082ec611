"""Boots a folder as a machine of its own, with its real systemd as process 1, and runs commands there.

Must never share a network with this machine, nor leave anything running.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NEEDED", "Done", "Machine", "booted"]

NEEDED = ("debootstrap", "systemd-nspawn", "nsenter")
BOOT_S, END_S = 90.0, 40.0
PATIENCE_S = 180.0
CONTROLLERS = ("memory", "pids", "cpu", "devices", "freezer")
"""Of the older hierarchies of control groups: nspawn shows them read-only, a machine has them writable."""
ENVIRONMENT = {
    "PATH": "/opt/healerd/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HEALERD_CONFIG": "/etc/healerd/healerd.toml",
}


@dataclass(frozen=True)
class Done:
    """What a command there ended with, and printed."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        """Both streams, for messages."""
        return f"exit code {self.code}\n{self.out}{self.err}"


@dataclass(frozen=True)
class Machine:
    """A machine that is up: `leader` is its process 1, as this machine numbers it."""

    root: Path
    leader: int

    def run(self, script: str, *, user: str | None = None, patience_s: float = PATIENCE_S) -> Done:
        """Run a shell script there, as root or as somebody of their own groups."""
        enter = ["nsenter", "--target", str(self.leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        environment = {**ENVIRONMENT, "HOME": f"/home/{user}" if user else "/root"}
        if user:
            environment["XDG_RUNTIME_DIR"] = f"/run/user/{self.run(f'id -u {user}').out.strip()}"
        settings = [f"{name}={value}" for name, value in environment.items()]
        words = [*enter, "--root", "--wd", "env", "--ignore-environment", *settings, *become, "bash", "-c", script]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=patience_s, cwd="/")
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)

    def must(self, script: str, *, user: str | None = None, patience_s: float = PATIENCE_S) -> str:
        """Run a script that has to end well, and give what it printed."""
        done = self.run(script, user=user, patience_s=patience_s)
        assert done.code == 0, f"`{script}`: {done.all}"
        return done.out

    def show(self, name: str, unit: str = "healerd") -> str:
        """One property of a unit."""
        return self.must(f"systemctl show {unit} --property={name} --value").strip()

    def wait_for(self, what: str, holds: Callable[[], object], *, patience_s: float = PATIENCE_S) -> None:
        """Wait until something is so; what goes wrong meanwhile counts as not yet."""
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            with suppress(AssertionError, ValueError, KeyError, IndexError):
                if holds():
                    return
            time.sleep(0.5)
        journal = self.run("journalctl --unit=healerd --no-pager --lines=15 --output=cat").out
        raise AssertionError(f"{what}: not within {patience_s:g} s; the journal:\n{journal}")


@contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """Boot the folder, wait until its systemd has settled, and halt it at the end."""
    nspawn = shutil.which("systemd-nspawn") or "systemd-nspawn"
    words = [nspawn, "-D", str(root), "--private-network", "--register=no", "--keep-unit", "--console=pipe", "--boot"]
    with (root.parent / "console.log").open("wb") as console:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
        )
    try:
        yield _settled(root, process)
    finally:
        _halt(process)


def _settled(root: Path, process: "subprocess.Popen[bytes]") -> Machine:
    until = time.monotonic() + BOOT_S
    while time.monotonic() < until and process.poll() is None:
        time.sleep(0.5)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if not children:
            continue
        machine = Machine(root, int(children[0]))
        if machine.run("systemctl is-system-running").out.strip() in {"running", "degraded"}:
            for name in CONTROLLERS:
                machine.run(f"test -d /sys/fs/cgroup/{name} && mount -o remount,rw,bind /sys/fs/cgroup/{name}")
            machine.must("systemctl daemon-reexec")  # it looks anew which of them it may use
            return machine
    raise AssertionError(f"it did not boot:\n{(root.parent / 'console.log').read_text(errors='replace')[-2000:]}")


def _halt(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)  # nspawn hands it on as an orderly halt
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
