"""`healerd status` as a health check and in cron: what it ends with when something else than the daemon is amiss."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from healerd.cli.exits import Exit
from healerd.client.access import REGISTRY
from healerd.clock import ManualClock
from healerd.model import Incident, Layer
from healerd.store import Store
from tests.served import NOW, Served, a_decision, served

Call = Callable[..., Any]

AWAY = {
    "place": "mlflow:http://127.0.0.1:1",
    "since": "2026-05-07T14:00:00Z",
    "reason": "it refuses",
    "registry": "one",
}
INCIDENT = Incident(
    id="inc-1",
    pipeline="churn",
    opened_at=NOW,
    severity=2,
    kind=Layer.HARM,
    opened_by="alarm",
    reason="the error rose to 31%",
    clean_windows=0,
    closed_at=None,
)


@pytest.mark.parametrize(
    ("options", "code"), [((), Exit.OK), (("--live",), Exit.OK), (("--exit-status",), Exit.CONDITION_TRUE)]
)
def test_a_registry_that_is_away_is_no_daemon_that_is(
    ask: Call, daemon: Served, options: tuple[str, ...], code: Exit
) -> None:
    """An outage of one registry is said, and the status ends as it would without it."""
    with daemon.store.transaction() as tx:
        tx.save_state("churn", REGISTRY, AWAY)
    called = ask("status", *options)
    assert "its registry is away" in called.err
    assert called.code == code


@pytest.mark.parametrize(
    ("opened", "later_s", "code"),
    [(True, 0, Exit.CONDITION_TRUE), (True, 7200, Exit.CONDITION_TRUE), (False, 7200, Exit.CONDITION_TRUE)],
    ids=["incident", "incident and stale", "stale"],
)
def test_data_that_stop_end_no_trouble(call: Call, tmp_path: Path, opened: bool, later_s: int, code: Exit) -> None:
    """With --exit-status an open incident, and rows that do not come, are trouble, one and together."""
    clock = ManualClock(NOW)
    with served(tmp_path, clock=clock, pipelines=("churn",)) as running:
        running.store.put(a_decision(chosen="hold"))
        assert call("status", "--exit-status", "--state", tmp_path).code == Exit.OK
        if opened:
            running.store.put(INCIDENT)
        clock.advance(later_s)
        for which in ((), ("churn",)):
            assert call("status", *which, "--exit-status", "--state", tmp_path).code == code


def test_a_daemon_at_another_socket_is_not_called_away(call: Call, tmp_path: Path) -> None:
    """Where somebody holds the state and does not answer in it, that is said with the way to the socket."""
    with Store.open(tmp_path, clock=ManualClock(NOW)):
        held = call("status", "--state", tmp_path)
        refused = call("pause", "churn", "--reason", "labels are late", "--state", tmp_path)
    for called in (held, refused):
        assert f"process {os.getpid()} " in called.err
        assert "--config FILE" in called.err
        assert "away" not in called.err
    assert "the daemon is away" in call("status", "--state", tmp_path).err


def test_a_daemon_that_is_away_is_trouble(call: Call, tmp_path: Path) -> None:
    """With --exit-status a record that nobody goes on with is not well, however well it ended."""
    with Store.open(tmp_path, clock=ManualClock(NOW)):
        pass
    assert call("status", "--exit-status", "--state", tmp_path).code == Exit.CONDITION_TRUE
