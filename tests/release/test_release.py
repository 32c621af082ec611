"""The release in its short form: built twice, looked into, installed outside the checkout and called there.

The long form, with the locked packages installed anew for every Python, is `make release`.
"""

import json
import os
import re
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from healerd import __version__
from tests.release import calls, installing
from tests.release.building import ROOT, Built, build, copy, tracked, without_digests
from tests.release.contents import NEEDED, flaws_of_sdist, flaws_of_wheel, metadata_of

SECONDS = 1_600_000_000
OTHERS = {version: path for version, path in installing.pythons().items() if path != Path(sys.executable)}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy(tmp_path_factory.mktemp("one") / "deep" / "below")


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(source, tmp_path_factory.mktemp("first"), seconds=SECONDS)


def test_two_builds_give_the_same_bytes(built: Built, tmp_path: Path) -> None:
    """Another folder, other times and other rights of the files change neither wheel nor sdist by a byte."""
    again = copy(tmp_path / "two")
    for number, path in enumerate(sorted(path for path in again.rglob("*") if path.is_file())):
        os.utime(path, (number, number))
        path.chmod(0o600)
    second = build(again, tmp_path / "second", seconds=SECONDS)
    assert second.digests == built.digests
    assert build(again, tmp_path / "third", seconds=SECONDS + 2).digests != built.digests


def test_the_sdist_builds_the_same_wheel(built: Built, tmp_path: Path) -> None:
    """Whoever builds from the sdist gets the wheel that was released."""
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    assert (
        build(unpacked, tmp_path / "out", seconds=SECONDS).digests[built.wheel.name] == built.digests[built.wheel.name]
    )


def test_the_wheel_holds_the_packages_and_nothing_else(built: Built) -> None:
    """Every file of the three packages is in the wheel, and no test, experiment or lock is."""
    assert flaws_of_wheel(built.wheel) == []
    assert flaws_of_sdist(built.sdist) == []


@pytest.mark.parametrize("name", NEEDED)
def test_a_file_left_out_is_found(built: Built, tmp_path: Path, name: str) -> None:
    """A wheel without a pack, a dashboard, the demo's data or the grammar is not released; nor one with a test."""
    changed = tmp_path / built.wheel.name
    with zipfile.ZipFile(built.wheel) as whole, zipfile.ZipFile(changed, "w") as part:
        for each in whole.namelist():
            if each != name:
                part.writestr(each, b"")
        part.writestr("tests/conftest.py", b"")
    assert flaws_of_wheel(changed) == [f"missing: {name}", "extra: tests/conftest.py"]


def test_the_metadata_is_valid(built: Built) -> None:
    """Indexes take the metadata: it is valid, names the version, the Pythons, the licence file and the long text."""
    found = Metadata.from_email(metadata_of(built.wheel), validate=True)
    assert (found.name, str(found.version)) == ("healerd", __version__)
    assert found.requires_python == SpecifierSet(">=3.11")
    assert (found.license_expression, found.license_files) == ("MIT", ["LICENSE"])
    assert found.description_content_type == "text/markdown"
    assert set(found.provides_extra or ()) == {"verify", "notify", "lsp", "mlflow", "dask", "onnx"}
    tried = {line.rsplit(" ", 1)[1] for line in found.classifiers or () if "Python :: 3." in line}
    assert tried == {"3.11", "3.12", "3.13"}


def test_it_works_outside_the_checkout(built: Built, tmp_path: Path) -> None:
    """From the wheel alone, in a folder elsewhere: version, rules, schema, dashboards and the doctor."""
    python = installing.make_environment(Path(sys.executable), tmp_path / "environment")
    installing.install(python, "--no-deps", "--no-index", str(built.wheel))
    installing.lend(python, [path for path in sys.path if path.endswith("-packages")])
    there = tmp_path / "there"
    there.mkdir()
    calls.prepare(there)
    calls.imports(python, there, code=calls.PARTS)
    calls.look(python.with_name("healerd"), there, version=__version__)


@pytest.mark.parametrize("version", OTHERS)
def test_every_python_that_is_here_reads_it(built: Built, tmp_path: Path, version: str) -> None:
    """Another supported Python compiles every module without a warning, and starts the program."""
    python = installing.make_environment(OTHERS[version], tmp_path / "environment")
    installing.install(python, "--no-deps", "--no-index", "--no-compile", str(built.wheel))
    site = Path(installing.run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    compiled = ["healerd", "healerd_rules", "healerd_tui"]
    installing.run(python, "-W", "error", "-m", "compileall", "-q", *compiled, cwd=site)
    shutil.copytree(next(Path(path) / "click" for path in sys.path if (Path(path) / "click").is_dir()), site / "click")
    assert installing.run(python.with_name("healerd"), "--version", cwd=tmp_path).strip() == f"healerd {__version__}"


def test_what_git_does_not_know_is_not_released() -> None:
    """Neither bytecode, states nor environments count as part of the project."""
    assert not any({"__pycache__", ".venv", "dist"} & set(Path(name).parts) for name in tracked())
    assert "pyproject.toml" in tracked()


def test_constraints_are_the_lock_without_digests() -> None:
    """Installers that cannot take digests get each version of the lock with its condition."""
    told = without_digests((ROOT / "requirements.lock").read_text(encoding="utf-8")).splitlines()
    assert [line for line in told if line.startswith("pysqlite3==") and line.endswith("; sys_platform == 'linux'")]
    assert all(len(Requirement(line).specifier) == 1 for line in told)


def test_the_bill_names_what_the_lock_names() -> None:
    """The bill has each locked package with version and digests, what the wheel needs, and no time of day."""
    pytest.importorskip("cyclonedx")
    from tests.release.bill import bill, pins

    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    given = {
        "version": "1.2.3",
        "requires": ["numpy>=2", "nothing-here"],
        "digests": {"w": "0" * 64},
        "seconds": SECONDS,
    }
    told = bill(lock, **given)  # type: ignore[arg-type]
    assert told == bill(lock, **given)  # type: ignore[arg-type]
    read = json.loads(told)
    assert (read["bomFormat"], read["metadata"]["component"]["version"]) == ("CycloneDX", "1.2.3")
    assert sorted((each["name"], each["version"]) for each in read["components"]) == sorted(
        (pin.name, pin.version) for pin in pins(lock)
    )
    assert len(re.findall("^[a-z]", lock, re.MULTILINE)) == len(read["components"])
    assert sum(len(each["hashes"]) for each in read["components"]) == lock.count("--hash=")
    (own,) = (each for each in read["dependencies"] if each["ref"] == "healerd")
    assert {each.partition("==")[0] for each in own["dependsOn"]} == {"numpy"}
