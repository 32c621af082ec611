"""After an alarm: which features moved, how, and how sure that is. Must never raise an alarm: all of it is display.

Everything but the joint comparison follows from counts alone, so it works on merged windows of any length. P-values of
features are adjusted by Benjamini and Hochberg (1995); they assume independent rows and hold for one look, which is
why no alarm hangs on them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from math import isfinite, sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from healerd.detectors.yardstick import FeatureYardstick, Yardstick
from healerd.model import Layer, Measurement
from healerd.profiles.counts import Counts, Profile
from healerd.profiles.maps import OUTER, NameMap, NumberMap
from healerd.profiles.ranks import cumulative, ks, ks_p_value, psi, quantiles, wasserstein
from healerd.profiles.reference import QUARTILES

__all__ = ["Area", "Change", "FeatureChange", "adjusted", "area", "diagnose", "shift_kind"]

NAMES_TOLD = 5
"""Names of a category whose shares moved most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureChange:
    """One feature of some windows beside its reference.

    `q_value` is the p-value of KS after Benjamini and Hochberg. `effect` is the shift of the mean rank, in [-1/2, 1/2];
    `wasserstein` is in the feature's unit. `usual` and `found` are quartiles, of a category the shares of the `names`
    that moved most. `below` and `above` are shares of rows outside the reference's range, which quartiles cannot place.
    """

    name: str
    layer: Layer
    n: int
    ks: float | None
    p_value: float | None
    q_value: float | None
    psi: float | None
    wasserstein: float | None
    effect: float | None
    since_at: datetime | None
    names: tuple[str, ...]
    usual: tuple[float, ...]
    found: tuple[float, ...]
    missing: float
    missing_usual: float
    wrong_type: float
    unseen: float
    below: float
    above: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """The area under the ROC curve of a score between two groups of rows, with its interval; 1/2 is chance."""

    value: float
    low: float
    high: float
    level: float
    n: tuple[int, int]


class Change(StrEnum):
    """The words for what changed, by what is known of error and inputs."""

    NONE = "no change"
    CONCEPT = "concept shift"
    COVARIATE = "covariate drift"
    BOTH = "covariate drift with harm"
    UNJUDGED = "covariate drift, harm unknown"


def diagnose(
    yardstick: Yardstick, counted: Profile, measurements: Iterable[Measurement] = ()
) -> tuple[FeatureChange, ...]:
    """Compare each feature and score of the merged windows with the reference, the most changed first.

    `measurements` are those of the newest window; each feature's `since_at` is taken from its evidence there.
    """
    since = {one.subject: one.since_at for one in measurements if one.subject is not None and one.since_at}
    pairs = [(one, Layer.DRIFT) for one in yardstick.features] + [(one, Layer.SCORE) for one in yardstick.scores]
    told = [_change(one, layer, counted, since) for one, layer in pairs]
    p_values = [one.p_value for one in told if one.p_value is not None]
    q_values = iter(adjusted(p_values))
    found = [one if one.p_value is None else replace(one, q_value=next(q_values)) for one in told]
    return tuple(sorted(found, key=lambda one: (-(one.ks or 0.0), one.name)))


def _change(
    one: FeatureYardstick, layer: Layer, counted: Profile, since: Mapping[str, datetime | None]
) -> FeatureChange:
    counts = counted.features[one.name]
    n, rows = counts.n, max(counted.rows, 1)
    shares, known = cumulative(counts.cells), bool(counts.n and one.n)
    distance = ks(one.upto, np.cumsum(counts.cells)) if known else None
    names, usual, found = _laws(one, counts) if known else ((), (), ())
    return FeatureChange(
        name=one.name,
        layer=layer,
        n=n,
        ks=distance,
        p_value=None if distance is None else ks_p_value(distance, one.n, n),
        q_value=None,
        psi=psi(one.cells, counts.cells) if known else None,
        wasserstein=_moved(one, shares) if known else None,
        effect=float(one.places.of[0] @ counts.cells / n - 0.5) if known else None,
        since_at=since.get(one.name),
        names=names,
        usual=usual,
        found=found,
        missing=counts.missing / rows,
        missing_usual=one.habit.missing,
        wrong_type=counts.wrong_type / rows,
        unseen=float(counts.cells[one.unseen].sum()) / n if known else 0.0,
        below=float(counts.cells[:OUTER].sum()) / n if known and isinstance(one.cell_map, NumberMap) else 0.0,
        above=float(counts.cells[-OUTER:].sum()) / n if known and isinstance(one.cell_map, NumberMap) else 0.0,
    )


def _moved(one: FeatureYardstick, shares: npt.NDArray[np.float64]) -> float | None:
    """The Wasserstein distance, None for names and where it is too large for a number."""
    if not isinstance(one.cell_map, NumberMap):
        return None
    found = wasserstein(one.shares, shares, one.cell_map.edges())
    return found if isfinite(found) else None


def _laws(one: FeatureYardstick, counts: Counts) -> tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]]:
    if isinstance(one.cell_map, NameMap):
        usual, found = one.cells / one.n, counts.cells / counts.n
        known = np.arange(1, len(usual), 2)
        most = known[np.argsort(-np.abs(found - usual)[known], kind="stable")][:NAMES_TOLD]
        names = tuple(one.cell_map.names[(cell - 1) // 2] for cell in most.tolist())
        return names, tuple(usual[most].tolist()), tuple(found[most].tolist())
    return (), one.quartiles, quantiles(counts.cells, one.cell_map, QUARTILES)


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values by Benjamini and Hochberg (1995): the least false-discovery rate at which each is rejected.

    >>> [round(q, 3) for q in adjusted([0.01, 0.04, 0.5])]
    [0.03, 0.06, 0.5]
    """
    p = np.array(p_values, np.float64)
    order = np.argsort(p)[::-1]
    scaled = p[order] * len(p) / np.arange(len(p), 0, -1)
    q = np.empty(len(p))
    q[order] = np.minimum(np.minimum.accumulate(scaled), 1.0) if len(p) else scaled
    found: list[float] = q.tolist()
    return found


def area(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64], *, level: float = 0.95) -> Area:
    """P(a row of `one` scores above a row of `other`), ties half, with the interval of DeLong et al. (1988).

    Raises ValueError with fewer than two rows on a side.
    """
    m, n = len(one), len(other)
    if min(m, n) < 2:
        raise ValueError("an area needs two rows on each side")
    above = _placements(one, other)
    below = _placements(other, one)
    value = float(above.mean())
    sd = sqrt(float(above.var(ddof=1)) / m + float(below.var(ddof=1)) / n)
    reach = float(ndtri((1 + level) / 2)) * sd
    return Area(value=value, low=max(0.0, value - reach), high=min(1.0, value + reach), level=level, n=(m, n))


def _placements(of: npt.NDArray[np.float64], among: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """For each value the share of the other rows below it, ties half."""
    ordered = np.sort(among)
    left, right = np.searchsorted(ordered, of, "left"), np.searchsorted(ordered, of, "right")
    return np.asarray((left + right) / (2 * len(among)), np.float64)


def shift_kind(*, harm: bool | None, drift: bool | None) -> Change:
    """Tell a change of concept (harm while the inputs look as ever) from covariate drift; None is unknown."""
    if harm:
        return Change.BOTH if drift else Change.CONCEPT
    if drift:
        return Change.UNJUDGED if harm is None else Change.COVARIATE
    return Change.NONE
