"""What is taken out of the log, and that its proofs go on to hold."""

import resource
import sys
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from healerd.audit.gaps import make_stub
from healerd.audit.notes import read_notes
from healerd.audit.proofs import check_growth, check_proof
from healerd.audit.verify import Start
from healerd.clock import ManualClock
from healerd.errors import NotFound, StoreError
from healerd.model import Answer, Decision, Pause
from healerd.segments import Segment
from healerd.store import ReadStore, Store, check, standalone
from healerd.store.care import erase, mentions, prune
from healerd.store.exported import ExportedLog
from healerd.store.keys import KEY
from healerd.store.library import sqlite
from healerd.store.tables import SavedProfile
from tests.healerd.store.records import EACH, START, WINDOW, a_decision, a_measurement, a_segment, an_intent
from tests.healerd.store.steps import steps


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def folder(tmp_path: Path, clock: ManualClock) -> Path:
    """Make a log in which ada vetoed and paused, and days without harm went by."""
    with Store.open(tmp_path, clock=clock) as store:
        with store.transaction() as tx:
            for record in EACH:
                tx.put(record, actor="ada" if isinstance(record, Answer | Pause) else "daemon")
        for day in range(2, 30):
            clock.advance(86400)
            with store.transaction() as tx:
                said = {"trace": {"verdicts": "`ada` paused the pipeline"}} if day == 3 else {}
                tx.put(a_decision(id=f"d{day}", at=clock.now(), **said))
                tx.set_watermark("p", clock.now())
    return tmp_path


def test_what_is_about_a_person_is_erased_and_the_log_stays_sound(folder: Path, clock: ManualClock) -> None:
    """After an erasure no name is left, the log says erased and not bad, and old checkpoints still agree."""
    with ReadStore.open(folder) as reader:
        kept = list(read_notes(reader.checkpoint() or ""))
        root = reader.verify().root
    with Store.open(folder, clock=clock) as store:
        with store.transaction() as tx:
            wanted = mentions(tx.writer(), "ada")
            assert erase(tx, wanted, actor="officer", reason="article 17") == len(wanted) >= 5
        store.shrink()
        report = store.verify(saved=kept)
        assert (report.problem, report.erased, report.saved) == (None, len(wanted), 1)
        assert root != report.root
        assert store.find(Pause)[0].author.startswith("erased:")
        assert store.find(Answer)[0].reason.startswith("erased:")
        assert mentions(store._connection(), "ada") == []
        store.export(folder / "out.db")
    assert ExportedLog(folder / "out.db").verify().erased == len(wanted)
    assert standalone.verify(folder / "out.db")["erased"] == len(wanted)
    for name in ("healerd.db", "out.db"):
        data = (folder / name).read_bytes()
        assert b'"ada"' not in data
        assert b"`ada`" not in data


def test_the_decision_on_the_newest_window_stays(folder: Path, clock: ManualClock) -> None:
    """Neither an erasure nor a pruning takes the decision that the next window reads, though a wish came after it."""
    with Store.open(folder, clock=clock) as store:
        for name, end_at in (("window", clock.now()), ("wish", None)):
            with store.transaction() as tx:
                trace = {"verdicts": "`ada` paused the pipeline"}
                tx.put(a_decision(id=name, at=clock.now(), window_end_at=end_at, trace=trace))
        clock.advance(86400)
        with store.transaction() as tx:
            wanted = [leaf.seq for leaf in store.leaves(kind="decision") if leaf.record["id"] in ("window", "wish")]
            assert len(wanted) == 2
            assert erase(tx, wanted, actor="officer", reason="article 17") == 0
            prune(tx, clock.now(), actor="officer", reason="old")
        assert {each.id for each in store.find(Decision)} >= {"window", "wish"}
        assert store.get(Decision, "window").trace == trace


def test_a_proof_of_an_erased_leaf_still_holds(folder: Path, clock: ManualClock) -> None:
    """A leaf is proved before and after its personal values are gone, by the same hash."""
    with Store.open(folder, clock=clock) as store:
        seq = store.leaves(kind="answer")[0].seq
        before = store.prove(str(seq))
        assert check_proof(before) is None
        assert check_proof({**before, "body": before["body"].replace("ada", "eve")}) is not None
        with store.transaction() as tx:
            erase(tx, [seq], actor="officer", reason="asked")
            tx.set_watermark("p", clock.now())
        after = store.prove(str(seq))
        assert (after["salt"], check_proof(after)) == (None, None)
        assert '"ada"' not in after["body"]


def test_an_erasure_without_a_tombstone_is_found(folder: Path, clock: ManualClock) -> None:
    """Whoever empties a leaf and says nothing is found."""
    with Store.open(folder, clock=clock) as store, store.transaction() as tx:
        seq = mentions(tx.writer(), "ada")[0]
        erase(tx, [seq], actor="officer", reason="asked")
    with ReadStore.open(folder) as reader:
        (body,) = reader._connection().execute("SELECT body FROM audit_leaf WHERE seq = ?", [seq]).fetchone()
    other = folder / "other"
    other.mkdir()
    source = sqlite.connect(folder / "healerd.db")
    tomb = source.execute("SELECT seq FROM audit_leaf WHERE kind = 'erased'").fetchone()[0]
    source.execute("DROP TRIGGER audit_leaf_no_update")
    text = source.execute("SELECT body FROM audit_leaf WHERE seq = ?", [tomb]).fetchone()[0]
    source.execute("UPDATE audit_leaf SET body = ? WHERE seq = ?", [text.replace(f"[{seq}]", "[1]"), tomb])
    source.commit()
    source.close()
    with ReadStore.open(folder) as reader:
        report = reader.verify()
    assert report.first_bad in {seq, tomb}
    assert "erased:" in body


def test_what_the_next_window_reads_is_not_erased(folder: Path, clock: ManualClock) -> None:
    """The newest decision stays whole until the next one, so that no tick stumbles over a gap."""
    with Store.open(folder, clock=clock) as store:
        newest = store.find(Decision, order="-seq", limit=1)[0]
        with store.transaction() as tx:
            leaf = tx.leaves(kind="decision", newest_first=True, limit=1)[0].seq
            assert erase(tx, [leaf], actor="officer", reason="asked") == 0
        assert store.get(Decision, newest.id) == newest


def test_old_bodies_are_dropped_and_the_log_stays_sound(folder: Path, clock: ManualClock) -> None:
    """Pruning drops bodies, keeps every hash, says so in the log, and leaves what acted and what people said."""
    with ReadStore.open(folder) as reader:
        kept = list(read_notes(reader.checkpoint() or ""))
    with Store.open(folder, clock=clock) as store:
        with store.transaction() as tx:
            done = prune(tx, START.replace(day=20), actor="officer", reason="after two weeks")
        report = store.verify(saved=kept)
        assert (report.problem, report.dropped, report.saved) == (None, done, 1)
        assert done > 30
        assert store.get(Decision, "d1") is not None, "an intent stands on it"
        assert store.get(Decision, "d5") is None
        assert store.get(Decision, "d25") is not None
        assert len(store.find(Answer)) == 1
        assert store.leaf_at(START.replace(day=10)) > 10
        assert len(store.leaves(limit=5)) == 5
        with store.transaction() as tx:
            again = prune(tx, START.replace(day=25), actor="officer", reason="later")
        assert store.verify(saved=kept).dropped == done + again
        store.export(folder / "out.db")
        store.shrink()
    assert ExportedLog(folder / "out.db").verify().dropped == done + again
    assert standalone.verify(folder / "out.db")["dropped"] == done + again
    with Store.open(folder, clock=clock) as store:
        assert store.verify().problem is None


def test_what_was_written_while_the_clock_was_wrong_takes_nothing_younger_along(tmp_path: Path) -> None:
    """An entry goes by its own time: one that was stamped with 1970 does not let the ones before it go."""
    clock = ManualClock(START)
    with Store.open(tmp_path, clock=clock) as store:
        for number in range(3):
            with store.transaction() as tx:
                tx.put(a_decision(id=f"d{number}", at=START))
    with Store.open(tmp_path, clock=ManualClock(START.replace(year=1970))) as store, store.transaction() as tx:
        tx.note("said", {"by": "an unset clock"})
    clock.advance(86400)
    with Store.open(tmp_path, clock=clock) as store:
        with store.transaction() as tx:
            assert prune(tx, START, actor="officer", reason="all that is older") == 1, "the note of 1970"
        assert {found.id for found in store.find(Decision)} == {"d0", "d1", "d2"}
        assert store.verify().problem is None


def test_what_was_written_by_a_clock_that_ran_ahead_goes_by_its_own_time(tmp_path: Path) -> None:
    """After the clock was set back a row stays for as long as one leaf that wrote it does: the log stays sound."""
    clock, old, after = ManualClock(START), WINDOW.end_at, START + timedelta(hours=3)
    younger = replace(WINDOW, start_at=WINDOW.end_at, end_at=after)
    with Store.open(tmp_path, clock=clock) as store:
        write_all(store, "sound", old)
        clock.jump(7200)
        write_all(store, "ahead", old)
        clock.jump(-5400)
        write_all(store, "back", old)
        with store.transaction() as tx:
            tx.put_profile(replace(WINDOW, end_at=old), "ahead", b"written anew")
            tx.put_profile(younger, "newest", b"profile")
            tx.put(a_decision(id="newest", at=after, window_end_at=after))
            tx.put(a_segment(path="newest", end_at=after))
        clock.advance(86400)
        with store.transaction() as tx:
            before = START + timedelta(hours=1)
            prune(tx, before, actor="officer", reason="old", rows_before={"p": before})
        assert store.verify().problem is None
        assert {found.id for found in store.find(Decision)} == {"ahead", "newest"}
        assert {found.path for found in store.find(Segment)} == {"ahead", "newest"}
        assert [found.version for found in store.find(SavedProfile, window_end_at=old)] == ["ahead"]
        assert store.profile("p", "ahead", old) == b"written anew"
        with store.transaction() as tx:
            prune(tx, after, actor="officer", reason="old by its own time too", rows_before={"p": after})
        assert store.verify().problem is None
        assert [found.id for found in store.find(Decision)] == ["newest"]
        assert [found.path for found in store.find(Segment)] == ["newest"]
        assert store.find(SavedProfile, window_end_at=old) == ()
    with Store.open(tmp_path, clock=clock) as store:
        assert store.verify().problem is None


def write_all(store: Store, name: str, end_at: datetime) -> None:
    """Write a decision, a segment and a profile of a window under a name."""
    with store.transaction() as tx:
        tx.put(a_decision(id=name, at=START, window_end_at=end_at))
        tx.put(a_segment(path=name, end_at=end_at))
        tx.put_profile(replace(WINDOW, end_at=end_at), name, b"profile")


def test_letting_go_reads_the_times_of_leaves_once_for_all_rows(folder: Path, clock: ManualClock) -> None:
    """INVARIANT: no row that may go makes SQLite look through the leaves again."""
    with Store.open(folder, clock=clock) as store, store.transaction() as tx:
        asked: list[str] = []
        tx.writer().set_trace_callback(asked.append)
        prune(tx, START.replace(day=20), actor="officer", reason="old", rows_before={"p": START})
        tx.writer().set_trace_callback(None)
        rows = [text for text in asked if text.startswith(("DELETE FROM decision", "DELETE FROM s"))]
        assert len(rows) == 3
        for text in rows:
            plan = [step[-1] for step in tx.writer().execute(f"EXPLAIN QUERY PLAN {text}")]
            assert not [step for step in plan if "audit_leaf" in step], plan


def test_the_measurements_of_a_window_stay_while_a_decision_about_it_does(tmp_path: Path) -> None:
    """They go with the last of its decisions, and letting go of ten times as much costs no more than ten times."""
    took = {}
    for windows in (30, 300):
        clock = ManualClock(START)
        with Store.open(tmp_path / str(windows), clock=clock) as store:
            for number in range(windows):
                clock.advance(3600)
                at = clock.now()
                with store.transaction() as tx:
                    tx.put(a_decision(id=f"d{number}", at=at, window_end_at=at))
                    window = replace(WINDOW, start_at=at - timedelta(hours=1), end_at=at)
                    tx.put_measurements(window, [a_measurement(name=name, subject=None) for name in "abcdefgh"])
                if number == 1:
                    wished = at
                    with store.transaction() as tx:
                        tx.put(a_decision(id="wish", at=at, window_end_at=at))
                        tx.put(an_intent(id="wished", key="wished", decision_id="wish"))
            half = START + timedelta(hours=windows // 2 + 1)
            with store.transaction() as tx:
                let_go = partial(prune, tx, half, actor="officer", reason="all that is old")
                took[windows] = steps(tx.writer(), let_go)
            left = [f"d{number}" for number in range(windows // 2, windows)]
            assert sorted(found.id for found in store.find(Decision)) == sorted(["wish", *left])
            assert len(store.measurements("p", wished)) == 8
            assert store.series("p", "a")[0][0] == wished
            assert len(store.series("p", "a")) == len(left) + 1
            assert store.verify().problem is None
    assert took[300] < 11 * took[30]


def test_a_stub_that_nobody_signed_is_found(folder: Path, clock: ManualClock) -> None:
    """A stub changed or put in the place of another body is found, and the leaf named."""
    with Store.open(folder, clock=clock) as store, store.transaction() as tx:
        prune(tx, START.replace(day=20), actor="officer", reason="old")
    connection = sqlite.connect(folder / "healerd.db")
    connection.execute("DROP TRIGGER audit_leaf_no_update")
    stub, seq = connection.execute("SELECT body, seq FROM audit_leaf WHERE kind = 'dropped' LIMIT 1").fetchone()
    whole, other = connection.execute("SELECT body, seq FROM audit_leaf WHERE kind = 'answer'").fetchone()
    statement = "UPDATE audit_leaf SET body = ? WHERE seq = ?"
    for changed, place in (
        (stub.replace("2026", "2025", 1), seq),
        (stub.replace(f'"seq":{seq}', f'"seq":{other}'), other),
    ):
        connection.execute(statement, [changed, place])
        connection.commit()
        with ReadStore.open(folder) as reader:
            assert reader.verify().first_bad is not None
        connection.execute(statement, [stub if place == seq else whole, place])
        connection.commit()
    connection.close()


def test_a_proof_names_what_people_know(folder: Path) -> None:
    """A leaf is proved by its number or by the id of what it wrote; what is not there is named with what is."""
    with ReadStore.open(folder) as reader:
        assert check_proof(reader.prove("i1")) is None
        assert check_proof(reader.prove("d5")) is None
        proof = reader.prove("7")
        assert proof["proof"]["leaf"] == 7
        for bad in ("0", "9999", "nothing"):
            with pytest.raises(NotFound, match="the log has leaves 1 to"):
                reader.prove(bad)
    assert check_proof({**proof, "proof": {**proof["proof"], "leaf": 8}}) is not None
    for broken in ({}, {**proof, "checkpoint": "x"}, {**proof, "body": "{"}, {**proof, "proof": None}):
        with pytest.raises(ValueError, match=r"."):
            check_proof(broken)


def test_the_log_is_shown_to_go_on_from_a_kept_checkpoint(folder: Path, clock: ManualClock) -> None:
    """A proof of growth holds for a checkpoint of this log, and for no other."""
    with ReadStore.open(folder) as reader:
        (old,) = read_notes(reader.checkpoint() or "")
    with Store.open(folder, clock=clock) as store:
        with store.transaction() as tx:
            tx.set_watermark("p", clock.now())
        proof = store.prove_growth(old)
        (new,) = read_notes(store.checkpoint() or "")
    assert check_growth(proof, old) is None
    assert check_growth(proof, new) is not None
    with Store.open(folder / "other", clock=clock) as other:
        (foreign,) = read_notes(other.checkpoint() or "")
    assert check_growth(proof, foreign) is not None
    assert check_growth({**proof, "growth": {**proof["growth"], "path": ""}}, old) is not None


def test_nothing_is_proved_that_nobody_signed(folder: Path, clock: ManualClock) -> None:
    """A leaf after the newest checkpoint has no proof yet, and the error says when it will."""
    with Store.open(folder, clock=clock) as store:
        with store.transaction() as tx:
            seq = tx.note("later", {})
        with pytest.raises(StoreError, match="wait for the next window"):
            store.prove(str(seq))


def test_the_key_does_not_leave_the_folder(folder: Path) -> None:
    """An export holds no private key."""
    with ReadStore.open(folder) as reader:
        reader.export(folder / "out.db")
    secret = (folder / KEY).read_text().splitlines()[1]
    assert secret.encode() not in (folder / "out.db").read_bytes()


def test_ids_hold_no_names(folder: Path) -> None:
    """Replacing the personal values of every leaf leaves no row under a key with a name in it."""
    with ReadStore.open(folder) as reader:
        assert not any("ada" in (leaf.key or "") for leaf in reader.leaves())
        pause = reader.find(Pause)[0]
        assert replace(pause, author="x") != pause


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel for the peak of memory")
def test_giving_room_back_takes_no_memory_of_the_databases_size(folder: Path, clock: ManualClock) -> None:
    """A database larger than the memory of its machine can be pruned; what a process that was ended left there goes."""
    with Store.open(folder, clock=clock) as store:
        for number in range(40):
            with store.transaction() as tx:
                tx.save_state("p", f"blob {number}", bytes([number]) * 2**20)
        (folder / "healerd.db.compact").write_text("half of it")
        Path("/proc/self/clear_refs").write_text("5")
        before_kb = memory_kb("VmHWM")
        store.shrink()
        assert memory_kb("VmHWM") - before_kb < 20 * 1024
        assert store.verify().problem is None
        assert store.state("p", "blob 39") is not None
    assert sorted(path.name for path in folder.glob("healerd.db*")) == ["healerd.db"]


def test_what_could_not_be_taken_out_of_the_file_is_said(folder: Path, clock: ManualClock) -> None:
    """On a disk without room the record is changed and whole; the error says what is left there, and again mends it."""
    with Store.open(folder, clock=clock) as store:
        with store.transaction() as tx:
            tx.save_state("p", "blob", b"of ada" * 500_000)
        with store.transaction() as tx:
            tx.save_state("p", "blob", b"nothing")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            with pytest.raises(StoreError, match="still lies in the file until it is called again"):
                store.shrink()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert sorted(path.name for path in folder.glob("*.compact")) == []
        assert store.verify().problem is None
        assert b"of ada" in b"".join(path.read_bytes() for path in folder.glob("healerd.db*"))
        store.shrink()
        assert b"of ada" not in b"".join(path.read_bytes() for path in folder.glob("healerd.db*"))


def test_what_a_reader_keeps_in_the_file_is_said(folder: Path, clock: ManualClock) -> None:
    """While another program reads the old state it cannot leave the file: the error says so, and again mends it."""
    with Store.open(folder, clock=clock) as store, closing(sqlite.connect(folder / "healerd.db")) as reader:
        with store.transaction() as tx:
            tx.save_state("p", "blob", b"of ada" * 5_000)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM audit_leaf").fetchone()
        with store.transaction() as tx:
            tx.save_state("p", "blob", b"nothing")
        store._writer.execute("PRAGMA busy_timeout = 10")
        with pytest.raises(StoreError, match=r"is being read: .* still lies in the file until it is called again"):
            store.shrink()
        assert b"of ada" in b"".join(path.read_bytes() for path in folder.glob("healerd.db*"))
        reader.execute("ROLLBACK")
        store.shrink()
        assert b"of ada" not in b"".join(path.read_bytes() for path in folder.glob("healerd.db*"))
        assert store.verify().problem is None


def memory_kb(name: str) -> int:
    """What the kernel says of this process's memory."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[name].split()[0])


def test_a_pruned_log_is_read_again_in_parts(folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start, and a reading in slices, that meet only some of the stubs of a statement take none for damage."""
    with Store.open(folder, clock=clock) as store:
        with store.transaction() as tx:
            dropped = prune(tx, START.replace(day=25), actor="officer", reason="old")
        head, _ = store.head()
    for newest in (1, 2, 5, 20, dropped, head - 1):
        monkeypatch.setattr(check, "_NEWEST", newest)
        Store.open(folder, clock=clock).close()
    with ReadStore.open(folder) as reader:
        head, _ = reader.head()
        for size in (1, 7, head // 2, head):
            start = Start()
            while start.after < head:
                report, start = reader.verify_slice(start, upto=min(start.after + size, head))
                assert report.problem is None, (size, report)


def test_a_changed_stub_is_found_by_a_start_that_meets_all_of_them(folder: Path, clock: ManualClock) -> None:
    """What a statement covers whole is compared with it on a start too."""
    with Store.open(folder, clock=clock) as store, store.transaction() as tx:
        prune(tx, START.replace(day=25), actor="officer", reason="old")
    connection = sqlite.connect(folder / "healerd.db")
    connection.execute("DROP TRIGGER audit_leaf_no_update")
    connection.execute("UPDATE audit_leaf SET body = replace(body, 'daemon', 'demons') WHERE kind = 'dropped'")
    connection.execute("UPDATE audit_leaf SET body = json_set(body, '$.pipeline', 'q') WHERE kind = 'dropped'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="stands in for a body"):
        Store.open(folder, clock=clock)


def test_a_row_that_stands_on_a_stub_is_not_acted_on(
    folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever puts a stub in the place of what wrote a row, to change the row, is found by a start, however old."""
    with Store.open(folder, clock=clock) as store, store.transaction() as tx:
        statement = tx.head()[0] + 1
        prune(tx, START.replace(day=25), actor="officer", reason="old")
    connection = sqlite.connect(folder / "healerd.db")
    connection.execute("DROP TRIGGER audit_leaf_no_update")
    seq, body = connection.execute(
        "SELECT a.seq, a.body FROM audit_leaf a JOIN pause p ON p.leaf = a.seq LIMIT 1"
    ).fetchone()
    stub = make_stub(body.encode(), statement=statement).decode()
    connection.execute("UPDATE audit_leaf SET body = ?, salt = NULL WHERE seq = ?", [stub, seq])
    connection.commit()
    connection.close()
    for newest in (1, 20_000):
        monkeypatch.setattr(check, "_NEWEST", newest)
        with pytest.raises(StoreError, match="damaged"):
            Store.open(folder, clock=clock)


@pytest.mark.parametrize("day", [10, 20, 28])
def test_a_part_of_a_pruned_log_is_exported_and_verifies(folder: Path, clock: ManualClock, day: int) -> None:
    """Entries that an export leaves out are not missed by the statement that dropped some of them."""
    with Store.open(folder, clock=clock) as store:
        with store.transaction() as tx:
            prune(tx, START.replace(day=25), actor="officer", reason="old")
        store.export(folder / "part.db", since=START.replace(day=day))
    assert ExportedLog(folder / "part.db").verify().problem is None
    assert standalone.verify(folder / "part.db")["leaves"] > 0
