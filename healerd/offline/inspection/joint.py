"""Models fitted to the rows at hand: can windows be told from the reference by all features together, and how far off
will predictions be. Must never decide an alarm, nor take more rows than ROWS_MAX of a side.

A classifier that tells the rows of two samples apart no better than chance has found no difference (Lopez-Paz and
Oquab, 2017). Each row is scored by a model that did not see it; the area under the ROC curve has the interval of DeLong
et al. (1988). A feature's importance is how much of the area is lost when its values are shuffled among the rows that
were held out (Breiman, 2001), so a change of how features hang together shows where no feature alone moved.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from healerd.columns import Column, kind_of
from healerd.detectors.diagnosis import Area, area
from healerd.offline.estimator import fit
from healerd.offline.inspection.rows import taken

__all__ = ["Joint", "absolute_error_guess", "tell_apart"]

ROWS_MAX = 3000
"""Rows of each side; the area's interval is then within .015."""
ROWS_MIN = 100
FOLDS = 4
IMPORTANCES_MAX = 60
"""Features beyond which importances are not computed: each costs a prediction of all rows."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """How well all features together tell the rows apart, and what each gives to it, the largest first."""

    area: Area
    importances: tuple[tuple[str, float], ...]


def tell_apart(usual: Mapping[str, Column], found: Mapping[str, Column], *, seed: int = 0) -> Joint | None:
    """Compare two samples by the features they share; None with fewer than ROWS_MIN rows on a side, or no feature.

    Rows beyond ROWS_MAX of a side are left out at random, by the seed.
    """
    names = [name for name in usual if name in found]
    sizes = [len(next(iter(side.values()), ())) for side in (usual, found)]
    if not names or min(sizes) < ROWS_MIN:
        return None
    rng = np.random.Generator(np.random.Philox(seed))
    picked = [np.sort(rng.permutation(size)[:ROWS_MAX]) for size in sizes]
    columns = {
        name: _joined(_clean(usual[name], usual[name])[picked[0]], _clean(found[name], usual[name])[picked[1]])
        for name in names
    }
    side = np.repeat([0.0, 1.0], [len(each) for each in picked])
    known = {name: column for name, column in columns.items() if _varies(column)}
    if not known:
        return None
    scores, losses = np.empty(len(side)), dict.fromkeys(known, 0.0)
    fold = rng.permutation(len(side)) % FOLDS
    for number in range(FOLDS):
        _score_fold(known, side, fold == number, scores=scores, losses=losses, rng=rng)
    told = sorted(((name, lost / FOLDS) for name, lost in losses.items()), key=lambda pair: (-pair[1], pair[0]))
    return Joint(area=area(scores[side == 1], scores[side == 0]), importances=tuple(told))


def _score_fold(
    columns: Mapping[str, Column],
    side: Numbers,
    held: npt.NDArray[np.bool_],
    *,
    scores: Numbers,
    losses: dict[str, float],
    rng: np.random.Generator,
) -> None:
    """Fit on the other folds, score this one, and shuffle one feature after another in it."""
    model = fit(taken(columns, ~held), side[~held], task="classification")
    rows, of = taken(columns, held), side[held]
    scores[held] = model.chances(rows)
    if len(columns) > IMPORTANCES_MAX:
        return
    whole = _area(scores[held], of)
    for name in columns:
        shuffled = {**rows, name: rows[name][rng.permutation(len(of))]}
        losses[name] += max(0.0, whole - _area(model.chances(shuffled), of))


def _area(scores: Numbers, side: Numbers) -> float:
    return area(scores[side == 1], scores[side == 0]).value


def _clean(column: Column, like: Column) -> Column:
    """The column as the kind of another; values of the wrong type are missing to a model, quality tells of them."""
    if kind_of(like) == kind_of(column):
        return column
    if kind_of(like) == "numeric":
        return np.array([value if isinstance(value, float) else np.nan for value in column], np.float64)
    return np.full(len(column), None, np.object_)


def _joined(one: Column, other: Column) -> Column:
    return np.concatenate([one, other])


def _varies(column: Column) -> bool:
    return len(set(column.tolist()) - {None}) > 1 and (kind_of(column) != "numeric" or bool(np.isfinite(column).any()))


def absolute_error_guess(
    usual: Mapping[str, Column], off: Numbers, found: Mapping[str, Column], *, seed: int = 0
) -> tuple[Numbers, Numbers] | None:
    """Expect |label - prediction| of each row from its features and prediction; None with too few labelled rows.

    Gives the expectation of each reference row by a model that did not see it, NaN where there is no label, and that of
    each found row. Rows beyond a few thousand do not train.
    """
    known = np.flatnonzero(np.isfinite(off))
    names = [name for name in usual if name in found and _varies(_clean(usual[name], usual[name]))]
    if len(known) < 2 * ROWS_MIN or not names:
        return None
    rng = np.random.Generator(np.random.Philox(seed))
    picked = np.sort(known[rng.permutation(len(known))[: 2 * ROWS_MAX]])
    rows = taken({name: usual[name] for name in names}, picked)
    guess, fold = np.full(len(off), np.nan), rng.permutation(len(picked)) % FOLDS
    for held in _folds(fold):
        model = fit(taken(rows, ~held), off[picked][~held], task="regression")
        guess[picked[held]] = model.predict(taken(rows, held))
    whole = fit(rows, off[picked], task="regression")
    return guess, whole.predict({name: _clean(found[name], usual[name]) for name in names})


def _folds(fold: npt.NDArray[np.intp]) -> Iterator[npt.NDArray[np.bool_]]:
    yield from (fold == number for number in range(FOLDS))
