"""What becomes of rows once they are read: each id counts once, and no row is lost, whatever comes again or late."""

import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from healerd.actions import InlineWorker
from healerd.columns import take
from healerd.config import parse_config
from healerd.daemon.core import Core
from healerd.daemon.messages import Message, about
from healerd.daemon.pipeline import closed_windows
from healerd.daemon.recent import RecentIds
from healerd.daemon.troubles import Trouble
from healerd.model import Quality
from healerd.segments import FOLDER
from tests.healerd.daemon.test_bad_input import CONFIG, HOUR, NAME, ROWS, START, Row, Table

PLAIN = CONFIG.replace('segments = ["city"]\n', "")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Table]]:
    """Open a table, by settings in the place of others; it is closed in the end."""
    made: list[Table] = []

    def open_table(**settings: str) -> Table:
        made.append(Table(tmp_path))
        return again(made[0], **settings)

    yield open_table
    for each in made:
        each.core.close()


def again(table: Table, **settings: str) -> Table:
    """Stop the daemon and start it again."""
    table.core.close()
    more = "".join(f', {name} = "{value}"' for name, value in settings.items())
    text = PLAIN.replace('label = "label" }', f'label = "label"{more} }}')
    config = parse_config(text, path=table.folder / "healerd.toml")
    table.core = Core.open(config, table.clock, worker=InlineWorker(), start_at=START)
    return table


def held(table: Table, first: int, last: int) -> int:
    """Count the stored rows from one hour to another."""
    return len(table.core.store.rows(NAME, START + HOUR * first, START + HOUR * last))


def troubles(table: Table, spoil: Callable[[list[Row]], list[Row]]) -> list[Message]:
    """Play an hour, and give what people are told to mend."""
    table.play(spoil)
    return [each for each in about(table.came_to) if each.kind == "trouble"]


def test_an_id_of_an_earlier_window_counts_once(opened: Callable[..., Table]) -> None:
    """Rows of the window before that come again, later, are left out of theirs and told, however it is read."""
    table = opened()
    table.play()

    def retried(rows: list[Row]) -> list[Row]:
        return rows + [{**old, "time": new["time"]} for old, new in zip(table.rows[-30:], rows, strict=False)]

    table.play(retried)
    assert [held(table, 0, 1), held(table, 1, 2), held(table, 0, 2)] == [ROWS, ROWS, 2 * ROWS]
    assert table.told("rows").n == ROWS
    assert "'repeated': 30" in table.leaves("irregular rows")[-1]


def test_people_are_told_where_ids_name_customers(opened: Callable[..., Table]) -> None:
    """The same ids hour after hour: the hours left without rows are told, by one message however many; others not."""
    table = opened()

    def of_customers(rows: list[Row]) -> list[Row]:
        return [{**row, "id": f"customer {number}"} for number, row in enumerate(rows)]

    assert troubles(table, of_customers) == []
    first, second = (troubles(table, of_customers) for _ in range(2))
    assert first == second
    assert [(each.kind, each.what) for each in first] == [("trouble", f"{NAME} is judged without most of its rows")]
    assert "an id names one prediction" in first[0].text
    assert troubles(table, lambda rows: rows + rows) == []


def test_a_window_that_is_tried_once_more_names_its_own_rows(opened: Callable[..., Table]) -> None:
    """After a crash between taking in and judging its own rows come again: that is no trouble with ids."""
    table = opened()
    table.clock.advance(HOUR.total_seconds())
    table.write("rows.csv", table.hour(START))
    pipeline = table.core.pipelines[NAME]
    (window,) = closed_windows(NAME, window_s=3600.0, watermark=START, now=table.clock.now())
    ticker, moment = table.core._ticker, table.core._moment(NAME)
    assert len(ticker._take_in(pipeline, window, moment).rows) == ROWS
    assert not any(isinstance(each, Trouble) for each in ticker.tick(pipeline, window, moment))
    assert held(table, 0, 1) == ROWS


def test_rows_that_are_written_twice_are_bad_data(opened: Callable[..., Table]) -> None:
    """A doubled export counts once, and makes the window's data bad; the one after it is good again."""
    table = opened()
    table.play(lambda rows: rows + rows)
    told = table.told("duplicates")
    assert (told.value, told.alarm, table.quality) == (0.5, True, Quality.BAD)
    assert held(table, 0, 1) == ROWS
    table.play()
    assert (table.told("duplicates").value, table.quality) == (0.0, Quality.GOOD)


def test_late_rows_around_an_empty_window_leave_it_empty(opened: Callable[..., Table]) -> None:
    """Rows of two hours come late together, those of the hour between them later still: none is lost."""
    table, held_back = opened(late="3h"), list[list[Row]]()

    def all_but(kept: int) -> Callable[[list[Row]], list[Row]]:
        def spoil(rows: list[Row]) -> list[Row]:
            held_back.append(rows[kept:])
            return rows[:kept]

        return spoil

    for kept in (ROWS - 5, 0, ROWS - 5):
        table.play(all_but(kept))
    table.rows += held_back[0] + held_back[2]
    for _ in range(3):
        table.play()
    table.rows += held_back[1]
    table.play()
    assert [held(table, hour, hour + 1) for hour in range(7)] == [ROWS] * 7


def test_a_long_id_costs_its_own_length(opened: Callable[..., Table]) -> None:
    """One id of half a megabyte among a hundred takes no array as wide as it for each of them."""
    table = opened()
    tracemalloc.start()
    table.play(lambda rows: [{**rows[0], "id": "x" * 500_000}, *rows[1:]])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held(table, 0, 1) == ROWS
    assert peak < 50_000_000


def test_an_id_is_known_after_a_restart_and_for_as_long_as_it_is_waited_for(opened: Callable[..., Table]) -> None:
    """A row of two hours ago that is sent again is known to a daemon that has just started, one of five is not."""
    table = opened(catch_up="3h")
    for _ in range(5):
        table.play()
    again(table, catch_up="3h")

    def sent_again(rows: list[Row]) -> list[Row]:
        old = [*table.rows[:60], *table.rows[3 * ROWS : 3 * ROWS + 60]]
        return [{**row, "time": new["time"]} for row, new in zip(old, rows, strict=True)]

    table.play(sent_again)
    assert held(table, 5, 6) == 60
    assert "'repeated': 60" in table.leaves("irregular rows")[-1]


def test_an_id_in_two_missed_windows_counts_once(opened: Callable[..., Table]) -> None:
    """Two empty hours apart come back at once, both with rows of one id: it is stored in the first of them alone."""
    table, held_back = opened(), list[list[Row]]()

    def none_yet(rows: list[Row]) -> list[Row]:
        held_back.append(rows)
        return []

    for spoil in (lambda rows: rows, none_yet, lambda rows: rows, none_yet, lambda rows: rows):
        table.play(spoil)
    first, second = held_back
    table.rows += first + [{**row, "id": old["id"]} for row, old in zip(second[:7], first, strict=False)] + second[7:]
    table.play()
    assert [held(table, hour, hour + 1) for hour in (1, 3)] == [ROWS, ROWS - 7]


def test_a_window_that_is_tried_again_remembers_each_id_once(tmp_path: Path) -> None:
    """While the labels cannot be read, memory does not grow with every try; then all rows are taken in."""
    config = PLAIN.replace('label = "label"', 'labels = { path = "labels.csv" }')
    table = Table(tmp_path, config=config)
    table.play()
    for _ in range(5):
        table.core.run_due()
    remembered = table.core.pipelines[NAME].recent._parts or {}
    assert sum(map(len, remembered.values())) <= ROWS
    assert table.judged_to == START
    (tmp_path / "labels.csv").write_text("id,label\n", encoding="utf-8")
    table.core.run_due()
    assert (table.judged_to, held(table, 0, 1)) == (START + HOUR, ROWS)
    table.core.close()


def test_a_restart_reads_the_ids_of_one_segment_at_a_time(opened: Callable[..., Table]) -> None:
    """Of ten segments with long ids, 4 MB of text, a daemon that has just started holds less than half at once."""
    table = opened(catch_up="1d")
    for _ in range(10):
        table.play(lambda rows: [{**row, "id": row["id"] * 800} for row in rows])
    store, rows = table.core.store, table.core.store.rows(NAME, START, START + HOUR)
    recent = RecentIds(pipeline=NAME, patience=timedelta(days=1))
    tracemalloc.start()
    known = recent.known(store, take(rows, np.arange(3)), table.clock.now())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert known == set(rows.ids[:3])
    assert peak < 2_000_000 < 10 * sum(map(len, rows.ids))


def test_a_damaged_file_that_no_window_needs_stops_no_start(opened: Callable[..., Table]) -> None:
    """One file of a day of ids is damaged: the next hour is judged, people are told, and all that can be read is known;
    once the file is mended its ids are too."""
    table = opened(catch_up="1d")
    for _ in range(3):
        table.play()
    oldest = table.core.store.segments(NAME)[0]
    file = table.folder / "state" / FOLDER / oldest.path
    content = file.read_bytes()
    file.write_bytes(b"not a segment")
    again(table, catch_up="1d")

    def sent_again(first: int) -> Callable[[list[Row]], list[Row]]:
        old = table.rows[first : first + 30]
        return lambda rows: rows + [{**each, "time": rows[0]["time"]} for each in old]

    (told,) = troubles(table, sent_again(2 * ROWS))
    assert table.judged_to == START + 4 * HOUR
    assert held(table, 3, 4) == ROWS
    assert told.what == f"{NAME} misses ids"
    assert oldest.path in told.text
    file.write_bytes(content)
    assert troubles(table, sent_again(0)) == []
    assert held(table, 4, 5) == ROWS


@pytest.mark.parametrize("restarted", [False, True])
def test_a_column_that_was_away_has_the_kind_it_had(opened: Callable[..., Table], *, restarted: bool) -> None:
    """Numbers that were away for an hour and come back as text are told as such, and older rows stay readable."""
    table = opened()
    table.play()
    table.rows = []
    table.play(lambda rows: [{name: value for name, value in row.items() if name != "x"} for row in rows])
    if restarted:
        again(table)
    table.rows = []
    table.play(lambda rows: [{**row, "x": "low"} for row in rows])
    assert "`low` is no number, but the column held numbers so far" in " ".join(table.leaves("source failed"))
    assert held(table, 0, 3) == 2 * ROWS


@pytest.mark.parametrize("name", ["(score)", "(output)"])
def test_a_feature_with_a_name_of_ours_is_an_error(opened: Callable[..., Table], name: str) -> None:
    """A column named as what is kept beside the features is refused by name, and never takes the place of it."""
    table = opened()
    table.play(lambda rows: [{**row, name: "7"} for row in rows])
    assert f"the feature `{name}` has a name that healerd keeps" in " ".join(table.leaves("source failed"))
    assert table.judged_to == START
