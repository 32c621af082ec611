"""Calls podman, and finds out what it needs here to run a container at all. Must never pull an image unasked."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_S = 120.0
BUILDING_S = 1800.0
LIMITS = '[containers]\ndefault_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]\n'
WAYS: Mapping[str, str] = {
    "as it is configured": "",
    "with limits no higher than this shell's": LIMITS,
    "with runc, and limits no higher than this shell's": f'{LIMITS}[engine]\nruntime = "runc"\n',
}
"""Settings of podman, from the ones of this machine to those that a machine which may do less needs."""
RIGHTS = (
    "--network=none", "--user=10001:10001", "--init", "--read-only", "--cap-drop=ALL",
    "--security-opt=no-new-privileges", "--pids-limit=4096", "--memory=4g",
    "--tmpfs=/tmp:size=512m,mode=1777", "--tmpfs=/run:size=16m,mode=1777",
)  # fmt: skip
"""What the compose file gives the daemon, as podman says it."""


@dataclass(frozen=True)
class Said:
    """What a call printed and ended with."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


@dataclass
class Engine:
    """Podman, with the settings in `conf` when it needs other ones than this machine's."""

    folder: Path
    conf: Path | None = None
    made: list[tuple[str, str]] = field(default_factory=list)

    def call(self, *words: str | Path, patience_s: float = PATIENCE_S) -> Said:
        """Run podman and give what it said, whatever it ended with."""
        return self.run("podman", *words, patience_s=patience_s)

    def run(self, *words: str | Path, patience_s: float = PATIENCE_S, cwd: Path | None = None) -> Said:
        """Run a program that calls podman."""
        done = subprocess.run(
            [str(word) for word in words],
            cwd=cwd,
            env={**os.environ, **({"CONTAINERS_CONF": str(self.conf)} if self.conf else {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=patience_s,
        )
        return Said(code=done.returncode, out=done.stdout, err=done.stderr)

    def must(self, *words: str | Path, patience_s: float = PATIENCE_S) -> str:
        """Run podman and give what it printed. Raises AssertionError with its words when it fails."""
        said = self.call(*words, patience_s=patience_s)
        assert said.code == 0, f"podman {' '.join(map(str, words))} ended with {said.code}:\n{said.all}"
        return said.out.strip()

    def settle(self, image: str) -> str:
        """Find the first settings with which a container of `image` runs, and say which."""
        problem = ""
        for name, text in WAYS.items():
            self.conf = None
            if text:
                self.conf = self.folder / "containers.conf"
                self.conf.write_text(text, encoding="utf-8")
            said = self.call("run", "--rm", "--pull=never", *RIGHTS, "--entrypoint", "true", image)
            if said.code == 0:
                return name
            problem = said.err
        raise SystemExit(f"podman runs no container here: {problem.strip()}")

    def volume(self, name: str) -> str:
        """Make a volume of which nothing is left."""
        self.call("volume", "rm", "--force", name)
        self.must("volume", "create", name)
        self.made.append(("volume", name))
        return name

    def start(self, name: str, *words: str) -> str:
        """Run a container in the background with the rights of the compose file."""
        self.call("rm", "--force", name)
        self.made.append(("container", name))
        self.must("run", "--detach", "--pull=never", "--name", name, *RIGHTS, *words)
        return name

    def once(self, *words: str) -> Said:
        """Run a container to its end with the rights of the compose file."""
        return self.call("run", "--rm", "--pull=never", *RIGHTS, *words)

    def healerd(self, name: str, *words: str) -> Said:
        """Call a verb in a running container."""
        return self.call("exec", name, "healerd", *words)

    def clean(self) -> None:
        """Remove the containers and volumes that were made."""
        for kind, name in reversed(self.made):
            words = ("rm", "--force", "--time=0") if kind == "container" else ("volume", "rm", "--force")
            self.call(*words, name)


def wait_for(holds: Callable[[], object], *, patience_s: float = PATIENCE_S) -> None:
    """Wait until `holds()` does. Raises AssertionError when it never does."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if holds():
            return
        time.sleep(1.0)
    raise AssertionError("it never happened")


def is_here() -> str | None:
    """Say what is missing for a trial here; nothing when nothing is."""
    return None if shutil.which("podman") else "podman is not installed"
