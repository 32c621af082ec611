"""Which look a label counts in: by its own time where it has one, else by the windows closed when it was first seen."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from healerd.actions import InlineWorker
from healerd.clock import ManualClock
from healerd.config import parse_config
from healerd.daemon.core import Core
from healerd.daemon.pipeline import closed_windows
from healerd.model import Cohort

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS = 40
COLUMN, TABLE, TIMED = (
    'label = "truth"',
    'labels = { path = "labels.csv" }',
    'labels = { path = "labels.csv", at = "at" }',
)


class Labelled:
    """A core on a table of rows whose labels come `after` hours, in a column of it or in a table of their own."""

    def __init__(self, folder: Path, *, source: str, horizon: str, after: float = 0.0, settle: str = "0s") -> None:
        self.folder, self.clock, self.hours, self.after = folder, ManualClock(START), 0, timedelta(hours=after)
        self.write(START)
        self.config = parse_config(
            f"""
[daemon]
state = "state"
[pipeline.m]
window = "1h"
label_horizon = "{horizon}"
[pipeline.m.source]
path = "rows.csv"
id = "id"
settle = "{settle}"
features = ["x"]
{source}
""",
            path=folder / "healerd.toml",
        )
        self.open(start_at=START)

    def open(self, start_at: datetime | None = None) -> None:
        self.core = Core.open(self.config, self.clock, worker=InlineWorker(), start_at=start_at)

    def write(self, now: datetime) -> None:
        """Write the tables as they are at a moment."""
        rows, labels = ["id,time,x,prediction,truth"], ["id,label,at"]
        for hour in range(self.hours):
            for n in range(ROWS):
                at = START + HOUR * hour + HOUR * n / ROWS
                known, name = at + self.after, f"r{hour}-{n}"
                rows.append(f"{name},{at:%Y-%m-%dT%H:%M:%SZ},{n},1,{1 if known <= now else ''}")
                labels += [f"{name},1,{known:%Y-%m-%dT%H:%M:%SZ}"] if known <= now else []
        (self.folder / "rows.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        (self.folder / "labels.csv").write_text("\n".join(labels) + "\n", encoding="utf-8")

    def pass_hour(self) -> None:
        """Let one more hour be served and pass."""
        self.hours += 1
        self.clock.advance(HOUR.total_seconds())
        self.write(self.clock.now())

    def play(self, hours: int, *, at_once: bool = False) -> None:
        for _ in range(hours):
            self.pass_hour()
            if not at_once:
                self.core.run_due()
        self.core.run_due()

    @property
    def cohorts(self) -> list[tuple[int, int]]:
        """The hour of each cohort that has matured, and how many of its rows were labelled by then."""
        found = self.core.store.find(Cohort, pipeline="m")
        return [(int((each.window_start_at - START) / HOUR), each.labelled) for each in found]


@pytest.mark.parametrize(
    ("source", "horizon", "settle"),
    [(COLUMN, "1h", "0s"), (COLUMN, "2h", "0s"), (TABLE, "0s", "0s"), (TABLE, "1h", "90m")],
)
def test_a_label_without_a_time_counts_in_the_look_that_first_sees_it(
    tmp_path: Path, source: str, horizon: str, settle: str
) -> None:
    """A tick some seconds after the end of its window counts what it finds: no cohort loses any of its horizon."""
    made = Labelled(tmp_path, source=source, horizon=horizon, after=float(horizon[0]), settle=settle)
    made.clock.advance(5 + (5400 if settle == "90m" else 0))
    made.play(4)
    assert made.cohorts == [(hour, ROWS) for hour in range(4 - int(horizon[0]))]
    made.core.close()


@pytest.mark.parametrize("source", [COLUMN, TABLE])
def test_what_is_first_seen_while_catching_up_counts_in_no_earlier_look(tmp_path: Path, source: str) -> None:
    """Of labels that came in an outage nobody knows when: only the newest closed window counts them."""
    made = Labelled(tmp_path, source=source, horizon="2h", after=1.5)
    made.clock.advance(5)
    made.play(2)
    made.core.close()
    made.open()
    made.play(4, at_once=True)
    assert made.cohorts == [(0, 21), (1, 0), (2, 0), (3, ROWS)]
    made.play(1)
    assert made.cohorts[-1] == (4, ROWS)
    made.core.close()


def test_a_column_of_labels_that_are_never_waited_for_counts_while_catching_up(tmp_path: Path) -> None:
    """With a label horizon of 0 a row's own label comes with it: an outage makes no cohort unknown."""
    made = Labelled(tmp_path, source=COLUMN, horizon="0h")
    made.clock.advance(5)
    made.play(1)
    made.play(4, at_once=True)
    assert made.cohorts == [(hour, ROWS) for hour in range(5)]
    made.core.close()


def test_labels_with_a_time_count_the_same_whenever_windows_are_judged(tmp_path: Path) -> None:
    """Hour by hour, or five hours at once after an outage, each cohort knows what was known at its maturity."""
    found = []
    for name, at_once in (("live", False), ("later", True)):
        (tmp_path / name).mkdir()
        made = Labelled(tmp_path / name, source=TIMED, horizon="2h", after=2.6)
        made.clock.advance(5)
        made.play(1)
        made.play(5, at_once=at_once)
        found.append(made.cohorts)
        made.core.close()
    assert found[0] == found[1] == [(hour, 17) for hour in range(4)]


def test_a_tick_that_is_done_again_counts_the_same_labels(tmp_path: Path) -> None:
    """A crash between taking in and judging, and a start some minutes later, change no cohort."""
    made = Labelled(tmp_path, source=TABLE, horizon="1h", after=1.0)
    made.clock.advance(5)
    made.play(2)
    made.pass_hour()
    pipeline = made.core.pipelines["m"]
    (window,) = closed_windows("m", window_s=3600.0, watermark=START + 2 * HOUR, now=made.clock.now())
    made.core._ticker._take_in(pipeline, window, made.core._moment("m"))
    made.core.close()
    made.clock.advance(600)
    made.open()
    made.core.run_due()
    assert made.cohorts == [(0, ROWS), (1, ROWS)]
    rows = made.core.store.rows("m", START, window.end_at)
    assert len(rows) == 3 * ROWS
    made.core.close()
