"""What a window hands on to the next one, and how it is found."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from healerd.daemon.rowcache import WINDOW_ROWS, RowCache
from healerd.daemon.situations import carried_on, newest_decision, situation_of
from healerd.model import Decision
from healerd.store import Reader
from tests.healerd.daemon.loop import NAME, START, Loop


def test_a_window_hands_on_what_its_whole_decision_says(tmp_path: Path) -> None:
    """The rules' memory, the diagnosis and the rules that proposed are those of the newest judged window."""
    loop = Loop(tmp_path)
    loop.play(2)
    loop.play(4, turned=True)
    handed, newest = carried_on(loop.core.store, NAME), newest_decision(loop.core.store, NAME)
    assert newest == max(loop.core.store.find(Decision), key=lambda each: each.window_end_at)
    seen = situation_of(newest)
    assert (handed.signals, handed.diagnosis) == (seen.signals, seen.diagnosis)
    assert handed.standing == tuple(each["rule"] for each in newest.trace["proposals"])
    assert handed.standing
    loop.core.close()


def test_the_newest_decision_is_found_after_a_tick_that_a_bug_ended(tmp_path: Path) -> None:
    """A window that was passed over without a decision leaves the one before it as the newest."""
    loop = Loop(tmp_path)
    loop.play(2)
    newest = newest_decision(loop.core.store, NAME)
    with loop.core.store.transaction() as tx:
        tx.set_watermark(NAME, loop.clock.now() + timedelta(hours=1))
    assert newest_decision(loop.core.store, NAME) == newest
    assert carried_on(loop.core.store, NAME).signals == situation_of(newest).signals
    loop.core.close()


def test_rows_that_are_kept_have_a_bound(tmp_path: Path) -> None:
    """A cache keeps no more rows than it may, the newest ones, and answers for the others all the same."""
    loop = Loop(tmp_path)
    loop.play(4)
    pipeline, store = loop.core.pipelines[NAME], loop.core.store
    one = len(pipeline.rows(START, START + timedelta(hours=1), as_of=loop.clock.now()))
    cache, asked = RowCache(3600, rows_max=2 * (one + WINDOW_ROWS)), []

    def read(start, end):
        asked.append(start)
        return store.rows(NAME, start, end, as_of=loop.clock.now())

    def rows(hour: int):
        start = START + timedelta(hours=hour)
        return cache.rows(start, start + timedelta(hours=1), as_of=loop.clock.now(), read=read)

    assert [len(rows(hour)) for hour in (0, 1, 2)] == [one] * 3
    rows(2)
    assert len(asked) == 3
    rows(0)
    assert len(asked) == 4
    loop.core.close()


def test_no_step_reads_through_all_intents_there_ever_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a window and the executor ask of intents is found by an index, however long the record is."""
    asked: dict[str, str] = {}

    def query(self: Reader, sql: str, values: list[object]) -> list[object]:
        connection = self._connection()
        if 'FROM "intent"' in sql and sql not in asked:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()
            asked[sql] = "; ".join(step[-1] for step in plan)
        return connection.execute(sql, values).fetchall()

    loop = Loop(tmp_path)
    monkeypatch.setattr(Reader, "_query", query)
    loop.play(2)
    loop.core.close()
    assert len(asked) >= 4
    assert [sql for sql, plan in asked.items() if "SCAN" in plan] == []


def test_a_window_costs_the_database_no_more_after_a_long_life(tmp_path: Path) -> None:
    """What SQLite's machine does in a quiet window, and to check one, is no more after many windows than after some."""
    loop = Loop(tmp_path)
    loop.play(20)
    judged, checked = steps(loop, lambda: loop.play(5)) / 5, steps(loop, loop.core.store.verify) / 25
    loop.play(120)
    assert steps(loop, lambda: loop.play(5)) / 5 < 1.1 * judged
    assert steps(loop, loop.core.store.verify) / 150 < 1.1 * checked
    loop.core.close()


def steps(loop: Loop, run: Callable[[], object]) -> int:
    """Count, in tens, the steps of SQLite's machine that the store's connection takes in a run."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    connection = loop.core.store._connection()
    connection.set_progress_handler(count, 10)
    run()
    connection.set_progress_handler(None, 0)
    return counted
