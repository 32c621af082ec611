"""`healerd detect`: each point of a series with its score, in every form, and errors that help."""

import json
from pathlib import Path

import numpy as np
import pytest

from healerd.cli.group import invoke

SPIKE = 400


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A series with one spike and one missing value."""
    values = np.random.Generator(np.random.Philox(1)).normal(size=500).round(3).astype(object)
    values[SPIKE], values[5] = 50.0, ""
    at = np.datetime64("2026-01-01T00:00:00") + np.timedelta64(300, "s") * np.arange(500)
    path = tmp_path / "latency.csv"
    path.write_text("timestamp,ms\n" + "".join(f"{t},{v}\n" for t, v in zip(at, values, strict=True)))
    return path


def test_a_row_a_point(series: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As CSV there is one row a point under one line of names; the spike is an alarm, a missing value is none."""
    assert invoke(["detect", "--series", str(series), "--csv"]) == 0
    said = capsys.readouterr()
    names, *rows = [line.split(",") for line in said.out.splitlines()]
    assert names == ["timestamp", "value", "score", "alarm"]
    assert len(rows) == 500
    assert rows[SPIKE][0] == "2026-01-02 09:20:00"
    assert rows[SPIKE][3] == "1"
    assert rows[5][1:] == ["", "0.000000", "0"]
    assert "500 points" in said.err


def test_the_same_as_json(series: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON holds the same points, a missing value as null."""
    assert invoke(["detect", "--series", str(series), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == 1
    assert found["points"][SPIKE]["alarm"] is True
    assert found["points"][5]["value"] is None


def test_a_value_without_a_bound_is_a_missing_one(series: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON knows no infinity: such a value is null there, as a missing one."""
    text = series.read_text().replace(",50.0\n", ",inf\n")
    series.write_text(text)
    assert invoke(["detect", "--series", str(series), "--json"]) == 0
    out = capsys.readouterr().out
    assert "Infinity" not in out
    assert json.loads(out)["points"][SPIKE]["value"] is None


def test_a_clock_set_back_is_part_of_the_series(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Points stay in the file's order."""
    path = tmp_path / "s.csv"
    path.write_text("at,v\n2026-01-01T00:10:00,1\n2026-01-01T00:00:00,2\n")
    assert invoke(["detect", "--series", str(path), "--csv"]) == 0
    assert [line.split(",")[1] for line in capsys.readouterr().out.splitlines()[1:]] == ["1.0", "2.0"]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("a,b\n1,2\n", [], "`a`, `b` could be meant: name one with `--value`"),
        ("a,b\n1,2\n", ["--value", "c"], "no column `c`"),
        ("a\nx\n", [], "no column of numbers"),
        ("a\nx\n", ["--value", "a"], "`a` is a VARCHAR, not a number"),
        ("t,a\nsoon,1\n", ["--time", "t"], "row 1, column `t`: `soon` is no time"),
        ("", [], "is empty"),
    ],
)
def test_bad_input_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, options: list[str], said: str
) -> None:
    """What cannot be read is an error with place and mend."""
    path = tmp_path / "s.csv"
    path.write_text(text)
    assert invoke(["detect", "--series", str(path), *options]) != 0
    assert said in capsys.readouterr().err
