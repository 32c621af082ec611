"""One inference request and its response, as the Open Inference Protocol v2 frames them over HTTP.

Must never look at what the tensors mean. With the header `Inference-Header-Content-Length` the body is a JSON object of
that many bytes, and behind it the binary tensors in the order of their descriptions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from healerd.errors import ServingError
from healerd.serving.tensors import Array, Tensor, from_binary, from_json, tensor_of, to_binary, to_json

__all__ = ["HEADER_LENGTH", "InferRequest", "parse", "respond"]

HEADER_LENGTH = "inference-header-content-length"
"""The header that says how long the JSON is, where binary tensors follow it."""


class _Input(msgspec.Struct, kw_only=True):
    name: str
    datatype: str
    shape: list[int]
    data: Any = None
    parameters: dict[str, Any] = {}


class _Output(msgspec.Struct, kw_only=True):
    name: str
    parameters: dict[str, Any] = {}


class _Body(msgspec.Struct, kw_only=True):
    inputs: list[_Input]
    id: str | None = None
    outputs: list[_Output] = []
    parameters: dict[str, Any] = {}


_DECODER = msgspec.json.Decoder(_Body)
_ENCODER = msgspec.json.Encoder()
_JSON = ((b"content-type", b"application/json"),)
_BINARY = ((b"content-type", b"application/octet-stream"),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InferRequest:
    """What is asked: tensors by name, and which outputs are wanted, each in JSON or in binary (none named: all)."""

    id: str | None
    inputs: tuple[Tensor, ...]
    outputs: Mapping[str, bool]
    binary: bool


def parse(body: bytes, *, header_length: str | None) -> InferRequest:
    """Read a request. Raises ServingError that says where it is wrong."""
    head, rest = _split(body, header_length)
    try:
        asked = _DECODER.decode(head)
    except msgspec.ValidationError as error:
        raise ServingError(f"the request does not fit the protocol: {_lower(str(error))}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ServingError(f"the request is no JSON: {_lower(str(error))}; a missing number is `null`") from error
    except RecursionError as error:
        raise ServingError("the request is nested too deeply") from error
    inputs, at = [], 0
    for each in asked.inputs:
        size = each.parameters.get("binary_data_size")
        if size is None:
            inputs.append(from_json(each.name, each.datatype, each.shape, each.data))
            continue
        if isinstance(size, bool) or not isinstance(size, int) or size < 0 or at + size > len(rest):
            raise ServingError(f"input `{each.name}`: `binary_data_size` {size} of {len(rest) - at} bytes left")
        inputs.append(from_binary(each.name, each.datatype, each.shape, rest[at : at + size]))
        at += size
    if at != len(rest):
        raise ServingError(f"{len(rest) - at} bytes follow the last tensor; `binary_data_size` says how many are one's")
    names = [each.name for each in inputs]
    if len(set(names)) != len(names):
        raise ServingError(f"two inputs have one name: {', '.join(f'`{name}`' for name in names)}")
    binary = asked.parameters.get("binary_data_output") is True
    wanted = {each.name: each.parameters.get("binary_data", binary) is True for each in asked.outputs}
    return InferRequest(id=asked.id, inputs=tuple(inputs), outputs=wanted, binary=binary)


def respond(
    asked: InferRequest, *, model: str, version: str, outputs: Mapping[str, Array], parameters: Mapping[str, Any]
) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    """Write a response: body and headers, as ASGI takes them. An output that is asked for and not there is left out."""
    wanted: Mapping[str, bool] = asked.outputs or dict.fromkeys(_usual(outputs), asked.binary)
    written, tail = [], []
    for name, binary in wanted.items():
        if name not in outputs:
            continue
        tensor = tensor_of(name, outputs[name])
        if binary:
            head, data = to_binary(tensor)
            written.append(head)
            tail.append(data)
        else:
            written.append(to_json(tensor))
    body = {"model_name": model, "model_version": version, "parameters": parameters, "outputs": written}
    head_bytes = _ENCODER.encode({**body, "id": asked.id} if asked.id is not None else body)
    if not tail:
        return head_bytes, _JSON
    length = (HEADER_LENGTH.encode(), b"%d" % len(head_bytes))
    return b"".join([head_bytes, *tail]), (*_BINARY, length)


def _usual(outputs: Mapping[str, Array]) -> Sequence[str]:
    """Name the outputs that are given when none are asked for: all but the ids of the rows."""
    return [name for name in outputs if name != "prediction_id"]


def _split(body: bytes, header_length: str | None) -> tuple[memoryview, memoryview]:
    whole = memoryview(body)
    if header_length is None:
        return whole, whole[len(whole) :]
    length = int(header_length) if header_length.isdecimal() and len(header_length) < 19 else -1
    if not 0 <= length <= len(whole):
        raise ServingError(f"`{HEADER_LENGTH}` is `{header_length}`, and the body has {len(whole)} bytes")
    return whole[:length], whole[length:]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
