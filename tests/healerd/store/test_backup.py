"""Backup and restore: what is copied comes back, whatever interrupts it; what is broken is refused."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from healerd.clock import ManualClock
from healerd.columns import Predictions
from healerd.errors import LockHeld, StoreError
from healerd.model import Intent
from healerd.segments import FOLDER, Segment
from healerd.segments.times import naive
from healerd.store import Epoch, ReadStore, Store
from healerd.store.backup import MANIFEST, Manifest, back_up, copy_file, plan_backup
from healerd.store.library import sqlite
from healerd.store.restore import STARTS_SINCE, Restored, restore
from healerd.store.retention import let_go, would_let_go
from tests.healerd.store.records import START, a_decision, an_intent

CLOCK = ManualClock(START)
DAY = timedelta(days=1)


def serve(store: Store, *, day: int) -> None:
    rows = Predictions(
        ids=np.array([f"r{day}"], object),
        at=np.full(1, naive(START + day * DAY)),
        version=np.array(["v1"], object),
        output=np.zeros(1),
        label=np.full(1, np.nan),
        features={"x": np.ones(1)},
    )
    segment = store.keep_rows("p", rows)
    with store.transaction() as tx:
        tx.add_segment(segment)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Make a state with rows, an intent, a registry and a key."""
    folder = tmp_path / "state"
    with Store.open(folder, clock=CLOCK) as store:
        serve(store, day=0)
        with store.transaction() as tx:
            tx.put(an_intent())
    version = folder / "registry" / "p" / "versions" / "v1"
    version.mkdir(parents=True)
    (version / "meta.json").write_text("{}")
    (folder / "registry" / "p" / "staging").mkdir()
    (folder / "registry" / "p" / "staging" / "half").write_text("half")
    (folder / "STOP").write_text("ada: wait")
    return folder


def back(folder: Path, out: Path, **options: object) -> Manifest:
    return back_up(folder, out, at=START, made_by="test", **options)  # type: ignore[arg-type]


def put_back(backup: Path, state: Path, **options: object) -> Restored:
    clock = ManualClock(START + DAY)
    return restore(backup, state, clock=clock, actor="ada", reason="a drill", **options)  # type: ignore[arg-type]


def looks(folder: Path) -> dict[str, bytes]:
    """What stands in a folder, but for what opening a database leaves."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm", "lock")))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", ["copy", "copy.tar", "copy.tar.gz"])
def test_a_drill_brings_back_what_was_backed_up(state: Path, tmp_path: Path, name: str) -> None:
    """After losing the folder, a restore has every record, row and version again, its log verifies and says so."""
    with ReadStore.open(state) as reader:
        intents, leaves = reader.find(Intent), reader.head()[0]
    made = back(state, tmp_path / name)
    assert made.leaves == leaves
    assert made.audited
    shutil.rmtree(state)
    done = put_back(tmp_path / name, state)
    assert done.replaced is None
    assert not (state / "registry" / "p" / "staging").exists()
    assert (state / "registry" / "p" / "versions" / "v1" / "meta.json").read_text() == "{}"
    assert "a drill" in (state / "STOP").read_text()
    with Store.open(state, clock=CLOCK, create=False) as store:
        assert store.find(Intent) == intents
        assert list(store.rows("p", START, START + DAY).ids) == ["r0"]
        assert store.verify().problem is None
        assert store.leaves(kind="restored")[0].actor == "ada"


@pytest.mark.parametrize("kept", ["staging/versions/v1", "p/versions/staging", "staging/versions/staging"])
def test_what_is_only_called_staging_is_copied(state: Path, tmp_path: Path, kept: str) -> None:
    """A pipeline or a version may have the name of the folder in which versions are made, and is in the backup."""
    version = state / "registry" / kept
    version.mkdir(parents=True)
    (version / "model.onnx").write_bytes(b"model")
    making = state / "registry" / kept.partition("/")[0] / "staging" / "v2.77"
    making.mkdir(parents=True)
    (making / "model.onnx").write_bytes(b"half")
    made = back(state, tmp_path / "copy")
    assert f"registry/{kept}/model.onnx" in {file.path for file in made.files}
    shutil.rmtree(state)
    put_back(tmp_path / "copy", state)
    assert (version / "model.onnx").read_bytes() == b"model"
    assert not making.exists()


def test_a_version_that_goes_while_it_is_copied_is_left_out(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running daemon prunes its registry: what it removes between two files of a version fails no backup."""
    version = state / "registry" / "p" / "versions" / "v1"
    (version / "model.json").write_text("{}")

    def copy(source: Path, target: Path) -> tuple[int, str]:
        copied = copy_file(source, target)
        if source.name == "meta.json":
            shutil.rmtree(version)
        return copied

    monkeypatch.setattr("healerd.store.backup.copy_file", copy)
    back(state, tmp_path / "copy")
    assert not (tmp_path / "copy" / "registry" / "p" / "versions" / "v1" / "model.json").exists()


def test_a_copy_is_private(state: Path, tmp_path: Path) -> None:
    """Nobody but its owner can read a backup: it holds a key."""
    for name in ("copy", "copy.tar"):
        back(state, tmp_path / name)
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_a_copy_is_one_moment_of_a_running_daemon(state: Path, tmp_path: Path) -> None:
    """While a daemon writes, a backup holds some prefix of its log, whole and verified."""
    with Store.open(state, clock=CLOCK) as store:
        stop = threading.Event()

        def write() -> None:
            for number in range(10_000):
                if stop.is_set():
                    return
                with store.transaction() as tx:
                    tx.put(a_decision(id=f"w{number}"))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            made = [back(state, tmp_path / f"copy{number}") for number in range(3)]
        finally:
            stop.set()
            writer.join()
        assert all(each.audited and each.leaves <= store.head()[0] for each in made)


def test_a_restore_counts_starts_from_above_any_that_were_lost(state: Path, tmp_path: Path) -> None:
    """A registry that outlived the state never takes the restored daemon for an older one."""
    back(state, tmp_path / "copy")
    for _ in range(5):
        Store.open(state, clock=CLOCK).close()
    with ReadStore.open(state) as reader:
        before = max(each.number for each in reader.find(Epoch))
    done = put_back(tmp_path / "copy", state, replace=True)
    assert done.epoch == before + STARTS_SINCE
    with Store.open(state, clock=CLOCK) as store:
        assert store.epoch == done.epoch + 1


def test_a_running_daemon_is_never_replaced(state: Path, tmp_path: Path) -> None:
    """While a daemon holds the folder a restore is refused, and nothing changes."""
    back(state, tmp_path / "copy")
    with Store.open(state, clock=CLOCK), pytest.raises(LockHeld, match="stop it first"):
        put_back(tmp_path / "copy", state, replace=True)


def test_a_state_is_replaced_only_when_asked_and_kept(state: Path, tmp_path: Path) -> None:
    """Without `replace` an existing state stays; with it, the old one lies beside, as it was."""
    back(state, tmp_path / "copy")
    before = looks(state)
    with pytest.raises(StoreError, match="--replace"):
        put_back(tmp_path / "copy", state)
    assert looks(state) == before
    done = put_back(tmp_path / "copy", state, replace=True)
    assert done.replaced is not None
    assert looks(done.replaced) == before


def test_a_rehearsal_changes_nothing(state: Path, tmp_path: Path) -> None:
    """A dry run checks the whole backup and leaves everything as it is."""
    back(state, tmp_path / "copy")
    before = looks(tmp_path)
    put_back(tmp_path / "copy", state, dry_run=True)
    assert looks(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == {"state", "copy"}


@contextmanager
def refused(state: Path, says: str) -> Iterator[None]:
    before = looks(state)
    with pytest.raises(StoreError, match=says):
        yield
    assert looks(state) == before
    assert {path.name for path in state.parent.iterdir()} <= {"state", "copy", "copy.tar"}


def test_any_damage_is_found_before_anything_changes(state: Path, tmp_path: Path) -> None:
    """One flipped byte in any file of a backup, a missing or an added file, or a cut archive refuses the restore."""
    back(state, tmp_path / "copy")
    copy = tmp_path / "copy"
    for file in [path for path in copy.rglob("*") if path.is_file() and path.name != MANIFEST]:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        whole = file.read_bytes()
        file.write_bytes(content)
        with refused(state, "not as it was written"):
            put_back(copy, state, replace=True)
        file.unlink()
        with refused(state, "missing"):
            put_back(copy, state, replace=True)
        file.write_bytes(whole)
    (copy / "more").write_text("more")
    with refused(state, "does not list"):
        put_back(copy, state, replace=True)
    back(state, tmp_path / "copy.tar")
    archive = (tmp_path / "copy.tar").read_bytes()
    (tmp_path / "copy.tar").write_bytes(archive[: len(archive) // 2])
    with refused(state, "broken|incomplete"):
        put_back(tmp_path / "copy.tar", state, replace=True)


def _listed_again(copy: Path) -> None:
    """Make the manifest agree with a changed database, as a careful forger would."""
    manifest = msgspec.json.decode((copy / MANIFEST).read_bytes(), type=Manifest)
    content = (copy / "healerd.db").read_bytes()
    changed = [
        msgspec.structs.replace(file, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        if file.path == "healerd.db"
        else file
        for file in manifest.files
    ]
    (copy / MANIFEST).write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, files=changed)))


def test_a_forged_log_is_refused(state: Path, tmp_path: Path) -> None:
    """A database edited by somebody who also mended the list is found by its log."""
    back(state, tmp_path / "copy")
    with closing(sqlite.connect(tmp_path / "copy" / "healerd.db")) as database:
        database.execute("UPDATE intent SET body = replace(body, '\"v2\"', '\"v9\"')")
        database.commit()
    _listed_again(tmp_path / "copy")
    with refused(state, "is not what leaf"):
        put_back(tmp_path / "copy", state, replace=True)


def test_a_newer_backup_is_refused(state: Path, tmp_path: Path) -> None:
    """A backup with a migration or a form that this version does not know names the mend."""
    back(state, tmp_path / "copy")
    with closing(sqlite.connect(tmp_path / "copy" / "healerd.db")) as database:
        database.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('healerd', '_m9999_later', 'x')"
        )
        database.commit()
    _listed_again(tmp_path / "copy")
    with refused(state, "newer healerd"):
        put_back(tmp_path / "copy", state, replace=True)
    manifest = json.loads((tmp_path / "copy" / MANIFEST).read_text())
    (tmp_path / "copy" / MANIFEST).write_text(json.dumps({**manifest, "format": 99, "later": 1}))
    with refused(state, "newer healerd"):
        put_back(tmp_path / "copy", state, replace=True)


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "lock"])
def test_an_archive_cannot_write_elsewhere(state: Path, tmp_path: Path, name: str) -> None:
    """A path outside the folder is refused, even when the archive lists it."""
    manifest = back(state, tmp_path / "copy")
    listed = msgspec.structs.replace(manifest, files=[msgspec.structs.replace(manifest.files[0], path=name)])
    with tarfile.open(tmp_path / "copy.tar", "w") as archive:
        for member, content in ((MANIFEST, msgspec.json.encode(listed)), (name, b"x")):
            header = tarfile.TarInfo(member)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    with refused(state, "does not list"):
        put_back(tmp_path / "copy.tar", state, replace=True)
    assert not (tmp_path / "outside").exists()


def test_something_else_is_no_backup(state: Path, tmp_path: Path) -> None:
    """A folder without a list, an unknown ending, and nothing at all are each named."""
    (tmp_path / "copy").mkdir()
    with refused(state, "no backup"):
        put_back(tmp_path / "copy", state, replace=True)
    with refused(state, "no backup"):
        put_back(tmp_path / "state" / "healerd.db", state, replace=True)
    with refused(state, "cannot be read"):
        put_back(tmp_path / "none.tar", state, replace=True)


KILLED = """
import os, sys
from pathlib import Path
from healerd.clock import SystemClock
from healerd.store import restore as module

countdown = int(sys.argv[3])

def spy(event, arguments):
    global countdown
    if event in ("os.rename", "open", "os.mkdir") and ("restoring" in str(arguments) or "replaced" in str(arguments)):
        countdown -= 1
        if countdown < 0:
            os._exit(9)

sys.addaudithook(spy)
module.restore(Path(sys.argv[1]), Path(sys.argv[2]), clock=SystemClock(), actor="a", reason="r", replace=True)
"""


def test_an_interrupted_restore_leaves_the_old_state(state: Path, tmp_path: Path) -> None:
    """INVARIANT: killed at any step, a restore leaves a whole state in place: the old one, or at last the new one."""
    back(state, tmp_path / "copy")
    before, ended = looks(state), set()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for step in (0, 1, 3, 5, 8, 13, 21, 10_000):
        code = subprocess.run(
            [sys.executable, "-c", KILLED, tmp_path / "copy", state, str(step)], env=environment, check=False
        ).returncode
        ended.add(code)
        with ReadStore.open(state) as reader:
            assert reader.verify().problem is None
        if code:
            assert looks(state) == before
        else:
            assert "restored" in (state / "STOP").read_text()
    assert ended == {0, 9}


def test_a_backup_never_replaces_anything(state: Path, tmp_path: Path) -> None:
    """A name that is taken, a folder that is not there, and a state that is none are refused and leave nothing."""
    (tmp_path / "copy").mkdir()
    with pytest.raises(StoreError, match="there already"):
        back(state, tmp_path / "copy")
    with pytest.raises(StoreError, match="no folder"):
        back(state, tmp_path / "none" / "copy")
    with pytest.raises(StoreError, match="no healerd state"):
        back(tmp_path / "copy", tmp_path / "other")
    assert {path.name for path in tmp_path.iterdir()} == {"state", "copy"}


def test_damage_is_found_while_backing_up(state: Path, tmp_path: Path) -> None:
    """A log that does not verify, or a segment that is missing or changed, makes no backup, and leaves no half one."""
    segment = next((state / FOLDER).rglob("*.parquet"))
    whole = segment.read_bytes()
    segment.write_bytes(whole + b"x")
    with pytest.raises(StoreError, match="not as it was written"):
        back(state, tmp_path / "copy")
    segment.unlink()
    with pytest.raises(StoreError, match="missing"):
        back(state, tmp_path / "copy")
    assert back(state, tmp_path / "less", without=("rows",)).without == ["rows"]
    with closing(sqlite.connect(state / "healerd.db")) as database:
        database.execute("UPDATE intent SET body = replace(body, '\"v2\"', '\"v9\"')")
        database.commit()
    with pytest.raises(StoreError, match="does not verify"):
        back(state, tmp_path / "copy", without=("rows",))
    assert {path.name for path in tmp_path.iterdir()} == {"state", "less"}


def test_without_its_key_a_backup_says_what_is_missing(state: Path, tmp_path: Path) -> None:
    """A backup without the key is restored with the key from elsewhere, or knowingly without."""
    back(state, tmp_path / "copy", without=("key",))
    assert not (tmp_path / "copy" / "audit.key").exists()
    key = tmp_path / "kept.key"
    (state / "audit.key").rename(key)
    shutil.rmtree(state)
    with pytest.raises(StoreError, match="--lost-key"):
        put_back(tmp_path / "copy", state)
    put_back(tmp_path / "copy", state, key=key)
    put_back(tmp_path / "copy", state, replace=True, lost=True)
    with Store.open(state, clock=CLOCK, create=False) as store:
        assert store.leaves(kind="key lost")


def test_a_state_of_an_older_healerd_is_backed_up_and_restored_forward(tmp_path: Path) -> None:
    """Before an upgrade the old state is copied as it is; the restore brings it up to date and verifies it."""
    folder = tmp_path / "state"
    folder.mkdir()
    golden = Path(__file__).parent / "schema4.db.gz"
    (folder / "healerd.db").write_bytes(gzip.decompress(golden.read_bytes()))
    made = back(folder, tmp_path / "copy", without=("rows",))
    assert made.audited == ""
    put_back(tmp_path / "copy", folder, replace=True, lost=True)
    with ReadStore.open(folder) as reader:
        assert reader.verify().problem is None


def test_a_plan_counts_what_a_backup_holds(state: Path, tmp_path: Path) -> None:
    """The files that a rehearsal counts are those that the backup lists."""
    files, size = plan_backup(state)
    made = back(state, tmp_path / "copy")
    assert files == len(made.files)
    assert size > 0


def test_old_rows_go_and_the_log_stays_sound(tmp_path: Path) -> None:
    """Segments that ended before a time go with their files; newer ones and the log's proofs stay."""
    clock = ManualClock(START)
    with Store.open(tmp_path, clock=clock) as store:
        for day in range(10):
            serve(store, day=day)
            clock.advance(86400)
        kept = {"p": START + 5 * DAY}
        rehearsed = would_let_go(store, clock.now() - DAY, rows_before=kept)
        gone = let_go(store, clock.now() - DAY, rows_before=kept, actor="ada", reason="a year is enough")
        assert (gone.segments, gone.size) == (rehearsed.segments, rehearsed.size)
        assert gone.segments == 5
        assert gone.size > 0
        assert 0 < gone.entries <= rehearsed.entries
        assert len(list((tmp_path / FOLDER).rglob("*.parquet"))) == len(store.find(Segment)) == 5
        assert list(store.rows("p", START, START + 20 * DAY).ids) == [f"r{day}" for day in range(5, 10)]
        assert store.verify().problem is None
    back(tmp_path, tmp_path.parent / f"{tmp_path.name}.copy")
