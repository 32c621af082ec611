"""From every schema that was ever in use to this one: whole, or not at all, whatever happens on the way."""

import gzip
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

from healerd.clock import Instant, ManualClock
from healerd.errors import StoreError
from healerd.store import ReadStore, SigningKey, Store
from healerd.store.keys import KEY, check_key, next_path
from healerd.store.library import DATABASE, connect_to_read, connect_to_write, guarded, sqlite
from healerd.store.schema import MIGRATIONS, is_older, migrate
from tests.served import NOW

HERE = Path(__file__).parent
FIRST_IN_USE = 4
"""The first schema that anybody's database can have: the migrations before it never stood alone."""
GOLDEN = {int(re.findall(r"\d+", path.name)[0]): path for path in sorted(HERE.glob("schema*.db.gz"))}
CLOCK = ManualClock(NOW)
LOST = "nobody kept the key of the golden file"


def put(schema: int, folder: Path) -> Path:
    """Lay a golden database into a state folder."""
    folder.mkdir(exist_ok=True)
    path = folder / DATABASE
    path.write_bytes(gzip.decompress(GOLDEN[schema].read_bytes()))
    return path


def leaves_of(path: Path) -> list[tuple[int, bytes]]:
    connection = connect_to_read(path)
    try:
        return connection.execute("SELECT seq, leaf_hash FROM audit_leaf ORDER BY seq").fetchall()
    finally:
        connection.close()


def test_every_schema_in_use_has_a_golden_database() -> None:
    """Whoever appends a migration keeps a database of the schema before it."""
    assert sorted(GOLDEN) == list(range(FIRST_IN_USE, len(MIGRATIONS) + 1))


@pytest.mark.parametrize("schema", sorted(GOLDEN))
def test_it_comes_forward_with_everything_in_it(tmp_path: Path, schema: int) -> None:
    """After the first start of this version every old leaf is as it was, the log verifies, and no change is due."""
    path = put(schema, tmp_path / "state")
    before = leaves_of(path)
    with Store.open(path.parent, clock=CLOCK, lost=LOST) as store:
        assert store.verify().problem is None
    assert leaves_of(path)[: len(before)] == before
    connection = connect_to_read(path)
    assert not is_older(connection, path)
    connection.close()


def test_an_upgrade_that_is_killed_is_finished_by_the_next_start(tmp_path: Path) -> None:
    """INVARIANT: killed at any statement of an upgrade, a database is wholly of one schema; the next start goes on."""
    path = put(FIRST_IN_USE, tmp_path / "state")
    before, statements = leaves_of(path), run_apart(path, None)
    assert (statements > 10, whole_schema(path)) == (True, len(MIGRATIONS))
    schemas = set()
    for number in range(1, statements + 1):
        put(FIRST_IN_USE, path.parent)
        for left in path.parent.glob(f"{DATABASE}-*"):
            left.unlink()
        run_apart(path, number)
        schemas.add(whole_schema(path))
        assert leaves_of(path) == before
    assert FIRST_IN_USE in schemas
    put(FIRST_IN_USE, path.parent)
    run_apart(path, statements // 2)
    with Store.open(path.parent, clock=CLOCK, lost=LOST) as store:
        assert store.verify().problem is None


def test_the_first_signature_of_an_old_state_may_be_cut_off(tmp_path: Path) -> None:
    """INVARIANT: killed at any step of the start that first signs a state, the next start goes on, with one key."""
    path, cut = put(FIRST_IN_USE, tmp_path / "old"), set[tuple[bool, bool, int]]()
    run_apart(path, None)
    for step in range(20):
        folder = tmp_path / str(step)
        folder.mkdir()
        shutil.copy(path, folder)
        ended = start_apart(folder, step)
        with ReadStore.open(folder) as reader:
            cut.add(((folder / KEY).exists(), next_path(folder / KEY).exists(), len(reader.find(SigningKey))))
        with Store.open(folder, clock=CLOCK) as store:
            (named,) = store.find(SigningKey)
            assert (store.verify().problem, named.how) == (None, "first")
        assert check_key(folder / KEY, newest=named).key.id.hex() == named.id
        assert not next_path(folder / KEY).exists()
        if not ended:
            break
    assert not ended
    assert cut >= {(False, False, 0), (False, True, 0), (False, True, 1), (True, False, 1)}


def start_apart(folder: Path, killed_at: int) -> bool:
    """Start in a process of its own; tell whether it was killed, before the numbered leaf or change of a key's file."""
    child = os.fork()
    if child == 0:
        left = killed_at

        def step() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def spy(event: str, arguments: tuple[object, ...]) -> None:
            if event in {"open", "os.rename", "os.remove"} and KEY in str(arguments):
                step()

        class Watched(ManualClock):
            def read(self) -> Instant:
                step()
                return super().read()

        sys.addaudithook(spy)
        Store.open(folder, clock=Watched(NOW))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


def test_an_upgrade_on_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    """Without room for the change the database stays as it was, the error says so, and with room it goes on."""
    path = put(FIRST_IN_USE, tmp_path / "state")
    connection = connect_to_write(path)
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="free some disk space"), guarded(path):
        migrate(connection, path)
    connection.close()
    assert whole_schema(path) == FIRST_IN_USE
    with Store.open(path.parent, clock=CLOCK, lost=LOST) as store:
        assert store.verify().problem is None


def test_only_the_daemon_upgrades(tmp_path: Path) -> None:
    """A verb that looks at an older database says what brings it up to date, and changes no byte of it."""
    path = put(FIRST_IN_USE, tmp_path / "state")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="start the daemon once"):
        ReadStore.open(path.parent)
    assert path.read_bytes() == before


def whole_schema(path: Path) -> int:
    """Tell the schema of a database by what it holds, and that this is what it says of itself."""
    connection = sqlite.connect(path)  # as whoever comes next: what a killed writer left in the log is taken back
    try:
        applied = [name for (name,) in connection.execute("SELECT name FROM _sqlite_migrations ORDER BY id")]
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        indexes = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")}
        columns = {row[1] for row in connection.execute("PRAGMA table_info(audit_leaf)")}
        nodes = connection.execute("SELECT count(*) FROM audit_node").fetchone()[0] if "audit_node" in tables else 0
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        connection.close()
    fifth = {"audit_node" in tables, "checkpoint" in tables, "signing_key" in tables, "salt" in columns, nodes > 0}
    sixth = {f"intent_{name}" in indexes for name in ("state", "action_created_at", "created_at")}
    assert fifth == {len(applied) >= 5}, (applied, tables, columns, nodes)
    assert sixth == {len(applied) >= 6}, (applied, indexes)
    return len(applied)


def run_apart(path: Path, killed_at: int | None) -> int:
    """Upgrade in a process of its own, killed before the numbered statement; give how many it ran, at most 255."""
    child = os.fork()
    if child == 0:
        connection, count = connect_to_write(path), 0

        def before_each(statement: str) -> None:
            nonlocal count
            count += 1
            if count == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)

        connection.set_trace_callback(before_each)
        migrate(connection, path)
        os._exit(min(count, 255))
    _, status = os.waitpid(child, 0)
    assert killed_at is None or os.WIFSIGNALED(status)
    return os.waitstatus_to_exitcode(status)
