"""Ask a running model server what its model reads and answers, by the Open Inference Protocol. Must never infer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from healerd.errors import ConfigError, ControlError

__all__ = ["ServedModel", "ask_model"]

PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model by its metadata: names of its inputs and outputs with their datatypes, and how wide each input is.

    `record` and `registry` are where healerd's own gateway records and takes its models from; other servers have none.
    """

    server: str
    name: str
    platform: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    widths: Mapping[str, int]
    record: str | None = None
    registry: str | None = None

    @property
    def is_ours(self) -> bool:
        """Tell whether it is healerd's gateway that serves it."""
        return self.server == "healerd"

    @property
    def features(self) -> tuple[str, ...]:
        """Name the features; none where one tensor without names holds them all."""
        return () if any(width != 1 for width in self.widths.values()) else tuple(self.inputs)


def ask_model(url: str, name: str | None) -> ServedModel:
    """Read the metadata of a model at `url`; without a name, of the only model there is.

    Raises:
        ControlError: nobody answers, or not in the protocol's form.
        ConfigError: there are several models, or none of that name.
    """
    base = url.rstrip("/").removesuffix("/v2")
    server = _ask("GET", f"{base}/v2")
    if name is None:
        names = _names(base)
        if len(names) != 1:
            raise ConfigError(f"`{url}` serves {', '.join(names) or 'no model'}: name one with `--model-name`")
        name = names[0]
    model = _ask("GET", f"{base}/v2/models/{name}")
    extra = model.get("parameters")
    told = extra if isinstance(extra, Mapping) and server.get("name") == "healerd" else {}
    return ServedModel(
        server=str(server.get("name", "")),
        name=name,
        platform=str(model.get("platform", "")),
        inputs=_tensors(model, "inputs", url),
        outputs=_tensors(model, "outputs", url),
        widths=_widths(model),
        record=_text(told.get("record")),
        registry=_text(told.get("registry")),
    )


class _NotThere(ConfigError):
    """The server does not know the address: another may tell the same."""


def _names(base: str) -> list[str]:
    """Name the server's models: by the protocol's index, or as KServe's own server lists them, which has no index."""
    try:
        listed = _ask("POST", f"{base}/v2/repository/index")
        named = [one.get("name") for one in listed if isinstance(one, Mapping)]
    except _NotThere:
        told = _ask("GET", f"{base}/v2/models")
        named = told.get("models", []) if isinstance(told, Mapping) else []
    return sorted({str(name) for name in named})


def _ask(method: str, address: str) -> Any:
    import httpx  # only who asks a server waits for it

    try:
        answer = httpx.request(method, address, timeout=PATIENCE_S, json={} if method == "POST" else None)
        if answer.status_code == 404:
            raise _NotThere(f"`{address}` is not there: check the address and the model's name")
        answer.raise_for_status()
        return _object(answer.json())
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise ControlError(
            f"`{address}` does not answer as a model server: {error!s} ({type(error).__name__})"
        ) from error


def _tensors(model: Any, which: str, url: str) -> Mapping[str, str]:
    try:
        return {str(one["name"]): str(one["datatype"]) for one in model.get(which, ())}
    except (AttributeError, KeyError, TypeError) as error:
        raise ControlError(f"`{url}`: the model's `{which}` are not in the protocol's form") from error


def _object(told: Any) -> Any:
    if not isinstance(told, dict | list):
        raise ValueError("its answer is no object")
    return told


def _text(told: Any) -> str | None:
    return told if isinstance(told, str) and told else None


def _widths(model: Any) -> Mapping[str, int]:
    """Tell how many values of each input belong to one row: 1 for a feature, -1 where the server does not know."""
    found = {}
    for each in model.get("inputs", ()):
        shape = each.get("shape")
        sides = shape[1:] if isinstance(shape, list) else [-1]
        known = all(isinstance(side, int) and side > 0 for side in sides)
        found[str(each["name"])] = math.prod(sides) if known else -1
    return found
