"""Corrections of a model's answers: an offset, a factor or a monotone map of numbers; a threshold or calibrated
probabilities of two classes. Fitted on fresh labels, stored around the model itself.

Must never choose a correction on the rows it was fitted on: the last third of the rows decides between them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from healerd.actions.model_files import MatrixModel
from healerd.actions.registry import Model, Registry
from healerd.columns import Column, is_missing, kind_of
from healerd.errors import ActionError
from healerd.profiles.losses import Loss, losses, parse_loss

__all__ = ["REFUSED_TASK", "Correction", "Recalibrated", "can_recalibrate", "fit"]

Numbers = npt.NDArray[np.float64]

CLASSES_MAX = 20
HELD_OUT = 1 / 3
ROWS_MAX = 200_000
REFUSED_TASK = "more than two classes: recalibration knows two, or a quantity"
FOR_NUMBERS = ("offset", "scale", "isotonic")
FOR_CLASSES = ("threshold", "sigmoid", "isotonic")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Correction:
    """A map of scores: linear interpolation between points (`at`, `gives`), beyond them `slope` x score + `offset`.

    With no points it is linear everywhere. `sigmoid`: the result is passed through the logistic function.
    """

    method: str
    slope: float = 1.0
    offset: float = 0.0
    at: Numbers | None = None
    gives: Numbers | None = None
    sigmoid: bool = False

    def apply(self, score: Numbers) -> Numbers:
        """Map n scores."""
        if self.at is not None and self.gives is not None:
            return np.interp(score, self.at, self.gives)
        mapped = self.slope * score + self.offset
        return 1.0 / (1.0 + np.exp(-np.clip(mapped, -60.0, 60.0))) if self.sigmoid else mapped


class Recalibrated:
    """A model whose answers are corrected. `classes`: the two labels, the second from `threshold` on; None: numbers."""

    def __init__(
        self, *, base: Model, correction: Correction, classes: Column | None = None, threshold: float = 0.5
    ) -> None:
        self.base, self.correction, self.classes, self.threshold = base, correction, classes, threshold

    def predict(self, features: Mapping[str, Column]) -> Column:
        """Predict n outputs from columns of n values."""
        if self.classes is None:
            return self.correction.apply(np.asarray(self.base.predict(features), dtype=np.float64))
        return self.classes[(self.chances(features) >= self.threshold).astype(np.intp)]

    def chances(self, features: Mapping[str, Column]) -> Numbers:
        """Give the n corrected probabilities of the second class."""
        found = _chances(self.base)
        assert found is not None, "it was fitted on them"
        return np.clip(self.correction.apply(_score(found[0](features), self.correction)), 0.0, 1.0)


def can_recalibrate(label: Column) -> bool:
    """Tell whether labels are a quantity, or of two classes at most."""
    return not _is_class(label) or len(_distinct(label)) <= 2


def fit(
    features: Mapping[str, Column], label: Column, *, registry: Registry, base: str, method: str, loss: str
) -> Recalibrated:
    """Fit the correction of a stored version on n labelled rows in the order of time: a training entry point.

    A version that is corrected already is corrected anew, not twice. Raises ActionError when its answers cannot be
    corrected so.
    """
    model: Any = registry.load(base)
    model = model.base if isinstance(model, Recalibrated) else model
    keep = np.flatnonzero(~is_missing(label))[-ROWS_MAX:]
    rows = {name: column[keep] for name, column in features.items()}
    known = label[keep]
    if _is_class(known):
        return _for_classes(model, rows, known, method=method, loss=parse_loss(loss))
    return _for_numbers(model, rows, known.astype(np.float64), method=method, loss=parse_loss(loss))


def _for_numbers(model: Model, rows: Mapping[str, Column], label: Numbers, *, method: str, loss: Loss) -> Recalibrated:
    score = np.asarray(model.predict(rows), dtype=np.float64)
    sound = np.isfinite(score)

    def wrap(correction: Correction) -> Callable[[Numbers], Column]:
        return correction.apply

    chosen = _choose(FOR_NUMBERS, method, score[sound], label[sound], fit_one=_number_correction, wrap=wrap, loss=loss)
    return Recalibrated(base=model, correction=chosen)


def _for_classes(model: Model, rows: Mapping[str, Column], label: Column, *, method: str, loss: Loss) -> Recalibrated:
    found = _chances(model)
    if found is None:
        raise ActionError(
            "the model tells no probabilities (`chances`, `predict_proba`), so its classes stay as they are"
        )
    chances, classes = found
    truth = (label == classes[1]).astype(np.float64)
    raw = np.asarray(chances(rows), dtype=np.float64)

    def wrap(correction: Correction) -> Callable[[Numbers], Column]:
        return lambda score: classes[(correction.apply(_score(score, correction)) >= 0.5).astype(np.intp)]

    chosen = _choose(FOR_CLASSES, method, raw, truth, fit_one=_class_correction, wrap=wrap, loss=loss, label=label)
    return Recalibrated(base=model, correction=chosen, classes=classes)


def _choose(
    known: tuple[str, ...],
    method: str,
    score: Numbers,
    truth: Numbers,
    *,
    fit_one: Callable[[str, Numbers, Numbers], Correction],
    wrap: Callable[[Correction], Callable[[Numbers], Column]],
    loss: Loss,
    label: Column | None = None,
) -> Correction:
    """Fit the named correction; or each, on the earlier rows, and take the one that errs least on the later ones."""
    if method != "auto" and method not in known:
        raise ActionError(f"`{method}` does not fit these labels; use one of {', '.join(known)}, or `auto`")
    cut = len(score) - max(1, int(len(score) * HELD_OUT))
    if cut < 2:
        raise ActionError(f"{len(score)} labelled rows are too few to fit a correction on")
    if method == "auto":
        held = truth if label is None else label
        errors = {
            each: float(np.mean(losses(loss, wrap(fit_one(each, score[:cut], truth[:cut]))(score[cut:]), held[cut:])))
            for each in known
        }
        method = min(errors, key=lambda each: errors[each])
    return fit_one(method, score, truth)


def _number_correction(method: str, score: Numbers, truth: Numbers) -> Correction:
    match method:
        case "offset":
            return Correction(method=method, offset=float(np.median(truth - score)))
        case "scale":
            big = np.abs(score) > 1e-9
            return Correction(method=method, slope=float(np.median(truth[big] / score[big])) if big.any() else 1.0)
        case _:
            return _monotone(method, score, truth)


def _class_correction(method: str, score: Numbers, truth: Numbers) -> Correction:
    match method:
        case "threshold":
            return Correction(method=method, offset=0.5 - _threshold(score, truth))
        case "sigmoid":
            slope, offset = _platt(_logit(score), truth)
            return Correction(method=method, slope=slope, offset=offset, sigmoid=True)
        case _:
            return _monotone(method, score, truth)


def _monotone(method: str, score: Numbers, truth: Numbers) -> Correction:
    """Isotonic regression (Barlow et al., 1972), by scikit-learn; kept as its corners."""
    from sklearn.isotonic import IsotonicRegression  # heavy: only in a job

    fitted = IsotonicRegression(out_of_bounds="clip").fit(score, truth)
    return Correction(
        method=method,
        at=np.asarray(fitted.X_thresholds_, dtype=np.float64),
        gives=np.asarray(fitted.y_thresholds_, dtype=np.float64),
    )


def _platt(score: Numbers, truth: Numbers) -> tuple[float, float]:
    """Fit P(second class) = logistic(slope x logit + offset) (Platt, 1999), by scikit-learn."""
    from sklearn.linear_model import LogisticRegression  # heavy: only in a job

    if len(np.unique(truth)) < 2:
        return 0.0, 8.0 if truth[0] else -8.0
    fitted = LogisticRegression(C=1e6).fit(score.reshape(-1, 1), truth)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def _threshold(score: Numbers, truth: Numbers) -> float:
    """Find the score from which calling the second class errs least: one pass over the scores in order."""
    order = np.argsort(score, kind="stable")
    ordered, right = score[order], truth[order]
    wrong = np.concatenate([[float(np.sum(1.0 - right))], np.sum(1.0 - right) + np.cumsum(2.0 * right - 1.0)])
    cuts = np.concatenate([[ordered[0] - 1e-9], (ordered[:-1] + ordered[1:]) / 2, [ordered[-1] + 1e-9]])
    distinct = np.concatenate([[True], np.diff(ordered) > 0, [True]])
    return float(cuts[distinct][int(np.argmin(wrong[distinct]))])


def _score(chance: Numbers, correction: Correction) -> Numbers:
    return _logit(chance) if correction.sigmoid else chance


def _logit(chance: Numbers) -> Numbers:
    bounded = np.clip(chance, 1e-6, 1 - 1e-6)
    return np.log(bounded / (1 - bounded))


def _chances(model: Any) -> tuple[Callable[[Mapping[str, Column]], Numbers], Column] | None:
    """Find how a model tells the probability of its second class, and its two classes; None where it does not."""
    inner = getattr(model, "estimator", None)
    classes = getattr(inner, "classes_", None)
    if classes is None or len(classes) != 2 or not hasattr(inner, "predict_proba"):
        return None
    text = np.asarray(classes).dtype.kind not in "biuf"
    labels = np.array(list(classes), dtype=np.object_) if text else np.asarray(classes, dtype=np.float64)
    if isinstance(model, MatrixModel):
        return model.chances, labels
    return (model.chances, labels) if hasattr(model, "chances") else None


def _is_class(label: Column) -> bool:
    if kind_of(label) == "categorical":
        return True
    distinct = _distinct(label)
    return len(distinct) <= CLASSES_MAX and bool(np.array_equal(distinct, np.round(distinct)))


def _distinct(label: Column) -> Any:
    known = label[~is_missing(label)]
    return np.unique(known.astype(str) if kind_of(label) == "categorical" else known)
