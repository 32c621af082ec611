"""Models of MLflow's flavour `python_function`: packed, refused, loaded and asked."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from healerd.actions.mlflow_pyfunc import PyfuncModel, pack, pack_folder
from healerd.actions.model_files import ModelFiles
from healerd.errors import ActionError
from healerd.serving.signature import signature_of

THEIRS = """
class Theirs:
    def predict(self, frame, params=None):
        return frame["a"] * 2 + frame["b"].str.len()


def _load_pyfunc(path):
    return Theirs()
"""
MLMODEL = """
flavors:
  python_function:
    code: code
    loader_module: healerd_test_theirs
    python_version: 3.11.0
signature:
  inputs: '[{"type": "long", "name": "a", "required": true}, {"type": "string", "name": "b", "required": true}]'
  outputs: '[{"type": "double", "required": true}]'
"""


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder as `mlflow.pyfunc.save_model` lays it out, of a model that is nothing but code."""
    folder = tmp_path / "theirs"
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_text(MLMODEL, encoding="utf-8")
    (folder / "code" / "healerd_test_theirs.py").write_text(THEIRS, encoding="utf-8")
    return folder


def test_equal_folders_are_packed_as_equal_bytes(theirs: Path) -> None:
    """What is hashed depends on the files alone: not on their order, their times or what Python compiled."""
    before = pack_folder(theirs)
    (theirs / "code" / "__pycache__").mkdir()
    (theirs / "code" / "__pycache__" / "x.pyc").write_bytes(b"x")
    (theirs / "MLmodel").touch()
    assert pack_folder(theirs) == before != pack({"MLmodel": b"other"})


def test_their_code_runs_only_where_it_is_allowed(theirs: Path) -> None:
    """Without `allow_pickle` a folder is refused, with the flavours that would do, before anything of it is read."""
    with pytest.raises(ActionError, match=r"only its own code can load.*`mlflow\.sklearn`.*`allow_pickle = true`"):
        ModelFiles().load_file(theirs)


@pytest.mark.filterwarnings("ignore:.*Any type hint")  # MLflow's own classes, when its loader is imported first here
def test_an_archive_writes_nothing_elsewhere(theirs: Path) -> None:
    """A name that leads out of the folder is an error."""
    pytest.importorskip("pandas")
    with pytest.raises(ActionError, match="outside its folder"):
        ModelFiles(allow_pickle=True).load("model.mlflow", pack({"../out": b""}), said="it")


def test_without_pandas_the_extra_is_named(theirs: Path) -> None:
    """Where MLflow's loader cannot be imported, the error says what to install."""
    code = (
        "import sys; from pathlib import Path; sys.modules['pandas'] = None\n"
        "from healerd.actions.model_files import ModelFiles\n"
        f"ModelFiles(allow_pickle=True).load_file(Path({str(theirs)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path.cwd())
    assert "healerd[mlflow]" in done.stderr.splitlines()[-1]


@pytest.mark.filterwarnings("ignore")
def test_their_model_takes_what_its_signature_says(theirs: Path) -> None:
    """Columns come as a frame in the signature's types; the model goes into a file and comes back the same."""
    pytest.importorskip("pandas")
    files = ModelFiles(allow_pickle=True)
    model: Any = files.load_file(theirs)
    kinds = [(each.name, each.kind) for each in signature_of(model).features]
    assert kinds == [("a", "numeric"), ("b", "categorical")]
    columns = {"b": np.array(["x", "yy"], np.object_), "a": np.array([1.0, 2.0])}
    assert model.predict(columns).tolist() == [3.0, 6.0]
    name, content = files.dump(model)
    again = pickle.loads(pickle.dumps(files.load(name, content, said="it")))
    assert isinstance(again, PyfuncModel)
    assert again.predict(columns).tolist() == [3.0, 6.0]


@pytest.mark.filterwarnings("ignore")
def test_a_matrix_goes_to_a_model_that_wants_one(theirs: Path) -> None:
    """A signature of one nameless tensor takes all columns, by their place."""
    pytest.importorskip("pandas")
    tensor = '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]'
    said = MLMODEL.replace(MLMODEL.split("'")[1], tensor)
    (theirs / "MLmodel").write_text(said, encoding="utf-8")
    (theirs / "code" / "healerd_test_theirs.py").unlink()
    source = THEIRS.replace('frame["a"] * 2 + frame["b"].str.len()', "frame.sum(axis=1)")
    (theirs / "code" / "healerd_test_matrix.py").write_text(source, encoding="utf-8")
    (theirs / "MLmodel").write_text(said.replace("healerd_test_theirs", "healerd_test_matrix"), encoding="utf-8")
    model: Any = ModelFiles(allow_pickle=True).load_file(theirs)
    assert model.columns == ("x0", "x1")
    assert model.predict({"x0": np.array([1.0]), "x1": np.array([2.5])}).tolist() == [3.5]


@pytest.mark.filterwarnings("ignore")
def test_a_folder_that_mlflow_cannot_load_is_an_error_with_the_mend(theirs: Path) -> None:
    """A folder without a loader is told as such."""
    pytest.importorskip("pandas")
    (theirs / "MLmodel").write_text("flavors:\n  other: {}\n", encoding="utf-8")
    with pytest.raises(ActionError, match="MLflow cannot load the model"):
        ModelFiles(allow_pickle=True).load_file(theirs)
