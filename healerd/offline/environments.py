"""Python environments made on demand, once, outside the tree: for programs that cannot live in healerd's own.

Each has pinned requirements and lies under `$XDG_CACHE_HOME/healerd-bench`. One that cannot be had is a reason, not an
error. Must never install anything into the environment that healerd runs in.
"""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

__all__ = ["environment", "last_line"]

INSTALL_S = 900.0


def environment(name: str, requirements: Sequence[str]) -> tuple[Path | None, str]:
    """Give the Python of the environment `name` with these pinned requirements; None with the reason why not."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    place = Path(home) / "healerd-bench" / f"{name}-{sys.version_info.major}.{sys.version_info.minor}"
    python, stamp, wanted = place / "bin" / "python", place / "installed", " ".join(requirements)
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python, ""
    shutil.rmtree(place, ignore_errors=True)
    venv.create(place, with_pip=False)
    reason = "no pip was found"
    for installer in (sys.executable, shutil.which("python3", path=os.defpath), shutil.which("python3")):
        if installer is None:
            continue
        command = [installer, "-m", "pip", "--python", str(python), "install", "--quiet", "--only-binary", ":all:"]
        try:
            done = subprocess.run(  # noqa: S603 - pinned requirements of the caller; no shell reads them
                [*command, *requirements], capture_output=True, text=True, check=False, timeout=INSTALL_S
            )
        except subprocess.TimeoutExpired:
            return None, f"installing {wanted} took over {INSTALL_S:g} s"
        if done.returncode == 0:
            stamp.write_text(wanted)
            return python, ""
        reason = last_line(done.stderr) if "No module named pip" not in done.stderr else reason
    return None, f"{wanted} could not be installed: {reason}"


def last_line(said: str) -> str:
    """Give the last line that a program said, shortened."""
    return (said.strip().splitlines() or ["nothing was said"])[-1][:300]
