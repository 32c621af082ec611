"""What a healthy stretch of windows looks like: their merged profile, and the habits of the windows within it.

Must never learn from the windows it will judge. Habits say how far a healthy window strays from the whole: what a
clock, an hour of the day or a weekend does all the time is not a fault.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import reduce
from typing import Any

import numpy as np

from healerd.columns import Mask
from healerd.profiles.counts import Counts, Profile, Tally, from_bytes, merge, to_bytes
from healerd.profiles.maps import CellMap, Maps, NameMap, NumberMap, maps_from_json, maps_to_json
from healerd.profiles.places import Places, places
from healerd.profiles.ranks import quantiles
from healerd.profiles.seasons import Seasons, fit_seasons, seasons_from_json, seasons_to_json

__all__ = [
    "QUARTILES",
    "Habit",
    "ReferenceProfile",
    "far_cells",
    "make_reference",
    "reference_from_bytes",
    "reference_to_bytes",
    "stretch",
    "unseen_cells",
]

CODE_NEW_MAX = 0.007
"""Of a number that is a code at most this share of the rows has a value not seen before."""
ROWS_MIN = 20
"""Rows below which the shares of a window say too little to be a habit."""
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """How one feature behaves from window to window of the reference: the largest share any window showed.

    `unseen` and `out_of_range` compare each window of the second half with all before it, and count whatever lies
    outside the range so far, near or far: a feature that wanders may wander on. `stuck` is the share of the
    commonest cell, `scaled` the logarithm of the largest common factor of the quartiles. `location_var` and
    `spread_var` are the variance between windows, beyond chance, of the mean mid-rank and the mean spread.
    """

    missing: float
    unseen: float
    out_of_range: float
    stuck: float
    scaled: float
    place_vars: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceProfile:
    """The frozen reference: cell maps, merged counts, a habit a feature, and the fewest and most rows of a window.

    `seasons` holds the features whose law follows the time of day or of the week, where the history shows it.
    """

    maps: Maps
    whole: Profile
    habits: Mapping[str, Habit]
    windows: int
    rows_fewest: int
    rows_most: int
    seasons: Seasons | None = None

    @property
    def id(self) -> str:
        """The hash of the content: maps, counts and habits."""
        return hashlib.sha256((_head(self) + self.whole.id).encode()).hexdigest()


def make_reference(
    maps: Maps,
    windows: Sequence[Profile],
    *,
    starts: Sequence[datetime] = (),
    window_s: float | None = None,
) -> ReferenceProfile:
    """Merge the reference's windows, in order of time, and learn their habits; one window is enough, more are better.

    With the `starts` of the windows and their length, features that have a season get a reference for each time of it.

    Raises ValueError when there is no window.
    """
    if not windows:
        raise ValueError("a reference needs at least one window; give it the profiles of healthy windows")
    whole = reduce(merge, windows)
    habits = {
        name: _habit(one, whole.features[name], [window.features[name] for window in windows])
        for name, one in maps.features.items()
    }
    rows = [window.rows for window in windows]
    return ReferenceProfile(
        maps=maps,
        whole=whole,
        habits=habits,
        windows=len(windows),
        rows_fewest=min(rows),
        rows_most=max(rows),
        seasons=fit_seasons(maps, whole, windows, starts, window_s) if window_s and starts else None,
    )


def _habit(cell_map: CellMap, whole: Counts, windows: Sequence[Counts]) -> Habit:
    full = [one for one in windows if one.n >= ROWS_MIN] or [whole]
    least = _singles(whole.cells) if isinstance(cell_map, NameMap) or not whole.n else 0.0
    return Habit(
        missing=max(_missing_share(one) for one in (whole, *windows)),
        unseen=max([least, *(_share(one.cells, _new(cell_map, before)) for before, one in _in_turn(full))]),
        out_of_range=max((_share(one.cells, _outside(before)) for before, one in _in_turn(full)), default=0.0),
        stuck=max(float(one.cells.max()) / max(one.n, 1) for one in (whole, *full)),
        scaled=_scaled(cell_map, whole.cells, full),
        place_vars=_variances(places(cell_map, whole.cells), full),
    )


def _in_turn(windows: Sequence[Counts]) -> Iterator[tuple[Tally, Counts]]:
    """Each window of the second half, with what was counted before it."""
    before = np.zeros_like(windows[0].cells)
    for k, one in enumerate(windows):
        if k >= max(1, len(windows) // 2):
            yield before, one
        before = before + one.cells


def _missing_share(one: Counts) -> float:
    rows = one.missing + one.wrong_type + one.n
    return one.missing / rows if rows >= ROWS_MIN else 0.0


def _singles(cells: Tally) -> float:
    """Good's (1953) estimate of the share of rows to come that fall into cells without a row so far."""
    return int((cells == 1).sum()) / max(int(cells.sum()), 1) if cells.any() else 1.0


def _share(cells: Tally, where: Mask) -> float:
    return float(cells[where].sum()) / max(int(cells.sum()), 1)


def _outside(cells: Tally) -> Mask:
    """The cells below the first and above the last that holds rows."""
    filled = np.flatnonzero(cells)
    outside = np.ones(len(cells), np.bool_)
    if filled.size:
        outside[filled[0] : filled[-1] + 1] = False
    return outside


def _new(cell_map: CellMap, before: Tally) -> Mask:
    unseen = unseen_cells(cell_map, before)
    return unseen if isinstance(cell_map, NameMap) else unseen | _outside(before)


def unseen_cells(cell_map: CellMap, cells: Tally) -> Mask:
    """The cells that are unlike all these rows: names and codes that no row has, and numbers far from the range.

    A number of which hardly ever a new value comes is a code: an hour, a shop, the length of a route. Of any other
    number a value between two known ones is nothing new, also when a sensor begins to measure in finer steps.
    """
    code = int((cells > 0).sum()) > 1 and _singles(cells) <= CODE_NEW_MAX
    return np.asarray(cells == 0) if isinstance(cell_map, NameMap) or code else far_cells(cell_map, cells)


def far_cells(cell_map: CellMap, cells: Tally) -> Mask:
    """The cells far below the first and far above the last that holds rows."""
    filled = np.flatnonzero(cells)
    outside = np.ones(len(cells), np.bool_)
    if filled.size and isinstance(cell_map, NumberMap):
        far = int(cell_map.far)
        outside[max(0, filled[0] - far) : filled[-1] + far + 1] = False
    return outside


def _scaled(cell_map: CellMap, whole: Tally, windows: Sequence[Counts]) -> float:
    if isinstance(cell_map, NameMap):
        return 0.0
    usual = quantiles(whole, cell_map, QUARTILES)
    return max(abs(stretch(usual, quantiles(one.cells, cell_map, QUARTILES))) for one in windows)


def stretch(usual: Sequence[float], found: Sequence[float]) -> float:
    """The logarithm of the factor by which all quartiles and their range grew at least (above 0) or shrank (below).

    0 unless all agree on the direction: a shift moves the quartiles but not their range. A quartile that is small
    beside the range between quartiles says nothing and is left out.
    """
    pairs = list(zip(usual, found, strict=True))
    usual_range, found_range = usual[-1] - usual[0], found[-1] - found[0]
    told = [(a, b) for a, b in pairs if abs(a) > usual_range / 10]
    if not (usual_range > 0 and found_range > 0) or any(a * b <= 0 for a, b in told):
        return 0.0
    logs = [math.log(abs(b)) - math.log(abs(a)) for a, b in (*told, (usual_range, found_range))]
    return max(min(logs), 0.0) or min(max(logs), 0.0)


def _variances(found: Places, windows: Sequence[Counts]) -> tuple[float, ...]:
    """Variance between windows of each place's mean beyond proxy / n, what chance alone gives at most."""
    if len(windows) < 2:
        return tuple(0.0 for _ in found.mean)
    excess = sum((found.of @ one.cells / one.n - found.mean) ** 2 - found.proxy / one.n for one in windows)
    variances: list[float] = np.maximum(excess / (len(windows) - 1), 0.0).tolist()
    return tuple(variances)


def _head(reference: ReferenceProfile) -> str:
    head: dict[str, Any] = {
        "maps": maps_to_json(reference.maps),
        "habits": {name: asdict(habit) for name, habit in reference.habits.items()},
        "windows": reference.windows,
        "rows_fewest": reference.rows_fewest,
        "rows_most": reference.rows_most,
    }
    if reference.seasons is not None:
        head["seasons"] = seasons_to_json(reference.seasons)
    return json.dumps(head, allow_nan=False, separators=(",", ":"))


def reference_to_bytes(reference: ReferenceProfile) -> bytes:
    """Write a reference: one line of JSON for maps and habits, then its counts."""
    return _head(reference).encode() + b"\n" + to_bytes(reference.whole)


def reference_from_bytes(written: bytes) -> ReferenceProfile:
    """Read what `reference_to_bytes` wrote. Raises ValueError when the bytes are not a whole reference."""
    head, _, counts = written.partition(b"\n")
    try:
        tree = json.loads(head)
        return ReferenceProfile(
            maps=maps_from_json(tree["maps"]),
            whole=from_bytes(counts),
            habits={name: _habit_from_json(habit) for name, habit in tree["habits"].items()},
            windows=tree["windows"],
            rows_fewest=tree["rows_fewest"],
            rows_most=tree["rows_most"],
            seasons=seasons_from_json(tree["seasons"]) if "seasons" in tree else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"these bytes are not a reference: {error}") from error


def _habit_from_json(tree: Mapping[str, Any]) -> Habit:
    return Habit(**{**tree, "place_vars": tuple(tree["place_vars"])})
