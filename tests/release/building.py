"""Builds wheel and sdist from what git knows, so that the same commit gives the same bytes wherever it lies.

Must never build from files that are not part of the project, nor leave anything in the checkout.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
EPOCH = 1577836800
"""The time of every file where no commit tells one: the start of 2020, in seconds since 1970."""


@dataclass(frozen=True)
class Built:
    """What one build made."""

    wheel: Path
    sdist: Path

    @property
    def digests(self) -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (self.wheel, self.sdist)}


def epoch() -> int:
    """The time of the newest commit, in seconds since 1970."""
    told = _git("log", "-1", "--format=%ct")
    return int(told) if told else EPOCH


def tracked() -> list[str]:
    """Every file of the project, by its path from the root: what git knows or would take."""
    told = _git("ls-files", "--cached", "--others", "--exclude-standard", "-z")
    if told is None:  # an unpacked sdist holds what belongs to it and nothing else
        return sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file())
    return sorted(name for name in told.split("\0") if name and (ROOT / name).is_file())


def copy(into: Path) -> Path:
    """Copy the project into a folder of its own."""
    for name in tracked():
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    return into


def build(source: Path, out: Path, *, seconds: int) -> Built:
    """Build both from the project in `source`, its files dated `seconds` since 1970."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(seconds), "PYTHONHASHSEED": "random"}
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out.absolute())]
    subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return Built(wheel=wheel, sdist=sdist)


def without_digests(lock: str) -> str:
    """Cut a lock down to names and versions, for installers that want a digest of everything or of nothing."""
    lines = (line.removesuffix("\\").rstrip() for line in lock.splitlines() if not line[:1].isspace())
    return "".join(f"{line}\n" for line in lines)


def _git(*words: str) -> str | None:
    if not (ROOT / ".git").exists():
        return None
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout
