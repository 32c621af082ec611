"""Models as files: which formats there are, which may be read, and what a model must be able to do.

    model.json     a safe model, or one that wraps another version, as healerd writes them
    model.skops    whatever scikit-learn fits, through skops: types that are not trusted by name are not made
    model.onnx     an ONNX graph, run by onnxruntime
    model.joblib   a pickle (also `.pkl`): loading it runs whatever code it holds
    model.mlflow   a model of MLflow's flavour `python_function`: so does loading it

Must never load a pickle unless the configuration allows it, nor make a type that nobody trusts.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import PickleError
from typing import Any

import numpy as np

from healerd.actions.mlflow_pyfunc import PyfuncModel, pack_folder
from healerd.actions.onnx_model import OnnxModel
from healerd.actions.plain import from_plain, to_plain
from healerd.actions.registry import Model
from healerd.actions.safe_model import SafeModel
from healerd.columns import Column, kind_of
from healerd.errors import ActionError

__all__ = ["MLMODEL", "MODEL_NAMES", "PYFUNC", "TRUSTED", "MatrixModel", "ModelFiles", "OnnxModel", "with_columns"]

PLAIN, SKOPS, ONNX, JOBLIB, PICKLE = "model.json", "model.skops", "model.onnx", "model.joblib", "model.pkl"
PYFUNC, MLMODEL = "model.mlflow", "MLmodel"
MODEL_NAMES = (PLAIN, SKOPS, ONNX, JOBLIB, PICKLE, PYFUNC)
"""The names that a model's file may have, in a version's folder and in what a command leaves."""

TRUSTED = (
    "functools.partial",
    "healerd.actions.calibration.Correction",
    "healerd.actions.calibration.Recalibrated",
    "healerd.actions.model_files.MatrixModel",
    "healerd.actions.model_files.OnnxModel",
    "healerd.actions.safe_model.SafeModel",
    "healerd.offline.estimator.ColumnCode",
    "healerd.offline.estimator.TabularModel",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
)
"""Types beyond those that skops knows to be harmless: healerd's own models, and what scikit-learn's boosting is made
of. What a `partial` calls is looked at as well: only these functions."""

BROKEN = (
    ImportError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    EOFError,
    OSError,
    PickleError,
    zipfile.BadZipFile,
)
"""What readers of files raise for content that is not what it seems."""


class MatrixModel:
    """A scikit-learn estimator that takes a matrix, as a model that takes columns; `columns` gives their order."""

    def __init__(self, estimator: Any, columns: tuple[str, ...] | None = None) -> None:
        self.estimator, self.columns = estimator, columns

    def predict(self, features: Mapping[str, Column]) -> Column:
        """Predict n outputs from columns of n values. Raises KeyError when a column is missing."""
        out = np.asarray(self.estimator.predict(self._matrix(features)))
        return out.astype(np.float64) if out.dtype.kind in "biuf" else out.astype(np.object_)

    def __getattr__(self, name: str) -> Any:
        """Give `predict_proba` (n rows) and `chances` (of the last class) where the estimator knows probabilities."""
        if name not in {"predict_proba", "chances"} or not hasattr(self.__dict__.get("estimator"), "predict_proba"):
            raise AttributeError(name)
        if name == "chances":
            return lambda features: self.estimator.predict_proba(self._matrix(features))[:, -1]
        return lambda features: self.estimator.predict_proba(self._matrix(features))

    def _matrix(self, features: Mapping[str, Column]) -> Column:
        taken = [features[name] for name in self.columns or tuple(features)]
        numeric = all(kind_of(column) == "numeric" for column in taken)
        matrix = np.empty((len(taken[0]), len(taken)), np.float64 if numeric else np.object_)
        for place, column in enumerate(taken):
            matrix[:, place] = column
        return matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """What a pipeline's configuration says about model files: may pickles be used, and which more types are trusted."""

    allow_pickle: bool = False
    trusted: tuple[str, ...] = ()

    def dump(self, model: Model) -> tuple[str, bytes]:
        """Write a model: the name of its file, and the content. Raises ActionError when no allowed format holds it."""
        model = _bare(model)
        if isinstance(model, OnnxModel):
            return ONNX, model.content
        if self.allow_pickle and isinstance(model, PyfuncModel):
            return PYFUNC, model.content
        if self.allow_pickle:
            return JOBLIB, _joblib_dump(model)
        if type(model) is SafeModel:
            return PLAIN, to_plain(model)
        content = _skops_dump(model)
        self._check_types(content, said=f"a `{type(model).__name__}`")
        return SKOPS, content

    def load(self, name: str, content: bytes, *, said: str) -> Model:
        """Read a model from its file; `said` names it in errors. Raises ActionError."""
        try:
            model = self._read(name, content, said=said)
        except BROKEN as error:
            raise ActionError(f"{said} cannot be loaded: {error}; is its package installed?") from error
        return with_columns(model, said=said)

    def load_file(self, path: Path) -> Model:
        """Read a model that somebody made, by the ending of its name, or out of the folder that MLflow saved it in.

        Raises ActionError, FileNotFoundError.
        """
        folder = (path / MLMODEL).exists()
        name = PYFUNC if folder else f"model{path.suffix}"
        try:
            content = pack_folder(path) if folder else path.read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ActionError(f"model `{path}` cannot be read: {error.strerror}; mend its rights") from error
        return self.load(name, content, said=f"model `{path}`")

    def _read(self, name: str, content: bytes, *, said: str) -> Any:
        match name:
            case "model.json":
                return from_plain(content)
            case "model.skops":
                self._check_types(content, said=said)
                return _skops().loads(content, trusted=[*TRUSTED, *self.trusted])
            case "model.onnx":
                return OnnxModel(content, said=said)
            case "model.joblib" | "model.pkl":
                return self._unpickled(content, said=said)
            case "model.mlflow":
                return self._own_code(content, said=said)
            case _:
                known = ", ".join(f"`{Path(each).suffix}`" for each in MODEL_NAMES)
                raise ActionError(f"{said} is of no known format; name the file with one of {known}")

    def _own_code(self, content: bytes, *, said: str) -> Any:
        if not self.allow_pickle:
            raise ActionError(
                f"{said} is of flavour `python_function`, which only its own code can load; log it with "
                "`mlflow.sklearn` as skops or with `mlflow.onnx`, or set `allow_pickle = true` for the pipeline if you "
                "trust whoever writes its models"
            )
        return PyfuncModel(content)

    def _unpickled(self, content: bytes, *, said: str) -> Any:
        if not self.allow_pickle:
            raise ActionError(
                f"{said} is a pickle, which runs code when it is loaded; store it with skops or as ONNX, "
                "or set `allow_pickle = true` for the pipeline if you trust whoever writes its models"
            )
        import joblib  # heavy: only where a model is loaded

        return joblib.load(io.BytesIO(content))

    def _check_types(self, content: bytes, *, said: str) -> None:
        unknown = sorted({*_skops().get_untrusted_types(data=content)} - {*TRUSTED, *self.trusted})
        if unknown:
            raise ActionError(
                f"{said} holds types that nobody trusts: {', '.join(f'`{each}`' for each in unknown[:10])}; name them "
                "in the pipeline's `trusted`, or set `allow_pickle = true`"
            )


def with_columns(model: Any, *, said: str) -> Model:
    """Let an estimator that takes a matrix take columns; leave every other model as it is.

    Raises ActionError for what has no `predict`.
    """
    if not hasattr(model, "predict"):
        raise ActionError(f"{said} has no `predict`; store the model itself")
    if type(model).__module__.partition(".")[0] != "sklearn":
        found: Model = model
        return found
    names = getattr(model, "feature_names_in_", None)
    return MatrixModel(model, None if names is None else tuple(str(name) for name in names))


def _bare(model: Any) -> Any:
    """Give the estimator itself where loading wraps it again just so: what serves elsewhere needs no healerd for it."""
    if type(model) is not MatrixModel:
        return model
    again = with_columns(model.estimator, said="an estimator")
    return model.estimator if isinstance(again, MatrixModel) and again.columns == model.columns else model


def _joblib_dump(model: Model) -> bytes:
    import joblib  # heavy: only where a model is stored

    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    return buffer.getvalue()


def _skops_dump(model: Model) -> bytes:
    try:
        content = _canonical(_skops().dumps(model))
    except (*BROKEN, RuntimeError) as error:
        raise ActionError(
            f"skops cannot hold a `{type(model).__name__}` ({error}); set `allow_pickle = true` for the pipeline if "
            "you trust whoever writes its models"
        ) from error
    return content


def _canonical(content: bytes) -> bytes:
    """Write a skops file anew without what differs from run to run: the same fit is stored as the same bytes.

    skops numbers objects and names their arrays by where they lay in memory.
    """
    given = zipfile.ZipFile(io.BytesIO(content))
    schema = json.loads(given.read("schema.json"))
    names: dict[str, str] = {}
    _renumber(schema, {}, names)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for old, new in [("schema.json", "schema.json"), *names.items()]:
            entry = json.dumps(schema).encode() if old == "schema.json" else given.read(old)
            file.writestr(zipfile.ZipInfo(new), entry, compress_type=zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _renumber(node: Any, numbers: dict[int, int], names: dict[str, str]) -> None:
    """Number objects and name files in the order in which the schema speaks of them."""
    if isinstance(node, dict):
        if isinstance(node.get("__id__"), int):
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
        if isinstance(node.get("file"), str) and "__loader__" in node:
            new = f"{len(names) + 1}{Path(node['file']).suffix}"
            node["file"] = names.setdefault(node["file"], new)
        for each in node.values():
            _renumber(each, numbers, names)
    elif isinstance(node, list):
        for each in node:
            _renumber(each, numbers, names)


def _skops() -> Any:
    import skops.io  # heavy: only where a model is stored or loaded

    return skops.io
