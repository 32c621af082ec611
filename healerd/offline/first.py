"""The first model of a stream, its honest error, and when a prediction counts as wrong.

Must never judge a row by a model that trained on it: the error comes from models that left the row's block out.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from healerd.actions import Model
from healerd.actions.evidence import window_starts
from healerd.columns import Column, Predictions, is_missing
from healerd.errors import ConfigError
from healerd.offline.baselines import Fit
from healerd.offline.stream import Stream

__all__ = ["FIRST", "First", "loss_for", "train_first"]

FIRST = "first"
"""Name of the first version."""
BLOCKS = 4
"""Blocks of whole windows of which each is held out once; each fit then still learns from three quarters."""
RELATIVE = "relative 10%"
USUAL = 0.80
"""Where no relative loss makes sense, an error is wrong when it is larger than this share of the held-out ones."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class First:
    """A first model, the rows it trained on, and what models without a row's block said of that row."""

    model: Model
    rows: Predictions
    held_out: Predictions


def train_first(stream: Stream, fit: Fit) -> First:
    """Fit the first model on the labelled ones of the first rows, and cross-fit it over contiguous blocks."""
    rows = slice(0, stream.first)
    known = ~is_missing(stream.label[rows])
    inputs = {name: column[known] for name, column in stream.inputs(rows).items()}
    label, at = stream.label[rows][known], stream.at[rows][known]
    model = _fitted(fit, inputs, label)
    held_out = _cross_fitted(fit, inputs, label, blocks=_blocks(window_starts(at, stream.window_s)))
    trained = Predictions(
        ids=stream.ids(rows)[known],
        at=at,
        version=np.full(len(label), FIRST, dtype=np.object_),
        output=model.predict(inputs),
        label=label,
        features=inputs,
    )
    return First(model=model, rows=trained, held_out=replace(trained, output=held_out))


def loss_for(stream: Stream, first: First) -> str:
    """Choose when a prediction is wrong, as text for the configuration.

    A class: when unequal. A positive quantity: when more than 10% off, if held-out rows are mostly right by that. Any
    other quantity: when further off than four in five predictions of held-out rows.
    """
    if stream.task == "classification":
        return "zero-one"
    label, off = first.held_out.label, np.abs(first.held_out.output - first.held_out.label)
    positive = label.min() >= 0 and np.quantile(label, 0.05) > 0
    if positive and np.mean(off <= 0.1 * label) >= 0.5:
        return RELATIVE
    usual = float(np.quantile(off, USUAL))
    return f"absolute {np.format_float_positional(usual, precision=3, fractional=False, trim='-')}"


def _fitted(fit: Fit, inputs: dict[str, Column], label: Column) -> Model:
    """Fit, and say in words what the estimator does not like about the data."""
    try:
        return fit(inputs, label)
    except ConfigError:
        raise
    except (ValueError, TypeError) as error:
        raise ConfigError(f"the estimator cannot be trained on these columns: {str(error).splitlines()[0]}") from error


def _cross_fitted(
    fit: Fit, inputs: dict[str, Column], label: Column, *, blocks: tuple[npt.NDArray[np.bool_], ...]
) -> Column:
    """Predict each block by a model that was fitted on the others."""
    output = label.copy()
    for block in blocks:
        learned = _fitted(fit, {name: column[~block] for name, column in inputs.items()}, label[~block])
        output[block] = learned.predict({name: column[block] for name, column in inputs.items()})
    return output


def _blocks(windows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.bool_], ...]:
    """Mark the rows of up to four blocks of whole windows in order; of rows themselves when there is one window."""
    keys = windows if len(np.unique(windows)) >= BLOCKS else np.arange(len(windows))
    distinct = np.unique(keys)
    edges = distinct[np.linspace(0, len(distinct), BLOCKS + 1)[:-1].astype(np.intp)]
    bounds = [*edges, distinct[-1] + 1]
    return tuple((keys >= low) & (keys < high) for low, high in pairwise(bounds))
