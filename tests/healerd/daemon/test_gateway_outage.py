"""A gateway's record that is out of reach for hours, in the running core: nothing is lost, nothing counted twice."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from healerd.actions import InlineWorker
from healerd.clock import ManualClock
from healerd.columns import Labels, Predictions
from healerd.config import parse_config
from healerd.daemon.core import Core
from healerd.segments.spool import SpoolWriter
from healerd.segments.times import naive

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
CONFIG = """
[daemon]
state = "state"
[pipeline.m]
window = "1h"
label_horizon = "2h"
source = { kind = "gateway", path = "served/m", settle = 0 }
"""


def rows_of(hour: int) -> Predictions:
    at = naive(START) + (np.arange(60) + 60 * hour).astype("timedelta64[m]")
    return Predictions(
        ids=np.array([f"{'0' * 12}-{n}" for n in range(60 * hour + 1, 60 * hour + 61)], np.object_),
        at=at.astype("datetime64[us]"),
        version=np.full(60, "v1", np.object_),
        output=np.ones(60),
        label=np.full(60, np.nan),
        features={"x": np.arange(60.0)},
    )


def test_a_record_that_is_away_for_hours_loses_no_row_and_no_label(tmp_path: Path) -> None:
    """While the folder is away no window is judged, whatever the gateway goes on to write; then all of them are."""
    folder, away = tmp_path / "served" / "m", tmp_path / "away"
    folder.mkdir(parents=True)
    writer, clock = SpoolWriter(folder, "0" * 12, bytes_max=1), ManualClock(START)
    core = Core.open(parse_config(CONFIG, path=tmp_path / "healerd.toml"), clock, worker=InlineWorker(), start_at=START)

    def serve(hour: int) -> None:
        rows = rows_of(hour)
        writer.add_rows(rows, last_number=60 * hour + 60)
        writer.flush()
        writer.add_labels(Labels(ids=rows.ids, label=np.ones(60), at=rows.at + np.timedelta64(30, "m")))
        writer.flush()
        clock.advance(HOUR.total_seconds())
        core.run_due()

    serve(0)
    folder.rename(away)
    writer.folder = away
    for hour in (1, 2, 3, 4):
        serve(hour)
    assert core.store.watermark("m") == START + HOUR
    assert len(core.store.leaves(kind="source failed")) == 1
    away.rename(folder)
    writer.folder = folder
    serve(5)
    assert core.store.watermark("m") == START + 6 * HOUR
    stored = core.store.rows("m", START, clock.now(), as_of=clock.now())
    assert (len(stored), len(set(stored.ids))) == (360, 360)
    assert not np.isnan(stored.label[:330]).any()
