"""The cache of loaded rule sets: fast when nothing changed, and never an error, a lie or a door."""

import hashlib
import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from healerd.cli.group import invoke
from healerd.cli.rules import cache
from healerd.cli.rules.load import load_rules
from healerd_rules import Loaded

RULES = 'import "near"\nforbid few: retrain when labelled_rows < 500\n'
NEAR = "const LEAST = 80%\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a rule file that imports another, and a cache folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("my.heal").write_text(RULES)
    Path("near.heal").write_text(NEAR)
    return tmp_path / "cache" / "healerd"


def entries(place: Path) -> list[Path]:
    return sorted(place.glob("*.rules"))


def check() -> Loaded:
    return load_rules([Path("my.heal")])


def hit() -> bool:
    """Whether loading again comes from the cache, without looking at a clock."""

    def never() -> Loaded:
        raise Missed

    try:
        cache.cached(("files", "my.heal"), never)
    except Missed:
        return False
    return True


class Missed(Exception):
    """The cache had nothing."""


def test_what_is_kept_is_what_was_loaded(place: Path) -> None:
    """A cached rule set has the same id, rules, findings and sources as one loaded anew."""
    first = check()
    assert len(entries(place)) == 1
    assert hit()
    again = check()
    assert again == first
    assert again is not first
    assert again == load_rules([Path("my.heal")], no_cache=True)


def test_errors_are_kept_as_well(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with errors prints the same findings and ends with the same code the second time."""
    Path("my.heal").write_text("forbid few: retrain when labelled_row < 500\n")
    told = [(invoke(["rules", "check", "my.heal"]), capsys.readouterr().out) for _ in range(2)]
    assert told[0] == told[1]
    assert told[0][0] == 7
    assert "did you mean `labelled_rows`" in told[0][1]
    assert hit()


def edit() -> None:
    Path("my.heal").write_text(RULES.replace("500", "600"))


def edit_import() -> None:
    Path("near.heal").write_text(NEAR.replace("80", "90"))


def remove_import() -> None:
    Path("near.heal").unlink()


def touch_only() -> None:
    os.utime("my.heal", (1, 1))


@pytest.mark.parametrize(
    ("change", "still"), [(edit, False), (edit_import, False), (remove_import, False), (touch_only, True)]
)
def test_only_the_texts_count(place: Path, change: Callable[[], None], still: bool) -> None:
    """A changed text of any file that was read misses the cache; a new time stamp does not."""
    check()
    change()
    assert hit() is still


@pytest.mark.parametrize("shadow", ["drift.heal", "01_drift.heal"])
def test_a_new_file_that_an_import_would_find_misses(place: Path, shadow: str) -> None:
    """An import found among the packs is looked for again: a new file beside the importing one comes first."""
    Path("my.heal").write_text('import "drift"\n')
    check()
    assert hit()
    Path(shadow).write_text("const LEAST = 70%\n")
    assert not hit()


def test_an_import_that_was_missing_is_looked_for_again(place: Path) -> None:
    """A finding about a missing import goes away when the file appears."""
    Path("near.heal").unlink()
    assert check().ruleset is None
    assert hit()
    Path("near.heal").write_text(NEAR)
    assert check().ruleset is not None


def test_another_program_misses(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another version of healerd loaded is not used."""
    check()
    monkeypatch.setattr("healerd.__version__", "0.0.0")
    assert not hit()


def test_files_that_cannot_be_read_are_not_kept(place: Path) -> None:
    """A missing file is said to be missing each time, and nothing is kept of it."""
    assert load_rules([Path("nowhere.heal")]).ruleset is None
    assert entries(place) == []


def test_no_cache_reads_and_writes_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --no-cache no folder is made and no entry is read."""
    assert invoke(["rules", "check", "my.heal", "--no-cache"]) == 0
    assert not place.exists()
    check()
    entries(place)[0].write_bytes(b"broken")
    assert invoke(["rules", "check", "my.heal", "--no-cache"]) == 0
    assert entries(place)[0].read_bytes() == b"broken"


def _signed(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest() + raw


@pytest.mark.parametrize(
    "broken",
    [b"", b"nonsense", _signed(b""), _signed(b"nonsense"), _signed(pickle.dumps(3)), _signed(pickle.dumps(("a", b"b"))),
     _signed(b"cos\nnothing_of_that_name\n.")],
    ids=["empty", "short", "signed-empty", "no-pickle", "number", "foreign", "unknown-name"],
)  # fmt: skip
def test_a_broken_entry_is_ignored_and_written_anew(place: Path, broken: bytes) -> None:
    """Whatever stands in an entry, the answer is the right one, and afterwards the entry is good again."""
    loaded = check()
    entries(place)[0].write_bytes(broken)
    assert not hit()
    assert check() == loaded
    assert hit()


def test_an_entry_cut_short_is_ignored(place: Path) -> None:
    """A flipped or missing byte is seen before anything is unpickled."""
    check()
    raw = entries(place)[0].read_bytes()
    for bad in (raw[:-1], raw[:-1] + bytes([raw[-1] ^ 1])):
        entries(place)[0].write_bytes(bad)
        assert not hit()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702])
def test_a_folder_that_others_can_write_is_not_used(place: Path, mode: int) -> None:
    """A pickle that somebody else could have written is never read: neither the folder nor an entry may be open."""
    check()
    place.chmod(mode)
    assert cache.folder() is None
    assert not hit()
    place.chmod(0o700)
    assert hit()
    entries(place)[0].chmod(0o666)
    assert not hit()


def test_links_are_not_followed(place: Path, tmp_path: Path) -> None:
    """A link in place of the folder or of an entry is not used."""
    check()
    entry = entries(place)[0]
    other = tmp_path / "other"
    entry.rename(other)
    entry.symlink_to(other)
    assert not hit()
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    assert cache.folder() is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_what_belongs_to_somebody_else_is_not_used(place: Path) -> None:
    """A folder or an entry of another user is refused."""
    check()
    os.chown(entries(place)[0], 12345, 12345)
    assert not hit()
    os.chown(place, 12345, 12345)
    assert cache.folder() is None


def test_the_folder_is_private(place: Path) -> None:
    """The folder is made for this user alone."""
    check()
    assert place.stat().st_mode & 0o777 == 0o700
    assert entries(place)[0].stat().st_mode & 0o777 == 0o600


def test_without_a_place_to_keep_things_everything_works(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file where the folder should be, or a relative XDG_CACHE_HOME with no home, costs only time."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cache.folder() is None
    assert check().ruleset is not None
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    assert check().ruleset is not None
    assert not Path("relative").exists()


def test_the_cache_is_bounded(place: Path) -> None:
    """The least recently used entries go, and one that is used stays."""
    check()
    kept = entries(place)[0]
    for number in range(cache.MAX_ENTRIES + 5):
        Path(f"f{number}.heal").write_text("")
        load_rules([Path(f"f{number}.heal")])
        assert check().ruleset is not None
        os.utime(kept, (2e9 + number, 2e9 + number))
    assert len(entries(place)) == cache.MAX_ENTRIES
    assert kept in entries(place)


def test_nothing_changed_costs_neither_grammar_nor_numbers(place: Path) -> None:
    """A check of what was checked before imports no lark, no numpy and none of the deciding code."""
    check()
    told = run("-X", "importtime", "-m", "healerd", "rules", "check", "my.heal")
    imported = {line.rsplit("|", 1)[1].strip() for line in told.stderr.splitlines() if line.startswith("import time:")}
    assert "healerd_rules" in imported
    assert not imported & {"lark", "numpy", "scipy", "healerd.decision", "healerd.config", "msgspec"}


def test_checking_a_thousand_rules_again_is_cheap(place: Path) -> None:
    """A second check costs less than nine bare starts of Python with click, and a third of the first."""
    rules = (f"forbid r{n}: retrain when labelled_rows < {n + 1} and error_rate > 5%\n" for n in range(1000))
    Path("my.heal").write_text("".join(rules))
    bare = min(cpu_s("-c", "import click") for _ in range(5))
    cold = cpu_s("-m", "healerd", "rules", "check", "my.heal")
    warm = min(cpu_s("-m", "healerd", "rules", "check", "my.heal") for _ in range(5))
    assert warm < 9 * bare
    assert warm < cold / 3


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment)
    assert told.returncode == 0, told.stderr
    return told


def cpu_s(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
