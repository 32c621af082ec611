"""The daemon as people meet it: a process, a configuration, a table, and a second terminal."""

import signal
import sqlite3
from pathlib import Path

import pytest

from tests.system.installation import Installation, end, install

WHY = ("--reason", "known campaign")


@pytest.fixture
def here(tmp_path: Path) -> Installation:
    return install(tmp_path)


def test_it_notices_asks_obeys_and_proves_it(here: Installation) -> None:
    """A model that goes wrong leads to a question, whose veto holds; the record verifies, daemon or not."""
    with here.running() as daemon:
        question = here.wait_for_question(daemon)
        assert (question["state"], question["action"]) == ("awaiting approval", "retrain")
        assert here.call("status", "--exit-status").code == 8
        shown = here.call("review", question["id"])
        assert "If nobody answers" in shown.out
        assert "healerd veto" in shown.out
        assert here.call("veto", question["id"], *WHY).code == 0
        late = here.call("veto", question["id"], *WHY)
        assert (late.code, "vetoed" in late.err) == (6, True)
        decision = here.call("review", question["id"], "--json").json["intent"]["decision_id"]
        assert "It would retrain" in here.call("trace", "show", decision).out
        assert here.call("audit", "verify").code == 0
        doctor = here.call("doctor", "--json")
        assert doctor.json["healthy"], doctor.out
        assert end(daemon) == 0
    away = here.call("status", "--json").json
    assert (away["daemon"]["state"], away["pipelines"][0]["state"]) == ("away", "vetoed")
    assert here.call("audit", "verify").code == 0


def test_an_approved_heal_is_carried_out(here: Installation) -> None:
    """Once approved, a retraining runs in a process of its own with the user's code, and its candidate is stored."""
    here.use_rules('import "base"\npropose again: retrain when alarm(harm) priority 50 severity high\n')
    with here.running() as daemon:
        question = here.wait_for_question(daemon)
        approved = here.call("approve", question["id"], "--if-rev", str(question["revision"]), *WHY)
        assert approved.code == 0, approved.err
        here.wait_for(lambda: len(list((here.state / "registry/spam/versions").iterdir())) >= 2, daemon)
        here.wait_for(lambda: "retrain is " in here.log.rpartition("awaiting approval")[2], daemon)
        assert end(daemon) == 0
    assert here.call("audit", "verify").code == 0


def test_s16_a_crash_is_no_consent(here: Installation) -> None:
    """After kill -9 the question is still a question, under the same id, and the record verifies."""
    with here.running() as daemon:
        question = here.wait_for_question(daemon)
        end(daemon, signal.SIGKILL)
    assert here.call("audit", "verify").code == 0
    with here.running() as daemon:
        again = here.wait_for_question(daemon)
        assert (again["id"], again["state"]) == (question["id"], question["state"])
        assert len(here.call("inbox", "--all", "--json").json["intents"]) == 1
    assert here.call("audit", "verify").code == 0


def test_a_second_daemon_is_turned_away(here: Installation) -> None:
    """A second daemon on the same state folder ends with 75, naming the first, which goes on."""
    with here.running() as daemon:
        second = here.call("run", "--log", "plain")
        assert second.code == 75
        assert f"process {daemon.pid}" in second.err
        assert here.call("status").code == 0


def test_a_daemon_on_standby_takes_over_from_one_that_dies(here: Installation) -> None:
    """With --standby a second daemon waits, and runs when the first is killed; the question is still a question."""
    with here.running() as first:
        question = here.wait_for_question(first)
        with here.running("--standby") as second:
            here.wait_for(lambda: f"on standby: the state folder `{here.state}`" in here.log, second)
            end(first, signal.SIGKILL)
            here.wait_for(lambda: here.call("status", "--json").json["daemon"]["pid"] == second.pid, second)
            again = here.wait_for_question(second)
            assert (again["id"], again["state"]) == (question["id"], question["state"])
            assert end(second) == 0
    assert here.call("audit", "verify").code == 0


def test_s15_stop_all_works_while_the_daemon_hangs(here: Installation) -> None:
    """With the daemon stopped by a signal, stop-all still ends well, and the daemon obeys when it wakes up."""
    with here.running() as daemon:
        daemon.send_signal(signal.SIGSTOP)
        stopped = here.call("stop-all", *WHY)
        assert stopped.code == 0, stopped.err
        assert (here.state / "STOP").exists()
        daemon.send_signal(signal.SIGCONT)
        here.wait_for(lambda: here.call("status", "--json").json["stop_file"], daemon)
        here.call("stop-all", *WHY)
        assert here.call("resume", "--all", *WHY).code == 0
        assert not (here.state / "STOP").exists()


def test_rules_that_do_not_compile_keep_the_old_ones(here: Installation) -> None:
    """A broken rule file is refused at start with all its errors, and on SIGHUP changes nothing."""
    config = here.folder / "healerd.toml"
    config.write_text(
        config.read_text().replace('model = "model.joblib"', 'model = "model.joblib"\nrules = ["my.heal"]')
    )
    rules = here.folder / "my.heal"
    rules.write_text('import "default"\n')
    with here.running() as daemon:
        rules.write_text('import "default"\nforbid nights: retrian\n')
        daemon.send_signal(signal.SIGHUP)
        here.wait_for(lambda: "the rules stay as they were" in here.log, daemon)
        assert "did you mean `retrain`?" in here.log
        assert here.call("status").code == 0
        assert end(daemon) == 0
    refused = here.call("run", "--log", "plain")
    assert refused.code == 78
    assert "my.heal:2" in refused.err
    assert here.call("rules", "check").code == 7
    assert here.call("doctor").code == 7


def test_s17_a_manual_heal_goes_through_the_guards(here: Installation) -> None:
    """What a person proposes is decided like anything else, and recorded with its author."""
    with here.running() as daemon:
        here.wait_for_question(daemon)
        held = here.call("propose", "spam", "rollback", "--to", "nonsense", "--json", *WHY)
        assert (held.code, held.json["decision"]["chosen"]) == (1, "hold")
        assert "no version `nonsense`" in held.json["decision"]["reason"]
        assert held.json["decision"]["author"] != "daemon"


def test_a_pause_holds_and_ends(here: Installation) -> None:
    """A paused pipeline says so, and goes on when somebody who saw the pause ends it."""
    with here.running():
        assert here.call("pause", "spam", *WHY).code == 0
        assert here.call("status", "spam", "--json").json["paused"]["reason"] == "known campaign"
        assert here.call("resume", "spam", *WHY).code == 0
        assert here.call("status", "spam", "--json").json["paused"] is None


@pytest.mark.parametrize(
    ("damage", "code", "said"),
    [
        (lambda here: (here.folder / "healerd.toml").write_text("[deamon]\n"), 78, "did you mean `daemon`?"),
        (lambda here: (here.folder / "served.csv").unlink(), 0, "served.csv"),
        (lambda here: (here.folder / "model.joblib").unlink(), 78, "model.joblib"),
        (lambda here: (here.folder / "reference.csv").unlink(), 69, "reference.csv"),
        (lambda here: (here.folder / "state").write_text("in the way"), 66, "state"),
    ],
    ids=["configuration", "source", "model", "reference", "state folder"],
)
def test_what_is_missing_is_named(here: Installation, damage: object, code: int, said: str) -> None:
    """A daemon that lacks something says what, with the documented code; a source that is away is waited for."""
    damage(here)  # type: ignore[operator]
    if code == 0:
        with here.running() as daemon:
            here.wait_for(lambda: said in here.log, daemon)
            assert end(daemon) == 0
    else:
        ended = here.call("run", "--log", "plain")
        assert (ended.code, said in ended.err) == (code, True), ended.err
        assert "Traceback" not in ended.err


def test_a_damaged_database_is_never_acted_on(here: Installation) -> None:
    """A database that somebody edited is found by `audit verify`; one that is not a database ends the start with 66."""
    with here.running() as daemon:
        here.wait_for_question(daemon)
        assert end(daemon) == 0
    database = here.state / "healerd.db"
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE intent SET body = replace(body, 'awaiting approval', 'ready')")
    connection.close()
    found = here.call("audit", "verify", "--json")
    assert (found.code, found.json["verified"]) == (7, False)
    assert "intent" in found.json["problem"]
    database.write_bytes(b"not a database, not at all, but long enough to be taken for one" * 100)
    for left in here.state.glob("healerd.db-*"):
        left.unlink()
    assert here.call("run", "--log", "plain").code == 66
