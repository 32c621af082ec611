"""Installs a wheel outside the checkout and calls it there. Must never let the checkout onto the path."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

OLDEST = (3, 11)
NEWEST_TRIED = 20
PATIENCE_S = 900
NOT_TAKEN_ALONG = {"PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE"}
"""Of the environment: what would let the checkout in, or make an installation other than people's."""
PROBE = "import sys, json; print(json.dumps([list(sys.version_info[:2]), sys.executable]))"


def pythons() -> dict[str, Path]:
    """Every supported Python that is here and runs: on the path, and beside the one that runs this."""
    beside = Path(sys.base_prefix).parent.glob("*/bin/python3.[0-9]*")
    names = [f"python3.{minor}" for minor in range(OLDEST[1], NEWEST_TRIED)]
    tried = [sys.executable, *names, *(str(path) for path in sorted(beside) if re.search(r"3\.\d+$", path.name))]
    found: dict[str, Path] = {}
    for each in tried:
        version, executable = _identify(each)
        if version >= OLDEST:
            found.setdefault(".".join(map(str, version)), executable)
    return dict(sorted(found.items(), key=lambda pair: int(pair[0].partition(".")[2])))


def make_environment(python: Path, folder: Path) -> Path:
    """Make a virtual environment without pip, and give its Python."""
    run(python, "-m", "venv", "--without-pip", str(folder))
    return folder / "bin" / "python"


def install(python: Path, *words: str) -> None:
    """Install into the environment of `python` with this Python's pip."""
    run(sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-input", *words)


def lend(python: Path, folders: Iterator[str] | list[str]) -> None:
    """Let an environment see packages that are installed elsewhere, after its own."""
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(site, "lent.pth").write_text("\n".join(folders) + "\n", encoding="utf-8")


def run(*words: str | Path, cwd: Path | None = None) -> str:
    """Run a command outside the checkout and give what it printed. Raises AssertionError with its words."""
    outside = {name: value for name, value in os.environ.items() if name not in NOT_TAKEN_ALONG}
    command = [str(word) for word in words]
    done = subprocess.run(
        command, cwd=cwd, env=outside, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def _identify(python: str) -> tuple[tuple[int, ...], Path]:
    try:
        told = subprocess.run([python, "-c", PROBE], capture_output=True, text=True, check=False, timeout=60)
        version, executable = json.loads(told.stdout)
    except (OSError, ValueError):
        return (0,), Path()
    return tuple(version), Path(executable)
