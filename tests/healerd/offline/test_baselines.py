"""Baselines do what their names say, with what is known by then and nothing else."""

from collections.abc import Mapping

import numpy as np
import pytest

from healerd.columns import Column
from healerd.offline.baselines import Line, never, periodic, previous_label, same_count
from healerd.offline.stream import Stream
from healerd.profiles import parse_loss
from tests.healerd.offline.streams import a_stream

ZERO_ONE = parse_loss("zero-one")
EVERY = np.ones(80, np.bool_)


class Constant:
    """Says one thing, whatever it is asked."""

    def __init__(self, says: float) -> None:
        self.says = says

    def predict(self, features: Mapping[str, Column]) -> Column:
        return np.full(len(next(iter(features.values()))), self.says)


class Fitting:
    """Fits the last label it was given, and remembers the rows of every fit."""

    def __init__(self) -> None:
        self.saw: list[Column] = []

    def __call__(self, features: Mapping[str, Column], label: Column) -> Constant:
        self.saw.append(features["place"])
        return Constant(float(label[-1]))


def days(*values: float) -> Stream:
    """Ten rows a day, each day of one label."""
    return a_stream(np.repeat(np.array(values), 10))


def test_a_fit_that_fails_keeps_the_model_before() -> None:
    """A schedule whose estimator refuses the rows goes on with what it served, and counts no retraining."""

    def refusing(features: Mapping[str, Column], label: Column) -> Constant:
        raise ValueError("no more than one class")

    stream = days(0, 1, 0, 0, 1, 1, 0, 0, 0, 0)
    line = periodic(stream, Constant(0.0), ZERO_ONE, every=1, fit=refusing, train_windows=2, rows_min=5)
    assert (line.retrains, line.quality(EVERY)) == (0, never(stream, Constant(0.0), ZERO_ONE).quality(EVERY))


def test_never_serves_the_first_model_for_ever() -> None:
    """Without retraining the quality is that of the first model on all served rows."""
    line = never(days(0, 1, 0, 0, 1, 1, 0, 0, 0, 0), Constant(0.0), ZERO_ONE)
    assert line.retrains == 0
    assert line.quality(EVERY) == pytest.approx(6 / 8)


def test_a_period_learns_only_from_what_is_known() -> None:
    """Each fit sees the newest windows before its moment, and nothing after."""
    fit = Fitting()
    stream = days(0, 1, 0, 0, 1, 1, 0, 0, 0, 0)
    line = periodic(stream, Constant(0.0), ZERO_ONE, every=2, fit=fit, train_windows=3, rows_min=5)
    assert [(saw.min(), saw.max()) for saw in fit.saw] == [(10, 39), (30, 59), (50, 79)]
    assert line.retrains == len(fit.saw)


def test_a_period_is_served_by_its_newest_model() -> None:
    """After a fit on ones, ones are said."""
    stream = days(0, 1, 0, 1, 1, 1, 1, 1, 1, 1)
    line = periodic(stream, Constant(0.0), ZERO_ONE, every=4, fit=Fitting(), train_windows=4, rows_min=5)
    assert line.losses.reshape(-1, 10).mean(axis=1).tolist() == [0, 1, 1, 1, 0, 0, 0, 0]


def test_a_fit_without_two_values_is_left_out() -> None:
    """A window of one class teaches nothing, and is not counted."""
    fit = Fitting()
    line = periodic(days(*[0.0] * 10), Constant(0.0), ZERO_ONE, every=2, fit=fit, train_windows=2, rows_min=5)
    assert line.retrains == 0
    assert not fit.saw


def test_the_previous_label_is_the_one_of_the_row_before() -> None:
    """It is wrong exactly where the label changes."""
    label = np.zeros(100)
    label[50:] = 1
    line = previous_label(a_stream(label), ZERO_ONE)
    assert np.flatnonzero(line.losses).tolist() == [30]


def test_the_previous_label_skips_rows_without_one() -> None:
    """Where the row before has no label, the newest known one counts."""
    label = np.zeros(100)
    label[50:] = 1
    label[49:52] = np.nan
    line = previous_label(a_stream(label), ZERO_ONE)
    assert np.flatnonzero(line.losses == 1).tolist() == [32]
    assert np.flatnonzero(np.isnan(line.losses)).tolist() == [29, 30, 31]


def test_quality_is_taken_over_the_judged_and_labelled_rows() -> None:
    """Rows without a label and rows that are left out count nowhere."""
    line = Line(name="a", losses=np.array([0.0, 1.0, np.nan, 1.0]), retrains=0)
    assert line.quality(np.array([True, True, True, False])) == 0.5


@pytest.mark.parametrize(("retrains", "period"), [(0, None), (1, 4), (3, 2), (100, 1)])
def test_the_period_of_equal_count_retrains_about_as_often(retrains: int, period: int | None) -> None:
    """8 windows with one retraining are two halves."""
    assert same_count(days(*[0.0, 1.0] * 5), retrains) == period
