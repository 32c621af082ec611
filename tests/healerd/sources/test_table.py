import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args, get_type_hints

import duckdb
import numpy as np
import pytest

from healerd.columns import Column
from healerd.config import LabelsSettings, SourceSettings
from healerd.errors import SourceError
from healerd.sources import SOURCES, TableSource
from healerd.sources.relation import Relation, open_relation

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
        (ROWS.replace(",Genf,", ",Genf,9,"), {}, "line 3: 7 fields, but the header has 6"),
        (ROWS, {"path": "row.csv"}, "did you mean `rows.csv`?"),
        (ROWS, {"time": "age"}, "column `age` is a DOUBLE, not a time"),
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
    with pytest.raises(SourceError, match=r"line 40002, column `x`: `oops` is no double"):
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


def test_a_text_among_labels_of_numbers_is_brought_as_it_is(tmp_path: Path) -> None:
    """Which label is no number is for the daemon to tell; far down among numbers it is an error with its line."""
    source = a_source(tmp_path, ROWS.replace("31,Bern,1,1", "31,Bern,1,no").replace("44,,1,0", "44,,1,0.0"))
    assert source.labels(START, START + 2 * HOUR, START + 2 * HOUR).label.tolist() == ["no", "0.0"]
    np.testing.assert_array_equal(source.fetch(START, START + 2 * HOUR).label, [np.nan, np.nan, 0.0])
    lines = [f"{i},2026-01-01T00:00:00Z,1,{'oops' if i == 39_999 else 1}" for i in range(40_000)]
    late = a_source(tmp_path, "id,time,prediction,label\n" + "\n".join(lines) + "\n")
    with pytest.raises(SourceError, match=r"line 40001, column `label`: `oops`"):
        late.labels(START, START + HOUR, START + HOUR)


def test_truths_are_not_held_against_numbers(tmp_path: Path) -> None:
    """Predictions that are true or false never equal labels of 0 and 1: that is said, with both columns."""
    text = "id,time,prediction,label\na,2026-01-01T00:00:00Z,True,1\nb,2026-01-01T00:01:00Z,False,0\n"
    with pytest.raises(SourceError, match=r"`True` is not how a number is written, but the labels in `label` are num"):
        a_source(tmp_path, text).labels(START, START + HOUR, START + HOUR)
    alike = a_source(tmp_path, text.replace(",1\n", ",True\n").replace(",0\n", ",False\n"))
    rows, labels = alike.fetch(START, START + HOUR), alike.labels(START, START + HOUR, START + HOUR)
    assert rows.output.tolist() == labels.label.tolist() == ["true", "false"]


def test_a_line_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    """Half a line may have all its fields, and half a number is a number: a line of the window is waited for."""
    half = "d,2026-01-01T00:30:00Z,31,Bern,10,2"
    source = a_source(tmp_path, ROWS + half)
    for ask in (source.fetch, lambda start, end: source.labels(start, end, end)):
        with pytest.raises(SourceError, match=r"`rows\.csv` is being written"):
            ask(START, START + HOUR)
    assert len(source.fetch(START, START + HOUR / 3)) == 1  # of later rows nothing is asked
    (tmp_path / "rows.csv").write_text(ROWS + half + "5\n", encoding="utf-8")
    assert source.fetch(START, START + HOUR).label[-1] == 25.0
    (tmp_path / "rows.csv").write_text(ROWS + half, encoding="utf-8")
    os.utime(tmp_path / "rows.csv", (0, 0))  # nobody writes it any more
    assert source.fetch(START, START + 2 * HOUR).label.tolist()[-1] == 2.0


def test_a_writer_that_ends_lines_with_the_next_one_holds_nobody_up(tmp_path: Path) -> None:
    """A file whose last line never has an end is read, as soon as that line is of a later window."""
    source = a_source(tmp_path, ROWS.rstrip("\n"))
    assert source.fetch(START, START + HOUR).ids.tolist() == ["a", "b"]


def test_what_comes_during_a_reading_may_have_been_read_in_part(tmp_path: Path) -> None:
    """A line of the window that is appended while DuckDB reads makes the reading void; one of a later does not."""

    class Raced(TableSource):
        def _open(self, bound: Mapping[str, Any]) -> Relation:
            table = super()._open(bound)

            def run(sql: str, values: Mapping[str, Any]) -> list[Column]:
                found = table.run(sql, values)
                with (tmp_path / "rows.csv").open("a", encoding="utf-8") as file:
                    file.write(self.line)
                return found

            return replace(table, run=run)

        line = "e,2026-01-01T00:40:00Z,31,Bern,1,1\n"

    (tmp_path / "rows.csv").write_text(ROWS, encoding="utf-8")
    os.utime(tmp_path / "rows.csv", (0, 0))  # nobody has written it for long before
    source = Raced(SourceSettings(path="rows.csv", id="id", label="label"), tmp_path, lambda: "v1")
    with pytest.raises(SourceError, match="came during the reading"):
        source.fetch(START, START + HOUR)
    source.line = "f,2026-01-01T01:40:00Z,31,Bern,1,1\n"
    assert source.fetch(START, START + HOUR).ids.tolist() == ["a", "b", "e"]


def test_a_label_that_is_being_written_is_found_whole_the_next_time(tmp_path: Path) -> None:
    """Of a table of labels the line without an end is left out, so that a writer without rest holds nobody up."""
    (tmp_path / "truth.csv").write_text("id,label\na,1\nb,1", encoding="utf-8")
    source = a_source(tmp_path, label=None, labels=LabelsSettings(path="truth.csv"))
    assert source.labels(START, START + HOUR, START + HOUR).ids.tolist() == ["a"]
    (tmp_path / "truth.csv").write_text("id,label\na,1\nb,10\n", encoding="utf-8")
    assert source.labels(START, START + HOUR, START + HOUR).label.tolist() == [1.0, 10.0]


def test_a_reference_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    """A file that is no record of what is served has each flaw told, and may end without an end of line."""
    (tmp_path / "rows.csv").write_text(ROWS.replace("44,,1,0", "44,,1,no").rstrip("\n"), encoding="utf-8")
    settings = SourceSettings(path="rows.csv", id="id", label="label")
    source = TableSource(settings, tmp_path, lambda: "v1", growing=False)
    with pytest.raises(SourceError, match=r"row 3, column `label`: `no` is no number"):
        source.fetch(START, START + 2 * HOUR)


@pytest.mark.parametrize(
    ("rows", "truth"),
    [
        ("('a', '0'), ('b', '1')", "('a', 0.0), ('b', 1.0)"),
        ("('a', '1.1'), ('b', '2')", "('a', 1.1::DOUBLE), ('b', 2.0::DOUBLE)"),
        ("('a', true), ('b', false)", "('a', 'True'), ('b', 'FALSE')"),
        ("('a', 1), ('b', 0)", "('a', true), ('b', false)"),
        ("(1.0::DOUBLE, 'x'), (2.0::DOUBLE, 'y')", "(1, 'x'), (2, 'y')"),
    ],
    ids=["classes and numbers", "classes and fractions", "truths and text", "numbers and truths", "ids of two types"],
)
def test_what_is_equal_is_spelled_alike(tmp_path: Path, rows: str, truth: str) -> None:
    """A right prediction equals its label, of whatever type either file holds them."""
    at = "TIMESTAMP '2026-01-01 00:10:00'"
    copy(f"SELECT id, {at} AS time, p AS prediction, 1 AS x FROM (VALUES {rows}) t(id, p)", tmp_path / "rows.parquet")
    copy(f"SELECT * FROM (VALUES {truth}) t(id, label)", tmp_path / "truth.parquet")
    settings = SourceSettings(path="rows.parquet", id="id", labels=LabelsSettings(path="truth.parquet"))
    source = TableSource(settings, tmp_path, lambda: "v1")
    labels = source.labels(START, START + HOUR, START + HOUR)
    assert dict(zip(labels.ids, labels.label, strict=True)) == dict(
        zip((served := source.fetch(START, START + HOUR)).ids, served.output, strict=True)
    )


@pytest.mark.parametrize("said", ["true,True", "True,TRUE", "1,True", "0,false"])
def test_truths_of_text_are_what_they_say(tmp_path: Path, said: str) -> None:
    """In a CSV file a right prediction equals its label, however either spells true and false."""
    rows = a_source(tmp_path, f"id,time,prediction,label\na,2026-01-01T00:10:00Z,{said}\n").fetch(START, START + HOUR)
    assert rows.output.tolist() == rows.label.tolist()


def test_truths_of_a_csv_file_equal_those_of_a_database(tmp_path: Path) -> None:
    """Predictions that a CSV file spells as Python does, and labels that a Parquet file holds as truths, are alike."""
    copy("SELECT * FROM (VALUES ('a', true), ('c', false)) t(id, label)", tmp_path / "truth.parquet")
    text = ROWS.replace("Bern,1,1", "Bern,True,").replace("Genf,0,", "Genf,False,").replace(",,1,0", ",,False,")
    source = a_source(tmp_path, text, label=None, labels=LabelsSettings(path="truth.parquet"))
    rows, labels = source.fetch(START, START + 2 * HOUR), source.labels(START, START + 2 * HOUR, START + 2 * HOUR)
    assert dict(zip(labels.ids, labels.label, strict=True)) == {"a": "true", "c": "false"}
    assert rows.output.tolist() == ["true", "false", "false"]


def test_names_that_are_numbers_keep_every_digit(tmp_path: Path) -> None:
    """Ids of many digits stay apart, and the version 1.1 is `1.1`, of whatever type a file holds them."""
    at = "TIMESTAMP '2026-01-01 00:10:00'"
    ids = "(1234567890123456781::DECIMAL(38,0)), (1234567890123456782::DECIMAL(38,0))"
    copy(
        f"SELECT id, {at} AS time, 1 AS prediction, 1.1::DOUBLE AS v FROM (VALUES {ids}) t(id)",
        tmp_path / "rows.parquet",
    )
    settings = SourceSettings(path="rows.parquet", id="id", version="v")
    rows = TableSource(settings, tmp_path, lambda: "v1").fetch(START, START + HOUR)
    assert rows.ids.tolist() == ["1234567890123456781", "1234567890123456782"]
    assert rows.version.tolist() == ["1.1", "1.1"]


def test_classes_spelled_otherwise_than_their_labels_are_told(tmp_path: Path) -> None:
    """Text that is not written as numbers are would never equal a label that is one: an error with the mend."""
    at = "TIMESTAMP '2026-01-01 00:10:00'"
    copy(f"SELECT 'a' AS id, {at} AS time, '01' AS prediction, 1.0 AS label", tmp_path / "rows.parquet")
    source = TableSource(SourceSettings(path="rows.parquet", id="id", label="label"), tmp_path, lambda: "v1")
    with pytest.raises(SourceError, match=r"`01` is not how a number is written.*write both alike"):
        source.fetch(START, START + HOUR)


def late_row(first: str, last: str, header: str = "id,time,prediction,label,x") -> str:
    """A table whose last row, beyond the sample, is of another kind than all before it."""
    lines = [f"{i},{first}" for i in range(21_000)]
    return "\n".join([header, *lines, f"21000,{last}"]) + "\n"


def test_what_comes_beyond_the_sample_is_read_as_it_is(tmp_path: Path) -> None:
    """Fractions after whole numbers, zones after none, and other text after `T` and `F` stay what they are."""
    text = late_row("2026-01-01T00:10:00,1,1,7", "2026-01-01T02:20:00+02:00,0.4,0.6,0.5")
    rows = a_source(tmp_path, text).fetch(START, START + HOUR)
    assert (rows.output[-1], rows.label[-1], rows.features["x"][-1]) == (0.4, 0.6, 0.5)
    assert str(rows.at[-1]) == "2026-01-01T00:20:00.000000"
    text = late_row("2026-01-01,1,1,T", "2026-01-01T02:20:00+02:00,1,1,U")
    rows = a_source(tmp_path, text).fetch(START, START + HOUR)
    assert [rows.features["x"][0], rows.features["x"][-1]] == ["T", "U"]
    assert str(rows.at[-1]) == "2026-01-01T00:20:00.000000"


def test_a_date_of_which_the_month_is_to_be_guessed_is_no_time(tmp_path: Path) -> None:
    """Whether 01/05 is in January or in May nobody can know: an error that says how times are written."""
    text = ROWS.replace("2026-01-01T", "01/05/2026 ").replace("Z,", ",")
    with pytest.raises(SourceError, match=r"`01/05/2026 00:10:00` is no time; write times as"):
        a_source(tmp_path, text).fetch(START, START + HOUR)


def test_a_column_that_comes_with_a_later_file_is_text_where_it_is_named(tmp_path: Path) -> None:
    """The version `1.10` stays itself, whichever file of several brings the column first."""
    (tmp_path / "1.csv").write_text("id,time,prediction\na,2026-01-01T00:10:00Z,1\n", encoding="utf-8")
    (tmp_path / "2.csv").write_text("id,time,prediction,v\nb,2026-01-01T00:20:00Z,1,1.10\n", encoding="utf-8")
    settings = SourceSettings(path="*.csv", id="id", version="v")
    rows = TableSource(settings, tmp_path, lambda: "v1").fetch(START, START + HOUR)
    assert rows.version.tolist() == ["unknown", "1.10"]


def test_names_of_files_and_folders_are_no_patterns(tmp_path: Path) -> None:
    """`d[1].csv` is that file, not `d1.csv`, in a folder of whatever name."""
    folder = tmp_path / "[prod]"
    folder.mkdir()
    for name, id_ in (("d[1].csv", "a"), ("d1.csv", "b")):
        (folder / name).write_text(f"id,time,prediction\n{id_},2026-01-01T00:10:00Z,1\n", encoding="utf-8")
    for path, ids in (("d[1].csv", ["a"]), ("*.csv", ["a", "b"])):
        rows = TableSource(SourceSettings(path=path, id="id"), folder, lambda: "v1").fetch(START, START + HOUR)
        assert sorted(rows.ids) == ids


def test_a_name_may_hold_any_sign(tmp_path: Path) -> None:
    """A column `user$id`, or one with quotes in it, is a column like others."""
    text = 'user$id,time,prediction,"a ""$b"""\na,2026-01-01T00:10:00Z,1,x\n'
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
    settings = SourceSettings(path="rows.csv", id="user$id", version='a "$b"')
    rows = TableSource(settings, tmp_path, lambda: "v1").fetch(START, START + HOUR)
    assert (rows.ids.tolist(), rows.version.tolist()) == (["a"], ["x"])


def test_an_id_made_from_content_outlives_other_columns(tmp_path: Path) -> None:
    """A column that is added, away, elsewhere, or text in place of numbers, renames no row that is as it was."""

    def ids(text: str) -> list[str]:
        return a_source(tmp_path, text, id=None, label=None).fetch(START, START + HOUR).ids.tolist()

    row, moved = "2026-01-01T00:10:00Z,31,Bern,1\n", "1,Bern,31,2026-01-01T00:10:00Z\n"
    before = ids("time,age,city,prediction\n" + row)
    assert ids("prediction,city,age,time\n" + moved) == before
    grown = "time,age,city,prediction,extra\n" + row.replace(",1\n", ",1,\n") + row.replace(",1\n", ",1,5\n")
    assert before[0] in ids(grown)
    assert ids("time,age,city,prediction\n" + row + row.replace("31", "about 30"))[0] == before[0]


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
