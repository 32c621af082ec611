"""The first model of a stream, its honest error, and when a prediction counts as wrong.

Must never judge a row by a model that trained on it, nor by one that knows what came after: the error is that of
models which foretold the newest rows, block by block, as the first model will foretell what it serves.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from healerd.actions import Model
from healerd.actions.evidence import window_starts
from healerd.columns import Column, Predictions, is_missing, take
from healerd.errors import ConfigError
from healerd.offline.baselines import Fit
from healerd.offline.stream import Stream

__all__ = ["FIRST", "First", "loss_for", "train_first"]

FIRST = "first"
"""Name of the first version."""
BLOCKS = 2
"""Blocks of whole windows in the second half of the rows, foretold from a half and from three quarters of them."""
RELATIVE = "relative 10%"
USUAL = 0.80
"""Where no relative loss makes sense, an error is wrong when it is larger than this share of the held-out ones."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class First:
    """A first model, the rows it trained on, and the newest of them as models of what lay before foretold them."""

    model: Model
    rows: Predictions
    held_out: Predictions


def train_first(stream: Stream, fit: Fit) -> First:
    """Fit the first model on the labelled ones of the first rows, and have the newest of them foretold."""
    rows = slice(0, stream.first)
    known = ~is_missing(stream.label[rows])
    inputs = {name: column[known] for name, column in stream.inputs(rows).items()}
    label, at = stream.label[rows][known], stream.at[rows][known]
    model = _fitted(fit, inputs, label)
    blocks = _blocks(window_starts(at, stream.window_s))
    output = np.concatenate([_foretold(fit, inputs, label, block) for block in blocks])
    trained = Predictions(
        ids=stream.ids(rows)[known],
        at=at,
        version=np.full(len(label), FIRST, dtype=np.object_),
        output=model.predict(inputs),
        label=label,
        features=inputs,
    )
    newest = np.arange(blocks[0].start, blocks[-1].stop)
    return First(model=model, rows=trained, held_out=replace(take(trained, newest), output=output))


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


def _foretold(fit: Fit, inputs: dict[str, Column], label: Column, block: slice) -> Column:
    """Predict a block by a model of all that lay before it; of one value alone, it knows no other."""
    past, known = {name: column[: block.start] for name, column in inputs.items()}, label[: block.start]
    if np.all(known == known[0]):
        return np.full(block.stop - block.start, known[0], dtype=label.dtype)
    return _fitted(fit, past, known).predict({name: column[block] for name, column in inputs.items()})


def _blocks(windows: npt.NDArray[np.int64]) -> tuple[slice, ...]:
    """Cut the second half of the rows, in order, into blocks of whole windows; of rows when there are few windows."""
    keys = windows if len(np.unique(windows)) >= 2 * BLOCKS else np.arange(len(windows))
    distinct = np.unique(keys)
    marks = distinct[np.linspace(len(distinct) // 2, len(distinct), BLOCKS + 1)[:-1].astype(np.intp)]
    edges = [*np.searchsorted(keys, marks), len(keys)]
    return tuple(slice(int(low), int(high)) for low, high in pairwise(edges))
