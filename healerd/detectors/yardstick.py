"""A reference made ready to measure with: what depends on it alone is computed once, not at every window.

Must never depend on a window.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from healerd.columns import Mask
from healerd.detectors.settings import DetectionSettings
from healerd.model import Layer
from healerd.profiles.counts import Tally
from healerd.profiles.maps import CellMap, NumberMap
from healerd.profiles.places import Places, places
from healerd.profiles.ranks import Shares, cumulative, quantiles
from healerd.profiles.reference import QUARTILES, Habit, ReferenceProfile, unseen_cells

__all__ = ["Bounds", "FeatureYardstick", "Yardstick", "make_yardstick"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bounds:
    """Where the quartiles would lie if the feature were scaled by the least factor that counts as a fault.

    For each quartile: the cell of the bound, whether rows beyond lie above it, and the share of rows that a law not
    scaled so far has there at most.
    """

    cell: npt.NDArray[np.intp]
    above: Mask
    share: Shares


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureYardstick:
    """One feature's reference: n rows in cells, the places of each cell, and the margin eps."""

    name: str
    cell_map: CellMap
    habit: Habit
    cells: Tally
    n: int
    places: Places
    upto: Tally
    shares: Shares
    unseen: Mask
    quartiles: tuple[float, ...]
    margin: float
    grown: Bounds | None
    shrunk: Bounds | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Yardstick:
    """The reference `id` made ready: inputs in `features`, the model's scores in `scores`."""

    id: str
    reference: ReferenceProfile
    features: tuple[FeatureYardstick, ...]
    scores: tuple[FeatureYardstick, ...]
    settings: DetectionSettings

    def at(self, layer: Layer, start_at: datetime) -> tuple[FeatureYardstick, ...]:
        """What inputs (or scores) of the window that starts then are held against: those with a season by theirs."""
        own = self.scores if layer is Layer.SCORE else self.features
        if self.reference.seasons is None:
            return own
        return tuple(_in_season(one, self.reference, self.settings, start_at) for one in own)


def make_yardstick(reference: ReferenceProfile, settings: DetectionSettings) -> Yardstick:
    """Compute all that windows are compared with; keep it as long as the reference is in force."""
    maps = reference.maps
    made = {name: _feature(name, reference, settings) for name in maps.features}
    return Yardstick(
        id=reference.id,
        reference=reference,
        features=tuple(one for name, one in made.items() if name not in maps.scores),
        scores=tuple(one for name, one in made.items() if name in maps.scores),
        settings=settings,
    )


def _feature(name: str, reference: ReferenceProfile, settings: DetectionSettings) -> FeatureYardstick:
    cell_map, habit = reference.maps.features[name], reference.habits[name]
    cells = reference.whole.features[name].cells
    n, features = int(cells.sum()), len(reference.maps.features)
    numeric = isinstance(cell_map, NumberMap)
    quartiles = quantiles(cells, cell_map, QUARTILES) if isinstance(cell_map, NumberMap) and n else ()
    factor = math.exp(habit.scaled) * settings.scale_tolerance
    tests, of = features * settings.references_per_year, places(cell_map, cells)
    # What windows differ in is in the habit, which a factor starts from: its bounds need the rows' own margin alone.
    own = margin_of(n, tests, settings.delta)
    worth = _worth(n, min(n, reference.rows_most), habit.place_vars, of)
    return FeatureYardstick(
        name=name,
        cell_map=cell_map,
        habit=habit,
        cells=cells,
        n=n,
        places=of,
        upto=np.cumsum(cells),
        shares=cumulative(cells),
        unseen=unseen_cells(cell_map, cells),
        quartiles=quartiles,
        margin=margin_of(worth, tests, settings.delta) + settings.drift_tolerance,
        grown=_bounds(cell_map, quartiles, factor, own) if numeric else None,
        shrunk=_bounds(cell_map, quartiles, 1 / factor, own) if numeric else None,
    )


def _worth(n: int, rows: float, place_vars: Sequence[float], of: Places) -> int:
    """How many independent rows these n are worth, in windows of `rows` that differ: n / phi.

    The mean of W windows is off by sqrt(v / W), and every later window is held against it. `rows` is the sum of the
    windows' squared rows over n: the rows of each where they are even, and at most those of the fullest.
    """
    phi = 1 + rows * max(left / proxy for left, proxy in zip(place_vars, of.proxy.tolist(), strict=True))
    return max(1, int(n / phi)) if n else 0


def _in_season(
    one: FeatureYardstick, reference: ReferenceProfile, settings: DetectionSettings, at: datetime
) -> FeatureYardstick:
    """The same feature against the reference's rows of the same time of day or week.

    Each group is a reference of its own in the union bound. Its few windows differ by what is left of their variance.
    """
    seasons = reference.seasons
    assert seasons is not None
    cells = seasons.cells(one.name, at, one.cell_map.size)
    n = 0 if cells is None else int(cells.sum())
    if cells is None or n == 0:
        return one
    season = seasons.features[one.name]
    of = places(one.cell_map, cells, watched_in=one.cells)
    worth = _worth(n, n / season.windows, season.place_vars, of)
    tests = len(reference.maps.features) * settings.references_per_year * len(season.slots)
    return replace(
        one,
        cells=cells,
        n=n,
        places=of,
        upto=np.cumsum(cells),
        shares=cumulative(cells),
        habit=replace(one.habit, place_vars=season.place_vars),
        margin=margin_of(worth, tests, settings.delta) + settings.drift_tolerance,
    )


def margin_of(n: int, tests: int, delta: float) -> float:
    """sqrt(ln(2 tests / delta) / (2 n)): sup |F - R| is within it for all tests with probability 1 - delta.

    Dvoretzky, Kiefer and Wolfowitz (1956) with Massart's (1990) constant and a union bound. 1 without rows.
    """
    return min(1.0, math.sqrt(math.log(2 * tests / delta) / (2 * n))) if n else 1.0


def _bounds(cell_map: CellMap, quartiles: tuple[float, ...], factor: float, margin: float) -> Bounds | None:
    """The bounds for a factor above 1 (away from zero) or below 1; None when no quartile is far from zero."""
    if not isinstance(cell_map, NumberMap) or not quartiles:
        return None
    within = quartiles[-1] - quartiles[0]
    told = [(q, at) for q, at in zip(quartiles, QUARTILES, strict=True) if abs(q) > within / 10]
    if within <= 0 or not told:
        return None
    with np.errstate(over="ignore"):
        values = np.array([q for q, _ in told]) * factor
    above = (values > 0) == (factor > 1)
    at = np.array([at for _, at in told])
    share = np.minimum(1.0, np.where(above, 1 - at, at) + margin)
    return Bounds(cell=cell_map.cells(values), above=above, share=share)
