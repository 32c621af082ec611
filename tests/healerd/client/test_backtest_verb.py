"""`healerd backtest`: what it prints, what it ends with, and what it says to bad input."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from healerd.cli.exits import Exit
from healerd.cli.group import invoke
from tests.healerd.client.conftest import Past
from tests.healerd.daemon.loop import RULES

STRICTER = RULES + "forbid never: retrain when labelled_rows < 100000\n"


@pytest.fixture
def stricter(tmp_path: Path) -> Path:
    file = tmp_path / "stricter.heal"
    file.write_text(STRICTER)
    return file


def test_everything_that_is_promised_is_printed(past: Past, stricter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Reproduction, changes by rule and action, evidence, failures, modelled cost, cooldowns, confidences, verdict."""
    assert invoke(["backtest", "--state", str(past.state), "--rules", str(stricter)]) == Exit.OK
    out = capsys.readouterr().out.replace("\n  ", " ")
    for said in (
        "reproduced as recorded: ",
        "newly forbidden\tnever\tasks for retrain\tholds",
        "without evidence",
        "failure difference: unknown",
        "cost, modelled: ",
        "with cooldowns carried along",
        "ledger, modelled, as recorded: ",
        "ledger, modelled, as tried: ",
        "later windows would have been other ones",
        "verdict: not proven",
    ):
        assert said in out


def test_json_carries_the_same_and_the_status_may_be_an_exit_code(
    past: Past, stricter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --exit-status what is not proven better ends with 8; the JSON holds every figure under a schema."""
    words = ["backtest", "--state", str(past.state), "--rules", str(stricter), "--json", "--exit-status"]
    assert invoke(words) == Exit.CONDITION_TRUE
    view = json.loads(capsys.readouterr().out)
    assert view["schema"] == 1
    assert view["changed"]["pairs"][0]["kind"] == "newly forbidden"
    assert view["evidence"]["none"] + view["evidence"]["overridden"] == view["changed"]["count"]
    assert set(view) >= {"reproduced", "failure", "model_cost", "resimulated", "reliability", "verdict", "why"}


def test_a_copied_database_is_enough(
    past: Past, stricter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that was copied out of a state folder answers as the folder does."""
    words = ["--rules", str(stricter), "--json"]
    assert invoke(["backtest", "--state", str(past.state), *words]) == Exit.OK
    live = json.loads(capsys.readouterr().out)
    with sqlite3.connect(past.state / "healerd.db") as db:
        db.execute("VACUUM INTO ?", (str(tmp_path / "copy.db"),))
    assert invoke(["backtest", "--state", str(tmp_path / "copy.db"), *words]) == Exit.OK
    assert json.loads(capsys.readouterr().out) == live


def test_a_record_that_does_not_reproduce_ends_with_7(
    past: Past, stricter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One altered decision: the field is named, no figure is printed."""
    state = tmp_path / "state"
    shutil.copytree(past.state, state)
    with sqlite3.connect(state / "healerd.db") as db:
        db.execute("UPDATE decision SET body = json_set(body, '$.chosen', 'rollback') WHERE incident_id IS NOT NULL")
    assert invoke(["backtest", "--state", str(state), "--rules", str(stricter)]) == Exit.CHECK_FAILED
    said = capsys.readouterr()
    assert "chosen" in said.out
    assert "verdict" not in said.out
    assert "nothing is concluded" in said.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], Exit.USAGE, "say what to try"),
        (["--rules", "nosuch"], Exit.USAGE, "no shipped pack; the packs are `base`"),
        (["--policy", "nosuch"], Exit.USAGE, "there are `bayesian`"),
        (["--set", "gat=1"], Exit.USAGE, "the keys are gate"),
        (["--set", "gate=0.9", "--since", "2030-01-01"], Exit.NOT_FOUND, "no decision in this period; there are"),
        (["--set", "gate=0.9", "--pipeline", "nosuch"], Exit.NOT_FOUND, "there are `flights`"),
        (["--set", "gate=0.9", "--since", "2026-02-01", "--until", "2026-01-01"], Exit.USAGE, "not after --since"),
    ],
)
def test_bad_input_is_named(
    past: Past, capsys: pytest.CaptureFixture[str], words: list[str], code: Exit, said: str
) -> None:
    """Every slip has its exit code, and a sentence that says what there is."""
    assert invoke(["backtest", "--state", str(past.state), *words]) == code
    assert said in capsys.readouterr().err


def test_a_file_that_does_not_compile_shows_its_findings(
    past: Past, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each finding stands there with its place, and the exit code is that of rules that do not pass."""
    (tmp_path / "wrong.heal").write_text("forbid few: retrain when rwos < 3\n")
    words = ["backtest", "--state", str(past.state), "--rules", str(tmp_path / "wrong.heal")]
    assert invoke(words) == Exit.CHECK_FAILED
    err = capsys.readouterr().err
    assert "unknown name `rwos`" in err
    assert "wrong.heal:1:26" in err


def test_a_foreign_database_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A database of another program, or none at all, is said to be that."""
    assert invoke(["backtest", "--state", str(tmp_path), "--rules", "cautious"]) == Exit.AWAY
    with sqlite3.connect(tmp_path / "healerd.db") as db:
        db.execute("CREATE TABLE other (x)")
    assert invoke(["backtest", "--state", str(tmp_path), "--rules", "cautious"]) == Exit.FAILED
    assert "a database of another program" in capsys.readouterr().err
