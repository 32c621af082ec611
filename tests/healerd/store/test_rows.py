from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from healerd.clock import ManualClock
from healerd.columns import Labels, Predictions
from healerd.segments import FOLDER, Content
from healerd.segments.times import naive
from healerd.segments.write import write, write_labels
from healerd.store import ReadStore, Store
from tests.healerd.store.records import START, a_segment

HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path, clock=ManualClock(START)) as opened:
        yield opened


def serve(store: Store, *ids: str, hour: int = 0, version: str = "v1") -> None:
    n = len(ids)
    rows = Predictions(
        ids=np.array(ids, object),
        at=np.full(n, naive(START + hour * HOUR)),
        version=np.array([version] * n, object),
        output=np.zeros(n),
        label=np.full(n, np.nan),
        features={"x": np.arange(n, dtype=float)},
    )
    segment = write(store.folder / FOLDER, "p", rows)
    with store.transaction() as tx:
        tx.add_segment(segment)


def label(store: Store, *ids: str, hour: int, value: float = 1.0) -> None:
    n = len(ids)
    labels = Labels(ids=np.array(ids, object), label=np.full(n, value), at=np.full(n, naive(START + hour * HOUR)))
    segment = write_labels(store.folder / FOLDER, "p", labels)
    with store.transaction() as tx:
        tx.add_segment(segment)


def test_a_window_is_read_through_the_manifest(store: Store) -> None:
    """Rows of the window come back from whichever segments hold them, and from no others."""
    serve(store, "a", "b")
    serve(store, "c", hour=1)
    assert list(store.rows("p", START, START + HOUR).ids) == ["a", "b"]
    assert list(store.rows("p", START, START + 2 * HOUR).ids) == ["a", "b", "c"]
    assert [segment.rows for segment in store.segments("p", start_at=START + HOUR)] == [1]


def test_an_empty_window_has_the_pipelines_columns(store: Store) -> None:
    """Where nothing was served there are no rows, but the features are known; before any row, not even those."""
    assert len(store.rows("p", START, START + HOUR)) == 0
    serve(store, "a")
    rows = store.rows("p", START + 5 * HOUR, START + 6 * HOUR)
    assert len(rows) == 0
    assert list(rows.features) == ["x"]
    assert rows.features["x"].dtype == np.float64


def test_a_file_without_a_manifest_row_does_not_exist(store: Store) -> None:
    """A segment that was written but never recorded has no rows."""
    serve(store, "a")
    rows = store.rows("p", START, START + HOUR)
    write(store.folder / FOLDER, "p", Predictions(**{**_fields(rows), "ids": np.array(["z"], object)}))
    assert list(store.rows("p", START, START + HOUR).ids) == ["a"]


def test_s12_late_labels_join_as_known(store: Store) -> None:
    """A late label joins its row by id, from the time it was known on, and the first known stays."""
    serve(store, "a", "b")
    label(store, "a", hour=3)
    label(store, "a", "z", hour=4, value=5.0)

    def labels(hour: int | None) -> list[float]:
        rows = store.rows("p", START, START + HOUR, as_of=None if hour is None else START + hour * HOUR)
        return [float(value) for value in rows.label]

    np.testing.assert_array_equal(labels(2), [np.nan, np.nan])
    np.testing.assert_array_equal(labels(3), [1.0, np.nan])
    np.testing.assert_array_equal(labels(None), [1.0, np.nan])
    assert list(store.labelled("p", START, START + HOUR).ids) == ["a"]
    assert len(store.labelled("p", START, START + HOUR, as_of=START + 2 * HOUR)) == 0


def test_an_id_that_comes_again_is_known(store: Store) -> None:
    """A row that comes twice is read once, and its id is told as known beforehand."""
    serve(store, "a", "b")
    assert store.known_ids("p", ["b", "c"], START, START + HOUR) == {"b"}
    serve(store, "b", "c")
    assert list(store.rows("p", START, START + HOUR).ids) == ["a", "b", "c"]


def test_known_labels_are_told(store: Store) -> None:
    """Of labels that a source gives again, those already kept are told apart."""
    label(store, "a", hour=3)
    assert store.known_ids("p", ["a", "b"], START, content=Content.LABELS) == {"a"}


def test_rows_of_one_version_and_the_newest(store: Store) -> None:
    """Rows can be asked for by version, and labelled ones by how many of the newest."""
    serve(store, "a", version="v1")
    serve(store, "b", "c", hour=1, version="v2")
    label(store, "a", "b", "c", hour=2)
    assert list(store.rows("p", START, START + 2 * HOUR, version="v2").ids) == ["b", "c"]
    assert list(store.labelled("p", START, START + 2 * HOUR, newest=1).ids) == ["c"]


def test_readers_read_rows_as_well(store: Store) -> None:
    """A read-only store reads the rows of a running daemon."""
    serve(store, "a")
    with ReadStore.open(store.folder) as reader:
        assert list(reader.rows("p", START, START + HOUR).ids) == ["a"]


def _fields(rows: Predictions) -> dict[str, object]:
    return {name: getattr(rows, name) for name in ("ids", "at", "version", "output", "label", "features")}


def test_each_shape_is_known_however_many_segments_came_since(store: Store) -> None:
    """A shape of 2,001 segments ago is told beside the one of now, by its newest segment, and the newest comes last."""
    hashes = ["old", "old", *["new"] * 2001]
    with store.transaction() as tx:
        for number, schema_hash in enumerate(hashes):
            tx.add_segment(a_segment(path=f"{number}.parquet", schema_hash=schema_hash))
    assert [each.path for each in store.shapes("p")] == ["1.parquet", "2002.parquet"]
