"""The follower on a real control socket: a snapshot, then leaves; away and back, for ever."""

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from healerd.client import Client
from healerd.clock import ManualClock
from healerd_tui.link import RETRY_MAX_S, RETRY_MIN_S, Follower, pauses
from healerd_tui.state import Conn, Leaf, Lost, Snapshot, State, reduce
from tests.served import NOW, a_decision, an_intent, served
from tests.tui.playing import Clock

PATIENCE_S = 15.0


class Heard:
    """What the follower said, and the state that follows from it."""

    def __init__(self) -> None:
        self.messages: queue.Queue[Any] = queue.Queue()
        self.state = State()

    def until(self, holds: Any) -> Any:
        while True:
            message = self.messages.get(timeout=PATIENCE_S)
            self.state = reduce(self.state, message)
            if holds(message):
                return message


@contextmanager
def following(folder: Path, monotonic: Callable[[], float] | None = None) -> Iterator[tuple[Follower, Heard]]:
    heard = Heard()
    ticks = iter(range(1_000_000))
    follower = Follower(
        Client(folder, timeout_s=5),
        heard.messages.put,
        jitter=lambda: 0.99,
        monotonic=monotonic or (lambda: float(next(ticks))),
    )
    follower.start()
    try:
        yield follower, heard
    finally:
        follower.close()


@given(st.floats(0, 0.999))
def test_pauses_double_up_to_ten_seconds_and_never_end(jitter: float) -> None:
    """Tries are between half a second and ten apart, never shorter, whatever the jitter."""
    found = list(islice(pauses(lambda: jitter), 40))
    assert all(RETRY_MIN_S <= each <= RETRY_MAX_S for each in found)
    assert found[-1] >= RETRY_MAX_S * (1 - jitter / 2) - 1e-9
    assert found == sorted(found)


def test_a_snapshot_comes_first_then_every_leaf(tmp_path: Path) -> None:
    """What happens after the snapshot arrives as leaves, without a gap, and a fresh snapshot follows them."""
    with served(tmp_path) as daemon, following(tmp_path) as (_, heard):
        heard.until(lambda message: isinstance(message, Snapshot))
        assert heard.state.conn == Conn.LIVE
        daemon.store.put(a_decision())
        daemon.store.put(an_intent())
        daemon.ring()
        heard.until(lambda message: isinstance(message, Leaf) and message.event["table"] == "intent")
        assert heard.state.intents["act-1"]["state"] == "announced"
        heard.until(lambda message: isinstance(message, Snapshot) and message.status["head"] == 2)
        assert not heard.state.gap


def test_a_daemon_that_ends_is_said_to_be_away_and_found_again(tmp_path: Path) -> None:
    """When the daemon goes the link says so and why, and when one answers again it is live without a restart."""
    with following(tmp_path) as (follower, heard):
        lost = heard.until(lambda message: isinstance(message, Lost))
        assert "healerd run" in lost.why
        with served(tmp_path):
            follower.hurry()
            heard.until(lambda message: isinstance(message, Snapshot))
            assert heard.state.conn == Conn.LIVE
        heard.until(lambda message: isinstance(message, Lost))
        assert heard.state.conn == Conn.STALE
        with served(tmp_path) as daemon:
            daemon.store.put(an_intent())
            follower.hurry()
            heard.until(lambda message: isinstance(message, Snapshot) and bool(message.intents))
            assert heard.state.live


def test_what_only_time_or_a_file_changes_is_seen(tmp_path: Path) -> None:
    """With no leaf at all, a pipeline whose windows stay away turns stale, and a stop file written by hand is shown."""
    clock, seconds = ManualClock(NOW), Clock()
    with served(tmp_path, clock=clock) as daemon:
        daemon.store.put(a_decision(chosen="hold", incident_id=None, severity=0))
        with following(tmp_path, seconds) as (_, heard):
            heard.until(lambda message: isinstance(message, Snapshot))
            assert heard.state.pipelines["churn"]["state"] == "ok"
            assert heard.state.stopped is None
            clock.advance(6 * 3600)
            (tmp_path / "STOP").write_text("x: by hand\n", encoding="utf-8")
            seconds.pass_(60.0)
            heard.until(lambda message: isinstance(message, Snapshot) and heard.state.stopped)
            assert heard.state.pipelines["churn"]["state"] == "stale"
            assert heard.state.live
