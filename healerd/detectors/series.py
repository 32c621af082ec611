"""Anomalies of one numeric series, point by point: latency, throughput, an error rate, any metric of operations.

Must never look ahead, and never learn from a value that is missing. It is apart from the table of detectors: those
judge a window of predictions under the false-alarm budget, this one scores a point of a metric.

A point is odd in one of four ways: a *shock* (far from the points just before), *quiet* (the last points hardly move),
off *season* (the last points lie off the mean of the same time of day), or out of *range* (beyond anything seen). Each
is a distance >= 0, turned into the tail probability of that distance among the newest `history` distances of its own
kind, p = (1 + number at least as extreme) / (1 + number), so no scale and no law is assumed. The evidence is the sum
of -log10 p, each capped, plus the same tail of that sum among its own past: a series that is odd all day must be odder
than usual. A point counts only if its sum beats that of the `refractory` points before it.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

__all__ = ["Series", "SeriesPoint", "SeriesSettings", "look_through"]

DAY_S = 86_400.0
GAPS = 20
"""Gaps between points from which the usual one is told; only then are there times of day to compare."""
SLOT_MIN_S = 60.0
NEAR = 4
"""Points just before, from whose mean a shock is measured, beside the last one alone."""
WAYS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSettings:
    """How far back and how much is odd; every length in points but the season."""

    history: int = 4000
    """Distances that a new one is ranked among: two weeks of points every five minutes."""
    cap: float = 3.0
    """Most evidence of one way to be odd, in decades of probability: one in a thousand is odd enough."""
    recent: int = 12
    """Points whose movement and whose distance from the season are taken together: an hour of five-minute points."""
    refractory: int = 400
    """Points whose evidence a new one must beat: what was told a day ago is not told again."""
    days: int = 7
    """Days that the mean of a time of day is taken over."""
    threshold: float = 0.5
    """Score from which a point is an alarm."""

    def __post_init__(self) -> None:
        assert self.history >= 100
        assert self.cap > 0
        assert self.recent >= 2
        assert self.refractory >= 1
        assert self.days >= 1
        assert 0 < self.threshold <= 1

    @property
    def most(self) -> float:
        """The largest evidence there can be, in decades."""
        return WAYS * self.cap + math.log10(self.history + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPoint:
    """What is thought of one point: score in [0, 1], whether it is an alarm, and the evidence by way, in decades."""

    score: float
    alarm: bool
    ways: Mapping[str, float]


UNKNOWN = SeriesPoint(score=0.0, alarm=False, ways={})


@dataclass(slots=True)
class Ranks:
    """The newest distances, in order of time and in order of size."""

    most: int
    past: deque[float] = field(default_factory=deque)
    sorted: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, most: int, past: Iterable[float]) -> "Ranks":
        """Build anew from what was kept."""
        kept = deque(past)
        return cls(most, kept, sorted(kept))

    def tail(self, value: float, *, below: bool = False) -> float:
        """Give -log10 of the share of the past at least as large (or small) as the value, itself counted; keep it."""
        n = len(self.sorted)
        extreme = bisect_right(self.sorted, value) if below else n - bisect_left(self.sorted, value)
        if n == self.most:
            del self.sorted[bisect_left(self.sorted, self.past.popleft())]
        self.past.append(value)
        insort(self.sorted, value)
        return math.log10((n + 1) / (extreme + 1))


class Series:
    """The memory of one series: `look` at each point in order of time; `to_json` keeps it, `from_json` goes on."""

    def __init__(self, settings: SeriesSettings | None = None) -> None:
        """Begin with nothing seen."""
        self.settings = settings or SeriesSettings()
        self._ranks = {way: Ranks(self.settings.history) for way in ("shock", "near", "quiet", "season", "sum")}
        self._values: deque[float] = deque(maxlen=NEAR)
        self._moves: deque[float] = deque(maxlen=self.settings.recent)
        self._off: deque[float] = deque(maxlen=self.settings.recent)
        self._range_past = Ranks(self.settings.history)
        self._sums: deque[float] = deque(maxlen=self.settings.refractory)
        self._times: list[float] = []
        self._slot_s: float | None = None
        self._slots: dict[int, list[float]] = {}
        self._low = self._high = math.nan

    def look(self, at_s: float, value: float | None) -> SeriesPoint:
        """Score the value at a time in seconds since 1970; a missing one is not judged and leaves no trace."""
        if value is None or not math.isfinite(value):
            return UNKNOWN
        cap, quiet = self.settings.cap, self._quiet(value)
        ways = {
            "shock": min(cap, self._shock(value)),
            "quiet": min(cap, quiet) * (2 if self._still() else 1),
            "season": min(cap, self._season(at_s, value)),
            "range": min(cap, self._range(value)),
        }
        self._values.append(value)
        return self._weigh(ways)

    def _weigh(self, ways: dict[str, float]) -> SeriesPoint:
        total = sum(ways.values())
        ways["unusual"] = self._ranks["sum"].tail(total)
        told = total > max(self._sums, default=0.0)
        self._sums.append(total)
        score = min(1.0, (total + ways["unusual"]) / self.settings.most) if told else 0.0
        return SeriesPoint(score=score, alarm=score >= self.settings.threshold, ways=ways)

    def _shock(self, value: float) -> float:
        """The mean of two tails: how far from the point before, and from the mean of the few before."""
        if not self._values:
            return 0.0
        last = self._ranks["shock"].tail(_finite(abs(value - self._values[-1])))
        if len(self._values) < NEAR:
            return last / 2
        near = sum(one / NEAR for one in self._values)
        return (last + self._ranks["near"].tail(_finite(abs(value - near)))) / 2

    def _quiet(self, value: float) -> float:
        if not self._values:
            return 0.0
        self._moves.append(_finite(abs(value - self._values[-1])))
        if len(self._moves) < self.settings.recent:
            return 0.0
        return self._ranks["quiet"].tail(math.fsum(one / len(self._moves) for one in self._moves), below=True)

    def _still(self) -> bool:
        """Whether the last points are one and the same. A stuck sensor shows in no other way: that counts twice."""
        return not any(self._moves)

    def _season(self, at_s: float, value: float) -> float:
        slot = self._slot(at_s)
        if slot is None:
            return 0.0
        same = self._slots.setdefault(slot, [])
        found = 0.0
        if same:
            self._off.append(_finite(value - sum(one / len(same) for one in same)))
            off = abs(math.fsum(one / len(self._off) for one in self._off))
            found = self._ranks["season"].tail(off)
        same.append(value)
        del same[: -self.settings.days]
        return found

    def _slot(self, at_s: float) -> int | None:
        """The time of day in steps of the series' usual gap; None until that is known."""
        if self._slot_s is None:
            self._times.append(at_s)
            if len(self._times) <= GAPS:
                return None
            usual = median(abs(later - earlier) for earlier, later in pairwise(self._times))
            self._slot_s, self._times = max(SLOT_MIN_S, usual), []
        return int(at_s % DAY_S / self._slot_s)

    def _range(self, value: float) -> float:
        """How far beyond the range seen, in widths of that range."""
        low, high = self._low, self._high
        self._low, self._high = (value, value) if math.isnan(low) else (min(low, value), max(high, value))
        if not high > low:
            return 0.0
        beyond = _finite(max(0.0, value - high, low - value) / _finite(high - low))
        tail = self._range_past.tail(beyond)
        return tail if beyond else 0.0

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `from_json` goes on exactly here."""
        return {
            "schema": 1,
            "settings": asdict(self.settings),
            "ranks": {way: list(ranks.past) for way, ranks in self._ranks.items()},
            "range": list(self._range_past.past),
            "values": list(self._values),
            "moves": list(self._moves),
            "off": list(self._off),
            "sums": list(self._sums),
            "times": self._times,
            "slot_s": self._slot_s,
            "slots": {str(slot): same for slot, same in self._slots.items()},
            "bounds": None if math.isnan(self._low) else [self._low, self._high],
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Series":
        """Go on where `to_json` left off. Raises ValueError for anything else."""
        if raw.get("schema") != 1:
            raise ValueError("not the memory of a series of schema 1")
        try:
            made = cls(SeriesSettings(**raw["settings"]))
            most = made.settings.history
            made._ranks = {way: Ranks.of(most, raw["ranks"][way]) for way in made._ranks}
            made._range_past = Ranks.of(most, raw["range"])
            for kept, name in (
                (made._values, "values"),
                (made._moves, "moves"),
                (made._off, "off"),
                (made._sums, "sums"),
            ):
                kept.extend(raw[name])
            made._times, made._slot_s = list(raw["times"]), raw["slot_s"]
            made._slots = {int(slot): list(same) for slot, same in raw["slots"].items()}
            made._low, made._high = raw["bounds"] or (math.nan, math.nan)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not the memory of a series: {error}") from error
        return made


def look_through(
    points: Iterable[tuple[float, float | None]], settings: SeriesSettings | None = None
) -> Iterator[SeriesPoint]:
    """Score points (seconds since 1970, value) one after another, each by those before it alone."""
    series = Series(settings)
    return (series.look(at_s, value) for at_s, value in points)


def _finite(distance: float) -> float:
    """A distance that overflowed is the largest there is."""
    return max(-1.7e308, min(1.7e308, distance))
