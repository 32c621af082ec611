"""The model of `try` takes what tables hold: numbers, names, and holes."""

import numpy as np
import pytest

from healerd.columns import Column
from healerd.errors import ConfigError
from healerd.offline.estimator import fit, task_of

RNG = np.random.Generator(np.random.PCG64(3))
ROWS = 400
NUMBER = RNG.normal(size=ROWS)
NAME = RNG.choice(np.array(["a", "b", "c"], dtype=np.object_), ROWS)


def holes(column: Column, value: object) -> Column:
    found = column.copy()
    found[::7] = value
    return found


FEATURES = {"number": holes(NUMBER, np.nan), "name": holes(NAME, None)}
QUANTITY = np.where(np.isnan(FEATURES["number"]), 0.0, FEATURES["number"]) * 3 + (NAME == "a") * 5.0
CLASS = np.where(QUANTITY > 1, "high", "low").astype(np.object_)


@pytest.mark.parametrize("estimator", [None, "sklearn.linear_model:Ridge", "sklearn.tree:DecisionTreeRegressor"])
def test_a_quantity_is_learned_from_numbers_names_and_holes(estimator: str | None) -> None:
    """Any scikit-learn regressor learns from columns with missing values and names."""
    output = fit(FEATURES, QUANTITY, estimator=estimator).predict(FEATURES)
    assert output.dtype == np.float64
    assert np.corrcoef(output, QUANTITY)[0, 1] > 0.9


@pytest.mark.parametrize("estimator", [None, "sklearn.ensemble:RandomForestClassifier"])
def test_a_class_of_text_is_answered_in_text(estimator: str | None) -> None:
    """Outputs are of the label's kind, so that they can be equal to it."""
    output = fit(FEATURES, CLASS, estimator=estimator).predict(FEATURES)
    assert output.dtype == np.object_
    assert np.mean(output == CLASS) > 0.9


def test_a_class_of_one_row_among_many_is_no_reason_to_fail() -> None:
    """Where rows are set apart class by class, to know when to stop, a class of one row spoils nothing."""
    rows = 10_500
    number = RNG.normal(size=rows)
    label = np.where(number > 0, "high", "low").astype(np.object_)
    label[5] = "rare"
    output = fit({"number": number}, label).predict({"number": number})
    assert np.mean(output == label) > 0.9


def test_the_same_rows_give_the_same_model() -> None:
    """Two fits on the same rows predict the same, bit for bit: a killed run goes on as it would have."""
    one, two = fit(FEATURES, QUANTITY).predict(FEATURES), fit(FEATURES, QUANTITY).predict(FEATURES)
    assert np.array_equal(one, two)


def test_unseen_names_and_broken_numbers_are_predicted_as_missing() -> None:
    """A value that never trained is no reason to fail."""
    model = fit(FEATURES, QUANTITY)
    strange = {"number": np.array([np.inf, np.nan]), "name": np.array(["zebra", None], dtype=np.object_)}
    missing = {"number": np.array([np.nan, np.nan]), "name": np.array([None, None], dtype=np.object_)}
    assert np.array_equal(model.predict(strange), model.predict(missing))


def test_a_feature_without_a_value_is_left_out() -> None:
    """A column that is empty in the training rows neither helps nor breaks."""
    hollow = {**FEATURES, "empty": np.full(ROWS, np.nan), "void": np.full(ROWS, None, dtype=np.object_)}
    assert np.array_equal(fit(hollow, QUANTITY).predict(hollow), fit(FEATURES, QUANTITY).predict(FEATURES))


def test_no_value_at_all_is_an_error() -> None:
    """Nothing can be learned from nothing."""
    with pytest.raises(ConfigError, match="nothing to learn from"):
        fit({"empty": np.full(ROWS, np.nan)}, QUANTITY)


@pytest.mark.parametrize("name", ["nowhere", "sklearn.linear_model:Rigde", "builtins:dict"])
def test_an_estimator_that_is_none_is_named(name: str) -> None:
    """The message repeats what was asked for."""
    with pytest.raises(ConfigError, match=name):
        fit(FEATURES, QUANTITY, estimator=name)


def test_few_whole_numbers_are_classes() -> None:
    """0 and 1 are classes; measurements are quantities; texts are classes."""
    assert task_of(np.array([0.0, 1.0, np.nan])) == "classification"
    assert task_of(NUMBER) == "regression"
    assert task_of(np.arange(50.0)) == "regression"
    assert task_of(NAME) == "classification"
