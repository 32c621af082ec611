"""Makes a stand-in for the public base image where it cannot be pulled. Must never claim to be that image.

Debian by `debootstrap` with a Python of this machine in `/usr/local`, under the very name that the container file
asks for.
"""

import re
import shutil
import subprocess
from pathlib import Path

from tests.image.engine import BUILDING_S, Engine
from tests.release.installing import pythons, run

SUITE = "bookworm"
LIBRARIES = (
    "ca-certificates,netbase,tzdata,libssl3,libffi8,libsqlite3-0,libbz2-1.0,liblzma5,zlib1g,libncursesw6,libreadline8,"
    "libuuid1,libexpat1"
)
LEFT_OUT = ("test", "site-packages", "__pycache__", "config-*", "idlelib", "turtledemo", "lib2to3")
BASE = re.compile(r"^ARG BASE=(?P<name>\S+/python:(?P<version>3\.\d+)-slim)$", re.MULTILINE)


def base_of(containerfile: str) -> tuple[str, str]:
    """Give the name of the image that a container file begins with, and the version of its Python."""
    found = BASE.search(containerfile)
    assert found is not None, "the container file names no base"
    return found["name"], found["version"]


def stand_in(engine: Engine, name: str, version: str) -> str:
    """Make an image of that name, and say of what."""
    python = pythons().get(version)
    assert python is not None, f"no Python {version} is here to stand in"
    root = engine.folder / "root"
    command = ["debootstrap", "--variant=minbase", f"--include={LIBRARIES}", SUITE, str(root)]
    subprocess.run(command, check=True, capture_output=True, timeout=BUILDING_S)
    for rest in (*root.glob("var/cache/apt/archives/*.deb"), *root.glob("var/lib/apt/lists/*")):
        shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
    _put_python(root / "usr/local", python, version)
    run("chroot", root, "ldconfig")
    run("chroot", root, "/usr/local/bin/python", "-m", "ensurepip")
    archive = engine.folder / "base.tar"
    run("tar", "-C", root, "--exclude=./dev/*", "--exclude=.cache", "-cf", archive, ".")
    engine.must("import", "--quiet", archive, name, patience_s=BUILDING_S)
    archive.unlink()
    shutil.rmtree(root)
    told = run(python, "-c", "import platform; print(platform.python_version())").strip()
    return f"a stand-in of that name: Debian {SUITE} by debootstrap, with Python {told}"


def _put_python(prefix: Path, python: Path, version: str) -> None:
    ours = Path(run(python, "-c", "import sys; print(sys.base_prefix)").strip())
    libraries = prefix / "lib"
    libraries.mkdir(parents=True, exist_ok=True)
    shutil.copytree(
        ours / f"lib/python{version}", libraries / f"python{version}", ignore=shutil.ignore_patterns(*LEFT_OUT)
    )
    (libraries / f"python{version}" / "site-packages").mkdir()
    for shared in ours.glob("lib/libpython3*"):
        shutil.copy2(shared, libraries / shared.name, follow_symlinks=False)
    shutil.copy2(ours / f"bin/python{version}", prefix / f"bin/python{version}")
    for short, name in (("python3", f"python{version}"), ("python", "python3")):
        (prefix / "bin" / short).symlink_to(name)
