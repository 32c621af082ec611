"""Models that are ONNX graphs, run by onnxruntime for real; skipped where that, or what writes graphs, is missing."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from healerd.actions import Draft, FolderRegistry, InlineWorker
from healerd.actions.model_files import ModelFiles, OnnxModel
from healerd.columns import Column
from healerd.errors import ActionError
from healerd.model import VersionKind
from tests.healerd.actions.models import START

pytest.importorskip("onnxruntime", reason='no onnxruntime; pip install "healerd[onnx]"')
onnx = pytest.importorskip("onnx", reason="nothing writes ONNX graphs here; pip install skl2onnx")
skl2onnx = pytest.importorskip("skl2onnx", reason="nothing exports models as ONNX graphs here; pip install skl2onnx")

FILES = ModelFiles()
X = np.random.Generator(np.random.PCG64(1)).normal(size=(200, 2))
ROWS = {"a": X[:, 0], "b": X[:, 1]}
T = onnx.TensorProto


def exported(model: object, kind: str = "FloatTensorType", **options: object) -> bytes:
    """A fitted model as a user would export it, taking one matrix."""
    taken = getattr(skl2onnx.common.data_types, kind)([None, 2])
    graph = skl2onnx.to_onnx(model, initial_types=[("X", taken)], options=options or None)
    return graph.SerializeToString()


def graph_of(*nodes: tuple[str, list[str], str], inputs: dict[str, int], rank: int = 2, out: int = T.FLOAT) -> bytes:
    """A graph made by hand, with one input for each column."""
    shape = [None, 1][:rank]
    made = onnx.helper.make_graph(
        [onnx.helper.make_node(does, takes, [gives]) for does, takes, gives in nodes],
        "g",
        [onnx.helper.make_tensor_value_info(name, kind, shape) for name, kind in inputs.items()],
        [onnx.helper.make_tensor_value_info(nodes[-1][2], out, shape)],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(made, opset_imports=opset, ir_version=9).SerializeToString()


def loaded(content: bytes) -> OnnxModel:
    model = FILES.load("model.onnx", content, said="model `m`")
    assert isinstance(model, OnnxModel)
    return model


@pytest.mark.parametrize("kind", ["FloatTensorType", "DoubleTensorType"])
def test_an_exported_regression_predicts_as_it_did(kind: str) -> None:
    """A graph that takes one matrix gets the columns in order, in the precision that it wants."""
    fitted = LinearRegression().fit(X, X @ [2.0, 3.0] + 1.0)
    assert loaded(exported(fitted, kind)).predict(ROWS) == pytest.approx(fitted.predict(X), abs=1e-5)


def test_an_exported_classifier_gives_its_classes() -> None:
    """The first output of a classifier is the class, whatever else it gives."""
    fitted = LogisticRegression().fit(X, np.where(X[:, 0] > 0, "yes", "no"))
    assert loaded(exported(fitted)).predict(ROWS).tolist() == fitted.predict(X).tolist()
    assert loaded(exported(fitted, zipmap=False)).predict(ROWS).tolist() == fitted.predict(X).tolist()


@pytest.mark.parametrize("rank", [1, 2])
def test_a_graph_with_an_input_for_each_column_gets_them_by_name(rank: int) -> None:
    """Columns reach the inputs of their names, as vectors or as columns of a matrix."""
    model = loaded(graph_of(("Sub", ["b", "a"], "out"), inputs={"a": T.FLOAT, "b": T.FLOAT}, rank=rank))
    assert model.predict({"c": X[:, 0], **ROWS}) == pytest.approx(X[:, 1] - X[:, 0], abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "column", "out"),
    [
        (T.DOUBLE, np.array([0.1, np.nan]), [0.1, np.nan]),
        (T.FLOAT16, np.array([0.5, 2.0]), [0.5, 2.0]),
        (T.INT64, np.array([3.0, -2.0]), [3, -2]),
        (T.INT32, np.array([3.0, -2.0]), [3, -2]),
        (T.BOOL, np.array([1.0, 0.0]), [True, False]),
        (T.STRING, np.array(["Rome", None], dtype=np.object_), ["Rome", ""]),
    ],
    ids=["double", "half", "int64", "int32", "bool", "text"],
)
def test_each_type_of_input_gets_its_column(kind: int, column: Column, out: list[object]) -> None:
    """Numbers, whole numbers, truth values and text come as the graph declares them; a missing text is empty."""
    model = loaded(graph_of(("Identity", ["a"], "out"), inputs={"a": kind}, out=kind))
    np.testing.assert_array_equal(model.predict({"a": column}), out)


@pytest.mark.parametrize(
    ("kind", "features", "said"),
    [
        (T.FLOAT, {"b": X[:, 0], "c": X[:, 0]}, "takes a column `a`|cannot be run on these"),
        (T.FLOAT, {"a": np.array(["x"], dtype=np.object_)}, "column `a` holds text"),
        (T.INT64, {"a": np.array([np.nan])}, "missing values"),
        (T.UINT8, {"a": np.array([1.0])}, "no column can be"),
    ],
    ids=["another", "text", "missing", "type"],
)
def test_columns_that_a_graph_cannot_take_are_named(kind: int, features: dict[str, Column], said: str) -> None:
    """What does not fit is an ActionError that says what does not fit."""
    model = loaded(graph_of(("Identity", ["a"], "out"), inputs={"a": kind}, out=kind))
    with pytest.raises(ActionError, match=said):
        model.predict(features)


@pytest.mark.parametrize("content", [b"", b"graph", exported(LinearRegression().fit(X, X[:, 0]))[:90]])
def test_a_corrupt_graph_is_an_error_that_names_it(content: bytes) -> None:
    """Whatever bytes the file holds, nothing but an ActionError is raised."""
    with pytest.raises(ActionError, match="`m` cannot be run"):
        FILES.load("model.onnx", content, said="model `m`")


def test_a_registry_stores_and_serves_a_graph(tmp_path: Path) -> None:
    """A version that is a graph is stored as it is, loaded again, and predicts in shadow; it travels to a job."""
    registry = FolderRegistry(tmp_path, "flights")
    model = loaded(exported(LinearRegression().fit(X, X[:, 0])))
    registry.add(model, Draft(name="m", kind=VersionKind.MODEL, created_at=START))
    assert registry.check("m").name == "m"
    there = pickle.loads(pickle.dumps(registry)).load("m")
    assert FILES.dump(there) == ("model.onnx", model.content)
    scored = InlineWorker().score(registry, ["m"], ROWS)["m"]
    assert scored.output == pytest.approx(X[:, 0], abs=1e-5)
    assert pickle.loads(pickle.dumps(there)).predict(ROWS) == pytest.approx(X[:, 0], abs=1e-5)
