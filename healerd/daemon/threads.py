"""One thread for everything that touches one database connection, so that the event loop stays live.

Must never run two calls at once: what is queued first is done first.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

__all__ = ["OneThread"]

P = ParamSpec("P")
R = TypeVar("R")


class OneThread:
    """Runs calls one after another on a thread of its own."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._waiting: set[Future[Any]] = set()

    async def call(self, f: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `f` there and wait for its result without holding up the event loop."""
        return await asyncio.wrap_future(self.later(f, *args, **kwargs))

    def later(self, f: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> "Future[R]":
        """Queue `f` and go on."""
        future = self._pool.submit(f, *args, **kwargs)
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        return future

    @property
    def waiting(self) -> int:
        """How many calls wait or run."""
        return len(self._waiting)

    def close(self) -> None:
        """Finish what is queued, then end the thread."""
        self._pool.shutdown(wait=True)
