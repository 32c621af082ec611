"""`healerd report`: the table, the JSON and the page of one log, and what it says of a folder that is none."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from healerd.cli.exits import Exit
from healerd.clock import ManualClock
from healerd.store import Store, Watermark
from healerd.store.care import prune
from tests.served import NOW, a_decision, an_intent

Call = Callable[..., Any]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with Store.open(tmp_path / "state", clock=ManualClock(NOW)) as store, store.transaction() as tx:
        tx.put(Watermark(pipeline="churn", end_at=NOW))
        tx.put(a_decision())
        tx.put(an_intent())
    return tmp_path / "state"


def test_the_table_has_a_line_a_figure(call: Call, state: Path) -> None:
    """Each figure is a line with its value, number and traces; what is unknown says so."""
    printed = call("report", "--state", state)
    assert printed.code == Exit.OK, printed.err
    rows = {row[0]: row for row in printed.rows[1:]}
    assert rows["windows judged"][1] == "1"
    assert rows["retrain: not over"][1:] == ["1", "-", "1", "-", "dec-1"]
    assert rows["time to detect, median"][1] == "unknown"


def test_what_was_pruned_is_said(call: Call, tmp_path: Path) -> None:
    """Text and JSON both say from when on the record is whole."""
    clock = ManualClock(NOW)
    with Store.open(tmp_path, clock=clock) as store:
        for number in range(3):
            clock.advance(86400)
            with store.transaction() as tx:
                tx.put(a_decision(id=f"dec-{number}", at=clock.now()))
                tx.put(Watermark(pipeline="churn", end_at=clock.now()))
        with store.transaction() as tx:
            prune(tx, clock.now(), actor="ada", reason="old")
    assert "entries from before 2026-05-10 were pruned" in call("report", "--state", tmp_path).err
    assert call("report", "--state", tmp_path, "--json").json["pruned_before"] == "2026-05-10T14:17:00Z"


def test_json_page_and_table_are_of_one_view(call: Call, state: Path, tmp_path: Path) -> None:
    """The page is written beside the JSON, whose schema is 1, and names every trace that it links to."""
    out = tmp_path / "report.html"
    printed = call("report", "--state", state, "--json", "--html", out, "--pipeline", "churn")
    assert json.loads(printed.out)["schema"] == 1
    assert "dec-1" in out.read_text(encoding="utf-8")
    assert str(out) in printed.err


@pytest.mark.parametrize("out", ["no/dir/x.html", "."])
def test_a_page_that_cannot_be_written_is_said(call: Call, state: Path, tmp_path: Path, out: str) -> None:
    """A place where no file can be ends the verb with the path and the reason, and without a traceback."""
    printed = call("report", "--state", state, "--html", tmp_path / out)
    assert printed.code == Exit.FAILED
    assert f"`{tmp_path / out}` cannot be written" in printed.err


def foreign(folder: Path) -> None:
    with sqlite3.connect(folder / "healerd.db") as other:
        other.execute("CREATE TABLE song (title TEXT)")
    other.close()


def torn(folder: Path) -> None:
    (folder / "healerd.db").write_bytes(b"no database at all" * 500)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(lambda _: None, "no database"), (foreign, "another program"), (torn, "healerd.db")],
    ids=["empty", "foreign", "torn"],
)
def test_a_folder_that_is_none_is_refused(call: Call, tmp_path: Path, spoil: Callable[[Path], None], said: str) -> None:
    """No database, another program's and a torn one end with an error that names the file, and print no figure."""
    spoil(tmp_path)
    called = call("report", "--state", tmp_path)
    assert called.code != Exit.OK
    assert said in called.err
    assert called.out == ""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--pipeline", "chrun"), Exit.NOT_FOUND, "did you mean `churn`?"),
        (("--since", "2026-05-08", "--until", "2026-05-07"), Exit.USAGE, "--since must be before --until"),
        (("--since", "yesterday"), Exit.USAGE, "expected a time"),
    ],
)
def test_what_cannot_be_reported_is_said(
    call: Call, state: Path, words: tuple[str, ...], code: Exit, said: str
) -> None:
    """An unknown pipeline and a stretch that holds nothing end with their code."""
    called = call("report", "--state", state, *words)
    assert called.code == code
    assert said in called.err
