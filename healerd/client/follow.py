"""Follows a daemon for ever: what it says while it is there, that it is away while it is not. Must never give up.

For one thread that reads and any others that end it. After a gap the reader looks at everything anew: the
stream goes on from the last leaf it gave, but the daemon may have been another one meanwhile.
"""

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from healerd.client.link import Link
from healerd.errors import HealerdError

__all__ = ["Follow", "pauses"]

Json = dict[str, Any]

PAUSE_MIN_S, PAUSE_MAX_S = 0.5, 10.0


def pauses(jitter: Callable[[], float]) -> Iterator[float]:
    """Give the seconds between tries: doubled up to ten, each shortened by up to half so that clients spread out.

    `jitter` gives numbers in [0, 1).
    """
    pause_s = PAUSE_MIN_S
    while True:
        yield pause_s * (1 - jitter() / 2)
        pause_s = min(PAUSE_MAX_S, 2 * pause_s)


def _jitter() -> float:
    return os.urandom(1)[0] / 256


class Follow:
    """An iterator of what is heard, each with its `type`.

    `live`: connected, with `again` true if it was before; look at everything now. `leaf`: one entry of the audit log.
    `beat`: the daemon's clock as `now`, the newest number as `head`, who is `present`. `away`: why, as `error`, and
    after how many seconds it is tried again, as `retry_s`.
    """

    def __init__(self, link: Link, *, after: int | None = None, jitter: Callable[[], float] = _jitter) -> None:
        self._link, self._after, self._jitter = link, after, jitter
        self._over = threading.Event()

    def stop(self) -> None:
        """End the iterator at what it hears next, within a heartbeat."""
        self._over.set()

    def __iter__(self) -> Iterator[Json]:
        again, waits = False, pauses(self._jitter)
        while not self._over.is_set():
            error = "the daemon has stopped"
            try:
                for kind, told in self._link.stream(after=self._after):
                    if self._over.is_set():
                        return
                    if kind == "live":
                        waits = pauses(self._jitter)
                        # A log that is shorter than what was read is another one: it is read from its end.
                        self._after = told["head"] if self._after is None else min(self._after, told["head"])
                    elif kind == "leaf":
                        self._after = told["seq"]
                    yield {"type": kind, **told, **({"again": again} if kind == "live" else {})}
                    again = True
            except HealerdError as problem:
                error = str(problem)
            pause_s = next(waits)
            yield {"type": "away", "error": error, "retry_s": pause_s}
            self._over.wait(pause_s)
