from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args, get_type_hints

import duckdb
import numpy as np
import pytest

from healerd.config import LabelsSettings, SourceSettings
from healerd.errors import SourceError
from healerd.sources import SOURCES, TableSource
from healerd.sources.relation import open_relation

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS = """id,time,age,city,prediction,label
a,2026-01-01T00:10:00Z,31,Bern,1,1
b,2026-01-01T00:20:00Z,,Genf,0,
c,2026-01-01T01:10:00Z,44,,1,0
"""


def a_source(folder: Path, text: str = ROWS, **settings: object) -> TableSource:
    (folder / "rows.csv").write_text(text, encoding="utf-8")
    defaults = {"path": "rows.csv", "id": "id", "label": "label"}
    return TableSource(SourceSettings(**{**defaults, **settings}), folder, lambda: "v1")  # type: ignore[arg-type]


def copy(sql: str, path: Path) -> None:
    with duckdb.connect(":memory:") as duck:
        duck.execute(f"COPY ({sql}) TO '{path}'")


def test_a_window_holds_its_rows_and_no_others(tmp_path: Path) -> None:
    """A fetch gives the rows of [start, end), each column in its kind, missing values as missing."""
    rows = a_source(tmp_path).fetch(START, START + HOUR)

    assert list(rows.ids) == ["a", "b"]
    assert list(rows.features) == ["age", "city"]
    np.testing.assert_array_equal(rows.features["age"], [31.0, np.nan])
    assert list(rows.features["city"]) == ["Bern", "Genf"]
    np.testing.assert_array_equal(rows.label, [1.0, np.nan])
    assert list(rows.version) == ["v1", "v1"]
    assert rows.at.dtype == np.dtype("datetime64[us]")


def test_the_end_of_a_window_is_the_start_of_the_next(tmp_path: Path) -> None:
    """A row at the very boundary is in the later window alone."""
    source = a_source(tmp_path)
    at = datetime(2026, 1, 1, 1, 10, tzinfo=UTC)
    assert list(source.fetch(START, at).ids) == ["a", "b"]
    assert list(source.fetch(at, at + HOUR).ids) == ["c"]


def test_times_with_a_zone_become_utc(tmp_path: Path) -> None:
    """A time with an offset is read as the moment it is, one without as UTC."""
    text = "id,time,prediction,label\na,2026-01-01T02:30:00+02:00,1,\nb,2026-01-01 00:40:00,1,\n"
    rows = a_source(tmp_path, text).fetch(START, START + HOUR)
    assert [str(at) for at in rows.at] == ["2026-01-01T00:30:00.000000", "2026-01-01T00:40:00.000000"]


def test_a_table_of_parquet_files_is_one_table(tmp_path: Path) -> None:
    """A folder of Parquet files is read as one table, in the order of their names."""
    (tmp_path / "days").mkdir()
    for day in (2, 1):
        time = f"TIMESTAMP '2026-01-0{day} 00:00:00'"
        copy(f"SELECT {time} AS time, {day} AS prediction, 'x' AS c", tmp_path / "days" / f"{day}.parquet")
    source = TableSource(SourceSettings(path="days"), tmp_path, lambda: "v1")
    rows = source.fetch(START, START + 48 * HOUR)
    assert list(rows.output) == [1.0, 2.0]
    assert list(rows.features) == ["c"]


def test_made_ids_are_stable_and_unique(tmp_path: Path) -> None:
    """Without an id column a row keeps its id when rows and labels come later, and equal rows differ."""
    head = "time,x,prediction,label\n"
    first = head + "2026-01-01T00:10:00Z,1,1,\n2026-01-01T00:10:00Z,1,1,\n"
    before = a_source(tmp_path, first, id=None).fetch(START, START + HOUR)
    later = first.replace("1,1,\n", "1,1,1\n") + "2026-01-01T00:20:00Z,1,1,\n"
    after = a_source(tmp_path, later, id=None).fetch(START, START + HOUR)
    assert len(set(before.ids)) == 2
    assert list(after.ids[:2]) == list(before.ids)


def test_labels_of_the_same_table_are_first_seen_now(tmp_path: Path) -> None:
    """A label in the predictions' own table became known when it was seen."""
    now = START + 2 * HOUR
    labels = a_source(tmp_path).labels(START, now, now)
    assert list(labels.ids) == ["a", "c"]
    np.testing.assert_array_equal(labels.label, [1.0, 0.0])
    assert {str(at) for at in labels.at} == {"2026-01-01T02:00:00.000000"}


def test_labels_of_another_table_are_known_from_their_time(tmp_path: Path) -> None:
    """A label counts from the time its table says, and only for predictions of the range."""
    truth = (
        "id,label,at\na,1,2026-01-01T05:00:00Z\nb,0,2026-01-01T09:00:00Z\nc,1,2026-01-01T05:00:00Z\nz,1,2026-01-01\n"
    )
    (tmp_path / "truth.csv").write_text(truth, encoding="utf-8")
    source = a_source(tmp_path, label=None, labels=LabelsSettings(path="truth.csv", at="at"), features=["age"])
    labels = source.labels(START, START + HOUR, START + 6 * HOUR)
    assert list(labels.ids) == ["a"]
    assert [str(at) for at in labels.at] == ["2026-01-01T05:00:00.000000"]


def test_a_source_without_labels_has_none(tmp_path: Path) -> None:
    """Where no label column is named, no label is made up."""
    labels = a_source(tmp_path, label=None, features=["age"]).labels(START, START + HOUR, START + HOUR)
    assert len(labels) == 0


@pytest.mark.parametrize(
    ("text", "settings", "said"),
    [
        (ROWS, {"time": "tiem"}, "no column `tiem`: did you mean `time`?"),
        (ROWS, {"features": ["aeg"]}, "no column `aeg`: did you mean `age`?"),
        (ROWS.replace("2026-01-01T00:20:00Z", "soon"), {}, "row 2, column `time`: `soon` is no time"),
        (ROWS.replace("b,2026", ",2026"), {}, "row 2, column `id`: an empty value is no id"),
        (ROWS.replace("44,,1,0", "44,,1,no"), {}, "row 3, column `label`: `no` is no number"),
        (ROWS.replace(",Genf,", ",Genf,9,"), {}, "line 3: 7 fields, but the header has 6"),
        (ROWS, {"path": "row.csv"}, "did you mean `rows.csv`?"),
        (ROWS, {"time": "age"}, "column `age` is a BIGINT, not a time"),
        ("", {}, "is empty"),
        ("id,time,label\n", {}, "no column `prediction`"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, settings: dict[str, object], said: str) -> None:
    """An error names the file and what is wrong in it, with the row or the nearest name."""
    with pytest.raises(SourceError) as problem:
        a_source(tmp_path, text, **settings).fetch(START, START + 2 * HOUR)
    assert said in str(problem.value)
    assert "row" in str(problem.value)


def test_a_value_that_breaks_a_column_is_named_with_its_line(tmp_path: Path) -> None:
    """A text far down in a column of numbers is an error with its line, not a column that turned to text."""
    lines = "".join(f"{i},2026-01-01T00:00:00Z,{i},1,\n" for i in range(40_000))
    text = "id,time,x,prediction,label\n" + lines + "007,2026-01-01T00:00:00Z,oops,1,\n"
    with pytest.raises(SourceError, match=r"line 40002, column `x`: `oops` is no bigint"):
        a_source(tmp_path, text).fetch(START, START + HOUR)


@pytest.mark.parametrize("bare", [True, False], ids=["alone", "beside the id"])
def test_text_read_as_numbers_is_null_where_it_is_none_however_it_is_selected(tmp_path: Path, *, bare: bool) -> None:
    """A text beyond the sniffer's sample is NULL as a number, not a failure of the reader that the cast sank into."""
    lines = "".join(f"{i},{'oops' if i == 39_990 else 1}\n" for i in range(40_000))
    (tmp_path / "rows.csv").write_text("id,label\n" + lines, encoding="utf-8")
    table = open_relation("rows.csv", tmp_path, texts={"label"})
    beside = "" if bare else ", id"
    found = table.fetch(f"SELECT {table.number_sql('label')} AS label{beside} FROM {table.sql}")
    assert (len(found[0]), int(np.ma.count_masked(found[0]))) == (40_000, 1)


def test_labels_that_turn_to_text_late_are_named_with_their_row(tmp_path: Path) -> None:
    """A label of text, whether the column began with text or turned to it beyond the sample, is an error with place."""
    for first, said in (("1", r"line 40001, column `label`: `oops`"), ("oops", r"row 1, column `label`: `oops`")):
        lines = [f"{i},2026-01-01T00:00:00Z,1,1" for i in range(40_000)]
        lines[0], lines[-1] = f"0,2026-01-01T00:00:00Z,1,{first}", "39999,2026-01-01T00:00:00Z,1,oops"
        source = a_source(tmp_path, "id,time,prediction,label\n" + "\n".join(lines))
        with pytest.raises(SourceError, match=said):
            source.labels(START, START + HOUR, START + HOUR)


def test_truths_are_not_held_against_numbers(tmp_path: Path) -> None:
    """Predictions that are true or false never equal labels of 0 and 1: that is said, with both columns."""
    text = "id,time,prediction,label\na,2026-01-01T00:00:00Z,True,1\nb,2026-01-01T00:01:00Z,False,0\n"
    with pytest.raises(
        SourceError, match=r"column `prediction` is true or false, and the labels in `label` are numbers"
    ):
        a_source(tmp_path, text).labels(START, START + HOUR, START + HOUR)
    alike = a_source(tmp_path, text.replace(",1\n", ",true\n").replace(",0\n", ",false\n"))
    rows, labels = alike.fetch(START, START + HOUR), alike.labels(START, START + HOUR, START + HOUR)
    assert rows.output.tolist() == labels.label.tolist() == ["true", "false"]


def test_a_score_is_kept_apart_from_the_features(tmp_path: Path) -> None:
    """The column that says how sure the model was is no feature; one that holds text is an error that names it."""
    text = "id,time,x,p,prediction,label\na,2026-01-01T00:00:00Z,3,0.75,1,1\nb,2026-01-01T00:01:00Z,4,,0,1\n"
    rows = a_source(tmp_path, text, score="p").fetch(START, START + HOUR)
    assert (set(rows.features), rows.score is not None) == ({"x"}, True)
    assert np.array_equal(rows.score, [0.75, np.nan], equal_nan=True)
    with pytest.raises(SourceError, match=r"column `p` is a VARCHAR, but a score is a number"):
        a_source(tmp_path, text.replace("0.75", "sure"), score="p").fetch(START, START + HOUR)


def test_an_id_is_text_whatever_it_looks_like(tmp_path: Path) -> None:
    """Ids of digits keep their zeros and their length."""
    text = "id,time,prediction,label\n007,2026-01-01T00:00:00Z,1,\n1e3,2026-01-01T00:00:00Z,1,\n"
    assert list(a_source(tmp_path, text).fetch(START, START + HOUR).ids) == ["007", "1e3"]


def test_text_that_is_not_utf8_is_said_to_be_so(tmp_path: Path) -> None:
    """A file in another encoding is an error, never a column of wrong letters."""
    source = a_source(tmp_path)
    (tmp_path / "rows.csv").write_bytes(ROWS.replace("Genf", "Z\u00fcrich").encode("latin-1"))
    with pytest.raises(SourceError, match="UTF-8"):
        source.fetch(START, START + HOUR)


def test_a_list_column_is_refused_by_name(tmp_path: Path) -> None:
    """A column that is neither numbers nor text cannot be a feature, and is named."""
    copy("SELECT TIMESTAMP '2026-01-01' AS time, 1 AS prediction, [1, 2] AS tags", tmp_path / "t.parquet")
    source = TableSource(SourceSettings(path="t.parquet"), tmp_path, lambda: "v1")
    with pytest.raises(SourceError, match="column `tags` is a INTEGER"):
        source.fetch(START, START + HOUR)


def test_half_a_parquet_file_is_an_error(tmp_path: Path) -> None:
    """A truncated Parquet file is said to be one."""
    copy("SELECT TIMESTAMP '2026-01-01' AS time, 1 AS prediction", tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(whole[:-10])
    source = TableSource(SourceSettings(path="t.parquet"), tmp_path, lambda: "v1")
    with pytest.raises(SourceError, match="no whole Parquet file"):
        source.fetch(START, START + HOUR)


def test_odd_column_names_are_only_names(tmp_path: Path) -> None:
    """Quotes, dollar signs and the words of SQL in column names and values change nothing."""
    text = 'id,time,"a ""b"" $files",$now,select,prediction,label\n' + "x'; DROP,2026-01-01T00:00:00Z,1,2,3,1,\n"
    rows = a_source(tmp_path, text).fetch(START, START + HOUR)
    assert list(rows.features) == ['a "b" $files', "$now", "select"]
    assert list(rows.ids) == ["x'; DROP"]


def test_labels_elsewhere_need_an_id(tmp_path: Path) -> None:
    """Labels of another table are never joined by a made-up id."""
    with pytest.raises(SourceError, match=r"set `source\.id`"):
        a_source(tmp_path, id=None, labels=LabelsSettings(path="truth.csv"))


def test_every_kind_of_the_settings_has_a_source(tmp_path: Path) -> None:
    """Each kind that the configuration allows is in the table of sources, and can be made."""
    kinds = get_args(get_type_hints(SourceSettings)["kind"])
    for kind in kinds:
        query = "SELECT 1" if kind == "duckdb" else None
        assert SOURCES[kind](SourceSettings(kind=kind, path="x", query=query), tmp_path, lambda: "v1")
    assert set(SOURCES) == set(kinds)
