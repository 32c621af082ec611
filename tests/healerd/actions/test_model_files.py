"""Files of models: what comes back is what was stored, and nothing runs code that nobody allowed."""

import io
import json
import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LinearRegression, LogisticRegression

from healerd.actions import Draft, FolderRegistry
from healerd.actions.model_files import MatrixModel, ModelFiles
from healerd.actions.safe_model import fit_safe_model
from healerd.errors import ActionError
from healerd.model import VersionKind
from healerd.offline.estimator import fit
from tests.healerd.actions.models import START

SAFE = ModelFiles()
N = 400
X = np.linspace(-2.0, 2.0, N)
ROWS = {"x": X, "town": np.array(["Rome", "Bern"] * (N // 2), dtype=np.object_)}
YES = np.where(X > 0, "yes", "no").astype(np.object_)


class Trap:
    """Unpickling it leaves a file: what a pickle may do."""

    def __init__(self, left: Path) -> None:
        self.left = left

    def __reduce__(self):
        return Path.touch, (self.left,)


class Unknown:
    """A model of a type that nobody has named."""

    def predict(self, features):
        return np.zeros(len(next(iter(features.values()))))


def a_draft(name: str = "m") -> Draft:
    return Draft(name=name, kind=VersionKind.MODEL, created_at=START)


@pytest.mark.parametrize("label", [X * 3, YES, np.round(X)])
@pytest.mark.parametrize(("make", "name"), [(fit_safe_model, "model.json"), (fit, "model.skops")])
def test_a_model_comes_back_as_it_was_without_a_pickle(make, name, label) -> None:
    """By default healerd's own models are stored in files that hold no code, and predict the same afterwards."""
    model = make(ROWS, label)
    stored, content = SAFE.dump(model)
    assert stored == name
    assert SAFE.dump(make(ROWS, label)) == (name, content), "the same fit is stored as the same bytes"
    there = SAFE.load(stored, content, said="it").predict(ROWS)
    assert there.tolist() == model.predict(ROWS).tolist()


def test_a_pickle_is_not_opened_unless_it_is_allowed(tmp_path: Path) -> None:
    """Without `allow_pickle` the code of a pickle does not run, and the error says what to do; with it, it does."""
    left, file = tmp_path / "left", tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps(Trap(left)))
    with pytest.raises(ActionError, match=r"runs code when it is loaded.*allow_pickle"):
        SAFE.load_file(file)
    assert not left.exists()
    with pytest.raises(ActionError, match="no `predict`"):
        ModelFiles(allow_pickle=True).load_file(file)
    assert left.exists()


def test_types_that_nobody_trusts_are_named_and_not_made(tmp_path: Path) -> None:
    """A type outside the list is neither stored nor loaded; the error names it, and trusting it mends that."""
    with pytest.raises(ActionError, match=r"Unknown.*`trusted`"):
        SAFE.dump(Unknown())
    content = skops.io.dumps(Unknown())
    with pytest.raises(ActionError, match="nobody trusts"):
        SAFE.load("model.skops", content, said="it")
    kind = f"{Unknown.__module__}.Unknown"
    assert ModelFiles(trusted=(kind,)).load("model.skops", content, said="it").predict(ROWS).shape == (N,)


def test_a_bare_estimator_takes_columns(tmp_path: Path) -> None:
    """A scikit-learn estimator fitted on a matrix predicts from columns, in their order, and can be stored again."""
    fitted = LogisticRegression().fit(np.column_stack([X, -X]), YES)
    skops.io.dump(fitted, tmp_path / "model.skops")
    model = SAFE.load_file(tmp_path / "model.skops")
    features = {"x": X, "y": -X}
    assert model.predict(features).tolist() == fitted.predict(np.column_stack([X, -X])).tolist()
    again = SAFE.load(*SAFE.dump(model), said="it")
    assert again.predict(features).tolist() == model.predict(features).tolist()


def test_what_others_serve_is_stored_as_they_can_load_it(tmp_path: Path) -> None:
    """An estimator goes into its file bare, by skops and by pickle; only an order of columns of its own keeps ours."""
    fitted = LogisticRegression().fit(np.column_stack([X, -X]), YES)
    for files in (SAFE, ModelFiles(allow_pickle=True)):
        name, content = files.dump(MatrixModel(fitted))
        (tmp_path / name).write_bytes(content)
    assert type(skops.io.load(tmp_path / "model.skops")) is LogisticRegression
    assert type(joblib.load(tmp_path / "model.joblib")) is LogisticRegression
    ordered = SAFE.load(*SAFE.dump(MatrixModel(fitted, ("y", "x"))), said="it")
    assert ordered.predict({"x": -X, "y": X}).tolist() == fitted.predict(np.column_stack([X, -X])).tolist()


def test_a_bare_estimator_gives_probabilities_where_it_has_them() -> None:
    """A classifier's probabilities come from columns as its classes do; what has none says so."""
    columns = {"x": X, "y": X**2}
    matrix = np.column_stack([X, X**2])
    model = MatrixModel(LogisticRegression().fit(matrix, X > 0))
    assert np.array_equal(model.predict_proba(columns), model.estimator.predict_proba(matrix))
    assert hasattr(pickle.loads(pickle.dumps(model)), "predict_proba")
    assert not hasattr(MatrixModel(LinearRegression().fit(matrix, X)), "predict_proba")


def test_onnx_without_onnxruntime_says_what_is_missing(tmp_path: Path) -> None:
    """An ONNX file is known by its name; where nothing can run it, the error says what to install."""
    (tmp_path / "model.onnx").write_bytes(b"graph")
    with pytest.raises(ActionError, match=r"onnxruntime|cannot be run"):
        SAFE.load_file(tmp_path / "model.onnx")


@pytest.mark.parametrize("name", ["model.skops", "model.json", "model.joblib", "model.txt"])
def test_a_corrupt_file_is_an_error_that_names_it(name: str) -> None:
    """Whatever bytes a file holds, reading it gives a model or an ActionError, never another exception."""
    files = ModelFiles(allow_pickle=True)
    for content in (b"", b"\x00" * 40, b"PK\x03\x04rest", json.dumps({"kind": "x"}).encode(), b"[]"):
        with pytest.raises(ActionError, match=r"it |safe model"):
            files.load(name, content, said="it")


def test_a_registry_loads_old_pickles_only_where_allowed(tmp_path: Path) -> None:
    """A version that was stored as a pickle stays readable where pickles are allowed, and is refused elsewhere."""
    allowed = FolderRegistry(tmp_path, "flights", ModelFiles(allow_pickle=True))
    allowed.add(fit_safe_model({}, np.array([2.0])), a_draft())
    assert joblib.load(io.BytesIO((tmp_path / "versions/m/model.joblib").read_bytes())).predict({"x": X[:1]}) == 2.0
    with pytest.raises(ActionError, match="allow_pickle"):
        FolderRegistry(tmp_path, "flights").load("m")


def test_a_version_has_one_model_file(tmp_path: Path) -> None:
    """A second model file in a version's folder is not chosen from: it is an error with the mend."""
    registry = FolderRegistry(tmp_path, "flights")
    registry.add(fit_safe_model({}, np.array([2.0])), a_draft())
    assert registry.load("m").predict({"x": X[:2]}).tolist() == [2.0, 2.0]
    (tmp_path / "versions/m/model.skops").write_bytes(b"other")
    with pytest.raises(ActionError, match="2 model files"):
        registry.check("m")
