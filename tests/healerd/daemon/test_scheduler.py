"""The ticker and the clock guard."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healerd.clock import Instant, ManualClock, SystemClock
from healerd.daemon.clocks import ClockGuard
from healerd.daemon.scheduler import EPOCH, Ticker

NOON = datetime(2026, 5, 7, 12, 0, 3, tzinfo=UTC)


async def nothing() -> None:
    """Do nothing at a tick."""


@given(days=st.floats(0, 50_000), every_s=st.sampled_from([1.0, 5.0, 60.0, 1800.0]))
def test_ticks_fall_on_multiples_of_the_period(days: float, every_s: float) -> None:
    """Whenever the daemon starts, ticks fall on whole multiples of the period since 1970."""
    at = EPOCH + timedelta(days=days)
    due = Ticker(nothing, every_s=every_s)._trigger().get_next_fire_time(None, at)
    assert 0 <= (due - at).total_seconds() <= every_s
    assert (due - EPOCH).total_seconds() % every_s == pytest.approx(0, abs=1e-3)


def test_late_ticks_are_never_dropped() -> None:
    """A tick that could not run on time runs late, once, however late it is, and never beside another one."""
    job = Ticker(nothing, every_s=5)._scheduler.get_job("tick")
    assert (job.misfire_grace_time, job.coalesce, job.max_instances) == (None, True, 1)


def test_a_slow_tick_is_not_doubled() -> None:
    """While a tick runs, no second one starts, and ticking goes on after it."""
    running, most, ticks = 0, 0, 0
    enough = asyncio.Event()

    async def slow() -> None:
        nonlocal running, most, ticks
        running, ticks = running + 1, ticks + 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1
        if ticks == 3:
            enough.set()

    async def tick_for_a_while() -> None:
        ticker = Ticker(slow, every_s=0.02)
        ticker.start()
        await asyncio.wait_for(enough.wait(), 10)
        ticker.stop()

    asyncio.run(tick_for_a_while())
    assert most == 1


def test_stopping_within_a_tick_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """A tick that waits while ticking stops is let go of without a word: an orderly end has no line of error."""

    async def stop_within() -> None:
        begun = asyncio.Event()

        async def long() -> None:
            begun.set()
            await asyncio.sleep(60)

        ticker = Ticker(long, every_s=0.02)
        ticker.start()
        await asyncio.wait_for(begun.wait(), 10)
        ticker.stop()
        await asyncio.sleep(0)

    asyncio.run(stop_within())
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_s16_realigning_moves_a_tick_that_a_set_clock_left_in_the_future() -> None:
    """After the clock was set back, the next tick is at most one period away again."""

    async def set_back() -> tuple[datetime | None, datetime | None]:
        ticker = Ticker(nothing, every_s=5)
        ticker.start()
        far = SystemClock().now() + timedelta(hours=1)
        ticker._scheduler.modify_job("tick", next_run_time=far)
        left = ticker.next_at()
        ticker.realign()
        mended = ticker.next_at()
        ticker.stop()
        return left, mended

    left, mended = asyncio.run(set_back())
    assert left is not None
    assert mended is not None
    assert left - mended > timedelta(minutes=59)


@given(steps=st.lists(st.floats(0, 86_400), max_size=20))
def test_s16_time_that_merely_passes_is_no_jump(steps: list[float]) -> None:
    """While both clocks advance together, also over hours of sleep, there is no jump."""
    clock = ManualClock(NOON)
    guard = ClockGuard(clock.read())
    for seconds in steps:
        clock.advance(seconds)
        assert guard.check(clock.read()) == 0.0


@pytest.mark.parametrize("seconds", [3600.0, -3600.0, 2.5, -2.5])
def test_s16_a_set_clock_is_a_jump_told_once(seconds: float) -> None:
    """A wall clock that was set is a jump by that much, told once."""
    clock = ManualClock(NOON)
    guard = ClockGuard(clock.read())
    clock.advance(10)
    clock.jump(seconds)
    assert guard.check(clock.read()) == pytest.approx(seconds)
    clock.advance(10)
    assert guard.check(clock.read()) == 0.0


def test_s16_small_steps_add_up() -> None:
    """Setting the clock a little, again and again, is a jump in the end."""
    clock = ManualClock(NOON)
    guard = ClockGuard(clock.read())
    seen = []
    for _ in range(3):
        clock.advance(1)
        clock.jump(-0.9)
        seen.append(guard.check(clock.read()))
    assert seen == [0.0, 0.0, pytest.approx(-2.7)]


def test_instants_are_compared_and_not_kept_in_local_time() -> None:
    """A change to summer time is no jump, because instants are in UTC."""
    before = Instant(at=datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), boot_s=0.0, boot_id="b")
    after = Instant(at=datetime(2026, 3, 29, 1, 0, 1, tzinfo=UTC), boot_s=2.0, boot_id="b")
    assert ClockGuard(before).check(after) == 0.0
