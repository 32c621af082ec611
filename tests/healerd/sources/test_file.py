import gzip
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from healerd.errors import SourceError
from healerd.sources import read_table


def a_file(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_in_its_order(tmp_path: Path) -> None:
    """Rows keep the file's order, columns their kinds, and the sha256 is that of the file's bytes."""
    path = a_file(tmp_path, "time;x;c\n2026-01-01;1;a\n2026-01-02;NA;\n")
    table = read_table(path, time="time")
    assert table.rows == 2
    np.testing.assert_array_equal(table.columns["x"], [1.0, np.nan])
    assert list(table.columns["c"]) == ["a", None]
    assert table.at is not None
    assert str(table.at[1]) == "2026-01-02T00:00:00.000000"
    assert table.sha256 == sha256(path.read_bytes()).hexdigest()


def test_a_packed_file_is_read_as_it_is(tmp_path: Path) -> None:
    """A gzipped CSV file needs no unpacking."""
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"x\n1\n2\n"))
    assert list(read_table(path).columns["x"]) == [1.0, 2.0]


def test_a_late_text_makes_a_text_column(tmp_path: Path) -> None:
    """The kind of a column is told from all of its rows, so that the file's length changes nothing."""
    path = a_file(tmp_path, "x\n" + "1\n" * 30_000 + "n/k\n")
    assert read_table(path).columns["x"].dtype == np.object_


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("time,x\n", "has no rows"),
        ("time,x\n2026-01-02,1\n2026-01-01,2\n", "row 2, column `time`: `2026-01-01T00:00:00.000000` is before"),
        ("time,x\nsoon,1\n", "row 1, column `time`: `soon` is no time"),
        ("tim,x\n2026-01-01,1\n", "did you mean `tim`?"),
        ("time,x\n7,1\n", "not a time"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, said: str) -> None:
    """Empty, without rows, without a time or going backwards: the error says which and where."""
    with pytest.raises(SourceError) as problem:
        read_table(a_file(tmp_path, text), time="time")
    assert said in str(problem.value)


@pytest.mark.parametrize("columns", [20_000, 1_000_000])
def test_a_table_lying_on_its_side_is_refused_at_once(tmp_path: Path, columns: int) -> None:
    """Too many columns are refused from the first line, before anything is read."""
    path = a_file(tmp_path, ",".join(f"c{i}" for i in range(columns)) + "\n")
    with pytest.raises(SourceError, match="is it transposed"):
        read_table(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    """A path that is no file is an error that names it."""
    with pytest.raises(SourceError, match=r"no file `.*nothing\.csv`"):
        read_table(tmp_path / "nothing.csv")
