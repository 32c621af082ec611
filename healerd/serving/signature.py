"""What a model takes: its features by name and kind, and how tensors become their columns.

Must never fill in what a request leaves out. One tensor a feature, of shape [n] or [n, 1], in any order; or one tensor
of shape [n, d] that holds all d features, numbers all of them, in the model's order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from healerd.columns import Column, Kind
from healerd.errors import ServingError
from healerd.serving.tensors import Tensor

__all__ = ["Feature", "Signature", "signature_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One feature; a `kind` of None takes numbers and texts alike."""

    name: str
    kind: Kind | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The features of a model, in its order; none are known of a model that does not say."""

    features: tuple[Feature, ...] = ()

    def columns(self, tensors: Sequence[Tensor]) -> dict[str, Column]:
        """Turn the tensors of a request into one column of n values a feature. Raises ServingError."""
        if not tensors:
            raise ServingError("the request has no inputs")
        matrix = tensors[0].values if len(tensors) == 1 else None
        if matrix is not None and matrix.ndim == 2 and (matrix.shape[1] != 1 or len(self.features) > 1):
            return self._of_matrix(tensors[0])
        found = {each.name: _column(each) for each in tensors}
        lengths = {len(column) for column in found.values()}
        if len(lengths) > 1:
            told = ", ".join(f"`{name}` {len(column)}" for name, column in found.items())
            raise ServingError(f"the inputs have unequal numbers of rows: {told}")
        return self._checked(found)

    def _of_matrix(self, tensor: Tensor) -> dict[str, Column]:
        width = tensor.values.shape[1]
        if width == 0:
            raise ServingError(f"input `{tensor.name}` has no columns; send one a feature")
        names = [each.name for each in self.features] or [f"x{index}" for index in range(width)]
        if width != len(names):
            raise ServingError(
                f"input `{tensor.name}` has {width} columns, the model takes {len(names)}: {_list(names)}"
            )
        if tensor.values.dtype.kind == "O":
            raise ServingError(
                f"input `{tensor.name}`: a tensor of all features holds numbers; send one tensor a feature"
            )
        # One copy, in which a column is in one piece; a request's own bytes cannot be written to.
        columns = np.array(tensor.values.T, np.float64, order="C")
        return self._checked(dict(zip(names, columns, strict=True)))

    def _checked(self, found: dict[str, Column]) -> dict[str, Column]:
        if not self.features:
            return found
        names = [each.name for each in self.features]
        unknown, absent = [n for n in found if n not in names], [n for n in names if n not in found]
        if unknown:
            near = get_close_matches(unknown[0], names, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"the model takes {_list(names)}"
            raise ServingError(f"no feature `{unknown[0]}`; {hint}")
        if absent:
            raise ServingError(f"feature `{absent[0]}` is missing; the model takes {_list(names)}")
        for each in self.features:
            kind: Kind = "categorical" if found[each.name].dtype == np.object_ else "numeric"
            if each.kind is not None and each.kind != kind:
                wanted = "numbers" if each.kind == "numeric" else "text (BYTES)"
                raise ServingError(f"feature `{each.name}` takes {wanted}")
        return {name: found[name] for name in names}


def signature_of(model: Any) -> Signature:
    """Ask a model what it takes: healerd's tables, scikit-learn's estimators and ONNX graphs say so."""
    codes = getattr(model, "codes", None)
    if codes:
        kinds: list[tuple[str, Kind]] = [(each.name, "categorical" if each.categories else "numeric") for each in codes]
        return Signature(features=tuple(Feature(name=name, kind=kind) for name, kind in kinds))
    estimator = getattr(model, "estimator", model)
    names = getattr(model, "columns", None) or getattr(estimator, "feature_names_in_", None)
    if names is None and getattr(estimator, "n_features_in_", None):
        names = [f"x{index}" for index in range(int(estimator.n_features_in_))]
    told = getattr(model, "kinds", {})
    return Signature(
        features=tuple(
            Feature(name=str(name), kind=told.get(str(name))) for name in (names if names is not None else ())
        )
    )


def _column(tensor: Tensor) -> Column:
    values = tensor.values
    if values.ndim > 2 or (values.ndim == 2 and values.shape[1] != 1):
        raise ServingError(f"input `{tensor.name}` has shape {list(values.shape)}; a feature has [n] or [n, 1]")
    flat = values.reshape(-1)
    if flat.dtype == np.bool_:
        # Truths are categories here, as in every source.
        return np.where(flat, "true", "false").astype(np.object_)
    return flat if flat.dtype == np.object_ else flat.astype(np.float64)


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:12])
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown
