"""What root restores belongs to whoever the state belonged to: else a daemon of its own account could not open it."""

import os
from pathlib import Path

import pytest

from healerd.clock import ManualClock
from healerd.store import Store
from healerd.store.backup import back_up
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
