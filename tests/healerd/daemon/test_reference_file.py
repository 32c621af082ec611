"""A reference in a file is what is held against, whatever the source reads and wherever its labels come from."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from healerd.actions import InlineWorker
from healerd.clock import ManualClock
from healerd.config import parse_config
from healerd.daemon.core import Core
from healerd.errors import SourceError
from healerd.model import Reference

START = datetime(2026, 1, 2, tzinfo=UTC)
QUERY = """kind = "duckdb"
query = "SELECT * FROM 'rows.parquet' WHERE time >= $start_at AND time < $end_at"
"""
TABLE = 'path = "rows.parquet"\n'
APART = '[pipeline.q.source.labels]\npath = "labels.parquet"\nlabel = "truth"\n'
COLUMN = 'label = "truth"\n'


def write(path: Path, rows: int, columns: str) -> None:
    sql = f"""SELECT 'r' || i AS id, TIMESTAMP '2026-01-01' + INTERVAL (i) SECOND AS time, i / 2.0 AS x, {columns}
        FROM range({rows}) r(i)"""
    with duckdb.connect(":memory:") as duck:
        duck.execute(f"COPY ({sql}) TO '{path}'")


def opened(folder: Path, source: str) -> Core:
    text = '[daemon]\nstate = "state"\n[pipeline.q]\nwindow = "1h"\nlabel_horizon = 0\n'
    text += f'reference = {{ path = "healthy.parquet" }}\n[pipeline.q.source]\nid = "id"\n{source}'
    config = parse_config(text, path=folder / "healerd.toml")
    return Core.open(config, ManualClock(START), worker=InlineWorker(), start_at=START)


@pytest.mark.parametrize("source", [TABLE + COLUMN, TABLE + APART, QUERY + COLUMN, QUERY + APART])
def test_the_file_is_read_and_not_the_source(tmp_path: Path, source: str) -> None:
    """Rows that were served, and labels of those, are not taken for the healthy ones that the file holds."""
    write(tmp_path / "healthy.parquet", 500, "1.0 AS prediction, (i % 10 > 0)::INT AS truth")
    write(tmp_path / "rows.parquet", 900, "1.0 AS prediction, 0 AS truth")
    write(tmp_path / "labels.parquet", 900, "0 AS truth")
    core = opened(tmp_path, source)
    (reference,) = core.store.find(Reference)
    core.close()
    assert (reference.rows, round(reference.error, 3)) == (500, 0.1)


@pytest.mark.parametrize("source", [TABLE + APART, QUERY + APART])
def test_nothing_need_have_been_served_yet(tmp_path: Path, source: str) -> None:
    """A reference with its own labels is complete before the first prediction is, or its label."""
    write(tmp_path / "healthy.parquet", 500, "1.0 AS prediction, (i % 10 > 0)::INT AS truth")
    opened(tmp_path, source).close()


def test_a_file_without_labels_is_refused(tmp_path: Path) -> None:
    """The table of labels tells of what was served: it cannot label the reference."""
    write(tmp_path / "healthy.parquet", 500, "1.0 AS prediction")
    write(tmp_path / "labels.parquet", 500, "(i % 10 > 0)::INT AS truth")
    with pytest.raises(SourceError, match="no column `truth`"):
        opened(tmp_path, TABLE + APART)
