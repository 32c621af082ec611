"""Rehearsals of what people change: they say what would be, and nothing reaches the daemon's core."""

import io
from collections.abc import Callable

import pytest

from tests.healerd.cli.conftest import Called
from tests.served import Served

Ask = Callable[..., Called]
CHANGES = {"answer", "resolve", "accept", "pause", "resume", "stop_all"}


@pytest.mark.parametrize(
    ("words", "key", "would"),
    [
        (["pause", "churn"], "would_be", "paused"),
        (["resume", "churn"], "would_be", "running"),
        (["resume", "--all"], "would_be", "running"),
        (["stop-all"], "would_be", "stopped"),
        (["approve", "act-1"], "would", "approve"),
        (["veto", "act-1"], "would", "veto"),
        (["veto", "act-1", "--lift"], "would", "lift"),
        (["resolve", "act-1", "--took-effect"], "would", "end as inconclusive"),
        (["resolve", "act-1", "--no-effect"], "would", "end as failed"),
    ],
)
def test_a_rehearsal_changes_nothing(ask: Ask, daemon: Served, words: list[str], key: str, would: str) -> None:
    """It needs no reason, says what would be and that it was dry, leaves no stop file and calls nothing."""
    told = ask(*words, "--dry-run", "--json")
    assert (told.code, told.json["dry_run"], told.json[key]) == (0, True, would)
    assert {call[0] for call in daemon.core.calls} & CHANGES == set()
    assert not (daemon.state / "STOP").exists()
    assert "a dry run" in (plain := ask(*words, "--dry-run")).out + plain.err


def test_a_stage_is_rehearsed(ask: Ask, daemon: Served) -> None:
    """Promotion and demotion name the stage that would be, and move nothing."""
    for verb, would in (("promote", "canary"), ("demote", "observe")):
        told = ask("policy", verb, "churn", "--dry-run", "--json")
        assert (told.code, told.json["would_be"]) == (0, would)
    assert "set_stage" not in {call[0] for call in daemon.core.calls}


def test_a_reference_is_rehearsed(ask: Ask, daemon: Served) -> None:
    """The daemon makes the reference that would be, and takes it not."""
    told = ask("reference", "accept", "churn", "--dry-run", "--json")
    assert (told.code, told.json["dry_run"], told.json["reference"]["pipeline"]) == (0, True, "churn")
    assert "accept" not in {call[0] for call in daemon.core.calls}
    assert "a dry run" in ask("reference", "accept", "churn", "--dry-run").out


def test_what_is_not_there_is_said(ask: Ask) -> None:
    """An unknown pipeline or intent ends a rehearsal as it would end the change."""
    assert ask("pause", "nothing", "--dry-run").code == 5
    assert ask("veto", "nothing", "--dry-run").code == 5


def test_ids_come_from_stdin(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `-` the ids are read one a line, and what follows on a line is left out."""
    monkeypatch.setattr("sys.stdin", io.StringIO("act-1\tchurn\n\nact-1\n"))
    assert [each["id"] for each in ask("veto", "-", "--dry-run", "--json").json["intents"]] == ["act-1", "act-1"]


@pytest.mark.parametrize(
    ("words", "id_"),
    [
        (["review", "-"], "act-1"),
        (["trace", "show", "-"], "dec-1"),
        (["resolve", "-", "--no-effect", "--dry-run"], "act-1"),
    ],
    ids=["review", "trace show", "resolve"],
)
def test_one_id_comes_from_stdin(ask: Ask, monkeypatch: pytest.MonkeyPatch, words: list[str], id_: str) -> None:
    """A verb about one thing takes its id from stdin too; none, or two, is an error that says so."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{id_}\tchurn\n"))
    assert ask(*words).code == 0
    for text, count in (("", 0), ("act-1\nact-2\n", 2)):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        told = ask(*words)
        assert (told.code, f"{count} came" in told.err) == (2, True)


def test_nobody_is_asked_where_nobody_sits(ask: Ask, daemon: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal every verb that needs a reason ends with 2 and names the option; nothing has happened."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    calls = [
        ["approve", "act-1"], ["veto", "act-1"], ["resolve", "act-1", "--no-effect"], ["propose", "churn", "rollback"],
        ["pause", "churn"], ["resume", "churn"], ["stop-all"], ["policy", "promote", "churn"],
        ["policy", "demote", "churn"], ["reference", "accept", "churn"], ["audit", "erase", "--person", "a"],
        ["audit", "prune", "--before", "2026-01-01"],
    ]  # fmt: skip
    for words in calls:
        told = ask(*words)
        assert (told.code, "--reason" in told.err) == (2, True), words
    assert {call[0] for call in daemon.core.calls} & CHANGES == set()
