"""The tail of a log that no checkpoint covers: what somebody without the key may add to it, and what then holds."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from healerd.audit import EMPTY, Entry, canonical, make_leaf
from healerd.audit.gaps import digest_of, make_stub
from healerd.audit.notes import Checkpoint, read_checkpoint, read_key, read_notes
from healerd.audit.personal import hashed_form
from healerd.clock import ManualClock
from healerd.errors import StoreError
from healerd.model import Bar, Incident, Pause, Reference, Stage, StageChange, Version
from healerd.segments import Segment
from healerd.store import TABLES, ReadStore, SigningKey, Store, standalone
from healerd.store.exported import ExportedLog
from healerd.store.keys import KEY
from healerd.store.library import sqlite
from healerd.store.tables import key_of, plain
from tests.healerd.store.records import EACH, HALF_HOUR, START

CLOCK = ManualClock(START)
LATER = START + HALF_HOUR


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a log in which ada paused, and that its daemon closed."""
    with Store.open(tmp_path, clock=CLOCK) as store:
        with store.transaction() as tx:
            tx.put(a_pause(), actor="ada")
        with store.transaction() as tx:
            tx.set_watermark("p", START)
    return tmp_path


def a_pause(**changes: Any) -> Pause:
    return Pause(**{"pipeline": "p", "since_at": START, "author": "ada", "reason": "look first", **changes})


class Forger:
    """Somebody with the file in hand, every format known, and no key."""

    def __init__(self, db: sqlite.Connection) -> None:
        self.db = db
        self.run("DROP TRIGGER audit_leaf_no_update")

    def run(self, sql: str, *values: Any) -> Any:
        return self.db.execute(sql, values)

    def append(self, kind: str, record: object, *, table: str | None = None, key: str | None = None) -> int:
        """Append a leaf as the daemon would, but for the checkpoint."""
        newest = self.run("SELECT seq, chain FROM audit_leaf ORDER BY seq DESC LIMIT 1").fetchone()
        seq, chain = newest or (0, EMPTY)
        entry = Entry(
            seq=seq + 1,
            at=LATER,
            boot_id="b",
            boot_s=1.0,
            epoch=1,
            kind=kind,
            actor="ada",
            pipeline="p",
            table=table,
            key=key,
            record=plain(record),
        )
        leaf = make_leaf(entry, bytes(chain), salt=bytes(16))
        sql = "INSERT INTO audit_leaf (seq, body, leaf_hash, chain, salt) VALUES (?, ?, ?, ?, ?)"
        self.run(sql, leaf.seq, leaf.body.decode(), leaf.leaf_hash, leaf.chain, leaf.salt)
        return leaf.seq

    def put(self, record: Any) -> None:
        """Append a leaf with the row that it describes."""
        table = TABLES[type(record)]
        key = key_of(table, tuple(getattr(record, field) for field in table.key))
        seq = self.append(table.name, record, table=table.name, key=key)
        body = canonical(plain(record)).decode()
        update = "ON CONFLICT (row_key) DO UPDATE SET leaf = excluded.leaf, body = excluded.body"
        into = f'INSERT INTO "{table.name}" (seq, row_key, leaf, body) VALUES (?, ?, ?, ?)'
        self.run(f"{into} {update}", seq, key, seq, body)

    def body(self, seq: int) -> bytes:
        return bytes(self.run("SELECT CAST(body AS BLOB) FROM audit_leaf WHERE seq = ?", seq).fetchone()[0])

    def leaf_of(self, table: str) -> int:
        return int(self.run("SELECT max(seq) FROM audit_leaf WHERE body ->> '$.table' = ?", table).fetchone()[0])


def drop_the_pause(forger: Forger) -> None:
    """Put a stub in the place of the pause, take its row, and say that somebody pruned it."""
    seq = forger.leaf_of("pause")
    (last,) = forger.run("SELECT max(seq) FROM audit_leaf").fetchone()
    stub = make_stub(forger.body(seq), statement=last + 1)
    forger.run("UPDATE audit_leaf SET body = ?, salt = NULL WHERE seq = ?", stub.decode(), seq)
    forger.run("DELETE FROM pause")
    forger.append("pruned", {"leaves": 1, "stubs": digest_of([stub]), "upto": seq, "reason": "old"})


def erase_the_author(forger: Forger) -> None:
    """Put commitments in the place of who paused and why, and say that somebody asked for it."""
    seq = forger.leaf_of("pause")
    (salt,) = forger.run("SELECT CAST(salt AS BLOB) FROM audit_leaf WHERE seq = ?", seq).fetchone()
    form = hashed_form(forger.body(seq), bytes(salt))
    forger.run("UPDATE audit_leaf SET body = ?, salt = NULL WHERE seq = ?", form.decode(), seq)
    record = bytes(msgspec.json.decode(form, type=Recorded).record).decode()
    forger.run("UPDATE pause SET body = ? WHERE leaf = ?", record, seq)
    forger.append("erased", {"leaves": [seq], "reason": "asked"})


class Recorded(msgspec.Struct):
    record: msgspec.Raw


def go_live(forger: Forger) -> None:
    """Say that a person let the pipeline act by itself."""
    forger.append("resumed", {"pipeline": "p", "reason": "all is well"})
    forger.put(StageChange(pipeline="p", at=LATER, stage=Stage.LIVE, author="ada", reason="go on"))


def end_the_pause(forger: Forger) -> None:
    """Write the pause's row again, ended."""
    forger.put(a_pause(ended_at=LATER, ended_by="ada"))


def take_in_rows(forger: Forger) -> None:
    """Put a file of rows on the manifest."""
    (segment,) = (record for record in EACH if isinstance(record, Segment))
    forger.put(segment)


FORGERIES = [drop_the_pause, erase_the_author, go_live, end_the_pause, take_in_rows]


def forge(folder: Path, how: Callable[[Forger], None]) -> int:
    """Let somebody without the key change the database; give the newest leaf from before."""
    with closing(sqlite.connect(folder / "healerd.db")) as db:
        (last,) = db.execute("SELECT max(seq) FROM audit_leaf").fetchone()
        (guard,) = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'audit_leaf_no_update'").fetchone()
        how(Forger(db))
        db.execute(guard)
        db.commit()
    return int(last)


@pytest.mark.parametrize("how", FORGERIES)
def test_a_forged_tail_is_found_and_never_signed(folder: Path, how: Callable[[Forger], None]) -> None:
    """A row, or a word for a gap, that somebody without the key appends is damage: a start refuses it."""
    last = forge(folder, how)
    with ReadStore.open(folder) as reader:
        report = reader.verify()
    assert report.first_bad is not None, report.remarks
    assert report.first_bad > last
    assert "no checkpoint was signed over leaf" in (report.problem or "")
    with pytest.raises(StoreError, match="no checkpoint was signed over leaf"):
        Store.open(folder, clock=CLOCK)


@pytest.mark.parametrize("how", FORGERIES)
def test_the_checks_of_an_export_judge_the_same(folder: Path, tmp_path: Path, how: Callable[[Forger], None]) -> None:
    """What a forged tail is in the database it is in an export, with healerd and without."""
    with ReadStore.open(folder) as reader:
        reader.export(tmp_path / "sound.db")
    assert standalone.verify(tmp_path / "sound.db")["not signed yet"] == 0
    forge(folder, how)
    with ReadStore.open(folder) as reader:
        found = reader.verify().first_bad
        reader.export(tmp_path / "out.db")
    assert ExportedLog(tmp_path / "out.db").verify().first_bad == found is not None
    with pytest.raises(standalone.BadLogError) as bad:
        standalone.verify(tmp_path / "out.db")
    assert bad.value.args[0] == found


def write_anew(forger: Forger) -> None:
    """Write another log in the place of this one, as a healerd that had no key would have."""
    forger.run("DROP TRIGGER audit_leaf_no_delete")
    for table in ("audit_leaf", "audit_node", "checkpoint", *(table.name for table in TABLES.values())):
        forger.run(f'DELETE FROM "{table}"')
    forger.run("UPDATE sqlite_sequence SET seq = 0 WHERE name = 'audit_leaf'")
    go_live(forger)


def test_a_log_written_anew_without_a_key_is_never_signed(folder: Path) -> None:
    """Where a key lies and the log names none, a start refuses; the public key finds it, before and after."""
    key = (folder / KEY).read_bytes()
    with ReadStore.open(folder) as reader:
        trusted = [read_key(reader.find(SigningKey)[0].key)]
    forge(folder, write_anew)
    with ReadStore.open(folder) as reader:
        report = reader.verify()
        assert reader.verify(pinned=trusted).problem is not None
    assert report.problem is None
    assert "or somebody without the key wrote it anew" in report.remarks[0]
    with pytest.raises(StoreError, match=r"names no key, but `.*audit\.key` is there"):
        Store.open(folder, clock=CLOCK)
    assert (folder / KEY).read_bytes() == key
    Store.open(folder, clock=CLOCK, lost="ada").close()
    with ReadStore.open(folder) as reader:
        assert reader.verify().checkpoints == 1
        assert reader.verify(pinned=trusted).problem is not None


@pytest.mark.parametrize("kind", [Bar, Incident, Pause, Reference, Segment, StageChange, Version])
def test_whatever_writes_a_row_is_signed_with_it(tmp_path: Path, kind: type[Any]) -> None:
    """A process that is killed right after a commit leaves no row and no word for a gap above its newest checkpoint."""
    with Store.open(tmp_path, clock=CLOCK) as store:
        with store.transaction() as tx:
            tx.put(next(record for record in EACH if type(record) is kind))
        with ReadStore.open(tmp_path) as reader:
            (note,) = read_notes(reader.checkpoint() or "")
            assert read_checkpoint(note).size == reader.head()[0]


def test_notes_may_wait_for_their_signature(folder: Path) -> None:
    """A process that is killed after a note leaves a sound log, which the next start signs."""
    with Store.open(folder, clock=CLOCK) as store:
        with store.transaction() as tx:
            tx.note("source failed", {"error": "away"})
        with ReadStore.open(folder) as reader:
            report = reader.verify()
    assert (report.problem, report.remarks) == (None, ("the newest 1 leaves are not signed yet",))


def test_a_tail_that_an_older_healerd_left_is_sound(folder: Path, tmp_path: Path) -> None:
    """Checkpoints of before the rule promise less: rows that an older daemon left there are no damage."""
    as_before(folder)
    forge(folder, go_live)
    with ReadStore.open(folder) as reader:
        assert reader.verify().problem is None
        reader.export(tmp_path / "out.db")
    assert ExportedLog(tmp_path / "out.db").verify().problem is None
    assert standalone.verify(tmp_path / "out.db")["not signed yet"] == 2
    with Store.open(folder, clock=CLOCK) as store:
        assert store.verify().problem is None
    forge(folder, end_the_pause)
    with ReadStore.open(folder) as reader:
        assert reader.verify().problem is not None, "from the next start on the rule holds"


def as_before(folder: Path) -> None:
    """Sign each checkpoint anew as an older healerd did."""
    with Store.open(folder, clock=CLOCK) as store:
        signer = store._seal.signer
    assert signer is not None
    with closing(sqlite.connect(folder / "healerd.db")) as db:
        for number, text in db.execute("SELECT number, note FROM checkpoint").fetchall():
            (note,) = read_notes(text)
            said = read_checkpoint(note)
            old = Checkpoint(origin=said.origin, size=said.size, root=said.root, number=number, every_row=False)
            db.execute("UPDATE checkpoint SET note = ? WHERE number = ?", [str(signer.sign(str(old))), number])
        db.commit()
