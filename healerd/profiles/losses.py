"""When is a prediction wrong: the loss of a row is 0 or 1, and unknown while its label is missing.

Must never guess a label, and never call a missing output right.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from healerd.columns import Column, is_missing, kind_of
from healerd.errors import ConfigError, SourceError

__all__ = ["ErrorSummary", "Loss", "Losses", "losses", "parse_loss", "pool_sd", "sd_max", "summarise"]

ALIKE_MAX = 0.05
"""Largest share of the errors' variance that windows may account for: rows of one window agree no more than that."""

Losses: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """`zero-one`: wrong when unequal. `relative` and `absolute`: wrong when further from the label than `amount`."""

    kind: Literal["zero-one", "relative", "absolute"]
    amount: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSummary:
    """The error of some labelled rows: its mean, and the standard deviation between windows beyond chance."""

    error: float
    rows: int
    windows: int
    sd: float


def parse_loss(text: str) -> Loss:
    """Read `zero-one`, `relative 10%` or `absolute 5`. Raises ConfigError."""
    if text.strip() == "zero-one":
        return Loss(kind="zero-one")
    number = r"(\d+(?:\.\d+)?|\.\d+)"
    if found := re.fullmatch(rf"\s*relative\s+{number}\s*%\s*", text):
        return Loss(kind="relative", amount=float(found[1]) / 100)
    if found := re.fullmatch(rf"\s*absolute\s+{number}\s*", text):
        return Loss(kind="absolute", amount=float(found[1]))
    raise ConfigError(f"`{text}` is not a loss; write `zero-one`, `relative 10%` or `absolute 5`")


def losses(loss: Loss, output: Column, label: Column) -> Losses:
    """Give each row its loss: 0 or 1, NaN where the label is missing, 1 where only the output is.

    `relative` is in parts of the label's size: beside a label of 0 only 0 is right, beside an infinite one only itself.
    Raises SourceError when a loss of numbers is asked of text, or output and label are of different kinds while both
    hold values.
    """
    assert len(output) == len(label), "columns of unequal length"
    silent, unknown = is_missing(output), is_missing(label)
    judged = ~silent & ~unknown
    found: Losses = np.ones(len(label))
    if judged.any():
        found[judged] = _wrong(loss, output[judged], label[judged])
    found[unknown] = np.nan
    return found


def _wrong(loss: Loss, output: Column, label: Column) -> Losses:
    if kind_of(output) != kind_of(label):
        raise SourceError(f"outputs are {kind_of(output)}, labels {kind_of(label)}; a loss needs one kind")
    if loss.kind == "zero-one":
        return np.asarray(output != label, np.float64)
    if kind_of(output) != "numeric":
        raise SourceError(f"the loss `{loss.kind}` needs numbers, the outputs are text; use `zero-one`")
    with np.errstate(over="ignore", invalid="ignore"):
        reach = loss.amount * (np.abs(label) if loss.kind == "relative" else np.ones(len(label)))
        right = (np.abs(output - label) <= reach) & np.isfinite(label) | (output == label)
    return np.asarray(~right, np.float64)


def summarise(found: Losses, groups: npt.NDArray[np.generic]) -> ErrorSummary:
    """Summarise the known losses of rows that lie in windows (`groups` has one key a row).

    The variance between windows is sum n_i (e_i - e)^2 less what chance gives, by moments (Donner, 1986, the
    analysis-of-variance estimate for unequal windows), not below zero. With one window it is unknown, and 0.
    """
    known = ~np.isnan(found)
    loss, (keys, which) = found[known], np.unique(groups[known], return_inverse=True)
    n, windows = len(loss), len(keys)
    if n == 0:
        return ErrorSummary(error=0.0, rows=0, windows=0, sd=0.0)
    error = float(loss.mean())
    if windows < 2 or n <= windows:
        return ErrorSummary(error=error, rows=n, windows=windows, sd=0.0)
    sizes = np.bincount(which)
    means = np.bincount(which, loss) / sizes
    between = float((sizes * (means - error) ** 2).sum()) / (windows - 1)
    within = float(((loss - means[which]) ** 2).sum()) / (n - windows)
    typical = (n - float((sizes**2).sum()) / n) / (windows - 1)
    return ErrorSummary(error=error, rows=n, windows=windows, sd=max(0.0, (between - within) / typical) ** 0.5)


def pool_sd(summaries: Iterable[ErrorSummary]) -> float:
    """The standard deviation between windows from several summaries: variances weighted by windows less one.

    A few windows tell little about how much days differ; those that judged earlier versions tell it too.
    """
    pairs = [(one.windows - 1, one.sd**2) for one in summaries if one.windows > 1]
    free = sum(windows for windows, _ in pairs)
    return float(sum(windows * variance for windows, variance in pairs) / free) ** 0.5 if free else 0.0


def sd_max(error: float) -> float:
    """Bound what windows may differ by: a reference that drifts itself would otherwise excuse any drift."""
    return float((ALIKE_MAX * error * (1 - error)) ** 0.5)
