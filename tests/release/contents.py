"""Says what a wheel and an sdist must hold, and what they must not. Must never look into the checkout but for names."""

import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

from tests.release.building import tracked

PACKAGES = {"healerd": "", "rules/healerd_rules": "rules/", "tui/healerd_tui": "tui/"}
"""Folder of each import package -> what is taken off the paths of its files in the wheel."""
NEEDED = (
    "healerd/client/trace.schema.json",
    "healerd/client/shipped/grafana.json",
    "healerd/client/shipped/alerts.yml",
    "healerd/offline/flights/flights-2013.parquet",
    "healerd_rules/grammar.lark",
    "healerd_rules/packs/base.heal",
    "healerd_rules/packs/default.heal",
    "healerd_tui/app.tcss",
)
"""What no test of an import would miss: the schema, dashboard and alerts, the demo's data, grammar, packs, style."""
SOURCES = ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock", "build.in", "CHANGELOG.md")
"""What the two commands of the README need besides the folders."""


def expected_in_wheel() -> set[str]:
    """Every file of the three packages, by its name in the wheel."""
    return {
        name.removeprefix(cut)
        for name in tracked()
        for folder, cut in PACKAGES.items()
        if name.startswith(f"{folder}/")
    }


def flaws_of_wheel(wheel: Path) -> list[str]:
    """Name what is missing from the wheel, and what has no place in it."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = expected_in_wheel() | set(NEEDED)
    return [f"missing: {name}" for name in sorted(wanted - held)] + [f"extra: {name}" for name in sorted(held - wanted)]


def flaws_of_sdist(sdist: Path) -> list[str]:
    """Name what is missing from the sdist: with it alone, whatever the checkout can do can be done."""
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    folders = ("healerd/", "rules/", "tui/", "tests/", "experiments/")
    wanted = {name for name in tracked() if name.startswith(folders)} | set(SOURCES)
    return [f"missing: {name}" for name in sorted(wanted - held)]


def version_and_requirements(wheel: Path) -> tuple[str, list[str]]:
    """Read the wheel's version, and what it requires."""
    told = message_from_bytes(metadata_of(wheel))
    return str(told["Version"]), told.get_all("Requires-Dist", [])


def metadata_of(wheel: Path) -> bytes:
    """Read the wheel's metadata, as they are written."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return archive.read(name)
