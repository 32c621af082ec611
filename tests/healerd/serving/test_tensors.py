"""Tensors in JSON and in binary."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from healerd.errors import ServingError
from healerd.serving.tensors import DATATYPES, from_binary, from_json, tensor_of, to_binary, to_json

NUMBERS = [name for name in DATATYPES if name != "BYTES"]


@st.composite
def tensors(draw: st.DrawFn):
    datatype = draw(st.sampled_from([*DATATYPES]))
    shape = draw(arrays.array_shapes(max_dims=3, max_side=4))
    kind = DATATYPES[datatype]
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    elements = texts if datatype == "BYTES" else arrays.from_dtype(kind, allow_nan=False, allow_infinity=False)
    return draw(arrays.arrays(kind, shape, elements=elements))


@settings(deadline=None, max_examples=50)
@given(tensors())
def test_binary_is_undone_by_reading(values) -> None:
    """What is written in binary is read again, of every datatype and shape."""
    head, data = to_binary(tensor_of("x", values))
    assert head["parameters"]["binary_data_size"] == len(data)
    again = from_binary("x", head["datatype"], head["shape"], memoryview(data))
    assert again.values.tolist() == values.tolist()
    assert again.values.shape == values.shape


@settings(deadline=None, max_examples=50)
@given(tensors())
def test_json_is_undone_by_reading(values) -> None:
    """What is written in JSON is read again, of every datatype and shape."""
    said = to_json(tensor_of("x", values))
    again = from_json("x", said["datatype"], said["shape"], said["data"])
    assert again.values.tolist() == values.tolist()
    assert again.values.shape == values.shape


def test_nested_lists_are_read_in_their_order() -> None:
    """`data` may be nested as the shape is."""
    assert from_json("x", "INT32", [2, 2], [[1, 2], [3, 4]]).values.tolist() == [[1, 2], [3, 4]]


def test_null_is_a_missing_number_and_a_missing_text() -> None:
    """A missing value is `null`, and comes back as `null`."""
    assert np.isnan(from_json("x", "FP64", [2], [1, None]).values[1])
    assert from_json("x", "BYTES", [2], ["a", None]).values[1] is None
    assert to_json(tensor_of("x", np.array([1.0, np.nan, np.inf])))["data"] == [1.0, None, None]


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "said"),
    [
        ("FP65", [1], [1], "no datatype `FP65`"),
        ("FP64", [], [1], "needs 1 to 4 dimensions"),
        ("FP64", [-1], [1], "each from 0 to"),
        ("FP64", [0, 10**30], [], "each from 0 to"),
        ("FP64", [1] * 70, [1], "needs 1 to 4 dimensions"),
        ("FP64", [0, 2**20, 2**20, 2**20], [], "needs 1 to 4 dimensions"),
        ("FP64", [2], [1], "has 2 elements, `data` has 1"),
        ("FP64", [1], None, "must be a list"),
        ("FP64", [1], "1", "must be a list"),
        ("FP64", [1], ["1"], "element 0: `'1'` is no FP64"),
        ("FP64", [2], [1, [2]], "element 1"),
        ("INT32", [1], [1.5], "`1.5` is no INT32"),
        ("INT32", [1], [None], "`None` is no INT32"),
        ("UINT8", [1], [300], "out of the range of UINT8"),
        ("UINT8", [1], [-1], "out of the range of UINT8"),
        ("BOOL", [1], [1], "`1` is no BOOL"),
        ("BYTES", [1], [7], "`7` is no BYTES"),
    ],
)
def test_json_that_does_not_fit_is_named(datatype: str, shape: list[int], data: object, said: str) -> None:
    """What does not fit the datatype or the shape is an error that names the input and the place."""
    with pytest.raises(ServingError, match="input `x`") as error:
        from_json("x", datatype, shape, data)
    assert said in str(error.value)
    assert error.value.status == 400


@pytest.mark.parametrize(
    ("datatype", "data", "said"),
    [
        ("FP32", b"\0" * 7, "is 8 bytes, not 7"),
        ("BYTES", b"\1\0", "end within element 0"),
        ("BYTES", struct.pack("<I", 9) + b"abc", "end within element 0"),
        ("BYTES", struct.pack("<I", 1) + b"a", "has 2 elements, `data` has 1"),
        ("BYTES", struct.pack("<I", 1) + b"\xff" + struct.pack("<I", 0), "element 0: not UTF-8"),
    ],
)
def test_truncated_binary_is_named(datatype: str, data: bytes, said: str) -> None:
    """Bytes that end too soon, or are no text, are an error that names the input."""
    with pytest.raises(ServingError, match="input `x`") as error:
        from_binary("x", datatype, [2], memoryview(data))
    assert said in str(error.value)
