"""Calls the tick on time. Must never know what is due: the tables know.

APScheduler is a ticker only. A tick may come late, twice or not at all without effect, because each one computes what
is due from what is stored.
"""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

__all__ = ["Ticker"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
JOB = "tick"


class Ticker:
    """Calls `tick` every `every_s` seconds, at multiples of it since 1970, one call at a time, on the event loop."""

    def __init__(self, tick: Callable[[], Awaitable[None]], *, every_s: float) -> None:
        self._tick, self._every_s, self._stopped = tick, every_s, False
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        # The default grace time of one second would drop a tick after a stall of 1.6 s without a word.
        self._scheduler.add_job(
            self._call, self._trigger(), id=JOB, coalesce=True, misfire_grace_time=None, max_instances=1
        )

    def start(self) -> None:
        """Start ticking; call it on the event loop."""
        self._scheduler.start()

    def realign(self) -> None:
        """Compute the next tick anew: after the clock was set back, the old one may be hours away."""
        if not self._stopped:
            self._scheduler.reschedule_job(JOB, trigger=self._trigger())

    def next_at(self) -> datetime | None:
        """Say when the next tick is due."""
        job = self._scheduler.get_job(JOB)
        return job.next_run_time if job else None

    def stop(self) -> None:
        """Stop ticking; what a tick under way has begun on a thread goes on, and nobody waits for its end here."""
        self._stopped = True
        self._scheduler.shutdown(wait=False)

    async def _call(self) -> None:
        try:
            await self._tick()
        except CancelledError:  # the scheduler ends what waits, and would log that as an error of ours
            if not self._stopped:
                raise

    def _trigger(self) -> IntervalTrigger:
        return IntervalTrigger(seconds=self._every_s, start_date=EPOCH, timezone=UTC)
