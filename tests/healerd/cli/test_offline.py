"""`try` and `demo` at the command line: what is asked reaches the run, and a run that is stopped says how to go on."""

from pathlib import Path
from typing import Any

import pytest

import healerd.offline
from healerd.cli.exits import Exit
from healerd.cli.group import invoke


def stop(options: Any) -> int:
    raise KeyboardInterrupt


def test_a_demo_that_is_stopped_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends with its own code and names the commands that look into what was kept."""
    monkeypatch.setattr(healerd.offline, "run_demo", stop)
    assert invoke(["demo", "--state", str(tmp_path)]) == Exit.INTERRUPTED
    said = capsys.readouterr().err
    assert "goes on from here" in said
    assert f"healerd status --state {tmp_path}" in said


def test_a_run_without_a_folder_says_that_nothing_was_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody looks for what is not there."""
    monkeypatch.setattr(healerd.offline, "run_try", stop)
    assert invoke(["try", "games.csv", "--target", "wins"]) == Exit.INTERRUPTED
    assert "nothing was kept" in capsys.readouterr().err


def test_a_table_may_have_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --time the rows are taken in the file's order."""
    given: list[Any] = []
    monkeypatch.setattr(healerd.offline, "run_try", lambda options: given.append(options) or 0)
    assert invoke(["try", "games.csv", "--target", "wins"]) == Exit.OK
    assert given[0].time is None


@pytest.mark.parametrize(
    ("verb", "run"), [(["demo"], "run_demo"), (["try", "games.csv", "--target", "wins"], "run_try")]
)
def test_a_registry_is_handed_on(monkeypatch: pytest.MonkeyPatch, verb: list[str], run: str) -> None:
    """--registry reaches the run as it was typed; without it the models stay in the folder."""
    given: list[Any] = []
    monkeypatch.setattr(healerd.offline, run, lambda options: given.append(options.registry) or 0)
    assert invoke([*verb, "--registry", "mlflow:http://localhost:5000#a@b"]) == Exit.OK
    assert invoke(verb) == Exit.OK
    assert given == ["mlflow:http://localhost:5000#a@b", None]
