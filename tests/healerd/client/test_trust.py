"""The look at how far a pipeline is trusted stands on its newest window, and finds it without reading the others."""

import pytest

from healerd.client.trust import policy
from healerd.model import Decision
from healerd.store import Reader
from tests.healerd.client.conftest import Past
from tests.healerd.daemon.loop import NAME


def test_the_newest_window_is_found_without_a_sort_of_all(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was learned is that of the newest judged window, found by an index and not by reading every decision."""
    plans: dict[str, str] = {}

    def query(self: Reader, sql: str, values: list[object]) -> list[object]:
        connection = self._connection()
        plans[sql] = "; ".join(step[-1] for step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values))
        return connection.execute(sql, values).fetchall()

    with past.store() as reader:
        windows = [each for each in reader.find(Decision, pipeline=NAME) if each.window_end_at is not None]
        monkeypatch.setattr(Reader, "_query", query)
        view = policy(reader, [NAME], past.now, {"name": NAME})
    newest = max(windows, key=lambda each: each.window_end_at or past.now)
    assert view["at"] == newest.at.isoformat().replace("+00:00", "Z")
    of_decisions = {sql: plan for sql, plan in plans.items() if 'FROM "decision"' in sql}
    assert of_decisions
    assert [plan for plan in of_decisions.values() if "TEMP B-TREE" in plan] == []
