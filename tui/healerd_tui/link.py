"""Follows one healerd on a thread of its own and says what happens as messages for the reducer.

It must never decide, write, or give up: while the daemon is away it says so and tries again, for ever. What it reads
from the store meanwhile is never said to be live. Randomness and the clock come in as arguments.
"""

import threading
import time
from collections.abc import Callable, Iterator

from healerd.client import Client
from healerd.errors import HealerdError
from healerd_tui.state import Leaf, Lost, Message, Snapshot

__all__ = ["RETRY_MAX_S", "RETRY_MIN_S", "Follower", "pauses"]

RETRY_MIN_S, RETRY_MAX_S = 0.5, 10.0
FRESH_S = 0.4
"""At most this often a snapshot follows the leaves: they come in bursts."""
REST = 60
"""So many times as long as a snapshot took of the processor is waited for the next one: large fleets are read less."""
OLD_S = 10.0
"""A snapshot this old is taken anew though no leaf came: time alone, or a file, changes how things stand."""
INTENTS_LIMIT = 500


class Follower:
    """Follows `client` until `close`; `say` is called on the thread of the follower.

    `jitter` gives numbers in [0, 1), `monotonic` seconds, `spent` the seconds of the processor on this thread.
    """

    def __init__(
        self,
        client: Client,
        say: Callable[[Message], None],
        *,
        jitter: Callable[[], float],
        monotonic: Callable[[], float],
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._client, self._say, self._jitter, self._monotonic = client, say, jitter, monotonic
        self._spent = spent
        self._closed, self._hurry, self._stale = threading.Event(), threading.Event(), threading.Event()
        self._taken_s = 0.0
        self._threads = [
            threading.Thread(target=self._follow, name="link", daemon=True),
            threading.Thread(target=self._refresh, name="snapshots", daemon=True),
        ]

    def start(self) -> None:
        """Begin; the first message is a snapshot or a loss."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End soon. Nothing is said afterwards."""
        self._closed.set()
        self._hurry.set()
        self._stale.set()

    def hurry(self) -> None:
        """Try again now, and ask for a snapshot."""
        self._hurry.set()
        self._stale.set()

    # the stream

    def _follow(self) -> None:
        waits = pauses(self._jitter)
        while not self._closed.is_set():
            why = "the daemon ended"
            try:
                for kind, said in self._client.link.stream(after=self._snapshot(live=True)):
                    waits = pauses(self._jitter)
                    if kind == "leaf":
                        self._tell(Leaf(event=said, heard_s=self._monotonic()))
                    if kind == "leaf" or self._monotonic() - self._taken_s >= OLD_S:
                        self._stale.set()
                    if self._closed.is_set():
                        return
            except HealerdError as error:
                why = str(error)
            self._wait(next(waits), why)

    def _wait(self, seconds: float, why: str) -> None:
        """Say that the daemon is away, show what the store holds, and wait."""
        at_s = self._monotonic()
        self._tell(Lost(why=why, at_s=at_s, retry_at_s=at_s + seconds))
        self._hurry.wait(seconds)
        self._hurry.clear()

    # snapshots

    def _refresh(self) -> None:
        """Take a snapshot where one is due, at most every `FRESH_S`, and less often where one is dear."""
        rest_s = FRESH_S
        while not self._closed.is_set():
            self._stale.wait()
            self._stale.clear()
            if self._closed.wait(rest_s):
                return
            begun_s = self._spent()
            try:
                self._snapshot(live=False)
            except HealerdError:
                continue  # the stream notices a daemon that is away, and says so
            rest_s = max(FRESH_S, REST * (self._spent() - begun_s))

    def _snapshot(self, *, live: bool) -> int:
        """Say how everything stands. Raises HealerdError; if `live`, also when only the store answers."""
        status = self._client.status()
        intents = self._client.intents(limit=INTENTS_LIMIT)  # after the head was read, so that no leaf is missed
        self._taken_s = self._monotonic()
        self._tell(Snapshot(status=status, intents=tuple(intents["intents"]), heard_s=self._taken_s))
        if live and status["daemon"]["state"] != "live":
            self._client.link.get("/v1/status")
        return int(status["head"])

    def _tell(self, message: Message) -> None:
        if not self._closed.is_set():
            self._say(message)


def pauses(jitter: Callable[[], float]) -> Iterator[float]:
    """Give the seconds between tries: doubling from 0.5 to 10, each shortened by up to a half, for ever."""
    wait_s = RETRY_MIN_S
    while True:
        yield max(RETRY_MIN_S, wait_s * (1 - jitter() / 2))
        wait_s = min(RETRY_MAX_S, wait_s * 2)
