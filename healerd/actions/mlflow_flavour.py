"""healerd's versions as MLflow models: what a serving stack needs to load one by its alias. Must never open a pickle.

`mlflow.pyfunc.load_model("models:/MODEL@active")` finds the file `MLmodel` beside the model, which names this module;
healerd must be installed there, as scikit-learn must be for a model of its own flavour.
"""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from healerd.actions.model_files import MODEL_NAMES, ModelFiles
from healerd.actions.registry import Model
from healerd.columns import Column

__all__ = ["ServedModel", "flavour_text"]


class ServedModel:
    """A model of healerd's that takes what MLflow hands over: a data frame, or a mapping of columns."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Column:
        """Predict n outputs from a frame of n rows; `params` are MLflow's, and not used."""
        return self.model.predict({str(name): _column(data[name]) for name in data})


def flavour_text(file: str) -> bytes:
    """Write the `MLmodel` of a version whose model is in `file`: JSON, which is YAML too."""
    flavour = {"loader_module": __name__, "data": file, "python_version": platform.python_version()}
    return json.dumps({"flavors": {"python_function": flavour}}, indent=1).encode()


def _load_pyfunc(path: str) -> ServedModel:
    """Load the model that lies at `path`, a file or the folder that holds it: the name that MLflow calls."""
    place = Path(path)
    if place.is_dir():
        (place,) = (place / name for name in MODEL_NAMES if (place / name).exists())
    return ServedModel(ModelFiles().load_file(place))


def _column(values: Any) -> Column:
    column = np.asarray(values)
    return column.astype(np.float64 if column.dtype.kind in "biuf" else np.object_)
