"""The files of the signing key through rotations and restores cut short: no key is lost, and nothing is blocked."""

import os
import re
import resource
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from healerd.audit.notes import read_key
from healerd.audit.signatures import Signer
from healerd.clock import Instant, ManualClock
from healerd.errors import StoreError
from healerd.store import ReadStore, SigningKey, Store
from healerd.store.backup import back_up
from healerd.store.keys import KEY, RESTORED, keep_key, next_path
from healerd.store.restore import Restored, restore
from tests.healerd.store.records import START

CLOCK = ManualClock(START)
LATER = START + timedelta(days=1)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "log.pem"


@pytest.fixture
def state(tmp_path: Path, key: Path) -> Path:
    """Make a state whose key lies elsewhere, and a backup of it."""
    folder = tmp_path / "state"
    Store.open(folder, clock=CLOCK, key=key).close()
    back_up(folder, tmp_path / "copy", at=START, made_by="test")
    return folder


def put_back(state: Path, key: Path | None, **options: bool) -> Restored:
    backup, clock = state.parent / "copy", ManualClock(LATER)
    return restore(backup, state, clock=clock, actor="ada", reason="a drill", replace=True, key=key, **options)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def named(state: Path) -> SigningKey:
    with ReadStore.open(state) as reader:
        return reader.find(SigningKey, order="-seq", limit=1)[0]


def holds(path: Path, said: SigningKey) -> bool:
    wanted = read_key(said.key)
    return Signer.of(path.read_bytes(), name=wanted.name).key == wanted


# rotations


class EndingClock(ManualClock):
    """A clock whose reader is ended when it asks for the time of a leaf."""

    ended = False

    def read(self) -> Instant:
        if self.ended:
            raise KeyboardInterrupt
        return super().read()


def test_a_rotation_that_was_never_written_down_blocks_no_other(state: Path, key: Path) -> None:
    """Ended between the new key's file and the log, a rotation leaves a key that the next one moves out of the way."""
    clock, old = EndingClock(START), named(state)
    with Store.open(state, clock=clock, key=key) as store:
        clock.ended = True
        with pytest.raises(KeyboardInterrupt):
            store.rotate(key, actor="ada")
    left = next_path(key).read_bytes()
    for _ in range(2):
        with Store.open(state, clock=CLOCK, key=key) as store:
            made = store.rotate(key, actor="ada")
            next_path(key).write_bytes(b"")  # as a process leaves it that is ended while it writes
            assert store.verify().problem is None
    assert holds(key, made)
    assert made.id != old.id
    assert left in files(key.parent).values()
    Store.open(state, clock=CLOCK, key=key).close()


def test_a_key_that_does_not_fit_on_the_disk_leaves_nothing(tmp_path: Path) -> None:
    """Half a key never stands where a whole one is wanted."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
    try:
        with pytest.raises(StoreError, match="cannot be written"):
            keep_key(Signer.make(name="a"), tmp_path / KEY, like=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


# restores


@pytest.mark.parametrize("lost", [True, False])
def test_a_rehearsal_leaves_every_key(state: Path, key: Path, lost: bool) -> None:
    """A dry run changes no key, be it lost, in force or waiting to be, and the next start finds its own."""
    with Store.open(state, clock=CLOCK, key=key) as store:
        old = key.read_bytes()
        store.rotate(key, actor="ada")
    key.rename(next_path(key))  # as it is when a process ends right before the file moves
    key.write_bytes(old)
    key.chmod(0o600)
    shutil.rmtree(state.parent / "copy")
    back_up(state, state.parent / "copy", at=START, made_by="test")
    before = files(key.parent)
    put_back(state, key, dry_run=True, lost=lost)
    assert files(key.parent) == before
    Store.open(state, clock=CLOCK, key=key).close()


def test_a_restore_that_fails_leaves_the_key(state: Path, key: Path) -> None:
    """Until the state is swapped, the key that signs stays in force."""
    before = files(key.parent)
    (state.parent / f"state.replaced-{LATER:%Y%m%dT%H%M%S%f}" / "in the way").mkdir(parents=True)
    with pytest.raises(StoreError, match="it is as it was"):
        put_back(state, key, lost=True)
    assert files(key.parent) == before
    Store.open(state, clock=CLOCK, key=key).close()


def test_a_restore_without_the_old_key_puts_a_new_one_where_it_belongs(state: Path, key: Path) -> None:
    """The new key lies where the configuration says, the old one beside it, and none in the state."""
    old = key.read_bytes()
    done = put_back(state, key, lost=True)
    assert holds(key, done.key)
    assert key.stat().st_mode & 0o777 == 0o600
    assert sorted(files(key.parent).values()) == sorted([old, key.read_bytes()])
    assert not list(state.glob(f"{KEY}*"))
    with Store.open(state, clock=CLOCK, key=key) as store:
        assert [each.how for each in store.find(SigningKey)] == ["first", "lost"]
        assert store.verify().problem is None


def test_a_key_that_could_not_be_put_in_place_is_taken_up_by_the_next_start(state: Path, key: Path) -> None:
    """After the swap the new key waits in the state; who restored is told, and a start puts it in force."""
    (blocked := key.with_name(f"{key.name}.new")).mkdir()
    with pytest.raises(StoreError, match=r"the state is restored, but the new key .* the next start tries it again"):
        put_back(state, key, lost=True)
    assert holds(state / RESTORED, named(state))
    assert not holds(key, named(state))
    blocked.rmdir()
    with Store.open(state, clock=CLOCK, key=key) as store:
        assert store.verify().problem is None
    assert holds(key, named(state))
    assert not (state / RESTORED).exists()


def test_the_words_for_a_wrong_key_name_its_own_file(state: Path, key: Path) -> None:
    """An error about the key speaks of where it lies, not of the copy that was looked at."""
    key.unlink()
    with pytest.raises(StoreError, match=r"put it where `audit.key` says"):
        put_back(state, key)
    keep_key(Signer.make(name="other"), key, like=key.parent)
    with pytest.raises(StoreError, match=re.escape(f"the key `{key}` is not the one")):
        put_back(state, key)


@pytest.mark.parametrize("lost", [True, False])
def test_a_key_inside_the_state_comes_back_with_it(tmp_path: Path, lost: bool) -> None:
    """A configured place within the state folder is looked for in the backup, and swapped with all the rest."""
    folder = tmp_path / "state"
    inside = folder / "keys" / "log.pem"
    Store.open(folder, clock=CLOCK, key=inside).close()
    back_up(folder, tmp_path / "copy", at=START, made_by="test")
    done = put_back(folder, inside, lost=lost)
    assert holds(inside, done.key)
    Store.open(folder, clock=CLOCK, key=inside).close()


ENDED = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from healerd.audit import signatures
from healerd.clock import ManualClock
from healerd.store.restore import restore

left = int(sys.argv[2])

def spy(event, arguments):
    global left
    at_key = event in ("open", "os.rename", "os.remove", "os.chown") and "log.pem" in str(arguments)
    if at_key or (event == "os.remove" and "restored" in str(arguments)):
        left -= 1
        if left < 0:
            os._exit(9)

place, clock = Path(sys.argv[1]), ManualClock(datetime(2026, 1, 2, tzinfo=UTC))
for step in range(left):
    if os.fork() == 0:
        left, home = step, place / str(step)
        sys.addaudithook(spy)
        given = {"clock": clock, "actor": "ada", "reason": "a drill", "replace": True, "lost": True}
        restore(place / "copy", home / "state", key=home / "keys" / "log.pem", **given)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_restore_ended_at_any_step_leaves_a_key_to_start_with(state: Path, key: Path, tmp_path: Path) -> None:
    """Ended at any step between the swap and the key, a restore is finished by the next start, and no key is lost."""
    old, steps = key.read_bytes(), 9
    for step in range(steps):
        shutil.copytree(state, tmp_path / str(step) / "state")
        shutil.copytree(key.parent, tmp_path / str(step) / "keys")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", ENDED, str(tmp_path), str(steps)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    codes = done.stdout.split()
    assert codes == ["9"] * codes.count("9") + ["0"] * codes.count("0"), done.stderr
    assert codes.count("9") > 5
    assert "0" in codes, "every step was ended once"
    for step in range(steps):
        home = tmp_path / str(step)
        place = home / "keys" / "log.pem"
        with Store.open(home / "state", clock=CLOCK, key=place) as store:
            assert store.verify().problem is None
            assert [each.how for each in store.find(SigningKey)] == ["first", "lost"]
        assert old in files(place.parent).values()
        assert not (home / "state" / RESTORED).exists()
