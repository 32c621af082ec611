"""`healerd audit` as people call it: what it prints, what it ends with, and what it says when something is wrong."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from healerd.cli.exits import Exit
from healerd.clock import ManualClock
from healerd.config import AuditSettings, parse_config
from healerd.daemon.anchoring import ANCHORED, Anchoring
from healerd.errors import ConfigError
from healerd.model import Pause
from healerd.store import Store
from healerd.store.anchors import anchor
from healerd.store.library import sqlite
from tests.healerd.cli.conftest import Called
from tests.healerd.store.records import EACH, HALF_HOUR, START

Call = Callable[..., Called]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    clock = ManualClock(START)
    with Store.open(folder, clock=clock) as store:
        with store.transaction() as tx:
            for record in EACH:
                tx.put(record, actor="ada" if isinstance(record, Pause) else "daemon")
        for day in range(1, 6):
            clock.advance_to(START + day * 48 * HALF_HOUR)
            with store.transaction() as tx:
                tx.set_watermark("p", clock.now())
    return folder


def test_a_log_is_verified_exported_proved_and_handed_over(call: Call, state: Path, tmp_path: Path) -> None:
    """The whole way: verify, keep a checkpoint and the key, export, verify that, prove a leaf, check the proof."""
    assert call("audit", "verify", "--state", state).code == 0
    kept, key, out = tmp_path / "kept", tmp_path / "key", tmp_path / "out.db"
    assert call("audit", "anchor", "--to", kept, "--state", state).code == 0
    key.write_text(call("audit", "key", "--state", state).out)
    told = call("audit", "verify", "--checkpoint", kept, "--pubkey", key, "--json", "--state", state).json
    assert (told["verified"], told["kept"], told["schema"]) == (True, 1, 1)
    exported = call("audit", "export", out, "--with-verifier", "--json", "--state", state).json
    assert exported["leaves"] == told["leaves"]
    assert call("audit", "verify", out, "--checkpoint", kept, "--pubkey", key).code == 0
    alone = [sys.executable, exported["verifier"], str(out), "--checkpoint", str(kept), "--pubkey", str(key)]
    assert subprocess.run(alone, capture_output=True, check=False).returncode == 0
    (tmp_path / "proof").write_text(call("audit", "prove", "i1", "--state", state).out)
    assert call("audit", "check", tmp_path / "proof", "--pubkey", key).code == 0
    (tmp_path / "growth").write_text(call("audit", "prove", "--from", kept, "--state", state).out)
    assert call("audit", "check", tmp_path / "growth", "--from", kept).code == 0


def test_a_changed_log_ends_with_seven(call: Call, state: Path) -> None:
    """A row changed behind the log's back ends `verify` with 7 and the number of its leaf."""
    connection = sqlite.connect(state / "healerd.db")
    connection.execute("UPDATE decision SET body = replace(body, 'healthy', 'drifted')")
    connection.commit()
    connection.close()
    told = call("audit", "verify", "--json", "--state", state)
    assert (told.code, told.json["verified"], told.json["first_bad"]) == (Exit.CHECK_FAILED, False, 4)


def test_part_of_the_log_is_verified(call: Call, state: Path) -> None:
    """`--since` takes earlier entries by their hashes alone, and says how many."""
    told = call("audit", "verify", "--since", "2026-01-04", "--json", "--state", state).json
    assert told["verified"] is True
    assert 0 < told["after"] < told["leaves"]


def test_a_late_part_of_a_sound_log_is_sound(call: Call, state: Path) -> None:
    """A part that begins after the newest checkpoint is read from that one on: nothing is called unsigned for it."""
    told = call("audit", "verify", "--since", "2026-02-01", "--json", "--state", state)
    assert (told.code, told.json["problem"], told.json["checkpoints"]) == (Exit.OK, None, 1)
    with sqlite.connect(state / "healerd.db") as connection:
        connection.execute("UPDATE checkpoint SET note = 'x' WHERE number = (SELECT max(number) FROM checkpoint)")
    told = call("audit", "verify", "--since", "2026-02-01", "--json", "--state", state)
    assert told.code == Exit.CHECK_FAILED


def test_what_is_checked_is_said(call: Call, state: Path, tmp_path: Path) -> None:
    """Without a checkpoint from outside, the verb says what it cannot find; with one, what it did."""
    assert "an old copy verifies as well" in call("audit", "verify", "--state", state).err
    call("audit", "anchor", "--to", tmp_path / "kept", "--state", state)
    said = call("audit", "verify", "--checkpoint", tmp_path / "kept", "--state", state).err
    assert "neither an old copy nor a log written anew" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "none.db"], "there is no file `none.db`: name an export"),
        (["verify", "text"], "`text` is not an exported log: make one with"),
        (["verify", "--checkpoint", "text"], "`text` holds no checkpoints"),
        (["verify", "--checkpoint", "none"], "`none` cannot be read"),
        (["verify", "--pubkey", "text"], "`text` holds no public keys"),
        (["verify", "--pubkey", "empty"], "`empty` holds no public keys"),
        (["check", "json", "--pubkey", "blank"], "`blank` holds no public keys"),
        (["export", "text"], "`text` exists: name another file"),
        (["export", "nowhere/out.db"], "make it, or name another file"),
        (["prove", "nothing"], "no leaf or row `nothing`: the log has leaves 1 to"),
        (["prove"], "name one: an ID to prove, or --from FILE"),
        (["check", "text"], "cannot be read as JSON"),
        (["check", "json"], "is no proof"),
        (["anchor"], "no place is configured"),
        (["key", "--rotate", "--lost"], "exclude each other"),
        (["erase", "--yes", "--reason", "r"], "say what to erase"),
        (["erase", "--person", "ada", "--reason", "she asked for it"], "say --yes: it cannot be taken back"),
        (["erase", "--person", "ada", "--yes", "--reason", "r"], "a reason of at least 8 characters"),
        (["prune", "--before", "2026-01-04", "--yes", "--reason", "r"], "a reason of at least 8 characters"),
        (["export", "out.db", "--pipeline", "p,q"], "no pipeline `q`"),
    ],
)
def test_bad_input_is_an_error_that_helps(
    call: Call, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    """A wrong file, key, id or option ends with what is wrong and what to do next, and changes nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("hello")
    (tmp_path / "json").write_text("{}")
    (tmp_path / "empty").write_text("")
    (tmp_path / "blank").write_text("\n \n")
    (tmp_path / "healerd.toml").write_text('[daemon]\nstate = "state"\n')
    before = (state / "healerd.db").read_bytes()
    place = [] if arguments[0] == "check" or "anchor" in arguments else ["--state", str(state)]
    called = call("audit", *arguments, *place)
    assert called.code != 0
    assert said in called.err
    if arguments[0] != "erase":
        assert (state / "healerd.db").read_bytes() == before


def test_entries_are_printed_for_programs(call: Call, state: Path) -> None:
    """`audit log` prints JSON lines, oldest first, that fit what was asked."""
    lines = [json.loads(line) for line in call("audit", "log", "--state", state).out.splitlines()]
    assert [(line["schema"], line["seq"]) for line in lines] == [(1, seq) for seq in range(1, len(lines) + 1)]
    since = call("audit", "log", "--since", "2026-01-05", "--kind", "watermark", "--state", state).out.splitlines()
    assert [json.loads(line)["at"][:10] for line in since] == ["2026-01-05", "2026-01-06"]


def test_a_key_is_rotated_and_lost(call: Call, state: Path) -> None:
    """`audit key` prints what signs; a rotation and a loss each add a key, and the log stays sound."""
    assert len(call("audit", "key", "--state", state).out.splitlines()) == 1
    assert len(call("audit", "key", "--rotate", "--state", state).out.splitlines()) == 2
    (state / "audit.key").unlink()
    told = call("audit", "key", "--lost", "--json", "--state", state).json["keys"]
    assert [each["how"] for each in told] == ["first", "rotated", "lost"]
    called = call("audit", "verify", "--state", state)
    assert called.code == 0
    assert "because it was lost" in called.err


def test_a_person_is_erased_and_old_entries_pruned(call: Call, state: Path) -> None:
    """Both verbs say how much it was, and the log verifies after each."""
    done = call(
        "audit", "erase", "--person", "ada", "--reason", "she asked for it", "--yes", "--json", "--state", state
    )
    assert done.json["erased"] > 0
    assert call("audit", "list", "--actor", "ada", "--state", state).rows[1:] == []
    pruned = call(
        "audit", "prune", "--before", "2026-01-04", "--reason", "older than needed", "--yes", "--json", "--state", state
    )
    assert pruned.json["dropped"] > 0
    told = call("audit", "verify", "--json", "--state", state).json
    assert (told["verified"], told["dropped"]) == (True, pruned.json["dropped"])
    assert told["erased"] <= done.json["erased"], "what was dropped is no longer counted as erased"


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["erase", "--person", "ada"], "would_erase"),
        (["prune", "--before", "2026-01-04"], "would_drop_at_most"),
        (["anchor", "--to", "kept"], "would_keep_in"),
        (["key", "--rotate"], "would_sign"),
        (["key", "--lost"], "would_sign"),
    ],
)
def test_changes_of_the_log_are_rehearsed(
    call: Call, state: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str], key: str
) -> None:
    """A rehearsal needs no reason and no consent, says what would be, and leaves every file as it was."""
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    told = call("audit", *words, "--dry-run", "--json", "--state", state)
    assert (told.code, told.json["dry_run"]) == (0, True), told.err
    assert told.json[key]
    assert "a dry run" in (plain := call("audit", *words, "--dry-run", "--state", state)).out + plain.err
    assert {path: path.read_bytes() for path in before} == before
    assert not (tmp_path / "kept").exists()


def test_rehearsals_count_as_the_deed_does(call: Call, state: Path) -> None:
    """An erasure takes out what its rehearsal counted; a pruning drops no more than that; a rotation needs its key."""
    would = call("audit", "erase", "--person", "ada", "--dry-run", "--json", "--state", state).json["would_erase"]
    done = call(
        "audit", "erase", "--person", "ada", "--reason", "she asked for it", "--yes", "--json", "--state", state
    )
    assert done.json["erased"] == would
    most = call("audit", "prune", "--before", "2026-01-04", "--dry-run", "--json", "--state", state).json
    done = call(
        "audit", "prune", "--before", "2026-01-04", "--reason", "older than needed", "--yes", "--json", "--state", state
    )
    assert 0 < done.json["dropped"] <= most["would_drop_at_most"]
    (state / "audit.key").unlink()
    missing = call("audit", "key", "--rotate", "--dry-run", "--state", state)
    assert (missing.code != 0, "is missing" in missing.err) == (True, True)


NOTE = (
    "healerd.log/ab\n3\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nnumber 1\n\n\N{EM DASH} healerd.log/ab AAAAAAAA\n"
)


def test_checkpoints_are_kept_in_every_place(tmp_path: Path) -> None:
    """A file gets each checkpoint once, git a commit, a command its stdin; what fails is named, and stops no other."""
    repository, told = tmp_path / "repository", tmp_path / "told"
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    for name, value in (("user.email", "a@example.org"), ("user.name", "a")):
        subprocess.run(["git", "-C", str(repository), "config", name, value], check=True)
    write = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.stdin.read())"
    settings = AuditSettings(
        anchor_file=str(tmp_path / "sub" / "kept"),
        anchor_git=str(repository),
        anchor_command=[sys.executable, "-c", write, str(told)],
    )
    for _ in range(2):
        assert [each.problem for each in anchor(NOTE, settings)] == ["", "", ""]
    assert (tmp_path / "sub" / "kept").read_text() == told.read_text() == NOTE
    log = ["git", "-C", str(repository), "log", "--oneline"]
    commits = subprocess.run(log, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split(" ", 1)[1] for line in commits] == ["healerd checkpoint of 3 leaves"]
    bad = AuditSettings(anchor_file="/proc/none/kept", anchor_command=["false"], anchor_git=str(tmp_path))
    assert all(each.problem for each in anchor(NOTE, bad))


def test_the_daemon_anchors_in_time_and_says_what_became_of_it(tmp_path: Path) -> None:
    """A checkpoint is kept once an interval, and a leaf says where, or why not."""
    clock = ManualClock(START)
    settings = AuditSettings(anchor_file=str(tmp_path / "kept"), anchor_command=["false"])
    with Store.open(tmp_path / "state", clock=clock) as store:
        anchoring = Anchoring(store, settings)
        for minute in range(0, 130, 5):
            with store.transaction() as tx:
                tx.set_watermark("p", START + minute * HALF_HOUR)
            anchoring.step(minute * 60.0)
            anchoring.wait()
        anchoring.close()
        said = [leaf.record for leaf in store.leaves(kind=ANCHORED)]
    assert len(said) == 3
    assert [each["where"] for each in said[0]["kept"]] == [f"file {tmp_path / 'kept'}", "command false"]
    assert [bool(each["problem"]) for each in said[0]["kept"]] == [False, True]


def test_the_key_of_the_configuration_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is a path beside the configuration, or a credential of the service manager, or an error that says how."""

    def key(text: str) -> Path | None:
        return parse_config(f'[audit]\nkey = "{text}"\n', path=tmp_path / "healerd.toml").audit_key

    assert key("keys/log.pem") == tmp_path / "keys" / "log.pem"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigError, match="name a file"):
        key("credential:log")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert key("credential:log") == tmp_path / "log"
    assert parse_config("", path=tmp_path / "healerd.toml").audit_key is None


def test_a_clock_that_goes_backwards_breaks_nothing(call: Call, tmp_path: Path) -> None:
    """Leaves are numbered, not dated: a clock set back between two of them leaves a log that is sound and exports."""
    clock = ManualClock(START)
    with Store.open(tmp_path / "state", clock=clock) as store:
        for back in (0, -86400, 3600, -10):
            clock.jump(back)
            with store.transaction() as tx:
                tx.put(replace(EACH[7], since_at=clock.now()))
    assert call("audit", "verify", "--state", tmp_path / "state").code == 0
    out = tmp_path / "out.db"
    assert call("audit", "export", out, "--since", "2026-01-01", "--state", tmp_path / "state").code == 0
    assert call("audit", "verify", out).code == 0


def test_verbs_that_sign_nothing_load_no_cryptography(state: Path) -> None:
    """`audit list` and `status` do not wait for the library that signs."""
    for verb in (["audit", "list"], ["status"]):
        code = f"import sys; from healerd.cli.group import invoke; invoke({[*verb, '--state', str(state)]!r}); "
        done = subprocess.run(
            [sys.executable, "-c", f"{code}print('cryptography' in sys.modules, file=sys.stderr)"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[3],
        )
        assert done.stderr.strip().endswith("False"), done.stderr
