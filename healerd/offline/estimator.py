"""Fit and serve a scikit-learn model on columns: the training entry point of `try` and of the demo.

Must never see a row it is later judged on: it is handed the training rows, and nothing else.
"""

import importlib
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from healerd.columns import Column, is_missing, kind_of
from healerd.errors import ConfigError

__all__ = ["ColumnCode", "TabularModel", "Task", "fit", "task_of"]

Task = Literal["classification", "regression"]
Matrix = npt.NDArray[np.float64]

CLASSES_MAX = 20
"""A whole-number target with at most this many values is a class; with more it is a quantity."""
CATEGORIES_MAX = 250
"""Categories with a code of their own, the most frequent first; scikit-learn's histograms take at most 255."""
ONE_HOT_MAX = 50
"""Categories with an indicator of their own, for estimators that know no categories."""
ANSWERS_MAX = 200_000
"""Rows whose answer is remembered; some tens of megabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnCode:
    """How one feature becomes numbers: a numeric column as it is, a categorical one by its known categories."""

    name: str
    categories: tuple[str, ...] | None
    fill: float


class TabularModel:
    """A fitted estimator that takes columns: `predict(features)` gives one output a row.

    A category it never saw is missing to it; a missing number stays missing where the estimator knows how. Features
    that had no value at all when it was fitted are left out. Rows that it was asked before are answered from memory:
    tables of categories repeat themselves, and a shadow is asked about what was served.
    """

    def __init__(self, *, codes: tuple[ColumnCode, ...], estimator: Any, one_hot: bool, text: bool) -> None:
        self.codes, self.estimator, self.one_hot, self.text = codes, estimator, one_hot, text
        self._answered: dict[bytes, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Store the model without its memory: the same fit is stored as the same bytes."""
        return {**self.__dict__, "_answered": {}}

    def predict(self, features: Mapping[str, Column]) -> Column:
        """Predict n outputs from columns of n values. Raises KeyError when a column is missing."""
        matrix = _matrix(features, self.codes, one_hot=self.one_hot)
        keys = [row.tobytes() for row in matrix]
        fresh = {key: place for place, key in enumerate(keys) if key not in self._answered}
        if fresh:
            if len(self._answered) + len(fresh) > ANSWERS_MAX:
                self._answered.clear()
                fresh = {key: place for place, key in enumerate(keys)}
            with _one_thread():
                out = self.estimator.predict(matrix[list(fresh.values())])
            self._answered.update(zip(fresh, out.tolist(), strict=True))
        return np.array([self._answered[key] for key in keys], dtype=np.object_ if self.text else np.float64)

    def chances(self, features: Mapping[str, Column]) -> Matrix:
        """Give the n probabilities of the last class, of an estimator that knows them."""
        with _one_thread():
            found: Matrix = self.estimator.predict_proba(_matrix(features, self.codes, one_hot=self.one_hot))[:, -1]
        return found


def task_of(label: Column) -> Task:
    """Tell a class from a quantity: text and few whole numbers are classes."""
    if kind_of(label) == "categorical":
        return "classification"
    known = label[np.isfinite(label)]
    distinct = np.unique(known)
    whole = bool(np.all(distinct == np.round(distinct)))
    return "classification" if whole and len(distinct) <= CLASSES_MAX else "regression"


def fit(
    features: Mapping[str, Column],
    label: Column,
    *,
    estimator: str | None = None,
    task: Task | None = None,
    seed: int = 0,
) -> TabularModel:
    """Fit a model on columns of n rows and their n labels; `estimator` is `module:name` of a scikit-learn class.

    Without one it is scikit-learn's histogram gradient boosting, which takes categories and missing values as they
    are; a class of a single row it does not learn. Raises ConfigError when the estimator cannot be found or made.
    """
    task = task or task_of(label)
    one_hot = estimator is not None
    if estimator is None and task == "classification":
        features, label = _of_classes(features, label)
    limit = ONE_HOT_MAX if one_hot else CATEGORIES_MAX
    codes = tuple(_code(name, column, limit=limit) for name, column in features.items() if _has_values(column))
    if not codes:
        raise ConfigError("no feature has a single value in the training rows: there is nothing to learn from")
    made = _named(estimator, seed=seed) if estimator else _boosting(codes, task=task, seed=seed)
    text = kind_of(label) == "categorical"
    with _one_thread():
        made.fit(_matrix(features, codes, one_hot=one_hot), label.astype(str) if text else label)
    return TabularModel(codes=codes, estimator=made, one_hot=one_hot, text=text)


def _one_thread() -> AbstractContextManager[Any]:
    """Keep OpenMP to one thread: on tables of this size more gain little, and on a busy machine they only wait."""
    limit: AbstractContextManager[Any] = _pools().limit(limits=1, user_api="openmp")
    return limit


@cache
def _pools() -> Any:
    import sklearn.ensemble  # noqa: F401 - the pools of what is loaded are what is found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _of_classes(features: Mapping[str, Column], label: Column) -> tuple[Mapping[str, Column], Column]:
    """Leave out rows that are alone in their class: boosting cannot part them to know when to stop, and overshoots."""
    counts = Counter(label.tolist())
    alone = {value for value, rows in counts.items() if rows == 1}
    if not alone or len(counts) - len(alone) < 2:
        return features, label
    kept = np.array([value not in alone for value in label.tolist()])
    return {name: column[kept] for name, column in features.items()}, label[kept]


def _boosting(codes: tuple[ColumnCode, ...], *, task: Task, seed: int) -> Any:
    from sklearn.ensemble import (  # heavy: only where a model is fitted
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )

    kind = HistGradientBoostingClassifier if task == "classification" else HistGradientBoostingRegressor
    return kind(categorical_features=[code.categories is not None for code in codes], random_state=seed)


def _named(name: str, *, seed: int) -> Any:
    module, _, attribute = name.partition(":")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"no estimator `{name}`: write `module:name`, as in `sklearn.linear_model:Ridge`") from error
    made = kind()
    if "random_state" in getattr(made, "get_params", dict)():
        made.set_params(random_state=seed)
    if not (hasattr(made, "fit") and hasattr(made, "predict")):
        raise ConfigError(f"`{name}` has no `fit` and `predict`: name a scikit-learn estimator")
    return made


def _has_values(column: Column) -> bool:
    return bool(np.isfinite(column).any()) if kind_of(column) == "numeric" else not is_missing(column).all()


def _code(name: str, column: Column, *, limit: int) -> ColumnCode:
    if kind_of(column) == "numeric":
        known = column[np.isfinite(column)]
        return ColumnCode(name=name, categories=None, fill=float(np.median(known)))
    counts = Counter(value for value in column if value is not None)
    ordered = sorted(counts, key=lambda value: (-counts[value], value))
    return ColumnCode(name=name, categories=tuple(ordered[:limit]), fill=np.nan)


def _matrix(features: Mapping[str, Column], codes: tuple[ColumnCode, ...], *, one_hot: bool) -> Matrix:
    return np.column_stack([part for code in codes for part in _encoded(features[code.name], code, one_hot=one_hot)])


def _encoded(column: Column, code: ColumnCode, *, one_hot: bool) -> list[Matrix]:
    if code.categories is None:
        return [np.where(np.isfinite(column), column, code.fill if one_hot else np.nan)]
    position = {value: float(i) for i, value in enumerate(code.categories)}
    numbers = np.fromiter((position.get(value, np.nan) for value in column), np.float64, len(column))
    return [(numbers == i).astype(np.float64) for i in range(len(code.categories))] if one_hot else [numbers]
