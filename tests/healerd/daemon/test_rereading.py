"""The daemon reads its log again by itself, within a budget."""

from pathlib import Path

from healerd.clock import ManualClock
from healerd.daemon.rereading import BUDGET_S, SLICE, Rereading
from healerd.store import Store
from healerd.store.library import sqlite
from tests.healerd.store.records import HALF_HOUR, START

WINDOWS = 4 * SLICE


def store_with_windows(folder: Path) -> Store:
    store = Store.open(folder, clock=ManualClock(START))
    for each in range(WINDOWS):
        with store.transaction() as tx:
            tx.set_watermark("p", START + each * HALF_HOUR)
    return store


def test_a_whole_pass_is_said_and_no_part_of_one(tmp_path: Path) -> None:
    """With a budget of one slice a step, the log is called sound after the last slice, and not before."""
    ticks = iter(x * BUDGET_S for x in range(1000))
    with store_with_windows(tmp_path) as store:
        rereading = Rereading(lambda: next(ticks))
        steps = 0
        while rereading.said() is None:
            rereading.step(store, START)
            steps += 1
        said = rereading.said()
        assert steps == -(-store.head()[0] // SLICE)
        assert said is not None
        assert (said["sound"], said["seq"], said["by"]) == (True, store.head()[0], "daemon")


def test_a_change_is_seen_without_anybody_asking(tmp_path: Path) -> None:
    """A leaf changed in the file is said at the next pass, with its number."""
    with store_with_windows(tmp_path) as store:
        rereading = Rereading(lambda: 0.0)
        rereading.step(store, START)
        assert (rereading.said() or {})["sound"] is True
        connection = sqlite.connect(tmp_path / "healerd.db")
        connection.execute("DROP TRIGGER audit_leaf_no_update")
        connection.execute("UPDATE audit_leaf SET body = replace(body, 'daemon', 'nobody') WHERE seq = 77")
        connection.commit()
        connection.close()
        rereading.step(store, START)
        said = rereading.said() or {}
        assert said["sound"] is False
        assert "leaf 77 was changed" in said["problem"]


def test_rows_written_meanwhile_are_no_damage(tmp_path: Path) -> None:
    """Windows that come while a pass is under way, and write rows again, do not make it fail."""
    ticks = iter(x * BUDGET_S for x in range(1000))
    with store_with_windows(tmp_path) as store:
        rereading = Rereading(lambda: next(ticks))
        turn = WINDOWS
        while rereading.said() is None:
            rereading.step(store, START)
            with store.transaction() as tx:
                tx.set_watermark("p", START + turn * HALF_HOUR)
            turn += 1
        assert (rereading.said() or {})["problem"] is None
