"""Following a daemon for ever: through its end, its return, and a log that has become another."""

import threading
from itertools import islice
from pathlib import Path

from healerd.client import Client, Follow, Link
from healerd.client.follow import pauses
from tests.served import served


def test_it_goes_on_where_it_was_after_a_restart(tmp_path: Path) -> None:
    """Leaves come once each, across a daemon that ends and another that begins; each connection is announced."""
    with served(tmp_path) as running:
        store = running.store
        store.note("one", actor="daemon")
        following = iter(Follow(Link(running.socket), after=0, jitter=lambda: 0.99))
        first = list(islice(following, 2))
        assert [(told["type"], told.get("again"), told.get("kind")) for told in first] == [
            ("live", False, None),
            ("leaf", None, "one"),
        ]
    heard = [next(told for told in following if told["type"] == "away")]
    assert heard[0]["retry_s"] > 0
    with served(tmp_path, store=store):
        store.note("two", actor="daemon")
        later = (told for told in following if told["type"] in {"live", "leaf"})
        assert [(told["type"], told.get("again"), told.get("kind")) for told in islice(later, 2)] == [
            ("live", True, None),
            ("leaf", None, "two"),
        ]


def test_a_beat_carries_the_clock_of_the_daemon(tmp_path: Path) -> None:
    """Whoever follows learns the daemon's time, its newest leaf, and that they are there themselves."""
    with served(tmp_path) as running:
        running.store.note("one", actor="daemon")
        client = Client(tmp_path, attended=True)
        beat = next(told for told in client.follow(after=0) if told["type"] == "beat")
    assert (beat["now"], beat["head"]) == ("2026-05-07T14:17:00Z", 1)
    assert [person["role"] for person in beat["present"]] == ["admin"]


def test_away_is_said_with_the_reason_and_waited_for(tmp_path: Path) -> None:
    """Without a daemon it says so each time it has tried, and tries again after the pause."""
    follow = Follow(Link(tmp_path / "control.sock"), jitter=lambda: 0.99)
    heard = []
    for told in follow:
        heard.append(told)
        if len(heard) == 2:
            follow.stop()
    assert {told["type"] for told in heard} == {"away"}
    assert "healerd run" in heard[0]["error"]


def test_another_thread_ends_it(tmp_path: Path) -> None:
    """Stopping from elsewhere ends the iterator, also while it waits."""
    follow = Follow(Link(tmp_path / "control.sock"))
    threading.Timer(0.05, follow.stop).start()
    assert [told["type"] for told in follow][-1] == "away"


def test_pauses_grow_to_ten_seconds_and_spread() -> None:
    """The pause doubles up to ten seconds, and jitter shortens it by at most half."""
    assert list(islice(pauses(lambda: 0.0), 7)) == [0.5, 1, 2, 4, 8, 10, 10]
    assert list(islice(pauses(lambda: 1.0), 2)) == [0.25, 0.5]
