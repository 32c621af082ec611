import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from healerd.clock import ManualClock
from healerd.errors import LockHeld, StaleEpoch, StoreAway, StoreError
from healerd.model import Intent
from healerd.store import Epoch, ReadStore, Store
from healerd.store.library import connect_to_write, guarded, sqlite
from tests.healerd.store.records import START, an_intent

CLOCK = ManualClock(START)


def make(folder: Path, *intents: str) -> None:
    with Store.open(folder, clock=CLOCK) as store, store.transaction() as tx:
        for each in intents:
            tx.put(an_intent(id=each))


def test_each_start_raises_the_epoch(tmp_path: Path) -> None:
    """Whoever opens the store has a higher epoch than everybody before."""
    for number in (1, 2, 3):
        with Store.open(tmp_path, clock=CLOCK) as store:
            assert store.epoch == number
    with ReadStore.open(tmp_path) as reader:
        assert [found.process for found in reader.find(Epoch)] == [os.getpid()] * 3


def test_a_second_writer_is_kept_out(tmp_path: Path) -> None:
    """While one daemon holds the folder another is refused, with the owner's process; afterwards it may."""
    with Store.open(tmp_path, clock=CLOCK), pytest.raises(LockHeld, match=f"process {os.getpid()}"):
        Store.open(tmp_path, clock=CLOCK)
    Store.open(tmp_path, clock=CLOCK).close()


def test_s14_whoever_was_overtaken_writes_nothing_more(tmp_path: Path) -> None:
    """When the lock's file was taken away and another daemon has started, the older one can neither write nor act."""
    with Store.open(tmp_path, clock=CLOCK) as older:
        older.check_epoch()
        (tmp_path / "lock").unlink()
        with Store.open(tmp_path, clock=CLOCK) as newer:
            with pytest.raises(StaleEpoch, match="epoch 1 is over"), older.transaction() as tx:
                tx.put(an_intent(id="late"))
            with pytest.raises(StaleEpoch, match="epoch 1 is over"):
                older.check_epoch()
            with newer.transaction() as tx:
                tx.put(an_intent(id="mine"))
            assert [each.id for each in newer.find(Intent)] == ["mine"]
            assert newer.verify().problem is None


def test_a_lock_that_is_a_link_is_refused_and_leads_nowhere(tmp_path: Path) -> None:
    """Whoever owns the folder makes root write to no file of anybody's, nor make one: the link is named."""
    other, missing = tmp_path / "other", tmp_path / "missing"
    other.write_text("root's\n")
    state = tmp_path / "state"
    state.mkdir()
    for target in (other, missing):
        (state / "lock").symlink_to(target)
        with pytest.raises(StoreError, match="is a link"):
            Store.open(state, clock=CLOCK)
        (state / "lock").unlink()
    assert (other.read_text(), missing.exists()) == ("root's\n", False)


def test_a_database_that_is_locked_or_full_is_away_and_not_damaged(tmp_path: Path) -> None:
    """What a restart may find mended is told from a file that is damaged, which no restart mends."""
    make(tmp_path, "a")
    path = tmp_path / "healerd.db"
    other = sqlite.connect(path, isolation_level=None, timeout=0)
    writer = connect_to_write(path)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreAway, match="locked"), guarded(path):
        other.execute("BEGIN IMMEDIATE")
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreAway, match="full"), guarded(path):
        writer.execute("CREATE TABLE big AS SELECT zeroblob(100000) AS x")
    other.close()
    writer.close()
    path.write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="damaged") as caught:
        Store.open(tmp_path, clock=CLOCK)
    assert not isinstance(caught.value, StoreAway)


def test_a_state_that_does_not_fit_on_the_disk_is_away(tmp_path: Path) -> None:
    """A first start without room is tried again, and leaves nothing that keeps the next one from starting."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(StoreAway, match="cannot be held"):
            Store.open(tmp_path / "state", clock=CLOCK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    make(tmp_path / "state", "a")


def test_a_failed_opening_frees_the_folder(tmp_path: Path) -> None:
    """An error while opening leaves no lock behind."""
    (tmp_path / "healerd.db").write_bytes(b"no database" * 100)
    for _ in range(2):
        with pytest.raises(StoreError, match="damaged"):
            Store.open(tmp_path, clock=CLOCK)


def test_readers_read_while_the_writer_writes(tmp_path: Path) -> None:
    """A reader sees each commit of a running daemon, and can write nothing."""
    with Store.open(tmp_path, clock=CLOCK) as store, ReadStore.open(tmp_path) as reader:
        for index in range(3):
            with store.transaction() as tx:
                tx.put(an_intent(id=str(index)))
            assert len(reader.find(Intent)) == index + 1
        with pytest.raises(sqlite.OperationalError, match="readonly"):
            reader._connection().execute("DELETE FROM intent")


def test_a_reader_of_nothing_says_what_to_do(tmp_path: Path) -> None:
    """Where there is no state a reader makes none, and says so."""
    with pytest.raises(StoreError, match="start the daemon once"):
        ReadStore.open(tmp_path)
    with pytest.raises(StoreError, match="start the daemon once"):
        Store.open(tmp_path / "none", clock=CLOCK, create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["header", "page", "truncated"])
def test_a_damaged_database_is_never_made_anew(tmp_path: Path, damage: str) -> None:
    """Damage is an error that names the file and the mend; the file stays as it is."""
    make(tmp_path, *map(str, range(300)))
    path = tmp_path / "healerd.db"
    data = bytearray(path.read_bytes())
    match damage:
        case "header":
            data[:16] = b"x" * 16
        case "page":
            data[4096 : len(data) : 4096] = b"\xff" * len(data[4096 : len(data) : 4096])
        case _:
            del data[len(data) // 2 :]
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"healerd\.db` is damaged.*backup"):
        Store.open(tmp_path, clock=CLOCK)
    assert path.read_bytes() == data


@pytest.mark.parametrize("left", ["nothing", "empty"])
def test_a_lost_database_is_never_made_anew(tmp_path: Path, left: str) -> None:
    """Where segments lie but the database is gone or empty, nothing is started over them."""
    (tmp_path / "segments").mkdir()
    if left == "empty":
        (tmp_path / "healerd.db").touch()
    with pytest.raises(StoreError, match="missing or empty"):
        Store.open(tmp_path, clock=CLOCK)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """A database that a newer healerd changed is neither written nor read, and the error names the change."""
    make(tmp_path)
    connection = sqlite.connect(tmp_path / "healerd.db")
    connection.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('healerd', '_m9999_future', '')"
    )
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match=r"newer healerd \(it has `_m9999_future`\)"):
        Store.open(tmp_path, clock=CLOCK)
    with pytest.raises(StoreError, match="newer healerd"):
        ReadStore.open(tmp_path)


def test_an_older_schema_is_brought_up_by_the_writer_alone(tmp_path: Path) -> None:
    """A reader of an older database asks for the daemon; it changes nothing itself."""
    make(tmp_path)
    connection = sqlite.connect(tmp_path / "healerd.db")
    connection.execute("DELETE FROM _sqlite_migrations WHERE name = '_m0004_measurements'")
    connection.execute("DROP TABLE measurement")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="start the daemon once"):
        ReadStore.open(tmp_path)
    make(tmp_path)
    with ReadStore.open(tmp_path) as reader:
        assert reader.measurements("p", START) == ()


def test_a_foreign_database_is_left_alone(tmp_path: Path) -> None:
    """A database of another program is refused and not touched."""
    connection = sqlite.connect(tmp_path / "healerd.db")
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="another program"):
        Store.open(tmp_path, clock=CLOCK)


def test_a_folder_that_cannot_be_made_is_an_error() -> None:
    """Where no folder can be made, the error names it."""
    with pytest.raises(StoreError, match="the state folder `/proc/healerd-state` cannot be made"):
        Store.open(Path("/proc/healerd-state"), clock=CLOCK)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_an_error(tmp_path: Path) -> None:
    """A folder that may not be written is said to be read-only."""
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="is read-only"):
        Store.open(tmp_path, clock=CLOCK)


def test_orphans_are_swept_at_the_start(tmp_path: Path) -> None:
    """A segment that never reached the manifest is gone after the next start."""
    make(tmp_path)
    orphan = tmp_path / "segments" / "pipeline=p" / "x.parquet"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"PAR1")
    make(tmp_path)
    assert not orphan.exists()


def test_reading_records_loads_nothing_heavy() -> None:
    """A verb that reads records waits for neither numpy, DuckDB nor sqlite-utils."""
    code = "import sys, healerd.store; print({'numpy', 'duckdb', 'sqlite_utils'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from dataclasses import replace
from healerd.clock import SystemClock
from healerd.store import Store
from tests.healerd.store.records import an_intent
with Store.open(Path(sys.argv[1]), clock=SystemClock()) as store:
    print("ready", flush=True)
    for index in range(1_000_000):
        intent = an_intent(id=f"{{store.epoch}}-{{index}}")
        with store.transaction() as tx:
            tx.put(intent)
            tx.replace(intent, expect=intent)
            tx.save_state("p", "detector", str(index).encode() * 1000)
        print(index, flush=True)
"""


def test_s14_a_killed_writer_leaves_only_whole_transactions(tmp_path: Path) -> None:
    """After kill -9 at any moment the log verifies, every reported commit is there, and none is half there."""
    code = WRITER.format(root=str(Path(__file__).parents[3]))
    for epoch, commits in enumerate((1, 37, 8, 60, 19), start=1):
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            reported = [child.stdout.readline() for _ in range(commits)]
            child.send_signal(signal.SIGKILL)
            reported += child.stdout.readlines()
        last = int(reported[-1] if reported[-1].endswith("\n") else reported[-2])
        with ReadStore.open(tmp_path) as reader:
            report = reader.verify()
            assert report.first_bad is None, report.problem
            mine = [intent for intent in reader.find(Intent) if intent.id.startswith(f"{epoch}-")]
            assert len(mine) in {last + 1, last + 2}
            assert all(intent.version == 1 for intent in mine)
            assert reader.state("p", "detector") == str(len(mine) - 1).encode() * 1000
