import json
import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest

from healerd.config import parse_config
from healerd.errors import ConfigError, SourceError
from healerd.sources import SOURCES, Source

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
QUERY = """
SELECT t AS time, i AS id, x, y AS prediction FROM 'rows.parquet' -- every row
WHERE t >= $start_at AND t < $end_at;
"""


def a_source(folder: Path, query: str = QUERY, more: str = "", labels: str = "") -> Source:
    text = f"[pipeline.p.source]\nkind = 'duckdb'\nid = 'id'\nquery = {json.dumps(query)}\n{more}\n"
    if labels:
        text += f"[pipeline.p.source.labels]\n{labels}\n"
    settings = parse_config(text, path=folder / "healerd.toml").pipeline["p"].source
    return SOURCES["duckdb"](settings, folder, lambda: "v1")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A row a minute for ten hours."""
    sql = """SELECT TIMESTAMP '2026-01-01' + INTERVAL (i) MINUTE AS t, i, i / 2.0 AS x, (i % 2)::DOUBLE AS y
        FROM range(600) r(i)"""
    _copy(sql, tmp_path / "rows.parquet")
    return tmp_path


def _copy(sql: str, path: Path) -> None:
    with duckdb.connect(":memory:") as duck:
        duck.execute(f"COPY ({sql}) TO '{path}'")


def test_a_query_brings_the_rows_of_its_window(rows: Path) -> None:
    """A window of a query holds the rows of [start, end), in their order; files are found beside the configuration."""
    found = a_source(rows).fetch(START + HOUR, START + 2 * HOUR)
    assert list(found.ids) == [str(i) for i in range(60, 120)]
    assert list(found.features) == ["x"]
    np.testing.assert_array_equal(found.features["x"], np.arange(60, 120) / 2)
    assert set(found.version) == {"v1"}


def test_the_bounds_are_bound_and_hold_without_the_query_s_help(rows: Path) -> None:
    """A query that does not name the bounds brings the same rows as one that does."""
    bare = a_source(rows, "SELECT t AS time, i AS id, x, y AS prediction FROM 'rows.parquet'")
    given = a_source(rows)
    for start in (START, START + 2 * HOUR):
        assert list(bare.fetch(start, start + HOUR).ids) == list(given.fetch(start, start + HOUR).ids)


def test_a_query_reads_csv_and_json_alike(tmp_path: Path) -> None:
    """What DuckDB reads is a source: here a CSV and a JSON file joined into one table."""
    (tmp_path / "a.csv").write_text("id,time,prediction\n1,2026-01-01 00:10:00,1\n2,2026-01-01 00:20:00,0\n")
    (tmp_path / "b.json").write_text('[{"id": 1, "x": 5.5}, {"id": 2, "x": 6.5}]')
    source = a_source(tmp_path, "SELECT a.*, b.x FROM 'a.csv' a JOIN read_json('b.json') b USING (id) ORDER BY id")
    assert list(source.fetch(START, START + HOUR).features["x"]) == [5.5, 6.5]


def test_a_database_is_attached_read_only(tmp_path: Path) -> None:
    """A query reads another database by the name it is attached under, which stays as it is."""
    with duckdb.connect(str(tmp_path / "served.db")) as duck:
        duck.execute(
            "CREATE TABLE s AS SELECT TIMESTAMP '2026-01-01 00:30' AS time, 7 AS id, 1.0 AS prediction, 2 AS x"
        )
    before = (tmp_path / "served.db").read_bytes()
    source = a_source(tmp_path, "SELECT * FROM shop.s", more='attach = { shop = "served.db" }')
    assert list(source.fetch(START, START + HOUR).ids) == ["7"]
    assert (tmp_path / "served.db").read_bytes() == before


def test_an_attached_file_is_its_owner_s_between_two_queries(tmp_path: Path) -> None:
    """Whoever records predictions in the file can write it, and a file that takes its place is read."""

    def record(name: str, id_: str) -> None:
        make = "CREATE TABLE IF NOT EXISTS s (id VARCHAR, time TIMESTAMP, x DOUBLE, prediction DOUBLE)"
        row = f"INSERT INTO s VALUES ('{id_}', '2026-01-01 00:10:00', 1, 1)"
        code = f"import duckdb; c = duckdb.connect({str(tmp_path / name)!r}); c.execute({make!r}); c.execute({row!r})"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

    record("served.db", "a")
    source = a_source(tmp_path, "SELECT * FROM shop.s", more='attach = { shop = "served.db" }')
    assert source.fetch(START, START + HOUR).ids.tolist() == ["a"]
    record("served.db", "b")
    assert source.fetch(START, START + HOUR).ids.tolist() == ["a", "b"]
    record("next.db", "c")
    (tmp_path / "next.db").replace(tmp_path / "served.db")
    assert source.fetch(START, START + HOUR).ids.tolist() == ["c"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("DROP TABLE x", "one SELECT"),
        ("SELECT 1; SELECT 2", "one SELECT"),
        ("COPY (SELECT 1) TO 'out.csv'", "one SELECT"),
        ("INSERT INTO t VALUES (1)", "one SELECT"),
        ("SET memory_limit = '100GB'", "one SELECT"),
        ("SELEC 1", "no SQL"),
        ("SELECT * FROM t WHERE a = $begin", "`$begin`"),
    ],
)
def test_only_one_select_is_a_query(tmp_path: Path, query: str, said: str) -> None:
    """What is no single SELECT, or names a value that nobody binds, is turned away before it is ever run."""
    with pytest.raises(SourceError, match=said.replace("$", r"\$")):
        a_source(tmp_path, query)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM 'gone.parquet'", "gone.parquet"),
        ("SELECT * FROM 's3://bucket/rows.parquet'", "extension `httpfs`"),
        ("SELECT * FROM sqlite_scan('a.db', 't')", "extension `sqlite_scanner`"),
        ("SELECT t AS time, x FROM 'rows.parquet'", "no column `prediction`"),
        ("SELECT t AS time, i AS id, y AS prediction, error('no such luck') AS x FROM 'rows.parquet'", "no such luck"),
    ],
)
def test_a_query_that_fails_says_what_to_do(rows: Path, query: str, said: str) -> None:
    """A file, an extension or a column that is missing is named, and so is an error of the query's own."""
    with pytest.raises(SourceError, match=said):
        a_source(rows, query).fetch(START, START + HOUR)


def test_a_query_that_returns_nothing_is_an_empty_window(rows: Path) -> None:
    """No rows is an answer, with the columns of the query."""
    found = a_source(rows).fetch(START - HOUR, START)
    assert len(found) == 0
    assert list(found.features) == ["x"]


def test_a_query_is_interrupted_when_it_takes_too_long(rows: Path) -> None:
    """A query beyond `timeout` ends as an error, and the next one runs."""
    endless = """SELECT t AS time, i AS id, y AS prediction,
        (SELECT sum(a.i * b.i * c.i) FROM 'rows.parquet' a, 'rows.parquet' b, 'rows.parquet' c) AS x
        FROM 'rows.parquet'"""
    source = a_source(rows, endless, more="timeout = '50ms'")
    for _ in range(2):
        with pytest.raises(SourceError, match="interrupted"):
            source.fetch(START, START + HOUR)


def test_a_query_keeps_within_its_memory(rows: Path) -> None:
    """A query that needs more than `memory` is an error that names the setting."""
    big = """SELECT t AS time, i AS id, y AS prediction, max(repeat('x', 1000) || i || j) AS x
        FROM 'rows.parquet', range(1000) r(j) GROUP BY t, i, y, j"""
    with pytest.raises(SourceError, match=r"source\.memory"):
        a_source(rows, big, more="memory = '8MB'").fetch(START, START + 10 * HOUR)


def test_a_window_has_at_most_so_many_rows(rows: Path) -> None:
    """One row beyond `rows_max` is an error; exactly so many are none."""
    assert len(a_source(rows, more="rows_max = 60").fetch(START, START + HOUR)) == 60
    with pytest.raises(SourceError, match=r"source\.rows_max"):
        a_source(rows, more="rows_max = 59").fetch(START, START + HOUR)


def test_labels_come_from_a_query_joined_by_id(rows: Path) -> None:
    """Labels by a query are those of the window's rows that are known by now, first those known first."""
    (rows / "truth.csv").write_text(
        "who,what,known\n61,1,2026-01-01 05:00:00\n61,0,2026-01-01 03:00:00\n62,1,2026-01-01 09:00\n5,1,2026-01-01\n",
        encoding="utf-8",
    )
    query = "SELECT who, what, known FROM 'truth.csv' WHERE known <= $now"
    source = a_source(rows, labels=f'query = "{query}"\nid = "who"\nlabel = "what"\nat = "known"')
    found = source.labels(START + HOUR, START + 2 * HOUR, START + 6 * HOUR)
    assert list(zip(found.ids, found.label, strict=True)) == [("61", 0.0), ("61", 1.0)]


def test_labels_of_a_query_come_from_a_file(rows: Path) -> None:
    """Predictions by a query and labels in a file meet by id, and a label that is missing is none."""
    (rows / "truth.csv").write_text("id,label\n0,1\n1,\n")
    found = a_source(rows, labels='path = "truth.csv"').labels(START, START + HOUR, START + HOUR)
    assert list(found.ids) == ["0"]


def test_a_table_takes_labels_from_a_query(tmp_path: Path) -> None:
    """Predictions in a file and labels by a query meet by id."""
    (tmp_path / "rows.csv").write_text("id,time,x,prediction\n007,2026-01-01T00:10:00Z,1,1\n")
    text = """[pipeline.p.source]\npath = "rows.csv"\nid = "id"
        labels = { query = "SELECT '007' AS id, 0 AS label" }"""
    settings = parse_config(text, path=tmp_path / "healerd.toml").pipeline["p"].source
    found = SOURCES["table"](settings, tmp_path, lambda: "v1").labels(START, START + HOUR, START + HOUR)
    assert (list(found.ids), list(found.label)) == (["007"], [0.0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind = 'duckdb'", "`query` must be set for the kind `duckdb`"),
        ("query = 'SELECT 1'", "and for no other"),
        ("labels = {}", "either a `path` or a `query`"),
        ("kind = 'duckdb'\nquery = 'SELECT 1'\nmemory = 'lots'", "a size such as `1GB`"),
        ("kind = 'duckdb'\nquery = 'SELECT 1'\nextensions = ['a; b']", "a plain name"),
    ],
)
def test_settings_that_cannot_be_meant_are_turned_away(tmp_path: Path, text: str, said: str) -> None:
    """A query without its kind, a kind without its query, and limits that are none are errors of the configuration."""
    with pytest.raises(ConfigError) as caught:
        parse_config(f"[pipeline.p.source]\n{text}\n", path=tmp_path / "healerd.toml")
    assert said in str(caught.value)


def test_a_missing_number_of_a_query_is_missing(tmp_path: Path) -> None:
    """NULL in a query is a missing value, in numbers and in text."""
    query = (
        "SELECT TIMESTAMP '2026-01-01 00:01' AS time, 1 AS id, 1.0 AS prediction, NULL::DOUBLE AS x, NULL::VARCHAR AS c"
    )
    found = a_source(tmp_path, query).fetch(START, START + HOUR)
    assert math.isnan(found.features["x"][0])
    assert found.features["c"][0] is None
