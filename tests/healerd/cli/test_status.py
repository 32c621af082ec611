"""`healerd status` as a health check and in cron: what it ends with when something else than the daemon is amiss."""

from collections.abc import Callable
from typing import Any

import pytest

from healerd.cli.exits import Exit
from healerd.client.access import REGISTRY
from tests.served import Served

Call = Callable[..., Any]

AWAY = {
    "place": "mlflow:http://127.0.0.1:1",
    "since": "2026-05-07T14:00:00Z",
    "reason": "it refuses",
    "registry": "one",
}


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
