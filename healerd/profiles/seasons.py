"""A feature whose law follows the time of day or of the week: a reference for each such time, when the history allows.

Must never look at a window that will be judged: which features have a season is told from the reference alone.

The windows of a reference are grouped by their place in the day or the week. A feature has a season when its windows
differ more than chance lets them, and at least half of that is gone within groups. It is then held against the rows of
its own group, and only what is left of the variance counts as usual: without this a daily cycle either alarms every day
or hides every change that is smaller than itself.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from healerd.profiles.counts import Counts, Profile, Tally
from healerd.profiles.maps import Maps
from healerd.profiles.places import Places, places

__all__ = ["Season", "Seasons", "fit_seasons", "season_said", "seasons_from_json", "seasons_to_json"]

DAY_S, WEEK_S = 86_400.0, 7 * 86_400.0
WINDOWS_MIN = 4
"""Windows a group must have: four weeks of history for the hour of the week, four days for the hour of the day."""
SLOTS_MAX = 336
"""Groups in a period: half hours of a week."""
EXCESS_MIN = 0.5
"""Variance between windows, in parts of what chance gives within a window, from which it is worth explaining."""
LEFT_MAX = 0.5
"""What may be left of it within groups."""
DAY_ENOUGH = 2.0
"""The day is taken before the week when it leaves at most this many times as much: its groups have more rows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Season:
    """One feature: the counts of each group, and the variance between windows that is left within groups.

    `slots` holds the filled cells of a group and their counts; `windows` is the least number of windows of a group.
    """

    period_s: float
    slots: Mapping[int, tuple[Tally, Tally]]
    place_vars: tuple[float, ...]
    windows: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seasons:
    """The features that have a season, for windows of `window_s` seconds."""

    window_s: float
    features: Mapping[str, Season]

    def cells(self, name: str, at: datetime, size: int) -> Tally | None:
        """The reference's rows of a feature at the same time as the window that starts `at`; None where it has none."""
        season = self.features.get(name)
        found = None if season is None else season.slots.get(_slot(at, season.period_s, self.window_s))
        if found is None:
            return None
        cells = np.zeros(size, np.int64)
        cells[found[0]] = found[1]
        return cells


def fit_seasons(
    maps: Maps, whole: Profile, windows: Sequence[Profile], starts: Sequence[datetime], window_s: float
) -> Seasons | None:
    """Find the features of a reference that have a season; None when there is none, or too little history to tell.

    `starts` has the start of each of the reference's windows.
    """
    assert len(windows) == len(starts), "one start a window"
    groups = {period: found for period in (DAY_S, WEEK_S) if (found := _groups(starts, period, window_s))}
    features = {}
    for name, one in maps.features.items():
        of = places(one, whole.features[name].cells)
        counted = [window.features[name] for window in windows]
        season = _season(of, counted, groups)
        if season is not None:
            features[name] = season
    return Seasons(window_s=window_s, features=features) if features else None


def season_said(season: Season) -> str:
    """Name the time that a season goes by."""
    return f"time of the {'day' if season.period_s == DAY_S else 'week'}"


def _slot(at: datetime, period_s: float, window_s: float) -> int:
    return int(at.timestamp() % period_s // window_s)


def _groups(starts: Sequence[datetime], period_s: float, window_s: float) -> dict[int, list[int]] | None:
    """The windows by their place in the period; None when they do not fit into it, or a group has too few."""
    slots = period_s / window_s
    if slots != round(slots) or not 2 <= slots <= SLOTS_MAX:
        return None
    found: dict[int, list[int]] = {}
    for place, at in enumerate(starts):
        found.setdefault(_slot(at, period_s, window_s), []).append(place)
    least = min(map(len, found.values()), default=0)
    return found if least >= WINDOWS_MIN and len(found) > 1 else None


def _season(of: Places, windows: Sequence[Counts], groups: Mapping[float, Mapping[int, list[int]]]) -> Season | None:
    rows = [one.n for one in windows if one.n]
    if len(rows) < 2 * WINDOWS_MIN:
        return None
    usual = _left(of, windows, [list(range(len(windows)))])
    if float(np.mean(rows)) * _size(usual, of) < EXCESS_MIN:
        return None
    left = {period: _left(of, windows, list(each.values())) for period, each in groups.items()}
    fit = {period: variance for period, variance in left.items() if _size(variance, of) <= LEFT_MAX * _size(usual, of)}
    if not fit:
        return None
    least = min(_size(variance, of) for variance in fit.values())
    period = next(period for period in sorted(fit) if _size(fit[period], of) <= DAY_ENOUGH * least + 1e-12)
    return Season(
        period_s=period,
        slots={slot: _sparse(sum_of([windows[k].cells for k in each])) for slot, each in groups[period].items()},
        place_vars=tuple(fit[period].tolist()),
        windows=min(map(len, groups[period].values())),
    )


def sum_of(tallies: Sequence[Tally]) -> Tally:
    """Add counts of the same cells."""
    return np.asarray(np.sum(tallies, axis=0), np.int64)


def _sparse(cells: Tally) -> tuple[Tally, Tally]:
    filled = np.flatnonzero(cells)
    return filled, cells[filled]


def _size(variance: Any, of: Places) -> float:
    """The larger of location's and spread's variance, in parts of their proxies."""
    return float((variance[:2] / of.proxy[:2]).max())


def _left(of: Places, windows: Sequence[Counts], groups: Sequence[Sequence[int]]) -> Any:
    """The variance of each place's mean between the windows of a group beyond chance, not below zero; by moments."""
    excess, free = np.zeros(len(of.mean)), 0
    for group in groups:
        own = [windows[k] for k in group if windows[k].n]
        if len(own) < 2:
            continue
        total = sum(one.n for one in own)
        mean = of.of @ sum_of([one.cells for one in own]) / total
        for one in own:
            excess += (of.of @ one.cells / one.n - mean) ** 2 - of.proxy * (1 / one.n - 1 / total)
        free += len(own) - 1
    return np.maximum(excess / max(free, 1), 0.0)


def seasons_to_json(seasons: Seasons) -> dict[str, Any]:
    """Give the seasons as plain JSON values."""
    return {
        "window_s": seasons.window_s,
        "features": {
            name: {
                "period_s": one.period_s,
                "place_vars": one.place_vars,
                "windows": one.windows,
                "slots": {
                    str(slot): [_text(cells.astype("<u2")), _text(counts.astype("<i8"))]
                    for slot, (cells, counts) in one.slots.items()
                },
            }
            for name, one in seasons.features.items()
        },
    }


def seasons_from_json(tree: Mapping[str, Any]) -> Seasons:
    """Read what `seasons_to_json` gave. Raises KeyError, TypeError or ValueError when it is not that."""
    return Seasons(
        window_s=tree["window_s"],
        features={
            name: Season(
                period_s=one["period_s"],
                place_vars=tuple(one["place_vars"]),
                windows=one["windows"],
                slots={
                    int(slot): (_array(cells, "<u2").astype(np.int64), _array(counts, "<i8"))
                    for slot, (cells, counts) in one["slots"].items()
                },
            )
            for name, one in tree["features"].items()
        },
    )


def _text(values: Any) -> str:
    return b64encode(values.tobytes()).decode("ascii")


def _array(text: str, kind: str) -> Tally:
    return np.asarray(np.frombuffer(b64decode(text, validate=True), kind), np.int64)
