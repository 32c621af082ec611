"""Asks the inference gateway, and sends it labels: for programs, and for `healerd labels add`. Must never ask twice.

A request that failed is not repeated here: whether the gateway recorded it is not known, and only the caller can tell
whether another prediction does harm.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import numpy as np

from healerd.columns import Column
from healerd.errors import ControlError, ServingError

__all__ = ["GatewayClient", "LabelsTaken", "Predicted"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predicted:
    """What the gateway answered: n outputs, the n ids to send labels for, and the version; `substitute` says whether
    the model failed and something usual was answered instead."""

    output: Column
    ids: tuple[str, ...]
    version: str
    substitute: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsTaken:
    """What became of labels: how many are new, and the ids that had one already and that the gateway never gave."""

    accepted: int
    repeated: tuple[str, ...]
    unknown: tuple[str, ...]


class GatewayClient:
    """A connection to one gateway; close it, or use it as a context."""

    def __init__(
        self, url: str = "http://127.0.0.1:8080", *, timeout_s: float = 10.0, http: httpx.Client | None = None
    ) -> None:
        """Remember the address. Raises ControlError when it is none."""
        self.url = url
        try:
            self._http = http or httpx.Client(base_url=url, timeout=timeout_s)
        except httpx.InvalidURL as error:
            raise ControlError(f"`{url}` is no address: {error}; name one such as http://127.0.0.1:8080") from error

    def __enter__(self) -> "GatewayClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def predict(self, model: str, features: Mapping[str, Sequence[Any] | Column]) -> Predicted:
        """Ask a model about n rows, given as one column of n numbers or texts a feature; None is a missing value.

        Raises ServingError when the gateway refuses or the model fails, ControlError when it cannot be reached.
        """
        inputs = [_tensor(name, np.asarray(column)) for name, column in features.items()]
        wanted = [{"name": "output"}, {"name": "prediction_id"}]
        answer = self._post(f"/v2/models/{model}/infer", {"inputs": inputs, "outputs": wanted})
        with self._understood():
            said = answer.json()
            output, ids = (each["data"] for each in said["outputs"])
            numbers = said["outputs"][0]["datatype"] != "BYTES"
            return Predicted(
                output=np.array(output, np.float64 if numbers else np.object_),
                ids=tuple(ids),
                version=said["model_version"],
                substitute=said["parameters"].get("substitute", False),
            )

    def label(self, labels: Mapping[str, float | str], *, at: Mapping[str, datetime] | None = None) -> LabelsTaken:
        """Send truths by prediction id, at most 100,000; `at` says when one became known, else it is now.

        Raises ServingError when the gateway refuses, ControlError when it cannot be reached.
        """
        times = at or {}
        rows = [
            {"id": name, "label": label} | ({"at": times[name].isoformat()} if name in times else {})
            for name, label in labels.items()
        ]
        answer = self._post("/labels", {"labels": rows}, known=404)
        with self._understood():
            said = answer.json()
            repeated, unknown = tuple(said["repeated"]), tuple(said["unknown"])
            return LabelsTaken(accepted=said["accepted"], repeated=repeated, unknown=unknown)

    def ready(self, model: str) -> bool:
        """Tell whether a model serves. Raises ControlError when the gateway cannot be reached."""
        return self._asked("GET", f"/v2/models/{model}/ready", None).status_code == 200

    def _post(self, path: str, body: object, *, known: int = 200) -> httpx.Response:
        answer = self._asked("POST", path, body)
        with self._understood():
            if answer.status_code not in {200, known} or (answer.status_code != 200 and "error" in answer.json()):
                raise ServingError(_told(answer), status=answer.status_code)
        return answer

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Raises ControlError for an answer that no gateway gives: some other server has the address."""
        try:
            yield
        except (ValueError, KeyError, TypeError) as error:
            raise ControlError(f"`{self.url}` does not answer as `healerd serve` does: name its address") from error

    def _asked(self, method: str, path: str, body: object) -> httpx.Response:
        try:
            return self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise ControlError(
                f"no gateway answers at `{self.url}` ({error}); start `healerd serve`, or name its address"
            ) from error


def _tensor(name: str, column: Column) -> dict[str, Any]:
    texts = column.dtype.kind in "OUS" and any(isinstance(each, str) for each in column.tolist())
    data = column.tolist() if texts else column.astype(np.float64).tolist()
    said = data if texts else [each if np.isfinite(each) else None for each in data]
    return {"name": name, "datatype": "BYTES" if texts else "FP64", "shape": [len(said)], "data": said}


def _told(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"the gateway answered with {answer.status_code}"
