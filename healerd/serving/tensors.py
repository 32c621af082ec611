"""Tensors as the Open Inference Protocol v2 writes them, in JSON and in binary. Must never guess a type or a shape.

A tensor has a name, a datatype, a shape and its elements in row-major order. In JSON they are a list, flat or nested;
in binary the bytes of little-endian numbers, and for BYTES each element behind its length in four bytes.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from healerd.errors import ServingError

__all__ = ["DATATYPES", "Array", "Tensor", "from_binary", "from_json", "tensor_of", "to_binary", "to_json"]

Array = npt.NDArray[Any]

DATATYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "BYTES": np.dtype(np.object_),
}
"""Every datatype, and the array that holds it; BYTES are `str`, or None where a value is missing."""


_NAMES: Mapping[np.dtype[Any], str] = {kind: name for name, kind in DATATYPES.items()}

DIMENSIONS_MAX, SIDE_MAX, SIDES_MAX = 4, 2**31, 2**40
"""Bounds of a shape, so that an empty tensor of absurd sides is an error and not a surprise."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tensor:
    """A named array; `values` has the tensor's shape."""

    name: str
    datatype: str
    values: Array


def from_json(name: str, datatype: str, shape: Sequence[int], data: object) -> Tensor:
    """Read a tensor out of JSON. `null` is a missing number or text. Raises ServingError."""
    kind = _dtype(name, datatype, shape)
    flat = _flattened(data) if isinstance(data, list) else None
    if flat is None:
        raise ServingError(f"input `{name}`: `data` must be a list of its elements")
    _check_count(name, shape, len(flat))
    return Tensor(name=name, datatype=datatype, values=_elements(name, datatype, kind, flat).reshape(tuple(shape)))


def from_binary(name: str, datatype: str, shape: Sequence[int], data: memoryview) -> Tensor:
    """Read a tensor out of its bytes. Raises ServingError when they are too few or too many."""
    kind = _dtype(name, datatype, shape)
    if datatype == "BYTES":
        flat = np.array(_texts(name, data), np.object_)
        _check_count(name, shape, len(flat))
        return Tensor(name=name, datatype=datatype, values=flat.reshape(shape))
    wanted = prod(shape) * kind.itemsize
    if len(data) != wanted:
        raise ServingError(f"input `{name}`: {datatype} of shape {list(shape)} is {wanted} bytes, not {len(data)}")
    return Tensor(name=name, datatype=datatype, values=np.frombuffer(data, kind).reshape(shape))


def tensor_of(name: str, values: Array) -> Tensor:
    """Make a tensor of an array: numbers as FP64, anything else as BYTES."""
    return Tensor(name=name, datatype=_NAMES.get(values.dtype, "BYTES"), values=values)


def to_json(tensor: Tensor) -> dict[str, Any]:
    """Write a tensor as JSON; what is no number is `null`."""
    data = tensor.values.ravel().tolist()
    if tensor.values.dtype.kind == "f" and not all(map(isfinite, data)):
        data = [each if isfinite(each) else None for each in data]
    return {**_head(tensor), "data": data}


def to_binary(tensor: Tensor) -> tuple[dict[str, Any], bytes]:
    """Write a tensor as its description and its bytes."""
    if tensor.datatype == "BYTES":
        texts = [b"" if each is None else str(each).encode() for each in tensor.values.ravel()]
        data = b"".join(struct.pack("<I", len(each)) + each for each in texts)
    else:
        data = np.ascontiguousarray(tensor.values, DATATYPES[tensor.datatype]).tobytes()
    return {**_head(tensor), "parameters": {"binary_data_size": len(data)}}, data


def _head(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.values.shape)}


def _dtype(name: str, datatype: str, shape: Sequence[int]) -> np.dtype[Any]:
    if datatype not in DATATYPES:
        raise ServingError(f"input `{name}`: no datatype `{datatype}`; there are {', '.join(DATATYPES)}")
    if not 0 < len(shape) <= DIMENSIONS_MAX or min(shape) < 0 or max(shape) > SIDE_MAX or _sides(shape) > SIDES_MAX:
        raise ServingError(
            f"input `{name}`: shape {list(shape)[:DIMENSIONS_MAX]} needs 1 to {DIMENSIONS_MAX} dimensions, "
            f"each from 0 to {SIDE_MAX}"
        )
    return DATATYPES[datatype]


def _sides(shape: Sequence[int]) -> int:
    """Multiply the sides that are not empty: what numpy's own bound counts."""
    return prod(each for each in shape if each)


def _check_count(name: str, shape: Sequence[int], found: int) -> None:
    if found != prod(shape):
        raise ServingError(f"input `{name}`: shape {list(shape)} has {prod(shape)} elements, `data` has {found}")


def _flattened(data: list[Any]) -> list[Any]:
    while data and isinstance(data[0], list):
        if not all(isinstance(each, list) for each in data):
            break
        data = [inner for each in data for inner in each]
    return data


def _elements(name: str, datatype: str, kind: np.dtype[Any], flat: list[Any]) -> Array:
    allowed = _ALLOWED[kind.kind]
    kinds = set(map(type, flat))
    if not kinds <= allowed:
        place, value = next((place, value) for place, value in enumerate(flat) if type(value) not in allowed)
        raise ServingError(f"input `{name}`, element {place}: `{repr(value)[:80]}` is no {datatype}")
    try:
        return np.array(flat, kind) if kind.kind != "f" or type(None) not in kinds else _with_gaps(flat, kind)
    except OverflowError as error:
        raise ServingError(f"input `{name}`: a number is out of the range of {datatype}") from error


def _with_gaps(flat: list[Any], kind: np.dtype[Any]) -> Array:
    return np.array([np.nan if each is None else each for each in flat], kind)


_ALLOWED: Mapping[str, frozenset[type]] = {
    "b": frozenset({bool}),
    "u": frozenset({int}),
    "i": frozenset({int}),
    "f": frozenset({int, float, type(None)}),
    "O": frozenset({str, type(None)}),
}


def _texts(name: str, data: memoryview) -> list[str]:
    texts, at = list[str](), 0
    while at < len(data):
        end = at + 4
        length = struct.unpack("<I", data[at:end])[0] if end <= len(data) else 0
        if end + length > len(data):
            raise ServingError(f"input `{name}`: the bytes end within element {len(texts)}")
        try:
            texts.append(str(data[end : end + length], "utf-8"))
        except UnicodeDecodeError as error:
            raise ServingError(f"input `{name}`, element {len(texts)}: not UTF-8 ({error.reason})") from error
        at = end + length
    return texts
