"""Bad input to the running core, out of a table: a defined measurement, or an error that names column and rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from healerd.actions import InlineWorker
from healerd.clock import ManualClock
from healerd.config import parse_config
from healerd.daemon.core import Core
from healerd.detectors.segments import segment_of
from healerd.model import Measurement, Quality

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS = 120
NAME = "table"
CONFIG = """
[daemon]
state = "state"
[pipeline.table]
window = "1h"
label_horizon = 0
reference = { path = "reference.csv" }
segments = ["city"]
source = { path = "rows.csv", id = "id", label = "label" }
"""
Row = dict[str, str]


def a_row(number: int, at: datetime, rng: np.random.Generator) -> Row:
    x, city = rng.normal(10, 2), rng.choice(["Bern", "Genf"])
    label = int(x > 10)
    return {
        "id": f"r{number}",
        "time": at.isoformat().replace("+00:00", "Z"),
        "x": f"{x:.3f}",
        "city": str(city),
        "prediction": str(label if rng.random() > 0.05 else 1 - label),
        "label": str(label),
    }


@dataclass
class Table:
    """A core on a CSV file that grows; each hour's rows go through `spoil` before they are written."""

    folder: Path
    rows: list[Row] = field(default_factory=list)
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    number: int = 0
    config: str = CONFIG

    def __post_init__(self) -> None:
        self.rng = np.random.Generator(np.random.PCG64(3))
        self.write("reference.csv", [row for hour in range(6) for row in self.hour(START - HOUR * (hour + 1))])
        self.write("rows.csv", self.hour(START))
        config = parse_config(self.config, path=self.folder / "healerd.toml")
        self.core = Core.open(config, self.clock, worker=InlineWorker(), start_at=START)

    def hour(self, start: datetime, rows: int = ROWS) -> list[Row]:
        self.number += rows
        return [a_row(self.number + i, start + HOUR * i / max(rows, 1), self.rng) for i in range(rows)]

    def write(self, name: str, rows: Sequence[Row]) -> None:
        names = list(dict.fromkeys(key for row in rows for key in row)) or list(a_row(0, START, self.rng))
        lines = [",".join(names), *(",".join(row.get(key, "") for key in names) for row in rows)]
        (self.folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def play(self, spoil: Callable[[list[Row]], list[Row]] = lambda rows: rows) -> None:
        """Write one more hour, let it pass, and let the core judge it."""
        self.rows += spoil(self.hour(self.clock.now()))
        self.write("rows.csv", self.rows)
        self.clock.advance(HOUR.total_seconds())
        self.came_to = self.core.run_due()

    @property
    def judged_to(self) -> datetime:
        mark = self.core.store.watermark(NAME)
        assert mark is not None
        return mark

    def told(self, name: str, subject: str | None = None) -> Measurement:
        found = self.core.store.measurements(NAME, self.judged_to)
        return next(one for one in found if (one.name, one.subject) == (name, subject))

    @property
    def quality(self) -> Quality:
        return self.core.pipelines[NAME].qualities[self.judged_to - HOUR]

    def leaves(self, kind: str) -> list[str]:
        return [str(leaf.record) for leaf in self.core.store.leaves(kind=kind)]


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    made = Table(tmp_path)
    made.play()
    assert made.quality is Quality.GOOD
    yield made
    made.core.close()


def measured(table: Table) -> list[Measurement]:
    """What was measured over all rows of the newest window."""
    found = table.core.store.measurements(NAME, table.judged_to)
    return [one for one in found if segment_of(one.name) is None]


def each(column: str, value: Callable[[str], str]) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: [{**row, column: value(row[column])} for row in rows]


def test_an_empty_window_is_unknown_and_no_alarm(table: Table) -> None:
    """No rows: the window is judged, its data unknown, and nothing alarms."""
    table.play(lambda rows: [])
    assert table.judged_to == table.clock.now()
    assert table.quality is Quality.UNKNOWN
    assert (table.told("rows").n, table.told("rows").alarm) == (0, None)
    assert table.told("data_quality[city=Bern]").assumptions == ("too few rows: 0 of 20",)


def test_one_row_is_too_few_and_nothing_else(table: Table) -> None:
    """One row where there were always over a hundred is bad data, by the number of rows alone."""
    table.play(lambda rows: rows[:1])
    assert (table.told("rows").n, table.told("rows").alarm) == (1, True)
    assert not any(one.alarm for one in measured(table) if one.name not in {"rows", "data_quality"})


def test_an_all_missing_column_is_bad_data_by_name(table: Table) -> None:
    """A column that is empty is missing in all rows."""
    table.play(each("x", lambda _: ""))
    assert table.quality is Quality.BAD
    assert table.told("missing", "x").value == 1.0


def test_a_lost_column_is_missing(table: Table) -> None:
    """A column that the file has no more is missing in all rows of the window, and bad data by name."""
    table.rows = []
    table.play(lambda rows: [{key: value for key, value in row.items() if key != "x"} for row in rows])
    assert table.quality is Quality.BAD
    assert table.told("missing", "x").value == 1.0


def test_a_new_column_judges_nothing(table: Table) -> None:
    """A column that the reference does not know is kept, and changes no verdict."""
    table.play(lambda rows: [{**row, "extra": "7"} for row in rows])
    assert table.quality is Quality.GOOD
    rows = table.core.store.rows(NAME, table.judged_to - HOUR, table.judged_to)
    assert "extra" in rows.features


@pytest.mark.parametrize("value", ["1e308", "-1e308", "inf", "-inf"])
def test_numbers_beyond_all_bounds_lie_out_of_range(table: Table, value: str) -> None:
    """The largest doubles and infinities lie out of range; every number that follows from them is finite or absent."""
    table.play(each("x", lambda _: value))
    assert table.quality is Quality.BAD
    assert table.told("out_of_range", "x").value == 1.0
    finite = [one.value for one in table.core.store.measurements(NAME, table.judged_to) if one.value is not None]
    assert np.isfinite(finite).all()


def test_minus_zero_is_zero(table: Table) -> None:
    """-0.0 is counted where 0.0 is."""
    table.play(each("x", lambda _: "-0.0"))
    minus = table.told("ks", "x").value
    table.play(each("x", lambda _: "0.0"))
    assert table.told("ks", "x").value == minus


def test_text_in_a_column_of_numbers_is_an_error_with_column_and_row(table: Table) -> None:
    """A window that cannot be read is not judged: the log names column, row and value, and the next try reads it."""
    before = table.judged_to
    table.play(lambda rows: [*rows[:-1], {**rows[-1], "x": "oops"}])
    said = " ".join((*table.leaves("source failed"), *table.leaves("tick failed")))
    assert table.judged_to == before
    for part in ("`x`", "oops", "row"):
        assert part in said, said
    table.rows[-1]["x"] = "10.0"
    table.write("rows.csv", table.rows)
    table.core.run_due()
    assert table.judged_to == table.clock.now()


def test_a_changed_type_is_an_error_that_names_the_column(table: Table) -> None:
    """A column of numbers that turns to names holds the pipeline, and the log says which column and what to do."""
    table.rows = []
    table.play(each("x", lambda _: "many"))
    said = " ".join(table.leaves("source failed"))
    assert "column `x`, 120 rows, from `r" in said
    assert "`many` is no number, but the column held numbers so far" in said
    assert table.judged_to < table.clock.now()


def test_names_that_look_like_numbers_stay_names(table: Table) -> None:
    """A column of names in whose newest file are only digits is told as names that nobody knows, not as an error."""
    table.rows = []
    table.play(each("city", lambda _: "7"))
    assert table.quality is Quality.BAD
    assert table.told("unseen", "city").value == 1.0
    assert table.told("data_quality[city=(other)]").n == ROWS


def test_a_text_among_labels_of_numbers_is_left_out_and_told(table: Table) -> None:
    """A label that is no number, as predictions are, stops nothing: its row has none, and is named."""
    table.play(lambda rows: [*rows[:-1], {**rows[-1], "label": "yes"}])
    assert table.leaves("source failed") == []
    assert table.rows[-1]["id"] in table.leaves("irregular rows")[-1]
    assert table.judged_to == table.clock.now()


def test_mixed_time_zones_are_one_time(table: Table) -> None:
    """A row at 03:30 by a clock two hours ahead belongs to the window of 01:30."""

    def mixed(rows: list[Row]) -> list[Row]:
        ahead = datetime.fromisoformat(rows[0]["time"]) + timedelta(hours=2)
        return [{**rows[0], "time": ahead.isoformat()[:19] + "+02:00"}, *rows[1:]]

    table.play(mixed)
    assert table.told("rows").n == ROWS


def test_rows_out_of_order_are_the_same_rows(table: Table) -> None:
    """The order of rows in the file changes no measurement."""
    table.play(lambda rows: rows[::-1])
    assert table.told("rows").n == ROWS
    assert table.quality is Quality.GOOD


def test_a_time_that_is_none_is_an_error_with_row(table: Table) -> None:
    """A time that does not parse is named with its row."""
    table.play(lambda rows: [*rows[:-1], {**rows[-1], "time": "soon"}])
    said = " ".join(table.leaves("source failed"))
    assert "`time`: `soon` is no time" in said
    assert f"row {2 * ROWS:,}" in said


def test_rows_of_the_future_wait_for_their_window(table: Table) -> None:
    """A row of two hours on is in no window before its own, and is counted there."""
    late = (table.clock.now() + 2 * HOUR).isoformat()
    table.play(lambda rows: [*rows[:-1], {**rows[-1], "time": late}])
    assert table.told("rows").n == ROWS - 1
    table.play()
    assert table.told("rows").n == ROWS
    table.play()
    assert table.told("rows").n == ROWS + 1


def test_a_label_known_before_its_prediction_is_left_out_and_told(tmp_path: Path) -> None:
    """A label that was known before its row was predicted is no truth about it: left out, with how many and which."""
    made = Table(tmp_path)
    made.core.close()
    labels = "id,label,at\n" + "".join(f"r{n},1,2025-12-01T00:00:00Z\n" for n in range(5000))
    (tmp_path / "labels.csv").write_text(labels, encoding="utf-8")
    own = 'labels = { path = "labels.csv", at = "at" }'
    text = CONFIG.replace(
        'source = { path = "rows.csv", id = "id", label = "label" }',
        f'source = {{ path = "rows.csv", id = "id", features = ["x", "city"], {own} }}',
    )
    config = parse_config(text.replace('reference = { path = "reference.csv" }\n', ""), path=tmp_path / "healerd.toml")
    made.core = Core.open(config, made.clock, worker=InlineWorker(), start_at=START)
    made.play()
    rows = made.core.store.rows(NAME, START, made.clock.now())
    assert len(rows) == ROWS
    assert np.isnan(rows.label).all()
    assert "'early_labels': {'count': 120, 'first': 'r960'" in " ".join(made.leaves("irregular rows"))
    made.core.close()
