"""KS, PSI and Wasserstein of each feature: numbers people know, for display. Must never raise an alarm."""

from collections.abc import Iterator

import numpy as np

from healerd.detectors.observation import Observation, State
from healerd.detectors.yardstick import FeatureYardstick
from healerd.model import Layer, Measurement
from healerd.profiles.maps import NumberMap
from healerd.profiles.ranks import cumulative, ks, ks_p_value, psi, wasserstein

__all__ = ["show_distances"]


def show_distances(seen: Observation, state: State) -> tuple[tuple[Measurement, ...], State]:
    """Measure the distance of each feature and score from its reference; there is nothing to keep."""
    pairs = [
        *((one, Layer.DRIFT) for one in seen.yardstick.features),
        *((one, Layer.SCORE) for one in seen.yardstick.scores),
    ]
    return tuple(told for one, layer in pairs for told in _show(seen, one, layer)), state


def _show(seen: Observation, one: FeatureYardstick, layer: Layer) -> Iterator[Measurement]:
    cells = seen.profile.features[one.name].cells
    m = int(cells.sum())
    if m == 0 or one.n == 0:
        return
    shares, distance = cumulative(cells), ks(one.upto, np.cumsum(cells))
    values = {"ks": (distance, ks_p_value(distance, one.n, m)), "psi": (psi(one.cells, cells), None)}
    if isinstance(one.cell_map, NumberMap):
        values["wasserstein"] = (wasserstein(one.shares, shares, one.cell_map.edges()), None)
    for name, (value, p_value) in values.items():
        yield Measurement(
            name=name,
            layer=layer,
            subject=one.name,
            value=value,
            n=m,
            p_value=p_value,
            reference_id=seen.yardstick.id,
        )
