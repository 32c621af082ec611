"""Where the ticks of an axis lie and what is written at them. Must never loop long, raise on any finite range, or write
the same label at two places.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from healerd_tui.formats import say_number
from healerd_tui.plots.raster import Floats

__all__ = ["Tick", "number_ticks", "range_of", "say_time", "time_ticks"]

Tick = tuple[float, str]
LARGEST = float(np.finfo(np.float64).max)
MINUTE, HOUR, DAY = 60, 3600, 86400
EARLIEST_S, LATEST_S = -6e10, 2e11
"""What still has a date; beyond it a number stays a number."""
STEPS_S = (
    *(1, 2, 5, 10, 15, 30),
    *(MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(HOUR * n for n in (1, 2, 3, 6, 12)),
    *(DAY * n for n in (1, 2, 7, 14, 28, 91, 182, 364, 1820, 7280, 36400)),
)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def range_of(values: Floats, *, low: float | None = None, high: float | None = None) -> tuple[float, float]:
    """Find a range that holds all finite values, never empty and never infinite; `low` and `high` are wishes."""
    finite = values[np.isfinite(values)]
    bottom = float(finite.min()) if len(finite) else 0.0
    top = float(finite.max()) if len(finite) else 1.0
    bottom = bottom if low is None or not math.isfinite(low) else low
    top = top if high is None or not math.isfinite(high) else high
    bottom, top = min(bottom, top), max(bottom, top)
    # Numbers nearer than floats can divide are as good as one number.
    if top - bottom > max(abs(bottom), abs(top)) * 1e-12:
        return bottom, top
    room = max(abs(bottom) * 0.1, 1e-9) if bottom else 1.0
    return max(bottom - room, -LARGEST), min(top + room, LARGEST)


def number_ticks(low: float, high: float, count: int) -> list[Tick]:
    """Choose about `count` round numbers in [low, high], each with its label; at least the two ends."""
    size = max(abs(low), abs(high))
    step = _round_step((high / size - low / size) / max(count, 1)) * size
    step = _round_step(step) if 0 < step < LARGEST else step
    if not 0 < step < LARGEST:
        return _labelled([low, high], high - low)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if not 2 <= last - first + 1 <= 50:
        return _labelled([low, high], step)
    return _labelled([number * step for number in range(first, last + 1)], step)


def time_ticks(low: float, high: float, cells: int) -> list[Tick]:
    """Choose instants (seconds since 1970, UTC) at round times, labelled; about one in twelve cells."""
    if low <= EARLIEST_S or high >= LATEST_S:
        return number_ticks(low, high, max(cells // 12, 1))
    wanted = (high - low) / max(cells // 12, 1)
    step = next((step for step in STEPS_S if step >= wanted), STEPS_S[-1])
    first = math.ceil(low / step)
    instants = [n * step for n in range(first, min(math.floor(high / step), first + 200) + 1)]
    ticks = [(float(at), _time_label(at, step, first=number == 0)) for number, at in enumerate(instants)]
    return ticks or [(low, say_time(low))]


def say_time(at: float) -> str:
    """Write an instant (seconds since 1970, UTC) as in `May 4 22:31`; what is no instant, as a number."""
    if not EARLIEST_S < at < LATEST_S:
        return say_number(at)
    moment = datetime.fromtimestamp(at, UTC)
    return f"{MONTHS[moment.month - 1]} {moment.day} {moment:%H:%M}"


def _round_step(step: float) -> float:
    if not 0 < step < LARGEST:
        return 0.0
    power = math.floor(math.log10(step))
    unit = 10.0**power if power > -300 else 0.0
    return next((unit * factor for factor in (1, 2, 2.5, 5) if unit * factor >= step * 0.999), unit * 10)


def _labelled(values: Sequence[float], step: float) -> list[Tick]:
    largest = max(map(abs, values))
    if 1e-4 <= largest < 1e6 and step > 0:
        decimals = max(0, -math.floor(math.log10(step)))
        # A step such as 2.5 needs one decimal more than its size says.
        decimals += not math.isclose(step * 10**decimals, round(step * 10**decimals), rel_tol=1e-6)
        if decimals <= 6:
            return _distinct([(value, f"{value + 0.0:.{decimals}f}") for value in values])
    return _distinct([(value, say_number(value, 3)) for value in values])


def _distinct(ticks: list[Tick]) -> list[Tick]:
    if len({label for _, label in ticks}) == len(ticks):
        return ticks
    return [(value, f"{value:.12g}") for value, _ in ticks]


def _time_label(at: float, step: int, *, first: bool) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    day = f"{MONTHS[moment.month - 1]} {moment.day}"
    if step >= 364 * DAY:
        return f"{moment.year}"
    if step >= DAY or (moment.hour, moment.minute, moment.second) == (0, 0, 0):
        return day
    clock = f"{moment:%H:%M:%S}" if step < MINUTE else f"{moment:%H:%M}"
    return f"{day} {clock}" if first else clock
