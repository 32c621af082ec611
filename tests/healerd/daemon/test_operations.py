"""Metrics of operation in the running core: warnings of a layer of their own, and what happens when they are away."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from healerd.client.reproduce import reproduce
from healerd.daemon.operating import MEMORY
from healerd.daemon.situations import situation_of
from healerd.decision import facts
from healerd.model import Decision, Incident, Layer, Measurement
from tests.healerd.daemon.loop import NAME, START, Loop
from tests.prometheus import Prometheus, prometheus

MORE = """
[pipeline.flights.operations]
url = "{url}"
history = 300
refractory = 60
[pipeline.flights.operations.queries]
latency_p99 = "latency"
errors = "errors"
"""


def usual(at: float) -> float:
    """A latency that wanders without a pattern, always the same at the same time."""
    minute = int(at // 60)
    return 0.2 + 0.02 * ((minute * 7919 % 101) / 101) + 0.01 * math.sin(minute / 9)


@pytest.fixture
def served() -> Iterator[Prometheus]:
    with prometheus() as found:
        found.metrics = {"latency": [usual], "errors": [lambda at: 0.01 + usual(at) / 100]}
        yield found


@pytest.fixture
def loop(served: Prometheus, tmp_path: Path) -> Loop:
    return Loop(tmp_path, more=MORE.format(url=served.url))


def told(loop: Loop) -> dict[str | None, Measurement]:
    situation = situation_of(loop.decision())
    assert situation is not None
    return {one.subject: one for one in situation.measurements if one.layer is Layer.OPERATIONS}


def fact(loop: Loop, name: str) -> object:
    situation = situation_of(loop.decision())
    assert situation is not None
    return facts(situation)[name]


def burst(served: Prometheus, start_s: float, seconds: float = 600) -> None:
    """Let the latency be ten times the usual for some minutes."""
    served.metrics["latency"] = [lambda at: usual(at) * (10 if start_s <= at < start_s + seconds else 1)]


def test_an_odd_metric_is_a_warning_and_no_incident(loop: Loop, served: Prometheus) -> None:
    """A burst of latency raises the alarm of operations, names the metric and when, and opens no incident."""
    loop.play(8)
    assert told(loop)[None].alarm is False
    burst(served, loop.clock.now().timestamp() + 600)
    loop.play()
    seen = told(loop)
    assert (seen[None].alarm, seen["latency_p99"].alarm, seen["errors"].alarm) == (True, True, False)
    since = seen["latency_p99"].since_at
    assert since is not None
    assert 600 <= (since - loop.decision().at).total_seconds() + 3600 < 1300
    assert loop.core.store.find(Incident) == ()
    assert loop.decision().trace["alarms"]["operations"] is True


def test_rules_may_read_the_metrics(loop: Loop) -> None:
    """The mean over the window and the oddness of each metric are facts."""
    loop.play(2)
    values, oddness = fact(loop, "operation_value"), fact(loop, "operation_oddness")
    assert isinstance(values, dict)
    assert isinstance(oddness, dict)
    assert set(values) == set(oddness) == {"latency_p99", "errors"}
    assert values["latency_p99"] == pytest.approx(0.21, abs=0.02)


@pytest.mark.parametrize("change", [{"down": True}, {"broken": "no such metric"}, {"metrics": {}}])
def test_a_metric_that_is_away_is_unknown_and_the_loop_goes_on(
    loop: Loop, served: Prometheus, change: dict[str, object]
) -> None:
    """A query that fails or gives nothing: the metric, its alarm and the data's quality are unknown, and it holds."""
    loop.play(2)
    for name, value in change.items():
        setattr(served, name, value)
    loop.play()
    seen = told(loop)
    assert (seen[None].alarm, seen["latency_p99"].alarm, seen["latency_p99"].value) == (None, None, None)
    assert "unknown" in seen["latency_p99"].assumptions[0]
    assert fact(loop, "data_quality") is None
    assert loop.decision().chosen == "hold"
    assert loop.core.store.watermark(NAME) == loop.clock.now()


def test_what_was_missed_is_caught_up_with(loop: Loop, served: Prometheus) -> None:
    """After hours of outage the points missed are asked for, and the memory is that of a loop that missed nothing."""
    loop.play(2)
    served.down = True
    loop.play(3)
    served.down = False
    loop.play()
    assert told(loop)[None].alarm is False
    assert told(loop)["latency_p99"].n == 60
    memory = json.loads(loop.core.store.state(NAME, MEMORY) or b"{}")

    other = Loop(loop.folder / "other", more=MORE.format(url=served.url))
    other.play(6)
    assert json.loads(other.core.store.state(NAME, MEMORY) or b"{}") == memory


def test_the_memory_outlives_the_process(loop: Loop, served: Prometheus) -> None:
    """A daemon that is started anew knows what is usual, and sees the burst as one that ran through."""
    loop.play(8)
    loop.reopen()
    burst(served, loop.clock.now().timestamp() + 600)
    loop.play()
    assert told(loop)["latency_p99"].alarm is True


def test_decisions_with_metrics_are_reproduced(loop: Loop, served: Prometheus) -> None:
    """Every decision of a loop with metrics, with alarms and without, is decided again as it was, without asking."""
    loop.play(3)
    burst(served, loop.clock.now().timestamp() + 600)
    loop.play(2)
    served.down = True
    asked = len(served.asked)
    found = list(reproduce(loop.core.store, loop.core.store.find(Decision)))
    assert len(found) == 5
    assert [one.problem for one in found] == [""] * 5
    assert len(served.asked) == asked


def test_a_loop_without_metrics_knows_nothing_of_them(tmp_path: Path) -> None:
    """Without the section the alarm is unknown, the facts are empty, and the quality is not touched."""
    loop = Loop(tmp_path)
    loop.play()
    assert told(loop) == {}
    assert loop.decision().trace["alarms"]["operations"] is None
    assert fact(loop, "data_quality") == "good"
    assert loop.clock.now() > START
