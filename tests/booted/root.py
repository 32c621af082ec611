"""Makes the root of a small Debian with systemd, and installs healerd there as docs/install.md says.

Must never install anything into this machine, nor into the environment that runs this.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.release.building import ROOT, build, copy, epoch, without_digests

__all__ = ["install_healerd", "make_root", "missing"]

SUITE = "bookworm"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "libpam-systemd", "python3", "python3-venv", "libgomp1")
"""Nothing more than systemd, a user manager and Python: what else a unit needs, it must say."""
PYTHON = "3.11"
RUNTIME = "onnxruntime"
"""What the extra `onnx` brings."""
MADE_S = 1800


def missing(tools: tuple[str, ...]) -> str:
    """Say why this machine cannot do it; empty when it can."""
    away = [tool for tool in tools if shutil.which(tool) is None]
    if away:
        return f"{', '.join(away)} not installed"
    return "" if os.geteuid() == 0 else "only root can boot a machine"


def make_root(root: Path) -> None:
    """Make the root with debootstrap, once; a finished one is taken as it is."""
    done = root.parent / "made"
    if done.exists():
        return
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    _call("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root))
    done.touch()


def install_healerd(root: Path, work: Path) -> None:
    """Build the wheel, fetch the locked packages here, and install both there without a network."""
    built = build(copy(work / "checkout"), work / "built", seconds=epoch())
    wheels = root / "srv" / "wheels"
    if not any(wheels.glob(f"{RUNTIME}-*.whl")):
        lock = ["--require-hashes", "--requirement", str(ROOT / "requirements.lock")]
        fetched = ["--python-version", PYTHON, "--only-binary=:all:", "--dest", str(work / "wheels")]
        _call(sys.executable, "-m", "pip", "download", "--quiet", *lock, *fetched)
        tested = work / "constraints.txt"
        tested.write_text(
            without_digests((ROOT / "requirements-dev.lock").read_text(encoding="utf-8")), encoding="utf-8"
        )
        _call(sys.executable, "-m", "pip", "download", "--quiet", RUNTIME, "--constraint", str(tested), *fetched)
        shutil.copytree(work / "wheels", wheels, dirs_exist_ok=True)
    shutil.copy(ROOT / "requirements.lock", wheels / "requirements.lock")
    for old in wheels.glob("healerd-*.whl"):
        old.unlink()
    shutil.copy(built.wheel, wheels / built.wheel.name)
    if not (root / "opt" / "healerd" / "bin" / "pip").exists():
        _inside(root, "python3 -m venv /opt/healerd")
    pip = "cd /srv/wheels && /opt/healerd/bin/pip install --quiet --no-index"
    _inside(root, f"{pip} --find-links . --require-hashes --requirement requirements.lock")
    _inside(root, f"{pip} --find-links . {RUNTIME}")
    _inside(root, f"{pip} --no-deps --force-reinstall ./{built.wheel.name}")
    for name, words in (
        ("healerd", "--system --gid healerd --home-dir /var/lib/healerd --shell /usr/sbin/nologin"),
        ("alice", "--create-home --groups healerd"),
        ("bob", "--create-home"),
    ):
        group = "groupadd --force --system healerd && " if name == "healerd" else ""
        _inside(root, f"{group}id {name} >/dev/null 2>&1 || useradd {words} {name}")


def _inside(root: Path, script: str) -> None:
    _call("chroot", str(root), "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-ec", script)


def _call(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=MADE_S)
    assert done.returncode == 0, f"`{' '.join(words)}`: {done.stdout[-2000:]}{done.stderr[-2000:]}"
