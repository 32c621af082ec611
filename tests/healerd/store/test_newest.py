"""What a start looks at when the log is longer than what it reads: the newest leaves, and every row that may act."""

from pathlib import Path

import pytest

from healerd.clock import ManualClock
from healerd.errors import StoreError
from healerd.store import Store, check
from healerd.store.library import DATABASE, sqlite
from tests.healerd.store.records import START, an_intent

NEWEST = 3


@pytest.fixture
def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of which a start reads a part: the intent that was written first lies far below."""
    monkeypatch.setattr(check, "_NEWEST", NEWEST)
    with Store.open(tmp_path, clock=ManualClock(START)) as store:
        for number in range(3 * NEWEST):
            with store.transaction() as tx:
                tx.put(an_intent(id=f"act-{number}", target="version-seven"))
    return tmp_path


def test_a_sound_log_opens_however_long_it_is(long: Path) -> None:
    """Taking the check up in the middle of the log accuses nothing."""
    with Store.open(long, clock=ManualClock(START)) as store:
        assert store.head()[0] > 3 * NEWEST


def test_s14_an_old_row_that_may_still_act_is_compared_with_its_leaf(long: Path) -> None:
    """A row that an old leaf wrote, and that says something else by now, keeps the daemon from starting."""
    with sqlite.connect(long / DATABASE) as opened:
        opened.execute("UPDATE intent SET body = replace(body, 'seven', 'eight') WHERE row_key = 'act-0'")
    with pytest.raises(StoreError, match="the intent `act-0` is not as leaf"):
        Store.open(long, clock=ManualClock(START))


def test_a_row_that_only_sqlite_can_read_is_reported(tmp_path: Path) -> None:
    """A number such as `+0` is JSON to SQLite alone: a saved value's row with one keeps the daemon from starting."""
    with Store.open(tmp_path, clock=ManualClock(START)) as store, store.transaction() as tx:
        tx.save_state("flights", "memory", {"kept": 1})
    with sqlite.connect(tmp_path / DATABASE) as opened:
        changed = opened.execute("""UPDATE saved SET body = replace(body, '"size":10', '"size":+0')""").rowcount
    assert changed == 1
    with pytest.raises(StoreError, match="saved"):
        Store.open(tmp_path, clock=ManualClock(START))
