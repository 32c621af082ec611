"""The record reproduces: every decision comes out of its own trace and its own rules, and one altered bit is found."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from healerd.cli.exits import Exit
from healerd.cli.group import invoke
from healerd.client.reproduce import decisions, reproduce
from healerd.model import Decision
from healerd.store import Reader, ReadStore, bodies
from tests.healerd.client.conftest import Past
from tests.healerd.daemon.loop import RULES, Loop


def altered(past: Past, folder: Path, change: str) -> Path:
    """A copy of the state in which one decision was changed by SQL; gives the folder."""
    copy = folder / "state"
    shutil.copytree(past.state, copy)
    with sqlite3.connect(copy / "healerd.db") as db:
        ((seq,),) = db.execute("SELECT max(seq) FROM decision WHERE json_extract(body, '$.confidence') > 0")
        db.execute(f"UPDATE decision SET body = json_set(body, {change}) WHERE seq = ?", (seq,))
    return copy


def test_every_decision_of_a_life_reproduces(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    """Healthy windows, a heal, its steps and a person's answers: all come out the same, and the verb says how many."""
    with past.store() as reader:
        found = decisions(reader)
        assert len(found) > 10
        assert [one.problem for one in reproduce(reader, found)] == [""] * len(found)
    assert invoke(["replay", "--state", str(past.state)]) == Exit.OK
    assert f"{len(found)}/{len(found)} reproduced" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("'$.confidence', 0.123", "confidence"),
        ("'$.chosen', 'rollback'", "chosen"),
        ("'$.trace.situation.measurements[0].value', 0.5", ""),
    ],
    ids=["a number", "a choice", "what it stood on"],
)
def test_an_altered_decision_is_found(
    past: Past, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, field: str
) -> None:
    """Whatever is changed in a decision, it comes out otherwise, with the first field that differs."""
    state = altered(past, tmp_path, change)
    assert invoke(["replay", "--state", str(state), "--json"]) == Exit.CHECK_FAILED
    told = json.loads(capsys.readouterr().out)
    assert told["decisions"] - told["reproduced"] == 1
    (other,) = told["others"]
    assert field in other["field"]


def test_rules_that_are_gone_from_the_disk_are_read_from_the_record(tmp_path: Path) -> None:
    """What was in force is loaded from the texts that were kept, imports included, behind a link as well."""
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    tmp_path /= "linked"
    (tmp_path / "01_own.heal").write_text('import "base"\nforbid never: rollback when error_rate > 99%\n')
    loop = Loop(tmp_path, rules='import "own"\n' + RULES.replace('import "base"\n', ""))
    for _ in range(3):
        loop.play()
    loop.core.close()
    for file in tmp_path.glob("*.heal"):
        file.unlink()
    with ReadStore.open(tmp_path / "state") as reader:
        found = decisions(reader)
        assert found
        assert [one.problem for one in reproduce(reader, found)] == [""] * len(found)


def test_since_and_pipeline_choose(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the decisions that were asked for are decided again; none is said to be none, a wrong name is refused."""
    assert invoke(["replay", "--state", str(past.state), "--pipeline", "nosuch"]) == Exit.NOT_FOUND
    capsys.readouterr()
    assert invoke(["replay", "--state", str(past.state), "--since", "2999-01-01"]) == Exit.OK
    said = capsys.readouterr()
    assert said.out == "0/0 reproduced\n"
    assert "no such decision" in said.err


def test_decisions_are_read_a_page_at_a_time(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their number is known before any of them is read, and no more than a page of bodies is asked for at once."""
    monkeypatch.setattr(bodies, "PAGE", 4)
    asked: list[tuple[str, int]] = []

    def query(self: Reader, sql: str, values: list[object]) -> list[object]:
        rows = self._connection().execute(sql, values).fetchall()
        asked.append((sql, len(rows)))
        return rows

    monkeypatch.setattr(Reader, "_query", query)
    with past.store() as reader:
        found = decisions(reader)
        assert len(found) > 10
        assert not any("body" in sql for sql, _ in asked)
        assert len(list(found)) == len(found)
        assert list(found) == list(reader.find(Decision))
    assert max(count for sql, count in asked if 'AS BLOB) FROM "decision" WHERE seq IN' in sql) == 4


def test_what_was_erased_is_counted_apart_and_never_made_up(
    past: Past, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A decision whose trace was erased is neither reproduced nor a difference, and no sentence claims what it held."""
    state = tmp_path / "state"
    shutil.copytree(past.state, state)
    with ReadStore.open(state) as reader:
        found = decisions(reader)
        first = next(decision for decision in found if decision.incident_id)
    with sqlite3.connect(state / "healerd.db") as db:
        ((leaf,),) = db.execute("SELECT leaf FROM decision WHERE row_key = ?", (first.id,))
    erase = ["audit", "erase", "--state", str(state), "--leaf", str(leaf), "--yes", "--reason", "asked for by law"]
    assert invoke(erase) == Exit.OK
    capsys.readouterr()
    assert invoke(["replay", "--state", str(state), "--json"]) == Exit.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["reproduced"], told["erased"]) == (len(found) - 1, 1)
    assert invoke(["trace", "show", first.id, "--state", str(state)]) == Exit.OK
    said = capsys.readouterr().out
    assert "was erased from the record" in said
    assert "no alarm stands" not in said
    assert invoke(["trace", "show", first.id, "--state", str(state), "--format", "diagram"]) == Exit.OK
    assert "ALARMS        erased from the record" in capsys.readouterr().out
    assert invoke(["trace", "why-not", "retrain", first.id, "--state", str(state)]) == Exit.NOT_FOUND
    assert invoke(["backtest", "--rules", "cautious", "--state", str(state)]) == Exit.OK
