"""The way of one question through the gateway, from its bytes to the bytes of its answer.

Must never answer what is not recorded. It is an ASGI application of its own: the framework's routes, requests and
responses take longer than all that is done here.
"""

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from healerd.errors import HealerdError, ServingError, StoreError
from healerd.serving.bodies import Bodies, headers_of
from healerd.serving.metrics import Metrics
from healerd.serving.protocol import HEADER_LENGTH, parse, respond
from healerd.serving.service import Service

__all__ = ["Inference", "find_service", "status_of"]

_LENGTH = HEADER_LENGTH.encode()
_JSON = ((b"content-type", b"application/json"),)


class Inference:
    """Answers `POST /v2/models/MODEL/infer` and `POST /v2/models/MODEL/versions/VERSION/infer`."""

    def __init__(self, services: Mapping[str, Service], bodies: Bodies, metrics: Metrics) -> None:
        self._services, self._bodies, self._metrics = services, bodies, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what goes wrong is an answer with its status."""
        began = time.perf_counter()
        name, version = _asked_for(scope)
        status, rows = 500, 0
        try:
            body, headers, rows = await self._answered(name, version, scope, receive)
            status = 200
        except HealerdError as error:
            status = status_of(error)
            body, headers = msgspec.json.encode({"error": str(error)}), _JSON
        finally:
            known = name if name in self._services else "unknown"
            self._metrics.answered(known, status=status, rows=rows, seconds=time.perf_counter() - began)
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
        await send({"type": "http.response.body", "body": body})

    async def _answered(
        self, name: str, version: str | None, scope: Scope, receive: Receive
    ) -> tuple[bytes, tuple[tuple[bytes, bytes], ...], int]:
        """Give body, headers and rows of an answer. Raises ServingError, StoreError."""
        service = find_service(self._services, name)
        given = headers_of(scope)
        body = await self._bodies.read(given, receive)
        length = given.get(_LENGTH)
        asked = parse(body, header_length=None if length is None else length.decode("latin-1"))
        answer = await service.infer(asked, version=version, asker=scope.get("client"))
        written, headers = respond(
            asked, model=name, version=answer.version, outputs=answer.outputs, parameters=answer.parameters
        )
        return written, headers, answer.rows


def find_service(services: Mapping[str, Service], name: str) -> Service:
    """Find what answers for a model. Raises ServingError with the names that there are."""
    found = services.get(name)
    if found is None:
        served = ", ".join(f"`{each}`" for each in services) or "none"
        raise ServingError(f"no model `{name}`; served here: {served}", status=404)
    return found


def status_of(error: HealerdError) -> int:
    """Give the HTTP status of an error."""
    return error.status if isinstance(error, ServingError) else 503 if isinstance(error, StoreError) else 500


def _asked_for(scope: Scope) -> tuple[str, str | None]:
    """Name the model, and the version where one is asked for; the path is one of the two that come here."""
    routed: Any = scope.get("path_params")
    if routed:
        return routed["model"], routed.get("version")
    parts = scope["path"].split("/")
    return parts[3], parts[5] if len(parts) == 7 else None
