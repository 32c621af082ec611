"""A model that is an ONNX graph, run by onnxruntime. Must never run on more threads than a job may have.

onnxruntime is loaded with the first model; where it is missing, the error says what to install.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from healerd.columns import Column, is_missing, kind_of
from healerd.errors import ActionError

__all__ = ["OnnxModel"]

THREADS = 2
ERRORS_ONLY = 3
"""The level of onnxruntime's own log: what it warns of at each load is not for a daemon's."""
TAKES: Mapping[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.str_,
}
WHOLE = "iub"
"""Kinds of numbers that cannot say that a value is missing."""


class OnnxModel:
    """An ONNX graph: one input a column, of its name, or one input of all columns in order; the first output counts.

    A missing text is handed over as an empty one. Raises ActionError when the graph cannot be read, or not run on what
    it is given.
    """

    def __init__(self, content: bytes, *, said: str = "the ONNX graph") -> None:
        self.content = content
        self._session = _session(content, said=said)

    def __getstate__(self) -> dict[str, Any]:
        return {"content": self.content}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.content = state["content"]
        self._session = _session(self.content, said="the ONNX graph")

    def predict(self, features: Mapping[str, Column]) -> Column:
        """Predict n outputs from columns of n values."""
        inputs = self._session.get_inputs()
        if len(inputs) == 1 and inputs[0].name not in features:
            columns = [_cast(features[name], inputs[0].type, name=name) for name in features]
            fed = {inputs[0].name: np.column_stack(columns)}
        else:
            fed = {each.name: _column(features, each) for each in inputs}
        try:
            out = np.asarray(self._session.run(None, fed)[0])
        except _own_errors() as error:
            raise ActionError(f"the ONNX graph cannot be run on these columns: {_said(error)}") from error
        return out.reshape(len(out)) if out.ndim == 2 and out.shape[1] == 1 else out


def _session(content: bytes, *, said: str) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise ActionError(
            f'{said} needs onnxruntime; pip install "healerd[onnx]", or store the model with skops'
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = THREADS
    options.log_severity_level = ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except _own_errors() as error:
        raise ActionError(f"{said} cannot be run: {_said(error)}") from error


def _own_errors() -> tuple[type[Exception], ...]:
    """List what onnxruntime raises: it has no common ancestor but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [each for each in vars(state).values() if isinstance(each, type) and issubclass(each, Exception)]
    return (*own, RuntimeError, ValueError, OSError, NotImplementedError)


def _column(features: Mapping[str, Column], wanted: Any) -> Any:
    if wanted.name not in features:
        known = ", ".join(f"`{name}`" for name in features) or "none"
        raise ActionError(f"the ONNX graph takes a column `{wanted.name}`; there are {known}")
    cast = _cast(features[wanted.name], wanted.type, name=wanted.name)
    return cast if len(wanted.shape) == 1 else cast.reshape(-1, 1)


def _cast(column: Column, wanted: str, *, name: str) -> Any:
    """Give n values as the type that an input wants."""
    if wanted not in TAKES:
        raise ActionError(f"the ONNX graph takes `{wanted}`, which no column can be; export it with one of {[*TAKES]}")
    dtype = np.dtype(TAKES[wanted])
    if dtype.kind == "U":
        return np.where(is_missing(column), "", column).astype(np.str_)
    if kind_of(column) != "numeric":
        raise ActionError(f"column `{name}` holds text, and the ONNX graph takes `{wanted}`")
    if dtype.kind in WHOLE and is_missing(column).any():
        raise ActionError(f"column `{name}` has missing values, and the ONNX graph takes `{wanted}`")
    return column.astype(dtype)


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
