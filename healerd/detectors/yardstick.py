"""A reference made ready to measure with: what depends on it alone is computed once, not at every window.

Must never depend on a window.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from healerd.columns import Mask
from healerd.detectors.settings import DetectionSettings
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


def make_yardstick(reference: ReferenceProfile, settings: DetectionSettings) -> Yardstick:
    """Compute all that windows are compared with; keep it as long as the reference is in force."""
    maps = reference.maps
    made = {name: _feature(name, reference, settings) for name in maps.features}
    return Yardstick(
        id=reference.id,
        reference=reference,
        features=tuple(one for name, one in made.items() if name not in maps.scores),
        scores=tuple(one for name, one in made.items() if name in maps.scores),
    )


def _feature(name: str, reference: ReferenceProfile, settings: DetectionSettings) -> FeatureYardstick:
    cell_map, habit = reference.maps.features[name], reference.habits[name]
    cells = reference.whole.features[name].cells
    n, features = int(cells.sum()), len(reference.maps.features)
    numeric = isinstance(cell_map, NumberMap)
    quartiles = quantiles(cells, cell_map, QUARTILES) if isinstance(cell_map, NumberMap) and n else ()
    factor = math.exp(habit.scaled) * settings.scale_tolerance
    margin = margin_of(n, features * settings.references_per_year, settings.delta)
    return FeatureYardstick(
        name=name,
        cell_map=cell_map,
        habit=habit,
        cells=cells,
        n=n,
        places=places(cell_map, cells),
        shares=cumulative(cells),
        unseen=unseen_cells(cell_map, cells),
        quartiles=quartiles,
        margin=margin + settings.drift_tolerance,
        grown=_bounds(cell_map, quartiles, factor, margin) if numeric else None,
        shrunk=_bounds(cell_map, quartiles, 1 / factor, margin) if numeric else None,
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
