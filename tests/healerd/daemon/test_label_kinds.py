"""Labels of another kind than the outputs, in the running core: read as the outputs' kind, or left out and told."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from healerd.actions import InlineWorker
from healerd.clock import ManualClock
from healerd.columns import Labels, Predictions
from healerd.config import parse_config
from healerd.daemon.core import Core
from healerd.segments.spool import SpoolWriter
from healerd.segments.times import naive

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS = 30
CONFIG = """
[daemon]
state = "state"
[pipeline.m]
window = "1h"
label_horizon = "4h"
source = { kind = "gateway", path = "served/m", settle = 0 }
"""


class Served:
    """A core on a gateway's record; `hour` adds an hour's rows to it, lets that pass, and lets the core judge it."""

    def __init__(self, folder: Path, *, text: bool = False) -> None:
        self.clock, self.text, self.hours = ManualClock(START), text, 0
        self.writer = SpoolWriter(folder / "served" / "m", "0" * 12, bytes_max=1)
        config = parse_config(CONFIG, path=folder / "healerd.toml")
        self.core = Core.open(config, self.clock, worker=InlineWorker(), start_at=START)

    def label(self, name: int, value: float | str, *, after: timedelta = HOUR / 2) -> None:
        """Record a label of a row by its number, known at the half of this hour."""
        labels = np.array([value], np.object_ if isinstance(value, str) else np.float64)
        at = np.array([naive(self.clock.now() + after)]).astype("datetime64[us]")
        self.writer.add_labels(Labels(ids=np.array([f"{'0' * 12}-{name}"], np.object_), label=labels, at=at))
        self.writer.flush()

    def hour(self, *labels: tuple[int, float | str]) -> None:
        """Serve the rows 1 to 30, or the next 30, and so on."""
        first = ROWS * self.hours + 1
        at = naive(self.clock.now()) + np.arange(ROWS).astype("timedelta64[s]")
        output = np.array(["yes"] * ROWS, np.object_) if self.text else np.ones(ROWS)
        rows = Predictions(
            ids=np.array([f"{'0' * 12}-{n}" for n in range(first, first + ROWS)], np.object_),
            at=at.astype("datetime64[us]"),
            version=np.full(ROWS, "v1", np.object_),
            output=output,
            label=np.full(ROWS, None if self.text else np.nan, output.dtype),
            features={"x": np.arange(float(ROWS))},
        )
        self.writer.add_rows(rows, last_number=first + ROWS - 1)
        for name, value in labels:
            self.label(name, value)
        self.hours += 1
        self.clock.advance(HOUR.total_seconds())
        self.core.run_due()

    @property
    def labels(self) -> dict[int, object]:
        """What is stored by the number of the row."""
        rows = self.core.store.rows("m", START, self.clock.now(), as_of=self.clock.now())
        return {
            int(name.rpartition("-")[2]): value
            for name, value in zip(rows.ids, rows.label, strict=True)
            if value is not None and value == value
        }

    @property
    def told(self) -> list[object]:
        leaves = self.core.store.leaves(kind="irregular rows")
        return [each.record["unreadable_labels"] for each in leaves if "unreadable_labels" in each.record]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.core.close()


@pytest.mark.parametrize("first", [[(1, "1")], [(1, "1"), (2, 1.0)], [(2, 1.0), (1, "1")]])
def test_a_text_label_that_is_a_number_is_read_as_one(served: Served, first: Sequence[tuple[int, float | str]]) -> None:
    """Whether it stands alone or beside numbers, `"1"` is 1 for a model that gives numbers; all windows are judged."""
    served.hour(*first)
    served.hour((31, 0.0))
    served.hour()
    assert served.core.store.watermark("m") == START + 3 * HOUR
    assert served.labels == {**{name: 1.0 for name, _ in first}, 31: 0.0}
    assert served.told == []


def test_a_text_label_that_is_no_number_is_left_out_and_told_once(served: Served) -> None:
    """What cannot be read as the outputs' kind stops no window, is named once, and the truth may still come."""
    served.hour((1, "yes"), (2, 1.0))
    served.hour((3, "no"), (4, "no"), (31, 1.0))
    served.hour((1, 0.0))
    assert served.core.store.watermark("m") == START + 3 * HOUR
    assert served.labels == {1: 0.0, 2: 1.0, 31: 1.0}
    names = [f"{'0' * 12}-{n}" for n in (1, 3, 4)]
    assert served.told == [
        {"count": 1, "first": names[0], "last": names[0]},
        {"count": 2, "first": names[1], "last": names[2]},
    ]


def test_a_number_is_the_name_of_a_class_for_a_model_that_gives_text(tmp_path: Path) -> None:
    """A label that is a number becomes its name, as every column of numbers does that is stored as text."""
    served = Served(tmp_path, text=True)
    served.hour((1, 1.0))
    served.hour((2, "yes"))
    served.hour()
    assert served.core.store.watermark("m") == START + 3 * HOUR
    assert served.labels == {1: "1", 2: "yes"}
    served.core.close()


def test_of_several_labels_the_first_that_was_known_counts(served: Served) -> None:
    """A label that was recorded first and known later than another of its row is not the truth."""
    served.label(1, 0.0, after=3 * HOUR / 4)
    served.label(1, 1.0)
    served.hour()
    assert served.labels == {1: 1.0}


TABLE = """
[daemon]
state = "state"
[pipeline.m]
window = "1h"
label_horizon = "4h"
[pipeline.m.source]
path = "rows.csv"
id = "id"
settle = 0
labels = { path = "labels.csv", at = "at" }
"""


def test_labels_of_a_table_are_read_as_the_stored_outputs(tmp_path: Path) -> None:
    """A file whose predictions and labels look like numbers today labels rows that are stored as names of classes."""
    clock = ManualClock(START)

    def write(hour: int, prediction: str, label: str) -> None:
        at = (START + HOUR * hour + HOUR / 4).isoformat()
        known = (START + HOUR * hour + HOUR / 2).isoformat()
        (tmp_path / "rows.csv").write_text(f"id,time,x,prediction\nr{hour},{at},1,{prediction}\n")
        (tmp_path / "labels.csv").write_text(f"id,label,at\nr{hour},{label},{known}\n")

    write(0, "big", "big")
    config = parse_config(TABLE, path=tmp_path / "healerd.toml")
    core = Core.open(config, clock, worker=InlineWorker(), start_at=START)
    for hour, (prediction, label) in enumerate([("big", "big"), ("7", "7"), ("7", "8")]):
        write(hour, prediction, label)
        clock.advance(HOUR.total_seconds())
        core.run_due()
    assert core.store.watermark("m") == START + 3 * HOUR
    assert [*core.store.rows("m", START, clock.now(), as_of=clock.now()).label] == ["big", "7", "8"]
    core.close()
