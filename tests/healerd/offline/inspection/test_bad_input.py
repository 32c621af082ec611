"""Bad input is a defined measurement, or an error that names the column and the rows; nothing is dropped unsaid."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from healerd.errors import ConfigError, SourceError
from healerd.model import Quality
from healerd.offline.inspection import Columns, InspectOptions, inspect_file
from healerd.offline.inspection.findings import Inspection
from tests.healerd.offline.inspection.files import changed, served, write

NAMES = Columns(time="time", ignored=("label", "prediction", "score"))
ROWS = served(6, start=30, seed=2)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("reference") / "usual.csv", served(10, seed=1))


def look(reference: Path, tmp_path: Path, columns: dict, names: Columns = NAMES, **options) -> Inspection:
    path = write(tmp_path / "found.csv", columns)
    return inspect_file(InspectOptions(file=path, reference=reference, columns=names, **options))


def put(rows: dict, name: str, at: slice, value: object) -> dict:
    def change(values: np.ndarray) -> np.ndarray:
        values[at] = value
        return values

    return changed(rows, name, change)


def part(rows: dict, which: object) -> dict:
    return {name: values[which] for name, values in rows.items()}


def flaws(found: Inspection) -> list[str]:
    return [str(one) for one in found.flaws]


def test_text_among_numbers_is_of_the_wrong_type(reference: Path, tmp_path: Path) -> None:
    """Text in a column of numbers is counted as of the wrong type, and told with column, rows and value."""
    found = look(reference, tmp_path, put(ROWS, "speed", slice(300, 320), "fast"))
    assert "column `speed`, rows 301 to 320: 20 values are text such as `fast`, not numbers" in flaws(found)
    speed = next(one for one in found.features if one.name == "speed")
    assert speed.wrong_type == pytest.approx(20 / 1200)
    assert speed.n == 1180


def test_a_changed_type_is_bad_data(reference: Path, tmp_path: Path) -> None:
    """A column of numbers that became names is bad data, and so is one of names that became numbers."""
    found = look(reference, tmp_path, put(ROWS, "speed", slice(None), "fast"))
    assert found.windows[-1].quality is Quality.BAD
    assert "wrong type" in found.windows[-1].reasons[0]
    found = look(reference, tmp_path, put(ROWS, "lane", slice(None), 7))
    assert found.windows[-1].quality is Quality.BAD


def test_text_among_numbers_of_the_reference_is_an_error(tmp_path: Path) -> None:
    """A reference that is nearly numbers is refused, with column, rows and value, and a way out."""
    usual = write(tmp_path / "usual.csv", put(served(6), "speed", slice(10, 12), "fast"))
    with pytest.raises(SourceError, match=r"column `speed`, rows 11 to 12: 2 values are text such as `fast`.*--ignore"):
        look(usual, tmp_path, ROWS)


def test_lost_and_new_columns_are_named(reference: Path, tmp_path: Path) -> None:
    """A lost column counts as missing and makes the data bad; a new one is named and not looked at."""
    rows = {"weather": ROWS["lane"], **{name: values for name, values in ROWS.items() if name != "speed"}}
    found = look(reference, tmp_path, rows)
    assert (found.lost, found.new) == (("speed",), ("weather",))
    assert found.windows[0].quality is Quality.BAD


def test_an_all_missing_column_is_missing(reference: Path, tmp_path: Path) -> None:
    """A column without a value has no distance, and its data is bad."""
    found = look(reference, tmp_path, put(ROWS, "speed", slice(None), None))
    speed = next(one for one in found.features if one.name == "speed")
    assert (speed.n, speed.missing, speed.ks) == (0, 1.0, None)
    assert found.windows[0].quality is Quality.BAD


def test_one_row_shows_nothing(reference: Path, tmp_path: Path) -> None:
    """A file of one row is looked at; its data quality is unknown."""
    found = look(reference, tmp_path, part(ROWS, slice(0, 1)))
    assert [one.quality for one in found.windows] == [Quality.UNKNOWN]
    assert not found.alarms


def test_a_day_that_the_file_cuts_off_is_not_bad(reference: Path, tmp_path: Path) -> None:
    """Few rows in the first and the last window are the file's, not a fault; in between they are one."""
    found = look(reference, tmp_path, part(ROWS, np.r_[170:400, 570:830]))
    quality = [one.quality for one in found.windows]
    assert quality == [Quality.GOOD, Quality.GOOD, Quality.BAD, Quality.GOOD, Quality.GOOD]
    assert found.windows[2].reasons == ("30 rows, far from the usual number",)


def test_windows_without_rows_are_a_gap(reference: Path, tmp_path: Path) -> None:
    """Days without rows are counted before the window that follows, and no detector steps on them."""
    found = look(reference, tmp_path, part(ROWS, np.r_[0:200, 800:1200]))
    assert [one.empty for one in found.windows] == [0, 3, 0]


def test_an_empty_file_is_an_error(reference: Path, tmp_path: Path) -> None:
    """A table without rows has nothing to report."""
    with pytest.raises(SourceError, match="no rows"):
        look(reference, tmp_path, part(ROWS, slice(0, 0)))


def test_rows_out_of_order_are_sorted(reference: Path, tmp_path: Path) -> None:
    """The order of the rows changes nothing but a note that names the first and the last that lie wrong."""
    turned = part(ROWS, np.r_[600:1200, 0:600])
    one, other = look(reference, tmp_path, ROWS), look(reference, tmp_path, turned)
    assert one.features == other.features
    assert one.windows == other.windows
    told = "column `time`, row 601: 1 value is before the row above, the file is read in the order of time"
    assert told in flaws(other)


def test_the_future_is_told(reference: Path, tmp_path: Path) -> None:
    """Rows later than now are kept and told with their place."""
    found = look(reference, tmp_path, ROWS, now=datetime(2026, 2, 5, tzinfo=UTC))
    assert any("column `time`, rows 1,002 to 1,200: 199 values are in the future" in text for text in flaws(found))
    assert found.rows == 1200


def test_mixed_zones_are_told(reference: Path, tmp_path: Path) -> None:
    """A zone is obeyed; a time without one beside others with one is UTC, and told."""
    bare = changed(ROWS, "time", lambda v: np.array([t[:-1] if 10 <= k < 20 else t for k, t in enumerate(v)], object))
    found = look(reference, tmp_path, bare)
    assert any("column `time`, rows 11 to 20: 10 values are without a zone" in text for text in flaws(found))
    east = changed(ROWS, "time", lambda v: np.array([f"{t[:-1]}+02:00" for t in v], object))
    assert look(reference, tmp_path, east).windows[0].rows == 17


def test_a_time_that_is_none_is_an_error(reference: Path, tmp_path: Path) -> None:
    """A time that does not parse is an error with column and row."""
    with pytest.raises(SourceError, match="row 6, column `time`: `soon` is no time"):
        look(reference, tmp_path, put(ROWS, "time", slice(5, 6), "soon"))


def test_labels_before_predictions_are_left_out(tmp_path: Path) -> None:
    """A label known before its row was predicted is no truth about the prediction."""
    names = Columns(time="time", label="label", prediction="prediction", label_time="known", ignored=("score",))
    usual = write(tmp_path / "usual.csv", {**served(6), "known": np.full(1200, "2026-03-01T00:00:00Z", object)})
    known = np.where(np.arange(1200) < 50, "2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z").astype(object)
    found = look(usual, tmp_path, {**ROWS, "known": known}, names)
    assert found.windows[0].labelled == 150
    assert any("column `label`, rows 1 to 50: 50 labels known before" in text for text in flaws(found))


@pytest.mark.parametrize("value", ["1e308", "-1e308", "inf", "-inf", "-0.0"])
def test_extreme_numbers_are_counted(reference: Path, tmp_path: Path, value: str) -> None:
    """Whatever a number is, it is counted in a cell, and every number of the report is finite or null."""
    found = look(reference, tmp_path, put(ROWS, "speed", slice(0, 600), value))
    speed = next(one for one in found.features if one.name == "speed")
    assert speed.n == found.focus.rows
    assert speed.wrong_type == speed.missing == 0
    assert found.windows[0].quality is Quality.BAD


def test_a_value_beyond_all_in_the_reference_itself(tmp_path: Path) -> None:
    """A reference that spans all numbers still gives finite distances or none."""
    usual = write(
        tmp_path / "usual.csv", put(put(served(6), "speed", slice(0, 1), 1e308), "speed", slice(1, 2), -1e308)
    )
    speed = next(one for one in look(usual, tmp_path, ROWS).features if one.name == "speed")
    assert speed.ks < 0.1
    assert speed.wasserstein is None or np.isfinite(speed.wasserstein)


def test_columns_of_times_are_left_out(reference: Path, tmp_path: Path) -> None:
    """A column of times that is no feature is told."""
    rows = {**ROWS, "born": np.full(1200, "1999-01-01T00:00:00", object)}
    usual = write(tmp_path / "usual.csv", {**served(10), "born": np.full(2000, "1999-01-01T00:00:00", object)})
    found = look(usual, tmp_path, rows)
    assert "column `born` was left out: times are no feature: they always grow" in found.notes


@pytest.mark.parametrize(
    ("names", "options", "said"),
    [
        (Columns(time="when"), {}, "no column `when`"),
        (Columns(time="time", label="truth"), {}, "column `truth` is not there"),
        (Columns(), {"window_s": 3600.0}, "`--window` needs times"),
        (NAMES, {"window_s": 3600.0, "window_rows": 3}, "not both"),
        (NAMES, {"segment": "shop"}, "no column `shop`"),
        (NAMES, {"rivals": ("lane",)}, "`--rival` compares errors"),
    ],
)
def test_what_cannot_be_asked_is_an_error(
    reference: Path, tmp_path: Path, names: Columns, options: dict, said: str
) -> None:
    """A wrong question ends with what to ask instead."""
    with pytest.raises((SourceError, ConfigError), match=said):
        look(reference, tmp_path, ROWS, names, **options)
