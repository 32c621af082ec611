from datetime import UTC, datetime
from pathlib import Path

import pytest

from healerd.config import PipelineSettings, parse_config
from healerd.sources import SOURCES, Probe, probe
from healerd.sources.roles import guess_roles

NOW = datetime(2026, 1, 3, tzinfo=UTC)
ROWS = """id,time,age,city,y_hat
a,2026-01-01T00:10:00Z,31,Bern,1
b,2026-01-01T03:20:00Z,,Genf,0
c,2026-01-01T01:10:00Z,44,,1
b,2026-01-01T03:20:00Z,,Genf,0
"""
TRUTH = """id,label,at
a,1,2026-01-01T00:20:00Z
a,0,2026-01-01T00:30:00Z
c,1,2026-01-01T03:10:00Z
c,1,2026-01-01T03:20:00Z
"""


def look(folder: Path, text: str) -> Probe:
    settings: PipelineSettings = parse_config(f"[pipeline.p]\n{text}", path=folder / "healerd.toml").pipeline["p"]
    return probe(SOURCES[settings.source.kind](settings.source, folder, lambda: "v1"), settings, now=NOW)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "truth.csv").write_text(TRUTH)
    return tmp_path


SETTINGS = """window = "1h"
label_horizon = "1h"
source = { path = "rows.csv", id = "id", prediction = "y_hat", labels = { path = "truth.csv", at = "at" } }
"""


def test_a_probe_tells_columns_counts_and_lateness(folder: Path) -> None:
    """What each column is for, how many values there are, the newest row, doubled and late rows: as they are."""
    found = look(folder, SETTINGS)
    assert found.readable
    assert {one.name: (one.role, one.kind, one.present) for one in found.columns} == {
        "id": ("id", "categorical", 4),
        "time": ("time", "time", 4),
        "age": ("feature", "numeric", 2),
        "city": ("feature", "categorical", 3),
        "y_hat": ("prediction", "numeric", 4),
    }
    assert (found.rows, found.repeated, found.late_rows) == (4, 1, 1)
    assert found.late_max_s == 7800.0
    assert found.newest_at == datetime(2026, 1, 1, 3, 20, tzinfo=UTC)


def test_a_probe_tells_how_labels_come(folder: Path) -> None:
    """Labels are counted by id: again, in contradiction, and past the horizon."""
    told = look(folder, SETTINGS).labels
    assert told is not None
    assert (told.labelled, told.repeated, told.contradicting, told.past_horizon) == (2, 2, 1, 1)
    assert told.delay_max_s == 7200.0


def test_a_probe_says_what_should_be_known(folder: Path) -> None:
    """Doubled ids, rows later than `late` looks back, contradicting labels and a short horizon each have their line."""
    said = " ".join(one.said for one in look(folder, SETTINGS).troubles)
    for part in ("id that came before", "`source.late`", "contradict", "`label_horizon`"):
        assert part in said


def test_a_source_that_cannot_be_read_is_told_with_what_its_columns_may_be(folder: Path) -> None:
    """A column that is named wrongly fails the probe, which shows the columns and guesses the right one."""
    found = look(folder, 'source = { path = "rows.csv" }')
    assert not found.readable
    assert [one.name for one in found.columns] == ["id", "time", "age", "city", "y_hat"]
    assert "prediction = `y_hat`" in found.troubles[0].mend


def test_an_empty_source_is_no_failure(tmp_path: Path) -> None:
    """A table without rows up to now is readable, and the probe says that nothing is there."""
    (tmp_path / "rows.csv").write_text("time,prediction\n2030-01-01T00:00:00Z,1\n")
    found = look(tmp_path, 'source = { path = "rows.csv" }')
    assert found.readable
    assert "no rows" in found.troubles[0].said


def test_old_rows_are_found(tmp_path: Path) -> None:
    """Rows from years ago are found, however short the windows are."""
    (tmp_path / "rows.csv").write_text("time,prediction\n2001-01-01T00:00:00Z,1\n")
    assert look(tmp_path, 'window = "1m"\nsource = { path = "rows.csv" }').rows == 1


@pytest.mark.parametrize(
    ("name", "role"),
    [("ServedAt", "time"), ("y-pred", "prediction"), ("modelVersion", "version"), ("Ground Truth", "label")],
)
def test_roles_are_guessed_however_names_are_written(name: str, role: str) -> None:
    """Camel case, dashes and spaces are one to the guess."""
    types = {name: "time" if role == "time" else "numeric"}
    assert guess_roles(types)[role].column == name  # type: ignore[arg-type]


def test_two_columns_of_times_are_not_guessed_between() -> None:
    """Where two columns could be the time and neither is named so, there is no guess."""
    assert "time" not in guess_roles({"begun": "time", "ended": "time"})
