"""What root does to a state belongs to whoever the state belongs to: else a daemon of its own could not open it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from healerd.clock import ManualClock
from healerd.store import Store
from healerd.store.backup import back_up
from healerd.store.lock import held
from healerd.store.restore import restore
from tests.healerd.store.records import START

SOMEBODY = 65534
CLOCK = ManualClock(START)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@as_root
@pytest.mark.parametrize("there", [True, False], ids=["replaced", "new"])
def test_what_root_restores_is_handed_over(tmp_path: Path, there: bool) -> None:
    """Over a state, its owner gets the restored one; where there was none, the owner of the folder around it."""
    with Store.open(tmp_path / "made", clock=CLOCK):
        pass
    back_up(tmp_path / "made", tmp_path / "backup.tar", at=START, made_by="test")
    around = tmp_path / "lib"
    around.mkdir()
    place = around / "state"
    if there:
        with Store.open(place, clock=CLOCK):
            pass
    os.chown(place if there else around, SOMEBODY, SOMEBODY)
    restore(tmp_path / "backup.tar", place, clock=CLOCK, actor="ada", reason="a drill", replace=there)
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (place, *place.rglob("*"))}
    assert owners == {(SOMEBODY, SOMEBODY)}


IN_A_NAMESPACE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from healerd.clock import ManualClock
from healerd.store import Store
from healerd.store.backup import back_up
from healerd.store.lock import held
from healerd.store.restore import restore

state, at = Path(sys.argv[1]), datetime(2026, 1, 1, tzinfo=UTC)
assert state.stat().st_uid != 0, "its owner has no name here"
with Store.open(state, clock=ManualClock(at)) as store:
    store.rotate(actor="ada")
back_up(state, state.parent / "backup.tar", at=at, made_by="test")
restore(state.parent / "backup.tar", state, clock=ManualClock(at), actor="ada", reason="a drill", replace=True)
"""


GIVEN = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from healerd.clock import ManualClock
from healerd.store.restore import restore

sys.addaudithook(lambda event, arguments: event == "os.chown" and print(arguments[0]))
clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
restore(Path(sys.argv[1]), Path(sys.argv[2]), clock=clock, actor="ada", reason="a drill")
"""


@as_root
def test_what_root_restores_is_handed_over_from_inside(tmp_path: Path) -> None:
    """The folder goes last: were it given first, its new owner could put other files in the place of those in it."""
    with Store.open(tmp_path / "made", clock=CLOCK):
        pass
    back_up(tmp_path / "made", tmp_path / "backup.tar", at=START, made_by="test")
    command = [sys.executable, "-c", GIVEN, str(tmp_path / "backup.tar"), str(tmp_path / "state")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    given = [Path(line) for line in done.stdout.splitlines() if ".restoring-" in line]
    assert "healerd.db" in {path.name for path in given}
    assert [path.name.startswith(".state.restoring-") for path in given] == [False] * (len(given) - 1) + [True]


@as_root
def test_root_gives_away_no_file_of_another_name(tmp_path: Path) -> None:
    """A lock that is a second name of a file of root's stays root's, and one that somebody else made is theirs."""
    state, secret = tmp_path / "state", tmp_path / "secret"
    state.mkdir()
    os.chown(state, SOMEBODY, SOMEBODY)
    secret.touch()
    (state / "lock").hardlink_to(secret)
    with held(state):
        assert secret.stat().st_uid == 0
    secret.unlink()
    with held(state):
        assert (state / "lock").stat().st_uid == SOMEBODY
    os.chown(state / "lock", SOMEBODY + 1, SOMEBODY + 1)
    with held(state):
        assert (state / "lock").stat().st_uid == SOMEBODY + 1


@as_root
def test_the_root_of_a_container_without_root_keeps_what_it_makes(tmp_path: Path) -> None:
    """In a user namespace that does not know the folder's owner, a state begins, its key rotates, a restore ends."""
    inside = ["unshare", "--user", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*inside, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no user namespace can be made here")
    around = tmp_path / "lib"
    (around / "state").mkdir(parents=True)
    os.chown(around / "state", SOMEBODY, SOMEBODY)
    (around / "state").chmod(0o777)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [*inside, sys.executable, "-c", IN_A_NAMESPACE, str(around / "state")]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {path.stat().st_uid for path in (around / "state").iterdir()} == {0}


@as_root
@pytest.mark.parametrize("how", ["first", "rotated", "lost"])
def test_a_key_that_root_makes_elsewhere_is_the_daemons(tmp_path: Path, how: str) -> None:
    """Outside the state, in a folder of root's own, a new key belongs to whoever the state belongs to."""
    state, key = tmp_path / "state", tmp_path / "etc" / "audit.key"
    key.parent.mkdir()
    state.mkdir()
    os.chown(state, SOMEBODY, SOMEBODY)
    with Store.open(state, clock=CLOCK, key=key):
        pass
    if how != "first":
        with Store.open(state, clock=CLOCK, key=key, lost="ada" if how == "lost" else "") as store:
            if how == "rotated":
                store.rotate(key, actor="ada")
    found = key.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (SOMEBODY, SOMEBODY, 0o600)
    assert key.parent.stat().st_uid == 0


@as_root
@pytest.mark.parametrize("lost", ["", "ada"], ids=["rotated", "lost"])
def test_what_root_does_to_a_state_leaves_nothing_of_its_own(tmp_path: Path, lost: str) -> None:
    """A new key and a lock that root makes in the daemon's folder belong to the daemon."""
    state = tmp_path / "state"
    with Store.open(state, clock=CLOCK):
        pass
    (state / "lock").unlink()  # as in a state that was restored
    for path in (state, *state.rglob("*")):
        os.chown(path, SOMEBODY, SOMEBODY)
    with Store.open(state, clock=CLOCK, create=False, lost=lost) as store:
        if not lost:
            store.rotate(actor="ada")
    assert {path.name for path in state.iterdir()} >= {"lock", "audit.key", "healerd.db"}
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (state, *state.rglob("*"))}
    assert owners == {(SOMEBODY, SOMEBODY)}
