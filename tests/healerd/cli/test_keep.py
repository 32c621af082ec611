"""`backup`, `restore` and `prune` from the command line: what they print, and what they refuse."""

import os
import pwd
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from healerd.clock import ManualClock, SystemClock
from healerd.store import ReadStore, Store
from tests.healerd.cli.conftest import Called
from tests.healerd.store.records import a_decision

Call = Callable[..., Called]
CONFIG = '[daemon]\nstate = "state"\n[pipeline.p]\nsource = { path = "none.csv" }\n'


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    clock = ManualClock(SystemClock().now() - timedelta(days=300))
    with Store.open(folder, clock=clock) as store:
        for number in range(5):
            with store.transaction() as tx:
                tx.put(a_decision(id=f"d{number}"))
            clock.advance(86400)
    (tmp_path / "healerd.toml").write_text(CONFIG)
    return folder


def test_a_copy_goes_out_and_comes_back(call: Call, state: Path, tmp_path: Path) -> None:
    """Backup, rehearsal and restore speak JSON with a schema; the old state is kept and the new one is stopped."""
    out = tmp_path / "copy.tar.gz"
    made = call("backup", out, "--state", state, "--json")
    assert (made.code, made.json["schema"], made.json["files"]) == (0, 1, 2)
    assert made.json["verified_head"]
    rehearsed = call("restore", out, "--state", state, "--dry-run", "--json")
    assert (rehearsed.code, rehearsed.json["sound"]) == (0, True)
    refused = call("restore", out, "--state", state, "--reason", "a drill of ours")
    assert refused.code == 1
    assert "--replace" in refused.err
    done = call("restore", out, "--state", state, "--replace", "--reason", "a drill of ours", "--json")
    assert done.code == 0
    assert Path(done.json["replaced"]).is_dir()
    assert (state / "STOP").exists()
    assert call("audit", "verify", "--state", state).code == 0


def test_nobody_is_asked_where_nobody_sits(call: Call, state: Path, tmp_path: Path) -> None:
    """Without a terminal a missing reason or --yes ends with 2 and names the option."""
    call("backup", tmp_path / "copy", "--state", state)
    missing = call("restore", tmp_path / "copy", "--state", state, "--replace")
    assert (missing.code, "--reason" in missing.err) == (2, True)
    config = tmp_path / "healerd.toml"
    unasked = call("prune", "--keep", "30d", "--reason", "a month is enough", "--config", config)
    assert (unasked.code, "--yes" in unasked.err) == (2, True)


def test_a_rehearsed_backup_writes_nothing(call: Call, state: Path, tmp_path: Path) -> None:
    """A dry run counts and leaves no file."""
    done = call("backup", tmp_path / "copy", "--state", state, "--dry-run")
    assert done.code == 0
    assert "a dry run" in done.out
    assert not (tmp_path / "copy").exists()


def test_pruning_says_what_goes_and_what_stays(call: Call, state: Path, tmp_path: Path) -> None:
    """A rehearsal drops nothing; then old bodies go, and the log still verifies."""
    options = ("prune", "--keep", "30d", "--config", tmp_path / "healerd.toml", "--json")
    rehearsed = call(*options, "--dry-run")
    assert rehearsed.json["dry_run"] is True
    assert rehearsed.json["dropped"]["entries"] > 0
    assert os.fspath(state) not in rehearsed.out
    done = call(*options, "--reason", "a month is enough", "--yes")
    assert 0 < done.json["dropped"]["entries"] <= rehearsed.json["dropped"]["entries"]
    assert set(done.json["kept_since"]) == {"p"}
    assert call("audit", "verify", "--state", state).code == 0


def test_what_is_needed_stands_in_the_configuration(call: Call, state: Path) -> None:
    """Pruning without a configuration is refused: nobody could say which rows a heal still reads."""
    assert call("prune", "--keep", "30d", "--state", state, "--dry-run").code == 2


@pytest.mark.parametrize("place", ["own.key", "keys/own.key", "audit.key"])
def test_without_its_key_a_backup_has_none_wherever_it_lies(call: Call, tmp_path: Path, place: str) -> None:
    """The key that the configuration names inside the state stays out when asked, with what waits or was lost beside
    it, and goes in otherwise; either is said.
    """
    config, state = tmp_path / "healerd.toml", tmp_path / "state"
    config.write_text(f'{CONFIG}[audit]\nkey = "state/{place}"\n')
    with Store.open(state, clock=SystemClock(), key=state / place):
        pass
    for beside in (".next", ".lost-20260507T091100000000", ".new"):
        (state / f"{place}{beside}").write_text("private")
    whole = call("backup", tmp_path / "whole", "--config", config)
    assert "it holds the key" in whole.err
    assert (tmp_path / "whole" / place).is_file()
    bare = call("backup", tmp_path / "bare", "--config", config, "--without", "key")
    assert "is not in it" in bare.err
    for copy in (tmp_path / "bare", tmp_path / "whole"):
        kept = {str(file.relative_to(copy)) for file in copy.rglob("*") if file.is_file()}
        assert kept - {place} == {"backup.json", "healerd.db"}
    assert not (tmp_path / "bare" / place).exists()


def test_a_slip_in_the_configuration_keeps_nobody_from_a_backup(call: Call, state: Path, tmp_path: Path) -> None:
    """A backup with everything needs only the place of the state; without the key it must be known which that is."""
    config = tmp_path / "healerd.toml"
    config.write_text(CONFIG + "wrong = 1\n")
    assert call("backup", tmp_path / "copy", "--config", config).code == 0
    assert call("backup", tmp_path / "less", "--config", config, "--without", "key").code == 2


def test_a_backup_does_not_go_into_the_state(call: Call, state: Path, tmp_path: Path) -> None:
    """Inside the state each backup would hold the ones before it: that is refused, also behind a link."""
    (tmp_path / "link").symlink_to(state)
    for place in (state, tmp_path / "link"):
        refused = call("backup", place / "copy.tar", "--state", state)
        assert (refused.code, "inside the state" in refused.err) == (1, True)
    assert not (state / "copy.tar").exists()


def test_who_changed_the_log_is_whom_the_system_knows(
    call: Call, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment calls somebody is not written into the log as theirs."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "alice")
    options = ("--keep", "30d", "--reason", "a month is enough", "--yes", "--config", tmp_path / "healerd.toml")
    assert call("prune", *options).code == 0
    with ReadStore.open(state) as reader:
        actors = {leaf.actor for leaf in reader.leaves(limit=3, newest_first=True)}
    assert pwd.getpwuid(os.getuid()).pw_name in actors
    assert "alice" not in actors


@pytest.mark.parametrize(
    "verb", [("restore", "copy", "--replace"), ("prune", "--keep", "30d", "--yes", "--config", "healerd.toml")]
)
def test_a_reason_says_something_without_a_daemon_too(
    call: Call, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]
) -> None:
    """A verb that works on the files asks for the eight characters that the daemon would."""
    monkeypatch.chdir(tmp_path)
    assert call("backup", "copy").code == 0
    called = call(*verb, "--reason", "x")
    assert (called.code, "at least 8 characters" in called.err) == (2, True)


def test_an_empty_database_is_no_state(call: Call, tmp_path: Path) -> None:
    """A file of no bytes under the database's name is refused as no state."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "healerd.db").touch()
    for more in ((), ("--dry-run",)):
        called = call("backup", tmp_path / "copy", "--state", tmp_path / "state", *more)
        assert (called.code, "there is no healerd state" in called.err) == (1, True)


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_name_that_is_no_text_is_shown(call: Call, state: Path, tmp_path: Path, form: tuple[str, ...]) -> None:
    """A backup under a name of another encoding is told as well as can be, and JSON gives the name back."""
    out = tmp_path / os.fsdecode(b"s\xe4k.tar")
    called = call("backup", out, "--state", state, *form)
    assert called.code == 0
    assert "s\\udce4k.tar" in called.out
    assert not form or called.json["backup"] == str(out)
