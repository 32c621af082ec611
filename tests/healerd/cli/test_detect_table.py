"""`healerd detect FILE` and `healerd reference`: what they print, write and end with."""

from collections.abc import Callable
from pathlib import Path

import pytest

from healerd.cli.exits import Exit
from tests.healerd.cli.conftest import Called
from tests.healerd.offline.inspection.files import served, write

NAMED = ("--time", "time", "--label", "label", "--prediction", "prediction", "--score", "score")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {
        "usual": write(tmp_path / "usual.csv", served(12, seed=1)),
        "same": write(tmp_path / "same.csv", served(8, start=30, seed=2)),
        "moved": write(tmp_path / "moved.csv", served(12, start=30, seed=2, shift=10.0)),
    }


def test_words_first_then_a_table(call: Callable[..., Called], files: dict[str, Path]) -> None:
    """What changed comes first in words, then a line a feature; remarks go to stderr."""
    said = call("detect", files["moved"], "--reference", files["usual"], *NAMED)
    assert said.code == 0
    first, *_ = said.out.splitlines()
    assert "the inputs changed" in first
    header = next(k for k, row in enumerate(said.rows) if row[0] == "FEATURE")
    assert said.rows[header + 1][0] == "speed"
    assert "duplicated rows were not counted" in said.err


def test_the_exit_status_is_the_alarm(call: Callable[..., Called], files: dict[str, Path]) -> None:
    """With --exit-status an alarm that stands ends with 8, none with 0; without it always 0."""
    asked = ("--reference", files["usual"], *NAMED)
    assert call("detect", files["moved"], *asked, "--exit-status").code == Exit.CONDITION_TRUE
    assert call("detect", files["same"], *asked, "--exit-status").code == 0
    assert call("detect", files["moved"], *asked).code == 0


def test_json_and_page(call: Callable[..., Called], files: dict[str, Path], tmp_path: Path) -> None:
    """JSON goes to stdout with its schema, the page to the file named."""
    page = tmp_path / "out.html"
    found = call("detect", files["moved"], "--reference", files["usual"], *NAMED, "--json", "--html", page).json
    assert (found["schema"], found["alarm"]) == (1, True)
    assert found["features"][0]["name"] == "speed"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_reference_is_fitted_shown_and_used(
    call: Callable[..., Called], files: dict[str, Path], tmp_path: Path
) -> None:
    """What `fit` writes, `show` reads with the same id, and `detect` takes in place of the table."""
    path = tmp_path / "usual.reference"
    fitted = call("reference", "fit", files["usual"], *NAMED, "--out", path, "--json").json
    shown = call("reference", "show", path, "--json").json
    assert fitted == shown
    assert [one["name"] for one in shown["features"]] == ["speed", "lane", "score", "prediction"]
    assert shown["rows"] == 2400
    assert "speed" in call("reference", "show", path).out
    table = call("detect", files["moved"], "--reference", files["usual"], *NAMED, "--json").json
    again = call("detect", files["moved"], "--reference", path, *NAMED, "--json").json
    assert again["alarms"] == table["alarms"]


def test_a_stretch_of_time_can_be_fitted(call: Callable[..., Called], files: dict[str, Path], tmp_path: Path) -> None:
    """`--from` and `--to` keep the rows between them; a stretch without rows is an error."""
    asked = ("reference", "fit", files["usual"], *NAMED, "--out", tmp_path / "r", "--json")
    assert call(*asked, "--from", "2026-01-03", "--to", "2026-01-05").json["rows"] == 400
    assert "has no rows in that stretch" in call(*asked, "--from", "2030-01-01").err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give a FILE with --reference REF, or --series FILE"),
        (("a.csv", "--series", "b.csv"), "give a FILE with --reference REF, or --series FILE"),
        (("a.csv",), "--reference REF"),
        (("a.csv", "--reference", "b.csv", "--value", "x"), "--value goes with --series"),
        (("--series", "b.csv", "--html", "x"), "--html goes without --series"),
        (("a.csv", "--reference", "b.csv"), "there is no file `b.csv`"),
    ],
)
def test_what_is_missing_is_named(call: Callable[..., Called], arguments: tuple[str, ...], said: str) -> None:
    """A call that lacks something ends with what to give."""
    called = call("detect", *arguments)
    assert called.code != 0
    assert said in called.err
