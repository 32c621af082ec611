"""Guess what the columns of a table are for: which holds the time, the id, the prediction, the label, and so on.

Must never read a row, nor take a guess for a fact: whoever uses one says that it is a guess.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from healerd.sources.relation import Type

__all__ = ["ROLES", "Guess", "guess_roles"]

ROLES = ("time", "id", "prediction", "label", "version", "score", "label_at")

_WORDS: Mapping[str, tuple[str, ...]] = {
    "label_at": ("label_at", "labelled_at", "label_time", "known_at", "observed_at", "truth_at"),
    "time": ("time", "timestamp", "ts", "at", "served_at", "predicted_at", "event_time", "created_at", "datetime"),
    "id": ("id", "prediction_id", "request_id", "event_id", "row_id", "uuid", "key"),
    "prediction": ("prediction", "predicted", "y_pred", "yhat", "y_hat", "pred", "output", "prediction_value"),
    "label": ("label", "truth", "target", "y", "y_true", "actual", "outcome", "ground_truth", "labels", "observed"),
    "version": ("version", "model_version", "model_name", "deployment", "revision"),
    "score": ("score", "probability", "confidence", "proba", "y_score", "prob", "prediction_score"),
}
"""What people call such columns, the commonest first."""
_TYPES: Mapping[str, frozenset[Type]] = {
    "label_at": frozenset({"time", "categorical"}),
    "time": frozenset({"time", "categorical"}),
    "id": frozenset({"numeric", "categorical"}),
    "prediction": frozenset({"numeric", "categorical"}),
    "label": frozenset({"numeric", "categorical"}),
    "version": frozenset({"numeric", "categorical"}),
    "score": frozenset({"numeric"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """One guess: the column, and why it is thought to be that."""

    column: str
    why: str


def guess_roles(types: Mapping[str, Type]) -> Mapping[str, Guess]:
    """Guess the column of each role by name and type; no column has two roles, and a role may have none.

    >>> found = guess_roles({"ts": "time", "request_id": "categorical", "y_pred": "numeric", "age": "numeric"})
    >>> {role: guess.column for role, guess in found.items()}
    {'time': 'ts', 'id': 'request_id', 'prediction': 'y_pred'}
    """
    found: dict[str, Guess] = {}
    for role, words in _WORDS.items():
        taken = {guess.column for guess in found.values()}
        fit = {_plain(name): name for name, kind in types.items() if kind in _TYPES[role] and name not in taken}
        word = next((word for word in words if word in fit), None)
        if word is not None:
            found[role] = Guess(column=fit[word], why="by its name")
    if "time" not in found:
        times = [name for name, kind in types.items() if kind == "time" and name not in _columns(found)]
        if len(times) == 1:
            found["time"] = Guess(column=times[0], why="the only column of times")
    return {role: found[role] for role in ROLES if role in found}


def _columns(found: Mapping[str, Guess]) -> set[str]:
    return {guess.column for guess in found.values()}


def _plain(name: str) -> str:
    """A name in small letters with single underscores: `Y Pred`, `y-pred` and `yPred` are one."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")
