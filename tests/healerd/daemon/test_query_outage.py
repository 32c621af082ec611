"""A query as source of the running core: what goes wrong with it, and that nothing is lost or counted twice."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from healerd.actions import InlineWorker
from healerd.clock import ManualClock
from healerd.config import parse_config
from healerd.daemon.core import Core
from healerd.model import Decision

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
CONFIG = """
[daemon]
state = "state"
[pipeline.q]
window = "1h"
label_horizon = 0
[pipeline.q.source]
kind = "duckdb"
query = "SELECT * FROM 'rows/*.parquet' WHERE time >= $start_at AND time < $end_at"
id = "id"
late = "6h"
"""


class Rows:
    """A core on a query over a folder of Parquet files, one an hour."""

    def __init__(self, folder: Path, config: str = CONFIG) -> None:
        self.folder, self.clock = folder, ManualClock(START)
        (folder / "rows").mkdir()
        made = parse_config(config, path=folder / "healerd.toml")
        self.core = Core.open(made, self.clock, worker=InlineWorker(), start_at=START)

    def write(self, hour: int, name: str = "", columns: str = "i / 2.0 AS x, 1.0 AS prediction") -> Path:
        """Write the sixty rows of an hour."""
        path = self.folder / "rows" / f"{hour:02}{name}.parquet"
        sql = f"""SELECT 'r' || (i + {hour * 60}) AS id,
            TIMESTAMP '2026-01-01' + INTERVAL (i + {hour * 60}) MINUTE AS time,
            {columns} FROM range(60) r(i)"""
        with duckdb.connect(":memory:") as duck:
            duck.execute(f"COPY ({sql}) TO '{path}'")
        return path

    def pass_hour(self) -> None:
        self.clock.advance(HOUR.total_seconds())
        self.core.run_due()

    def stored(self) -> list[str]:
        return list(self.core.store.rows("q", START, self.clock.now(), as_of=self.clock.now()).ids)

    @property
    def judged(self) -> int:
        mark = self.core.store.watermark("q")
        assert mark is not None
        return (mark - START) // HOUR


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    return Rows(tmp_path)


def test_a_source_that_is_down_for_hours_loses_nothing(rows: Rows) -> None:
    """While the query fails no window is judged; once it is back, every window is, with all of its rows."""
    rows.write(0)
    rows.pass_hour()
    (rows.folder / "rows").rename(rows.folder / "away")
    for _ in range(3):
        rows.pass_hour()
    assert rows.judged == 1
    (rows.folder / "away").rename(rows.folder / "rows")
    for hour in (1, 2, 3, 4):
        rows.write(hour)
    rows.pass_hour()
    assert rows.judged == 5
    assert sorted(rows.stored()) == sorted(f"r{n}" for n in range(300))


def test_doubled_and_late_rows_count_once(rows: Rows) -> None:
    """A file that is there twice adds nothing, and one that comes hours late is kept, each row once."""
    rows.write(0)
    rows.write(0, "again")
    rows.pass_hour()
    rows.pass_hour()
    rows.write(1)
    rows.write(2)
    rows.pass_hour()
    assert rows.judged == 3
    assert sorted(rows.stored()) == sorted(f"r{n}" for n in range(180))


def test_a_query_that_returns_nothing_holds(rows: Rows) -> None:
    """A window without rows is judged as one, and holds."""
    rows.write(0)
    rows.pass_hour()
    rows.pass_hour()
    assert rows.judged == 2
    assert len(rows.stored()) == 60


def test_a_schema_that_changes_is_told_and_waited_for(rows: Rows, caplog: pytest.LogCaptureFixture) -> None:
    """A prediction column that is gone fails the window with its name; once it is back the window is judged whole."""
    rows.write(0)
    rows.pass_hour()
    first = rows.folder / "rows" / "00.parquet"
    kept = first.read_bytes()
    first.unlink()
    changed = rows.write(1, columns="i / 2.0 AS x, 1.0 AS answer")
    rows.pass_hour()
    assert rows.judged == 1
    assert "no column `prediction`" in caplog.text
    changed.unlink()
    first.write_bytes(kept)
    rows.write(1)
    rows.pass_hour()
    assert rows.judged == 3
    assert len(rows.stored()) == 120


def test_a_source_that_comes_back_empty_and_fills_up_later_loses_nothing(tmp_path: Path) -> None:
    """Windows in which no row was found are judged as empty; when their rows come hours later they are kept, as late
    ones, each once, and no window is judged a second time."""
    rows = Rows(tmp_path, CONFIG.replace('late = "6h"\n', ""))
    for hour in (0, 1, 5):
        rows.clock.advance_to(START + hour * HOUR)
        rows.write(hour)
        rows.pass_hour()
    assert (rows.judged, len(rows.stored())) == (6, 180)
    for hour in (2, 4):
        rows.write(hour)
    rows.write(6)
    rows.pass_hour()
    assert (rows.judged, len(rows.stored())) == (7, 360)
    rows.write(3)
    rows.write(4, "again")
    rows.pass_hour()
    assert rows.judged == 8
    assert sorted(rows.stored()) == sorted(f"r{n}" for n in range(420))
    told = [each.record["late"] for each in rows.core.store.leaves(kind="irregular rows")]
    assert told == [120, 60]
    assert len(rows.core.store.find(Decision)) == 8


def test_what_was_missed_is_looked_for_no_farther_than_the_settings_say(tmp_path: Path) -> None:
    """Beyond `catch_up`, and before the pipeline began, nothing is looked at again."""
    rows = Rows(tmp_path, CONFIG.replace('late = "6h"', 'catch_up = "2h"'))
    rows.write(-1, columns="i / 2.0 AS x, 1.0 AS prediction")
    for hour in (0, 4):
        rows.clock.advance_to(START + hour * HOUR)
        rows.write(hour)
        rows.pass_hour()
    for hour in (1, 2, 3):
        rows.write(hour)
    rows.pass_hour()
    assert sorted(rows.stored()) == sorted(f"r{n}" for hour in (0, 3, 4) for n in range(hour * 60, hour * 60 + 60))


def test_what_was_missed_and_cannot_be_read_holds_nothing_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While only the missed hours cannot be read the newest window is judged; they are taken in once they can be."""
    rows = Rows(tmp_path, CONFIG.replace('late = "6h"', "rows_max = 100"))
    for hour in (0, 3):
        rows.clock.advance_to(START + hour * HOUR)
        rows.write(hour)
        rows.pass_hour()
    rows.write(1)
    twice = rows.write(1, "again", columns="i / 2.0 AS x, 1.0 AS prediction")
    rows.pass_hour()
    assert rows.judged == 5
    assert "cannot be read" in caplog.text
    twice.unlink()
    rows.pass_hour()
    assert sorted(rows.stored()) == sorted(f"r{n}" for hour in (0, 1, 3) for n in range(hour * 60, hour * 60 + 60))
