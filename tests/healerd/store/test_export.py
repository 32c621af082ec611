"""An exported log: it verifies by itself, with healerd and without, and people find what they look for."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlite_utils import Database

from healerd.audit.notes import read_key, read_notes
from healerd.clock import ManualClock
from healerd.errors import StoreError
from healerd.model import Answer, AnswerKind, Intent, IntentState
from healerd.store import ReadStore, SigningKey, Store, standalone
from healerd.store.exported import ExportedLog, is_export
from healerd.store.exportform import MEANINGS, VIEWS
from healerd.store.library import sqlite
from tests.healerd.store.records import EACH, START, a_decision, an_intent

STANDALONE = Path(standalone.__file__)
GOLDEN = Path(__file__).parent / "export1.db"


def fill(folder: Path, clock: ManualClock) -> None:
    """Make a log of a few days with a heal, a veto, a pause, and two rule sets."""
    with Store.open(folder, clock=clock) as store:
        with store.transaction() as tx:
            for record in EACH:
                tx.put(record, actor="ada" if isinstance(record, Answer) else "daemon")
            tx.save_state("*", "rules r1", {"id": "r1", "sources": [{"path": "base.heal", "text": "permit all"}]})
        for day in range(12):
            clock.advance(86400)
            at, rules = clock.now(), "r1" if day < 6 else "r2"
            with store.transaction() as tx:
                name = "p" if day % 2 else "q"
                tx.put(a_decision(id=f"d{day + 2}", pipeline=name, at=at, rules_id=rules, reason=f"error {day}"))
                tx.set_watermark(name, at)
        intent = store.get(Intent, "i1")
        assert intent is not None
        with store.transaction() as tx:
            moved = tx.replace(replace(intent, state=IntentState.VERIFIED, ended_at=clock.now()), expect=intent)
            said = {
                "id": "a2",
                "intent_id": moved.id,
                "pipeline": "p",
                "author": "bo",
                "revision": 0,
                "at": clock.now(),
            }
            words = "holiday campaign, as every year"
            answer = Answer(kind=AnswerKind.APPROVE, roles=("approver",), reason=words, **said)
            tx.put(answer, actor="bo")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("state")
    fill(made, ManualClock(START))
    return made


@pytest.fixture
def reader(folder: Path) -> Iterator[ReadStore]:
    with ReadStore.open(folder) as opened:
        yield opened


@pytest.fixture
def out(reader: ReadStore, tmp_path: Path) -> Path:
    reader.export(tmp_path / "out.db")
    return tmp_path / "out.db"


def alone(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the stand-alone verifier where healerd cannot be imported."""
    block = "import sys; sys.modules['healerd'] = None; sys.argv = sys.argv[1:]; import runpy; "
    run = "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-I", "-c", block + run, str(STANDALONE), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_export_verifies_by_itself(reader: ReadStore, out: Path) -> None:
    """The check of an export finds the leaves, the root and the checkpoints of the log it came from."""
    own, report = reader.verify(), ExportedLog(out).verify()
    assert (report.problem, report.leaves, report.root) == (None, own.leaves, own.root)
    assert report.checkpoints == own.checkpoints > 10


def test_it_verifies_without_healerd(reader: ReadStore, out: Path, tmp_path: Path) -> None:
    """One file with the standard library and cryptography finds the same, in a process without healerd."""
    (tmp_path / "kept").write_text(reader.checkpoint() or "")
    (tmp_path / "key").write_text(reader.find(SigningKey)[0].key)
    done = alone(out, "--checkpoint", tmp_path / "kept", "--pubkey", tmp_path / "key")
    assert done.returncode == 0, done.stderr + done.stdout
    told = dict(line.split("\t") for line in done.stdout.splitlines())
    assert (told["leaves"], told["kept checkpoints that agree"]) == (str(reader.verify().leaves), "1")


@pytest.mark.parametrize(
    ("options", "fewer"),
    [
        ({"pipelines": ("q",)}, True),
        ({"since": START.replace(day=5)}, True),
        ({"pipelines": ("none",)}, True),
        ({}, False),
    ],
)
def test_a_part_of_the_log_still_verifies(
    reader: ReadStore, tmp_path: Path, options: dict[str, object], fewer: bool
) -> None:
    """What an export leaves out stands in it as hashes, under the same root and the same signatures."""
    done = reader.export(tmp_path / "part.db", **options)  # type: ignore[arg-type]
    report = ExportedLog(tmp_path / "part.db").verify()
    assert (report.problem, report.root) == (None, reader.verify().root)
    assert (report.left_out > 0) == fewer == (done.left_out > 0)
    assert alone(tmp_path / "part.db").returncode == 0


EDITS = [
    "UPDATE leaf SET body = replace(body, 'ada', 'eve') WHERE kind = 'answer'",
    "UPDATE leaf SET salt = NULL WHERE kind = 'answer'",
    "UPDATE leaf SET salt = zeroblob(16) WHERE kind = 'answer'",
    "UPDATE leaf SET leaf_hash = zeroblob(32) WHERE seq = 4",
    "UPDATE leaf SET body = NULL, salt = NULL, leaf_hash = zeroblob(32) WHERE seq = 4",
    "DELETE FROM leaf WHERE seq = 5",
    "DELETE FROM leaf WHERE seq > 20",
    "DELETE FROM checkpoint WHERE number = 3",
    "UPDATE checkpoint SET note = replace(note, 'number 3', 'number 4') WHERE number = 3",
]
DERIVED = [
    "UPDATE reason SET reason = 'nothing' WHERE leaf = (SELECT max(leaf) FROM reason)",
    "DELETE FROM reason WHERE leaf = (SELECT max(leaf) FROM reason)",
    "UPDATE rule_set SET value = replace(value, 'permit', 'forbid')",
    "UPDATE signing_key SET how = 'lost'",
]


def edited(out: Path, statement: str) -> None:
    connection = sqlite.connect(out)
    assert connection.execute(statement).rowcount != 0
    connection.commit()
    connection.close()


@pytest.mark.parametrize("statement", EDITS + DERIVED)
def test_a_changed_export_is_found(out: Path, statement: str) -> None:
    """An edit of a leaf, a salt, a hash, a checkpoint, a reason or the text of a rule is found and numbered."""
    edited(out, statement)
    report = ExportedLog(out).verify()
    assert report.first_bad is not None
    assert report.problem


@pytest.mark.parametrize("statement", EDITS)
def test_a_changed_export_is_found_without_healerd(out: Path, statement: str) -> None:
    """The stand-alone verifier finds each change of leaves and checkpoints too, with the same number."""
    edited(out, statement)
    with pytest.raises(standalone.BadLogError) as caught:
        standalone.verify(out)
    assert caught.value.args[0] == ExportedLog(out).verify().first_bad


def test_a_changed_view_is_found(out: Path) -> None:
    """A view that asks something else than it should is found: people would read it as the log's word."""
    connection = sqlite.connect(out)
    connection.execute("DROP VIEW vetoes")
    connection.execute("CREATE VIEW vetoes AS SELECT 'nobody' AS who")
    connection.close()
    assert "the view `vetoes` was changed" in (ExportedLog(out).verify().problem or "")


def test_people_find_what_they_look_for(out: Path) -> None:
    """Views answer in plain columns: who vetoed, who approved what, which rules held when, how heals ended."""
    db = Database(out)
    (veto,) = db["vetoes"].rows
    assert (veto["who"], veto["answer"], veto["reason"]) == ("ada", "veto", "campaign")
    (approval,) = db["approvals"].rows
    assert (approval["who"], approval["action"]) == ("bo", "retrain")
    (heal,) = db["heals"].rows
    assert (heal["state"], heal["result"]) == ("verified", "healed")
    assert db["decisions"].count == 13
    spans = list(db.query("SELECT * FROM rules_in_force WHERE pipeline = 'p' ORDER BY first_at"))
    assert [span["rules"] for span in spans] == ["r1", "r2"]
    assert (spans[0]["until"], spans[1]["until"]) == (spans[1]["first_at"], None)
    assert [row["text"] for row in db["rule_texts"].rows] == ["permit all"]
    assert {row["who"] for row in db["people"].rows} == {"ada", "bo"}
    assert sorted(db.view_names()) == sorted(VIEWS)


def test_reasons_are_searched(out: Path) -> None:
    """Full-text search over reasons finds the words, as sqlite-utils and Datasette ask for them."""
    reasons = Database(out)["reason"]
    assert reasons.detect_fts() == "reason_fts"
    (found,) = reasons.search("holiday campaign")
    assert found["who"] == "bo"


def test_every_column_is_described(out: Path) -> None:
    """Each table and view that people see says what each of its columns means."""
    db = Database(out)
    said = {(row["name"], row["column"]) for row in db["described"].rows}
    shown = [name for name in (*db.table_names(), *db.view_names()) if not name.startswith("reason_fts")]
    columns = {(name, row["name"]) for name in shown for row in db.query(f"PRAGMA table_xinfo({name})")}
    assert columns == said
    assert set(MEANINGS) == set(shown)


def test_a_golden_export_verifies(tmp_path: Path) -> None:
    """An export that an earlier healerd made still verifies, with and without healerd."""
    report = ExportedLog(GOLDEN).verify()
    assert (report.problem, report.leaves, report.checkpoints) == (None, 41, 15)
    assert standalone.verify(GOLDEN)["root"]
    assert [row["who"] for row in Database(GOLDEN)["vetoes"].rows] == ["ada"]


def test_a_wrong_key_or_checkpoint_is_said(out: Path, reader: ReadStore, tmp_path: Path) -> None:
    """Another log's key or checkpoint does not fit, and the report says which it is."""
    Store.open(tmp_path / "other", clock=ManualClock(START)).close()
    with ReadStore.open(tmp_path / "other") as other:
        key, kept = read_key(other.find(SigningKey)[0].key), list(read_notes(other.checkpoint() or ""))
    assert "another key" in (ExportedLog(out).verify(pinned=[key]).problem or "")
    assert ExportedLog(out).verify(saved=kept).problem
    for options in ({"pinned": str(key)}, {"saved": str(kept[0])}):
        with pytest.raises(standalone.BadLogError):
            standalone.verify(out, **options)


@pytest.mark.parametrize("keep", [0, 50, 100, 5000, 0.5, 0.9])
def test_a_truncated_file_is_an_error_that_helps(out: Path, keep: float) -> None:
    """A file cut off anywhere is refused with what to do, never called sound."""
    data = out.read_bytes()
    out.write_bytes(data[: int(keep if keep > 1 else keep * len(data))])
    with pytest.raises(StoreError, match=r"export"):
        ExportedLog(out).verify()
    assert alone(out).returncode in {2, 7}


def test_other_files_are_refused(folder: Path, tmp_path: Path) -> None:
    """A missing file, a text, a foreign database and a state's own database are each no export."""
    with pytest.raises(StoreError, match="there is no file"):
        is_export(tmp_path / "none.db")
    (tmp_path / "text").write_text("hello" * 100)
    foreign = sqlite.connect(tmp_path / "foreign.db")
    foreign.execute("CREATE TABLE t (x)")
    foreign.close()
    shutil.copy(folder / "healerd.db", tmp_path / "own.db")
    for name in ("text", "foreign.db", "own.db"):
        with pytest.raises(StoreError, match="is not an exported log"):
            ExportedLog(tmp_path / name).verify()
        assert alone(tmp_path / name).returncode == 2


def test_a_newer_form_is_refused(out: Path) -> None:
    """An export of a later form says that it takes a newer healerd."""
    connection = sqlite.connect(out)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="use a newer one"):
        ExportedLog(out).verify()


def test_nothing_is_written_over(reader: ReadStore, out: Path) -> None:
    """An export never takes the place of a file that is there."""
    with pytest.raises(StoreError, match="exists"):
        reader.export(out)


def test_an_export_that_fails_leaves_nothing(reader: ReadStore, tmp_path: Path) -> None:
    """What was written until an export failed, as on a full disk, does not stay where it goes on filling it."""

    def full(_count: int) -> None:
        raise sqlite.OperationalError("database or disk is full")

    (folder := tmp_path / "exports").mkdir()
    with pytest.raises(StoreError, match="full"):
        reader.export(folder / "log.db", progress=full)
    assert not list(folder.iterdir())


def test_the_log_may_grow_meanwhile(tmp_path: Path) -> None:
    """A log is exported and verified as of one moment while a daemon goes on writing."""
    clock = ManualClock(START)
    with Store.open(tmp_path, clock=clock) as store, ReadStore.open(tmp_path) as reader:

        def write(count: int) -> None:
            with store.transaction() as tx:
                tx.note("more", {"n": count})
            with store.transaction() as tx:
                tx.put(an_intent(id=f"w{count}"))

        for turn in range(40):
            write(turn)
        seen = list[int]()

        def meanwhile(count: int) -> None:
            if count % 10 == 0:
                seen.append(count)
                write(1000 + count)

        assert reader.verify(meanwhile).problem is None
        reader.export(tmp_path / "out.db", progress=meanwhile)
        assert seen
    assert ExportedLog(tmp_path / "out.db").verify().problem is None
