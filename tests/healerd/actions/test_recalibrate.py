"""Recalibration: a correction around the model, fitted on fresh labels, judged like any candidate and taken back."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from healerd.actions import Draft, FolderRegistry
from healerd.actions.calibration import Recalibrated, fit
from healerd.actions.model_files import MatrixModel, ModelFiles
from healerd.actions.safe_model import fit_safe_model
from healerd.errors import ActionError
from healerd.model import VersionKind
from tests.healerd.actions.models import START

RNG = np.random.Generator(np.random.PCG64(7))
X = RNG.uniform(-2.0, 2.0, 900)
ROWS = {"x": X}
TRUTH = 5.0 * X + 20.0
MATRIX = X.reshape(-1, 1)
TEXT = np.where(X > 0, "late", "on time").astype(np.object_)


@pytest.fixture
def registry(tmp_path: Path) -> FolderRegistry:
    """A regressor and a classifier that scikit-learn fitted, stored without pickles."""
    made = FolderRegistry(tmp_path, "flights", ModelFiles())
    for name, model in (
        ("line", MatrixModel(LinearRegression().fit(MATRIX, TRUTH))),
        ("side", MatrixModel(LogisticRegression().fit(MATRIX, X > 0))),
        ("words", MatrixModel(LogisticRegression().fit(MATRIX, TEXT.astype(str)))),
        ("safe", fit_safe_model({}, np.array([1.0]))),
    ):
        made.add(model, Draft(name=name, kind=VersionKind.MODEL, created_at=START))
    return made


@pytest.mark.parametrize(
    ("drift", "method"),
    [
        (lambda y: y + 7.0, "offset"),
        (lambda y: y * 1.5, "scale"),
        (lambda y: np.where(y < 20, y, 20 + 3 * (y - 20)), "isotonic"),
    ],
)
def test_a_moved_quantity_is_mended_by_what_fits_it(registry: FolderRegistry, drift, method: str) -> None:
    """`auto` finds the offset, the factor or the monotone map by which the answers are wrong."""
    label = drift(TRUTH)
    mended = fit(ROWS, label, registry=registry, base="line", method="auto", loss="relative 5%")
    assert mended.correction.method == method
    assert np.median(np.abs(mended.predict(ROWS) - label)) < 0.1


@pytest.mark.parametrize("base", ["side", "words"])
@pytest.mark.parametrize("method", ["auto", "threshold", "sigmoid", "isotonic"])
def test_a_moved_threshold_is_mended_for_two_classes(registry: FolderRegistry, base: str, method: str) -> None:
    """Where the class now begins at another score, each method finds it from labels, numbers or words alike."""
    later = X > 0.8
    label = later.astype(np.float64) if base == "side" else np.where(later, "late", "on time").astype(np.object_)
    before = np.mean(registry.load(base).predict(ROWS) != label)
    mended = fit(ROWS, label, registry=registry, base=base, method=method, loss="zero-one")
    assert before > 0.15
    assert np.mean(mended.predict(ROWS) != label) < 0.02
    assert np.all((mended.chances(ROWS) >= 0) & (mended.chances(ROWS) <= 1))


def test_a_mended_version_is_stored_and_mended_anew_not_twice(registry: FolderRegistry) -> None:
    """It is stored without a pickle and predicts the same; the next correction begins at the model itself."""
    first = fit(ROWS, TRUTH + 7.0, registry=registry, base="line", method="offset", loss="relative 5%")
    registry.add(first, Draft(name="mended", kind=VersionKind.MODEL, created_at=START))
    assert registry.load("mended").predict(ROWS).tolist() == first.predict(ROWS).tolist()
    second = fit(ROWS, TRUTH - 1.0, registry=registry, base="mended", method="offset", loss="relative 5%")
    assert not isinstance(second.base, Recalibrated)
    assert second.correction.offset == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("base", "label", "method", "said"),
    [
        ("safe", (X > 0).astype(np.float64), "auto", "tells no probabilities"),
        ("line", TRUTH, "sigmoid", "does not fit these labels"),
        ("side", (X > 0).astype(np.float64), "offset", "does not fit these labels"),
        ("line", TRUTH[:2], "offset", "too few"),
        ("nowhere", TRUTH, "offset", "no version `nowhere`"),
    ],
)
def test_what_cannot_be_mended_says_why(registry: FolderRegistry, base, label, method, said) -> None:
    """A model without probabilities, a method of another task, or too few rows are refused by name."""
    rows = {"x": X[: len(label)]}
    with pytest.raises(ActionError, match=said):
        fit(rows, label, registry=registry, base=base, method=method, loss="zero-one")
