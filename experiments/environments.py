"""A peer's own Python environment, made once outside the tree. Must never install into the project's environment.

Peers pin old versions of what the project needs, so each lives alone under `$XDG_CACHE_HOME/healerd-bench` and is
spoken to through a script and JSON. A peer that cannot be had is a reason, never an error.
"""

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["MLSERVER", "NANNYML", "RIVER", "SCHEMATHESIS", "TRITONCLIENT", "ask", "environment"]

NANNYML = ("nannyml==0.13.1", "pandas<3", "statsmodels<0.15")
"""It leaves statsmodels out of what it says it needs, and does not know the pandas of today."""
RIVER = ("river==0.26.1", "pandas<3")
MLSERVER = ("mlserver==1.7.1", "mlserver-sklearn==1.7.1")
SCHEMATHESIS = ("schemathesis==4.32.5",)
TRITONCLIENT = ("tritonclient[http]==2.73.0",)

INSTALL_S, ANSWER_S = 900.0, 1800.0


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
            done = _run([*command, *requirements], timeout_s=INSTALL_S)
        except subprocess.TimeoutExpired:
            return None, f"installing {wanted} took over {INSTALL_S:g} s"
        if done.returncode == 0:
            stamp.write_text(wanted)
            return python, ""
        reason = _last_line(done.stderr) if "No module named pip" not in done.stderr else reason
    return None, f"{wanted} could not be installed: {reason}"


def ask(python: Path, script: Path, question: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Run a script with a JSON object on its standard input; give the one it prints, or None with the reason why not.

    One thread only, so that a peer is measured as the project's own code is.
    """
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    quiet = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = _run(
            [str(python), str(script)],
            text=json.dumps(question),
            env={**kept, **alone, **quiet},
            timeout_s=ANSWER_S,
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer within {ANSWER_S:g} s"
    if done.returncode != 0:
        return None, _last_line(done.stderr)
    return json.loads(done.stdout.splitlines()[-1]), ""


def _run(
    command: Sequence[str], *, timeout_s: float, text: str = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=timeout_s, env=env)


def _last_line(said: str) -> str:
    return (said.strip().splitlines() or ["nothing was said"])[-1][:300]
