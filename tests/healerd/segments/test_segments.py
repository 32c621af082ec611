from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.columns import Labels, Predictions
from healerd.errors import StoreError
from healerd.segments import Content, Segment
from healerd.segments.read import Selection, as_read, read, read_known
from healerd.segments.sweep import sweep
from healerd.segments.times import aware, naive
from healerd.segments.write import write, write_labels

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = Selection(start_at=START, end_at=START + 24 * HOUR)


floats = st.floats(width=64) | st.just(float("nan"))
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.none()


def some_rows(*ids: str, minute: int = 0, **changes: Any) -> Predictions:
    n = len(ids)
    rows = Predictions(
        ids=np.array(ids, object),
        at=np.datetime64("2026-01-01", "us") + (minute + np.arange(n)).astype("timedelta64[m]"),
        version=np.array(["v1"] * n, object),
        output=np.arange(n, dtype=float),
        label=np.full(n, np.nan),
        features={"x": np.arange(n, dtype=float), "c": np.array([None] * n, object)},
    )
    return replace(rows, **changes)


def some_labels(labels: dict[str, float], at: datetime) -> Labels:
    return Labels(
        ids=np.array(list(labels), object),
        label=np.array(list(labels.values())),
        at=np.full(len(labels), naive(at)),
    )


def check_equal(one: Predictions, other: Predictions) -> None:
    assert list(one.features) == list(other.features)
    for name in ("ids", "at", "version", "output", "label"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name, column in one.features.items():
        assert column.dtype == other.features[name].dtype
        np.testing.assert_array_equal(column, other.features[name])


@settings(max_examples=25, deadline=None)
@given(
    minutes=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    unit=st.sampled_from(["s", "ms", "us", "ns"]),
    scored=st.booleans(),
    named=st.booleans(),
    data=st.data(),
)
def test_what_is_read_is_known_when_it_is_written(
    tmp_path_factory: pytest.TempPathFactory,
    minutes: list[int],
    unit: str,
    scored: bool,
    named: bool,
    data: st.DataObject,
) -> None:
    """Rows need not be read back: `as_read` gives them as `read` does, in its order, whatever theirs was."""
    n = len(minutes)
    told = data.draw(st.lists(texts if named else floats, min_size=n, max_size=n))
    label = np.array(told, object) if named else np.array(told, float)
    rows = some_rows(
        *data.draw(st.lists(st.text("abc", min_size=1), min_size=n, max_size=n, unique=True)),
        at=(np.datetime64("2026-01-01", "m") + np.array(minutes)).astype(f"datetime64[{unit}]"),
        output=np.array(["x"] * n, object) if named else np.arange(n, dtype=float),
        label=label,
        score=np.array(data.draw(st.lists(floats, min_size=n, max_size=n)), float) if scored else None,
    )
    folder = tmp_path_factory.mktemp("segments")
    found, known = read(folder, [write(folder, "p", rows)], DAY), as_read(rows)
    check_equal(found, known)
    assert (found.score is None) == (known.score is None) == (not scored)
    if scored:
        np.testing.assert_array_equal(found.score, known.score)
    assert found.at.dtype == known.at.dtype


@settings(max_examples=25, deadline=None)
@given(
    numbers=st.lists(floats, min_size=1, max_size=8),
    words=st.lists(texts, min_size=8, max_size=8),
    names=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2, max_size=2, unique=True),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[float], words: list[str | None], names: list[str]
) -> None:
    """Numbers, texts, what is missing, kinds, order and names come back as they were."""
    n = len(numbers)
    rows = some_rows(
        *map(str, range(n)),
        features={names[0]: np.array(numbers), names[1]: np.array(words[:n], object)},
        output=np.array(numbers),
    )
    folder = tmp_path_factory.mktemp("segments")
    check_equal(read(folder, [write(folder, "p", rows)], DAY), rows)


def test_columns_that_a_file_cannot_tell_apart_stay_apart(tmp_path: Path) -> None:
    """Names that differ in case alone, the names of our own columns, and no name at all are kept."""
    names = ["Age", "age", "id", "label", "output", "", "AGE_2", "part", "f0"]
    rows = some_rows("a", "b", features={name: np.array([i, -i], float) for i, name in enumerate(names)})
    check_equal(read(tmp_path, [write(tmp_path, "p", rows)], DAY), rows)


def test_text_outputs_come_back(tmp_path: Path) -> None:
    """Outputs and labels may be text."""
    rows = some_rows("a", "b", output=np.array(["UP", None], object), label=np.array([None, "DOWN"], object))
    check_equal(read(tmp_path, [write(tmp_path, "p", rows)], DAY), rows)


def test_a_segment_says_what_it_holds(tmp_path: Path) -> None:
    """The record has the file's rows, its half-open range of times and the sha256 of its bytes."""
    segment = write(tmp_path, "p", some_rows("a", "b", minute=3))
    assert (segment.rows, segment.pipeline, segment.content) == (2, "p", Content.PREDICTIONS)
    assert segment.start_at == START + timedelta(minutes=3)
    assert segment.end_at == START + timedelta(minutes=4, microseconds=1)
    assert segment.sha256 == sha256((tmp_path / segment.path).read_bytes()).hexdigest()


def test_the_same_rows_give_the_same_file(tmp_path: Path) -> None:
    """Writing again after a crash leaves one file, with the same record."""
    first, second = (write(tmp_path, "p", some_rows("a")) for _ in range(2))
    assert first == second
    assert len(list(tmp_path.rglob("*.parquet"))) == 1
    assert not list(tmp_path.rglob("*.part"))


def test_any_tool_reads_a_segment(tmp_path: Path) -> None:
    """A segment is plain Parquet with readable names and NULL for what is missing."""
    segment = write(tmp_path, "p", some_rows("a"))
    with duckdb.connect(":memory:") as duck:
        found = duck.execute("SELECT id, label, x, c FROM read_parquet(?)", [str(tmp_path / segment.path)]).fetchall()
    assert found == [("a", None, 0.0, None)]


def test_rows_come_in_the_order_of_time(tmp_path: Path) -> None:
    """Rows of several segments are in the order of time, and only those of the selected range."""
    segments = [write(tmp_path, "p", some_rows("c", minute=70)), write(tmp_path, "p", some_rows("a", "b"))]
    assert list(read(tmp_path, segments, DAY).ids) == ["a", "b", "c"]
    assert list(read(tmp_path, segments, replace(DAY, end_at=START + HOUR)).ids) == ["a", "b"]
    assert list(read(tmp_path, segments, replace(DAY, start_at=START + HOUR)).ids) == ["c"]


def test_of_rows_with_one_id_the_first_written_counts(tmp_path: Path) -> None:
    """A row that comes again, within a segment or in a later one, changes nothing."""
    first = write(tmp_path, "p", some_rows("a", "b", "a", minute=10))
    again = write(tmp_path, "p", some_rows("b", "c", minute=0))
    rows = read(tmp_path, [first, again], DAY)
    assert list(rows.ids) == ["c", "a", "b"]
    assert list(rows.output) == [1.0, 0.0, 1.0]


def test_s12_a_label_counts_from_when_it_was_known(tmp_path: Path) -> None:
    """Read as of a time, a row has the label that was known then, and the first known stays."""
    served = write(tmp_path, "p", some_rows("a", "b"))
    later = write_labels(tmp_path, "p", some_labels({"a": 9.0, "b": 2.0}, START + 3 * HOUR))
    early = write_labels(tmp_path, "p", some_labels({"a": 1.0}, START + HOUR))

    def labels_at(as_of: datetime | None) -> list[float]:
        rows = read(tmp_path, [served], replace(DAY, as_of=as_of), labels=[later, early])
        return [float(label) for label in rows.label]

    np.testing.assert_array_equal(labels_at(START), [np.nan, np.nan])
    np.testing.assert_array_equal(labels_at(START + HOUR), [1.0, np.nan])
    np.testing.assert_array_equal(labels_at(None), [1.0, 2.0])


def test_labelled_rows_are_the_newest_in_order(tmp_path: Path) -> None:
    """Asked for the newest labelled rows, the reader gives that many of them, oldest first."""
    rows = some_rows("a", "b", "c", "d", label=np.array([1.0, 2.0, 3.0, np.nan]))
    selection = replace(DAY, labelled=True, newest=2)
    assert list(read(tmp_path, [write(tmp_path, "p", rows)], selection).ids) == ["b", "c"]


def test_rows_of_one_version_can_be_asked_for(tmp_path: Path) -> None:
    """With a version, only the rows that it predicted are read."""
    rows = some_rows("a", "b", version=np.array(["v1", "v2"], object))
    assert list(read(tmp_path, [write(tmp_path, "p", rows)], replace(DAY, version="v2")).ids) == ["b"]


def test_features_may_come_and_go(tmp_path: Path) -> None:
    """A feature that a segment lacks is missing in its rows; the newest segment's order comes first."""
    old = write(tmp_path, "p", some_rows("a", features={"x": np.array([1.0]), "gone": np.array(["q"], object)}))
    fresh = write(
        tmp_path,
        "p",
        some_rows("b", minute=1, features={"fresh": np.array([5.0]), "X": np.array([3.0]), "x": np.array([2.0])}),
    )
    rows = read(tmp_path, [old, fresh], DAY)
    assert list(rows.features) == ["fresh", "X", "x", "gone"]
    np.testing.assert_array_equal(rows.features["fresh"], [np.nan, 5.0])
    np.testing.assert_array_equal(rows.features["x"], [1.0, 2.0])
    assert list(rows.features["gone"]) == ["q", None]


def test_a_feature_that_changes_its_kind_is_an_error(tmp_path: Path) -> None:
    """Numbers that became text are not mixed with numbers: the error names the column and the segment."""
    old = write(tmp_path, "p", some_rows("a"))
    fresh = write(tmp_path, "p", some_rows("b", features={"x": np.array(["1"], object)}))
    with pytest.raises(StoreError, match="`x` is numeric in the segment"):
        read(tmp_path, [old, fresh], DAY)


def test_labels_of_another_kind_are_an_error(tmp_path: Path) -> None:
    """Text labels are not compared with numbers."""
    served = write(tmp_path, "p", some_rows("a"))
    labels = write_labels(
        tmp_path, "p", Labels(ids=np.array(["a"], object), label=np.array(["1"], object), at=np.array([naive(START)]))
    )
    with pytest.raises(StoreError, match="`label` is categorical"):
        read(tmp_path, [served], DAY, labels=[labels])


def test_a_lost_file_is_named(tmp_path: Path) -> None:
    """A manifested file that is gone or cut short is an error, never silently fewer rows."""
    segment = write(tmp_path, "p", some_rows("a"))
    (tmp_path / segment.path).write_bytes((tmp_path / segment.path).read_bytes()[:-20])
    with pytest.raises(StoreError, match="gone or damaged"):
        read(tmp_path, [segment], DAY)
    (tmp_path / segment.path).unlink()
    with pytest.raises(StoreError, match="gone or damaged"):
        read(tmp_path, [segment], DAY)


def test_known_ids_are_told(tmp_path: Path) -> None:
    """Of some ids, those that the segments hold are told apart."""
    segment = write(tmp_path, "p", some_rows("a", "b"))
    assert read_known(tmp_path, [segment], ["b", "c"]) == {"b"}
    assert read_known(tmp_path, [], ["b"]) == frozenset()


def test_a_sweep_takes_only_what_is_on_no_manifest(tmp_path: Path) -> None:
    """Orphans and half-written files go, manifested segments and foreign files stay."""
    kept, orphan = write(tmp_path, "p", some_rows("a")), write(tmp_path, "p", some_rows("b"))
    half = (tmp_path / kept.path).with_suffix(".part")
    half.write_bytes(b"PAR1")
    (tmp_path / "notes.txt").write_text("mine")
    assert set(sweep(tmp_path, {kept.path})) == {orphan.path, str(half.relative_to(tmp_path))}
    assert (tmp_path / kept.path).exists()
    assert (tmp_path / "notes.txt").exists()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Where no segment can be written, the error says so."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write(tmp_path / "file", "p", some_rows("a"))


def test_threads_read_side_by_side(tmp_path: Path) -> None:
    """Each thread has a connection of its own, so that reads do not mix."""
    segments: list[Segment] = [write(tmp_path, "p", some_rows(str(i), minute=i)) for i in range(4)]
    found: dict[int, list[str]] = {}

    def work(index: int) -> None:
        for _ in range(10):
            found[index] = list(read(tmp_path, [segments[index]], DAY).ids)

    threads = [Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {index: [str(index)] for index in range(4)}


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_go_and_come(at: datetime) -> None:
    """A record's time and a column's time are the same moment."""
    assert aware(naive(at)) == at
