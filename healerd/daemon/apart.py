"""Can rows since be told from rows before by all features together: a classifier that is fitted and thrown away.

Must never take more than ROWS_MAX rows of a side, FEATURES_MAX features, nor be loaded before an incident asks for it.
Each row is scored by a model that did not see it; the area under the ROC curve has the interval of DeLong et al.
(1988), a feature's importance is what of the area is lost when its values are shuffled (Breiman, 2001).
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from healerd.columns import Column, Mask, kind_of
from healerd.decision import Apart
from healerd.detectors.diagnosis import area
from healerd.detectors.yardstick import FeatureYardstick
from healerd.profiles.maps import CellMap, NameMap

__all__ = ["tell_apart"]

ROWS_MAX, ROWS_MIN = 1000, 100
"""Rows of each side at most, which hold the area within .025, and at least."""
FEATURES_MAX = 40
"""Features at most, those that moved most first: with the rows this bounds the time to seconds."""
SHUFFLED_MAX = 12
"""Features whose importance is computed."""
FOLDS = 3
TREES = 40

Numbers = npt.NDArray[np.float64]


def tell_apart(
    now: Mapping[str, Column], before: Mapping[str, Column], features: Sequence[FeatureYardstick]
) -> tuple[Apart | None, str]:
    """Compare at most ROWS_MAX rows of each side; None, and why, where that cannot be."""
    sizes = [len(next(iter(side.values()), ())) for side in (now, before)]
    if min(sizes) < ROWS_MIN:
        return None, f"{sizes[0]:,} rows since and {sizes[1]:,} before, {ROWS_MIN} of each are needed"
    rng = np.random.Generator(np.random.Philox(0))
    picked = [np.sort(rng.permutation(size)[:ROWS_MAX]) for size in sizes]
    coded = {
        one.name: np.concatenate(
            [_coded(side[one.name][rows], one.cell_map) for side, rows in zip((now, before), picked, strict=True)]
        )
        for one in features[:FEATURES_MAX]
        if one.name in now and one.name in before
    }
    varied = {name: column for name, column in coded.items() if len(np.unique(column[~np.isnan(column)])) > 1}
    if not varied:
        return None, "no feature varies"
    side = np.repeat([1.0, 0.0], [len(rows) for rows in picked])
    return _score(list(varied), np.column_stack(list(varied.values())), side, rng), ""


def _score(names: Sequence[str], rows: Numbers, side: Numbers, rng: np.random.Generator) -> Apart:
    scores, fold = np.empty(len(side)), rng.permutation(len(side)) % FOLDS
    lost = dict.fromkeys(names[:SHUFFLED_MAX], 0.0)
    with _one_thread():
        for number in range(FOLDS):
            _score_fold(rows, side, fold == number, scores=scores, lost=lost, rng=rng)
    found = area(scores[side == 1], scores[side == 0])
    told = sorted(lost.items(), key=lambda pair: (-pair[1], pair[0]))
    return Apart(
        area=found.value,
        low=found.low,
        high=found.high,
        level=found.level,
        n=found.n,
        importances=tuple(told[:FOLDS]),
    )


def _score_fold(
    rows: Numbers, side: Numbers, held: Mask, *, scores: Numbers, lost: dict[str, float], rng: np.random.Generator
) -> None:
    """Fit on the other folds, score this one, and shuffle one feature after another in it."""
    model = _fitted(rows[~held], side[~held])
    scores[held] = model.predict_proba(rows[held])[:, 1]
    whole = _area(scores[held], side[held])
    for place, name in enumerate(lost):
        shuffled = rows[held]
        shuffled[:, place] = shuffled[rng.permutation(len(shuffled)), place]
        lost[name] += max(0.0, whole - _area(model.predict_proba(shuffled)[:, 1], side[held])) / FOLDS


def _one_thread() -> AbstractContextManager[Any]:
    """Keep OpenMP to one thread: on so few rows more gain little, and on a busy machine they only wait."""
    limit: AbstractContextManager[Any] = _pools().limit(limits=1, user_api="openmp")
    return limit


@cache
def _pools() -> Any:
    import sklearn.ensemble  # noqa: F401 - heavy; the pools of what is loaded are what is found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _fitted(rows: Numbers, side: Numbers) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier  # heavy: only where an incident asks for it

    model = HistGradientBoostingClassifier(max_iter=TREES, max_leaf_nodes=15, early_stopping=False, random_state=0)
    return model.fit(rows, side)


def _area(scores: Numbers, side: Numbers) -> float:
    return area(scores[side == 1], scores[side == 0]).value


def _coded(column: Column, cell_map: CellMap) -> Numbers:
    """Each value as the number of its cell, NaN where it is missing or of the wrong type: bounded whatever it was."""
    coded = np.full(len(column), np.nan)
    if isinstance(cell_map, NameMap):
        known = np.array([isinstance(value, str) for value in column], np.bool_)
        coded[known] = cell_map.cells(list(column[known]))
        return coded
    if kind_of(column) == "categorical":
        column = np.array([value if isinstance(value, Real) else np.nan for value in column], np.float64)
    known = ~np.isnan(column)
    coded[known] = cell_map.cells(column[known])
    return coded
