"""The gateway's OpenAPI description, as `/openapi.json` gives it. Must never promise what the routes do not do."""

import copy
from collections.abc import Iterable
from typing import Any

from healerd import __version__
from healerd.serving.tensors import DATATYPES

__all__ = ["openapi"]

_ERROR = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
_OBJECT = {"application/json": {"schema": {"type": "object"}}}
_FAILED = {
    "400": {"description": "The request is wrong; the error says where.", **_ERROR},
    "404": {"description": "No such model, version or prediction.", **_ERROR},
    "408": {"description": "The body did not come in time.", **_ERROR},
    "413": {"description": "The body is too large.", **_ERROR},
    "415": {"description": "The body is packed in an unknown way.", **_ERROR},
    "500": {"description": "The model raised, and there is no substitute.", **_ERROR},
    "503": {"description": "Nothing serves now, or nothing can be recorded.", **_ERROR},
    "504": {"description": "The model took too long, and there is no substitute.", **_ERROR},
}


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _operation(summary: str, *names: str, body: str | None = None, ok: Any = None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "summary": summary,
        "responses": {"200": {"description": "Done.", "content": ok or _OBJECT}, **_FAILED},
    }
    if names:
        made["parameters"] = [_parameter(name) for name in names]
    if body is not None:
        schema = {"$ref": f"#/components/schemas/{body}"}
        made["requestBody"] = {"required": body != "Anything", "content": {"application/json": {"schema": schema}}}
    return made


def _infer(*names: str) -> dict[str, Any]:
    answer = {"application/json": {"schema": {"type": "object"}}, "application/octet-stream": {"schema": {}}}
    return {"post": _operation("Ask a model.", *names, body="InferRequest", ok=answer)}


def _paths() -> dict[str, Any]:
    model, version = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
    text = {"text/plain": {"schema": {"type": "string"}}}
    listed = {"application/json": {"schema": {"type": "array"}}}
    return {
        "/v2": {"get": _operation("Name the server.")},
        "/v2/health/live": {"get": _operation("Tell whether the process lives.")},
        "/v2/health/ready": {"get": _operation("Tell whether every model serves.")},
        model: {"get": _operation("Describe a model.", "model")},
        version: {"get": _operation("Describe a version.", "model", "version")},
        f"{model}/ready": {"get": _operation("Tell whether a model serves.", "model")},
        f"{version}/ready": {"get": _operation("Tell whether a version serves.", "model", "version")},
        f"{model}/infer": _infer("model"),
        f"{version}/infer": _infer("model", "version"),
        "/v2/repository/index": {"post": _operation("List the models.", body="Anything", ok=listed)},
        "/v2/repository/models/{model}/load": {"post": _operation("Serve a model again.", "model", body="Anything")},
        "/v2/repository/models/{model}/unload": {
            "post": _operation("Serve a model no more.", "model", body="Anything")
        },
        "/labels": {"post": _operation("Send late labels.", body="Labels")},
        "/metrics": {"get": _operation("Read the metrics.", ok=text)},
        "/healthz": {"get": _operation("Tell how the gateway does.")},
    }


_TENSOR = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "properties": {
        "name": {"type": "string"},
        "datatype": {"type": "string", "enum": list(DATATYPES)},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    },
}
_OUTPUT = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "parameters": {"type": "object"}},
}
_LABEL = {
    "type": "object",
    "required": ["id", "label"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string"},
        "label": {"anyOf": [{"type": "number"}, {"type": "string"}]},
        "at": {"type": "string", "format": "date-time"},
    },
}

_OPENAPI: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "healerd gateway", "version": __version__},
    "paths": _paths(),
    "components": {
        "schemas": {
            "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
            "Anything": {"type": "object"},
            "InferRequest": {
                "type": "object",
                "required": ["inputs"],
                "properties": {
                    "id": {"type": "string"},
                    "inputs": {"type": "array", "items": _TENSOR},
                    "outputs": {"type": "array", "items": _OUTPUT},
                    "parameters": {"type": "object"},
                },
            },
            "Labels": {
                "type": "object",
                "required": ["labels"],
                "additionalProperties": False,
                "properties": {"labels": {"type": "array", "items": _LABEL}},
            },
        }
    },
}


def openapi(models: Iterable[str]) -> dict[str, Any]:
    """Describe a gateway that serves these models."""
    path = _parameter("model")
    path["schema"] = {"type": "string", "enum": list(models)}
    found: dict[str, Any] = copy.deepcopy(_OPENAPI)
    for operations in found["paths"].values():
        for operation in operations.values():
            operation["parameters"] = [
                path if each["name"] == "model" else each for each in operation.get("parameters", ())
            ]
    return found
