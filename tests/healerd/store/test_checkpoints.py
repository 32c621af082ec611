"""The signed log in the database: checkpoints, keys, and what is found with a checkpoint that was kept outside."""

import gzip
import json
import os
import shutil
from pathlib import Path

import pytest

from healerd.audit.notes import read_checkpoint, read_key, read_notes
from healerd.clock import ManualClock
from healerd.errors import StoreError
from healerd.model import Pause
from healerd.store import ReadStore, SigningKey, Store
from healerd.store.keys import KEY
from healerd.store.library import sqlite
from tests.healerd.store.records import HALF_HOUR, START

CLOCK = ManualClock(START)


def windows(store: Store, first: int, count: int) -> None:
    for each in range(first, first + count):
        with store.transaction() as tx:
            tx.set_watermark("p", START + each * HALF_HOUR)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Store.open(tmp_path, clock=CLOCK) as store:
        windows(store, 1, 5)
    return tmp_path


def newest(folder: Path) -> str:
    with ReadStore.open(folder) as reader:
        note = reader.checkpoint()
        assert note is not None
        return note


def test_every_window_is_signed(folder: Path) -> None:
    """A start and each window end with a checkpoint of the leaves up to it, all found sound."""
    with ReadStore.open(folder) as reader:
        report = reader.verify()
        (key,) = reader.find(SigningKey)
        assert (report.problem, report.checkpoints, report.leaves) == (None, 6, 7)
        (note,) = read_notes(reader.checkpoint() or "")
        assert read_checkpoint(note).size == 7
        assert reader.verify(saved=[note], pinned=[read_key(key.key)]).saved == 1


def test_what_no_window_covers_is_signed_at_the_end(tmp_path: Path) -> None:
    """Closing the store signs the leaves that came since the newest checkpoint."""
    with Store.open(tmp_path, clock=CLOCK) as store, store.transaction() as tx:
        tx.note("clock set", {"by_s": 3})
    (note,) = read_notes(newest(tmp_path))
    assert read_checkpoint(note).size == 3


def test_nobody_else_can_read_the_key(folder: Path) -> None:
    """The key's file is its owner's alone; one that others can read is refused with the mend."""
    assert (folder / KEY).stat().st_mode & 0o777 == 0o600
    (folder / KEY).chmod(0o644)
    with pytest.raises(StoreError, match="chmod 600"):
        Store.open(folder, clock=CLOCK)


def test_a_lost_key_is_said_and_mended(folder: Path) -> None:
    """Without the key nothing starts; who says that it is lost goes on with a new one, and the log says so."""
    old, kept = newest(folder), (folder / KEY).read_bytes()
    (folder / KEY).unlink()
    with pytest.raises(StoreError, match=r"is missing: put the right one back .* --lost"):
        Store.open(folder, clock=CLOCK)
    with Store.open(folder, clock=CLOCK, lost="ada") as store:
        windows(store, 6, 1)
    (folder / "old.key").write_bytes(kept)
    with ReadStore.open(folder) as reader:
        report = reader.verify(saved=list(read_notes(old)))
        assert (report.problem, report.saved) == (None, 1)
        assert "because it was lost" in report.remarks[0]
        first, second = reader.find(SigningKey)
        refused = reader.verify(pinned=[read_key(first.key)])
        assert "give the new key's file too" in (refused.problem or "")
        assert reader.verify(pinned=[read_key(first.key), read_key(second.key)]).problem is None
    Store.open(folder, clock=CLOCK).close()


def test_a_wrong_key_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The key of another log is named as such; a file that is no key is, too."""
    other = tmp_path_factory.mktemp("other")
    Store.open(other, clock=CLOCK).close()
    with pytest.raises(StoreError, match="is not the one that signs this audit log"):
        Store.open(folder, clock=CLOCK, key=other / KEY)
    (folder / KEY).write_text("nothing")
    with pytest.raises(StoreError, match="not a private key"):
        Store.open(folder, clock=CLOCK)


def test_a_rotated_key_is_signed_by_the_one_before(folder: Path) -> None:
    """After a rotation the old key vouches for the new one, and both stand in the log."""
    with Store.open(folder, clock=CLOCK) as store:
        made = store.rotate(actor="ada")
        windows(store, 6, 2)
    with ReadStore.open(folder) as reader:
        first, second = reader.find(SigningKey)
        assert (second, second.before, second.how) == (made, first.id, "rotated")
        assert reader.verify(pinned=[read_key(first.key)]).problem is None
        assert reader.leaves(kind="key rotated")[0].actor == "ada"
    Store.open(folder, clock=CLOCK).close()


def test_a_rotation_cut_short_is_ended_at_the_next_start(folder: Path) -> None:
    """A key that the log names already, and whose file did not move yet, is put in force."""
    old = (folder / KEY).read_bytes()
    with Store.open(folder, clock=CLOCK) as store:
        store.rotate(actor="ada")
    (folder / KEY).rename(folder / f"{KEY}.next")
    (folder / KEY).write_bytes(old)
    (folder / KEY).chmod(0o600)
    with Store.open(folder, clock=CLOCK) as store:
        assert store.verify().problem is None


def test_a_configured_key_lies_elsewhere(tmp_path: Path) -> None:
    """A key file named by the configuration is made there, and nothing in the state folder."""
    place = tmp_path / "keys" / "log.pem"
    with Store.open(tmp_path / "state", clock=CLOCK, key=place):
        assert place.exists()
    assert not (tmp_path / "state" / KEY).exists()
    Store.open(tmp_path / "state", clock=CLOCK, key=place).close()


def test_an_old_copy_is_found_with_a_checkpoint_kept_outside(folder: Path, tmp_path: Path) -> None:
    """A roll-back verifies by itself, and is found and numbered as soon as a later checkpoint is there."""
    old = tmp_path / "old.db"
    shutil.copy(folder / "healerd.db", old)
    with Store.open(folder, clock=CLOCK) as store:
        windows(store, 6, 2)
    kept = list(read_notes(newest(folder)))
    shutil.copy(old, folder / "healerd.db")
    with ReadStore.open(folder) as reader:
        assert reader.verify().problem is None
        report = reader.verify(saved=kept)
        assert report.first_bad == 8
        assert "an old copy was put in its place" in (report.problem or "")


def test_a_log_written_anew_is_found_with_a_checkpoint_kept_outside(folder: Path) -> None:
    """Whoever holds the key can write another log; a checkpoint of the true one does not fit it."""
    kept = list(read_notes(newest(folder)))
    (folder / "healerd.db").unlink()
    with Store.open(folder, clock=CLOCK) as store:
        with store.transaction() as tx:
            tx.put(Pause(pipeline="p", since_at=START, author="eve", reason="x"), actor="eve")
        windows(store, 1, 6)
        assert store.verify().problem is None
        report = store.verify(saved=kept)
        assert report.first_bad is not None
        assert "another log" in (report.problem or "") or "other leaves" in (report.problem or "")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM checkpoint WHERE number = 3", "checkpoint 3 is missing"),
        ("DELETE FROM checkpoint WHERE number = 6", "no checkpoint was signed over leaf 7"),
        ("DELETE FROM checkpoint", "no checkpoint was signed over leaf 1:"),
        (
            "UPDATE checkpoint SET note = replace(note, char(10) || '3' || char(10), char(10) || '4' || char(10))",
            "out of order",
        ),
        ("UPDATE checkpoint SET note = 'x' WHERE number = 4", "cannot be read"),
        ("UPDATE checkpoint SET size = size - 1 WHERE number = 4", "out of order"),
        (
            "UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE number = 2) WHERE number = 4",
            "out of order",
        ),
    ],
)
def test_a_changed_checkpoint_is_found(folder: Path, statement: str, said: str) -> None:
    """A checkpoint edited, taken out or swapped is found."""
    connection = sqlite.connect(folder / "healerd.db")
    assert connection.execute(statement).rowcount != 0
    connection.commit()
    connection.close()
    with ReadStore.open(folder) as reader:
        report = reader.verify()
    assert report.first_bad is not None
    assert said in (report.problem or "")


def test_a_changed_salt_or_author_is_found(tmp_path: Path) -> None:
    """A name in a leaf cannot be changed, nor the salt under its commitment, nor taken out without a tombstone."""
    with Store.open(tmp_path, clock=CLOCK) as store, store.transaction() as tx:
        tx.put(Pause(pipeline="p", since_at=START, author="ada", reason="x"), actor="ada")
    connection = sqlite.connect(tmp_path / "healerd.db")
    connection.execute("DROP TRIGGER audit_leaf_no_update")
    body, salt = connection.execute("SELECT body, salt FROM audit_leaf WHERE seq = 3").fetchone()
    assert len(salt) == 16
    for changed in ((body.replace("ada", "eve"), salt), (body, os.urandom(16)), (body, None)):
        connection.execute("UPDATE audit_leaf SET body = ?, salt = ? WHERE seq = 3", changed)
        connection.commit()
        with ReadStore.open(tmp_path) as reader:
            assert reader.verify().first_bad == 3
    connection.close()
    assert json.loads(body)["actor"] == "ada"


def test_part_of_a_log_is_verified_by_the_hashes_before_it(folder: Path) -> None:
    """A check that begins late reads no body before, and still finds what was changed after."""
    with ReadStore.open(folder) as reader:
        report = reader.verify(after=4)
        assert (report.problem, report.after, report.leaves) == (None, 4, 7)
    connection = sqlite.connect(folder / "healerd.db")
    connection.execute("DROP TRIGGER audit_leaf_no_update")
    connection.execute("UPDATE audit_leaf SET leaf_hash = zeroblob(32) WHERE seq = 2")
    connection.commit()
    connection.close()
    with ReadStore.open(folder) as reader:
        assert reader.verify(after=4).first_bad is not None


def test_an_older_database_gets_its_tree(tmp_path: Path) -> None:
    """A database of before the tree is brought up: the old leaves are covered by the first checkpoint."""
    golden = Path(__file__).parent / "schema4.db.gz"
    (tmp_path / "healerd.db").write_bytes(gzip.decompress(golden.read_bytes()))
    with Store.open(tmp_path, clock=CLOCK) as store:
        report = store.verify()
        assert (report.problem, report.checkpoints) == (None, 1)
        assert report.leaves > 300


def test_a_golden_database_of_this_schema_verifies(tmp_path: Path) -> None:
    """A database with a rotated key, erased and dropped leaves still verifies, after whatever migrations come."""
    golden = Path(__file__).parent / "schema5.db.gz"
    (tmp_path / "healerd.db").write_bytes(gzip.decompress(golden.read_bytes()))
    with Store.open(tmp_path, clock=CLOCK, lost="nobody kept the key of the golden file") as store:
        report = store.verify()
        assert report.problem is None
        assert report.erased > 0
        assert report.dropped > 0
        assert [key.how for key in store.find(SigningKey)] == ["first", "rotated", "lost"]


def test_a_tree_with_a_hole_is_refused_and_named(tmp_path: Path) -> None:
    """A stored node that is gone keeps the daemon from starting, and every check and proof says so."""
    with Store.open(tmp_path, clock=CLOCK) as store:
        windows(store, 1, 300)
    connection = sqlite.connect(tmp_path / "healerd.db")
    connection.execute("DELETE FROM audit_node")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="`healerd audit verify` names the first bad leaf"):
        Store.open(tmp_path, clock=CLOCK)
    with ReadStore.open(tmp_path) as reader:
        assert "from 1 on was changed or is gone" in (reader.verify().problem or "")
        assert "the stored tree is damaged" in (reader.verify(after=280).problem or "")
        with pytest.raises(StoreError, match="nothing can be proved"):
            reader.prove("290")
