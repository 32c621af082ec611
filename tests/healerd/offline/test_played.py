"""A store that keeps rows in memory decides, heals and remembers as the one on disk does."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from healerd.config import parse_config
from healerd.model import Decision, Incident, Intent, Outcome
from healerd.offline.estimator import fit
from healerd.offline.first import train_first
from healerd.offline.operators import SimulatedOperator
from healerd.offline.played import PlayedStore
from healerd.offline.session import open_session
from healerd.offline.stream import Stream
from healerd.store import Store

ESTIMATOR = "sklearn.linear_model:LogisticRegression"
DAY = np.timedelta64(86_400_000_000, "us")
ROWS, WINDOWS, FIRST = 60, 24, 10
CONFIG = f"""
[pipeline.p]
window = 86400.0
label_horizon = 172800.0
[pipeline.p.source]
kind = "memory"
[pipeline.p.healing]
rows_min = 100
train_windows = 6
judge_windows = 2
choose_windows = 3
verify_windows = 2
[pipeline.p.actions.retrain]
cost = 1.0
failure = 0.3
entry = "healerd.offline.estimator:fit"
args = {{ task = "classification", estimator = "{ESTIMATOR}" }}
[pipeline.p.actions.fallback]
cost = 1.0
failure = 0.3
"""


def a_stream(rng):
    n = ROWS * WINDOWS
    x = rng.normal(size=(n, 2))
    turned = np.where(np.arange(n) // ROWS >= FIRST + 3, -1.0, 1.0)
    label = (turned * x[:, 0] > 0.3 * rng.normal(size=n)).astype(np.float64)
    at = np.datetime64("2025-01-01", "us") + (np.arange(n) * (DAY // ROWS)).astype("timedelta64[us]")
    return Stream(
        name="p",
        path=Path("drawn"),
        sha256="",
        columns=4,
        at=at,
        features={"a": x[:, 0].copy(), "b": x[:, 1].copy()},
        label=label,
        known_at=at + rng.integers(1, 40, size=n) * np.timedelta64(3_600_000_000, "us"),
        task="classification",
        window_s=86_400.0,
        first=ROWS * FIRST,
    )


def played(stream, folder, kind):
    """Play a stream on a store; give its records, and rows of some stretches as known at some moments."""
    folder.mkdir()
    first = train_first(stream, partial(fit, estimator=ESTIMATOR, task="classification"))
    config = parse_config(CONFIG, path=folder / "healerd.toml")
    with open_session(stream, config, first, operator=SimulatedOperator(), store_kind=kind) as session:
        while not session.player.over:
            session.player.play_window()
        store = session.core.store
        records = [store.find(record) for record in (Decision, Intent, Incident, Outcome)]
        starts = [stream.start_at + timedelta(hours=hours) for hours in (-30, 0, 31, 200)]
        rows = [
            store.rows("p", start, start + timedelta(hours=50), as_of=as_of, version=version)
            for start in starts
            for as_of in (None, start + timedelta(hours=20))
            for version in (None, "first")
        ]
        rows.append(store.labelled("p", starts[1], stream.end_at, newest=70))
    return records, rows


def test_rows_in_memory_change_nothing(tmp_path):
    """Every decision, intent, incident and outcome is the same, and so is every row that can be asked for."""
    stream = a_stream(np.random.Generator(np.random.Philox(3)))
    (disk, disk_rows), (memory, memory_rows) = (
        played(stream, tmp_path / kind.__name__, kind) for kind in (Store, PlayedStore)
    )
    assert [len(each) for each in disk][:2] > [WINDOWS - FIRST, 0]
    assert disk == memory
    for one, other in zip(disk_rows, memory_rows, strict=True):
        assert one.ids.tolist() == other.ids.tolist()
        assert one.version.tolist() == other.version.tolist()
        for a, b in ((one.at, other.at), (one.output, other.output), (one.label, other.label)):
            assert np.array_equal(a, b, equal_nan=True)
        assert {f: c.tolist() for f, c in one.features.items()} == {f: c.tolist() for f, c in other.features.items()}


def test_a_repeated_row_is_known_in_memory_too(tmp_path):
    """What was taken in once is known by its id, and asking for no pipeline's rows gives none."""
    stream = a_stream(np.random.Generator(np.random.Philox(4)))
    short = replace(stream, first=ROWS * (WINDOWS - 3))
    (tmp_path / "s").mkdir()
    first = train_first(short, partial(fit, estimator=ESTIMATOR, task="classification"))
    config = parse_config(CONFIG, path=tmp_path / "s" / "healerd.toml")
    with open_session(short, config, first, operator=SimulatedOperator(), store_kind=PlayedStore) as session:
        session.player.play_window()
        store, ids = session.core.store, tuple(short.ids(slice(short.first, short.first + ROWS)))
        assert store.known_ids("p", (*ids, "new"), short.start_at) == frozenset(ids)
        nobodys = store.rows("nobody", short.start_at, datetime.max.replace(tzinfo=short.start_at.tzinfo))
        assert len(nobodys) == 0
