"""A backtest that is shared out among workers."""

import json
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from healerd.cli.group import invoke
from healerd.client.backtest import Period, backtest, instead_of
from healerd.store import ReadStore
from healerd.workers import ALONE, Crew
from tests.healerd.client.conftest import Past
from tests.healerd.client.test_backtest import a_ruleset
from tests.healerd.daemon.loop import RULES

FORBID = RULES + "forbid never: retrain when labelled_rows < 100000\n"
SIGNAL = RULES + "signal odd = (rows > 100) for 2 windows\npropose again: rollback when odd\n"
THREADS = Crew(open=lambda: ThreadPoolExecutor(2), size=2)


@pytest.fixture(scope="module")
def fleet(past: Past, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The past of one pipeline, and beside it that of five more that lived the same, a decision each in turn."""
    folder = tmp_path_factory.mktemp("fleet") / "state"
    shutil.copytree(past.state, folder, ignore=shutil.ignore_patterns("*.sock"))
    with sqlite3.connect(folder / "healerd.db") as db:
        for table in ("decision", "watermark"):
            for seq, key, leaf, body in db.execute(f"SELECT seq, row_key, leaf, body FROM {table}").fetchall():
                text = body if isinstance(body, str) else body.decode()
                own = json.loads(text).get("id", "")
                for number in range(5):
                    named = text.replace('"flights"', f'"other-{number}"')
                    named = named.replace(own, f"{own}-{number}") if own else named
                    row = (1_000_000 + 8 * seq + number, f"{key}-{number}", leaf, named)
                    db.execute(f"INSERT INTO {table} (seq, row_key, leaf, body) VALUES (?, ?, ?, ?)", row)
    db.close()
    return folder


@pytest.mark.parametrize(
    ("rules", "cost"), [(FORBID, "retrain.cost=7.3"), (SIGNAL, "severity=3.1")], ids=["forbid", "signal"]
)
def test_who_walks_changes_no_figure(fleet: Path, rules: str, cost: str) -> None:
    """However the pipelines are shared out, the view is that of one who walks them all, to the last digit."""
    instead = instead_of(name="tried", ruleset=a_ruleset(rules), settings=(cost,))
    with ReadStore.open(fleet) as reader:
        alone = backtest(reader, instead, Period(), place=fleet, crew=ALONE)
        assert not alone["reproduced"]["problem"], alone["reproduced"]
        shared = backtest(reader, instead, Period(), place=fleet, crew=THREADS)
    assert json.dumps(shared) == json.dumps(alone)
    assert (alone["changed"]["count"] > 0, len({line["pipeline"] for line in alone["changed"]["listed"]})) == (True, 6)


def test_a_part_of_the_record_is_shared_out_alike(fleet: Path, past: Past) -> None:
    """A period, and one pipeline of it, come to the same."""
    instead = instead_of(name="tried", ruleset=a_ruleset(FORBID))
    for period in (Period(since=past.now - timedelta(hours=8)), Period(pipeline="other-2")):
        with ReadStore.open(fleet) as reader:
            alone = backtest(reader, instead, period)
            assert json.dumps(backtest(reader, instead, period, place=fleet, crew=THREADS)) == json.dumps(alone)


def test_processes_of_this_machine_print_the_same(
    fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--processes 2` prints what one process prints."""
    (tmp_path / "stricter.heal").write_text(FORBID)
    words = ["backtest", "--state", str(fleet), "--rules", str(tmp_path / "stricter.heal"), "--json"]
    assert invoke(words) == 0
    alone = capsys.readouterr().out
    assert invoke([*words, "--processes", "2"]) == 0
    assert capsys.readouterr().out == alone
