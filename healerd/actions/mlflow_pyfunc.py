"""Models that only their own code can load, in MLflow's flavour `python_function`, each packed into one file.

    model.mlflow    the model's folder (`MLmodel` and what lies beside it) as a ZIP archive, the same bytes for the
                    same files

Must never load one by itself: it runs whatever code it holds, so `ModelFiles` asks first whether that is allowed.
"""

import io
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import Any
from weakref import finalize

import numpy as np

from healerd.columns import Column, Kind
from healerd.errors import ActionError

__all__ = ["PyfuncModel", "pack", "pack_folder"]

FILES_MAX, BYTES_MAX = 10_000, 4 * 2**30
KINDS: Mapping[str, tuple[Kind, str]] = {
    "double": ("numeric", "float64"),
    "float": ("numeric", "float32"),
    "long": ("numeric", "int64"),
    "integer": ("numeric", "int32"),
    "boolean": ("categorical", "bool"),
    "string": ("categorical", "str"),
}
"""The types of MLflow's columns: what they are here, and what pandas is handed."""


def pack(files: Mapping[str, bytes]) -> bytes:
    """Write files by their relative names as one archive; equal files give equal bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name], compress_type=zipfile.ZIP_DEFLATED)
    return made.getvalue()


def pack_folder(folder: Path) -> bytes:
    """Pack a folder that `mlflow.pyfunc.save_model` wrote."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return pack({path.relative_to(folder).as_posix(): path.read_bytes() for path in found})


class PyfuncModel:
    """A model that takes columns and hands them to MLflow's `predict` as a frame, or as a matrix where it wants one.

    `columns` are the names that its signature gives, `kinds` what each is; both are empty where it has none.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._begin()

    def __getstate__(self) -> dict[str, Any]:
        return {"content": self.content}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.content = state["content"]
        self._begin()

    def predict(self, features: Mapping[str, Column]) -> Column:
        """Predict n outputs from columns of n values. Raises what the model raises, and ValueError for other shapes."""
        taken = {name: features[name] for name in self.columns} if self.columns else dict(features)
        if self._matrix is not None:
            given: Any = np.column_stack(list(taken.values())).astype(self._matrix)
        else:
            given = self._frame({name: _cast(column, self._types.get(name)) for name, column in taken.items()})
        return _column(self._model.predict(given))

    def _begin(self) -> None:
        """Unpack and load. The folder stays as long as the model, which may read from it later."""
        mlflow, self._frame = _loader()
        folder = mkdtemp(prefix="healerd-model-")
        finalize(self, shutil.rmtree, folder, ignore_errors=True)
        _unpack(self.content, Path(folder))
        try:
            self._model: Any = mlflow.load_model(folder, suppress_warnings=True)
        except mlflow.MlflowException as error:
            raise ActionError(f"MLflow cannot load the model: {_first(error)}; log it again") from error
        self._read_signature()

    def _read_signature(self) -> None:
        schema = self._model.metadata.get_input_schema()
        self._matrix: str | None = None
        self._types: dict[str, str] = {}
        self.columns: tuple[str, ...] = ()
        self.kinds: dict[str, Kind] = {}
        if schema is None:
            return
        if schema.is_tensor_spec():
            (spec, *others) = schema.inputs
            if not others and spec.name is None and len(spec.shape) == 2:
                self._matrix = str(spec.type)
                self.columns = tuple(f"x{place}" for place in range(max(0, spec.shape[1])))
                self.kinds = dict.fromkeys(self.columns, "numeric")
            return
        named = [(str(spec.name), getattr(spec.type, "name", "")) for spec in schema.inputs if spec.name is not None]
        self.columns = tuple(name for name, _ in named)
        found = {name: KINDS[kind] for name, kind in named if kind in KINDS}
        self.kinds = {name: kind for name, (kind, _) in found.items()}
        self._types = {name: kind for name, (_, kind) in found.items()}


def _loader() -> tuple[Any, Any]:
    try:
        import mlflow.pyfunc  # heavy, and only where such a model is loaded
        import pandas as pd
    except ImportError as error:
        raise ActionError(
            f"a model of flavour `python_function` needs MLflow's own loader ({error}); install `healerd[mlflow]`, "
            "or store the model with skops"
        ) from error
    return mlflow.pyfunc, pd.DataFrame


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [repr(error)])[0][:300]


def _unpack(content: bytes, folder: Path) -> None:
    """Write the files below a folder. Raises ActionError for names that lead elsewhere, and for too much."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if len(entries) > FILES_MAX or sum(each.file_size for each in entries) > BYTES_MAX:
            raise ActionError(
                f"the model holds more than {FILES_MAX:,} files or {BYTES_MAX >> 30} GiB; log less with it"
            )
        for each in entries:
            place = PurePosixPath(each.filename)
            if place.is_absolute() or ".." in place.parts:
                raise ActionError(f"the model holds a file `{each.filename}` outside its folder; log it again")
        archive.extractall(folder)


def _cast(column: Column, wanted: str | None) -> Any:
    """Give a column the type that the signature says, where that loses nothing; MLflow says what is wrong else."""
    if wanted in {None, "str", "float64"}:
        return column
    if wanted == "bool":
        truths = np.isin(column, ["true", "false"])
        return column == "true" if truths.all() else column
    whole = wanted == "float32" or (np.isfinite(column).all() and (column == np.rint(column)).all())
    return column.astype(wanted) if whole else column


def _column(said: Any) -> Column:
    """Take one value a row out of an array, a list, a series or a frame of one column."""
    values = np.asarray(said)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"the model gives {list(values.shape)} values: let it give one a row")
    return values.astype(np.float64 if values.dtype.kind in "iuf" else np.object_)
