from datetime import UTC, datetime, timedelta

import numpy as np

from healerd.columns import Labels, Predictions
from healerd.sources import MemorySource

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def some_rows(first: int, n: int) -> Predictions:
    return Predictions(
        ids=np.array([str(i) for i in range(first, first + n)], object),
        at=np.datetime64("2026-01-01", "us") + np.arange(first, first + n).astype("timedelta64[m]"),
        version=np.array(["v1"] * n, object),
        output=np.zeros(n),
        label=np.full(n, np.nan),
        features={"x": np.arange(first, first + n, dtype=float)},
    )


def some_labels(*ids: int, at: str) -> Labels:
    return Labels(
        ids=np.array([str(i) for i in ids], object),
        label=np.ones(len(ids)),
        at=np.full(len(ids), np.datetime64(at, "us")),
    )


def test_what_is_pushed_comes_back_by_time() -> None:
    """Rows come back by their time, across pushes."""
    source = MemorySource()
    source.push(some_rows(0, 50))
    source.push(some_rows(50, 50))
    rows = source.fetch(START, START + HOUR)
    assert list(rows.ids) == [str(i) for i in range(60)]
    assert list(rows.features["x"]) == list(range(60))


def test_labels_come_back_once_they_are_known() -> None:
    """A label is given from its time on, and only for predictions of the range."""
    source = MemorySource()
    source.push(some_rows(0, 90))
    source.push_labels(some_labels(1, 70, at="2026-01-01T02:00"))
    assert len(source.labels(START, START + HOUR, START + HOUR)) == 0
    assert list(source.labels(START, START + HOUR, START + 2 * HOUR).ids) == ["1"]


def test_what_is_forgotten_is_gone() -> None:
    """Rows and labels before the given time take no memory any more."""
    source = MemorySource()
    source.push(some_rows(0, 90))
    source.push_labels(some_labels(1, at="2026-01-01T00:30"))
    source.forget(START + HOUR)
    assert len(source.fetch(START, START + 2 * HOUR)) == 30
    assert len(source.labels(START, START + 2 * HOUR, START + 2 * HOUR)) == 0


def test_an_empty_source_gives_nothing() -> None:
    """Before anything is pushed there are no rows and no labels."""
    source = MemorySource()
    assert len(source.fetch(START, START + HOUR)) == 0
    assert len(source.labels(START, START + HOUR, START + HOUR)) == 0
