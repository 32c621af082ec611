"""Ask a running model server what its model reads and answers, by the Open Inference Protocol. Must never infer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from healerd.errors import ConfigError, ControlError

__all__ = ["ServedModel", "ask_model"]

PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model by its metadata: names of its inputs and outputs with their datatypes."""

    server: str
    name: str
    platform: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


def ask_model(url: str, name: str | None) -> ServedModel:
    """Read the metadata of a model at `url`; without a name, of the only model there is.

    Raises:
        ControlError: nobody answers, or not in the protocol's form.
        ConfigError: there are several models, or none of that name.
    """
    base = url.rstrip("/").removesuffix("/v2")
    server = _ask("GET", f"{base}/v2")
    if name is None:
        listed = _ask("POST", f"{base}/v2/repository/index")
        names = sorted({str(one.get("name")) for one in listed if isinstance(one, Mapping)})
        if len(names) != 1:
            raise ConfigError(f"`{url}` serves {', '.join(names) or 'no model'}: name one with `--model-name`")
        name = names[0]
    model = _ask("GET", f"{base}/v2/models/{name}")
    return ServedModel(
        server=str(server.get("name", "")),
        name=name,
        platform=str(model.get("platform", "")),
        inputs=_tensors(model, "inputs", url),
        outputs=_tensors(model, "outputs", url),
    )


def _ask(method: str, address: str) -> Any:
    import httpx  # only who asks a server waits for it

    try:
        answer = httpx.request(method, address, timeout=PATIENCE_S, json={} if method == "POST" else None)
        if answer.status_code == 404:
            raise ConfigError(f"`{address}` is not there: check the address and the model's name")
        answer.raise_for_status()
        return answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise ControlError(
            f"`{address}` does not answer as a model server: {error!s} ({type(error).__name__})"
        ) from error


def _tensors(model: Any, which: str, url: str) -> Mapping[str, str]:
    try:
        return {str(one["name"]): str(one["datatype"]) for one in model.get(which, ())}
    except (AttributeError, KeyError, TypeError) as error:
        raise ControlError(f"`{url}`: the model's `{which}` are not in the protocol's form") from error
