"""The gateway's HTTP face: Open Inference Protocol v2, labels, metrics and health. Must never move an alias.

Whoever reaches the address may ask: it listens on loopback unless the configuration says otherwise.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from healerd import __version__
from healerd.actions import Registry
from healerd.clock import SystemClock
from healerd.config import ServingSettings
from healerd.errors import HealerdError, ServingError
from healerd.serving.bodies import Bodies, headers_of
from healerd.serving.inference import Inference, find_service, status_of
from healerd.serving.metrics import Metrics
from healerd.serving.models import Loaded
from healerd.serving.openapi import openapi
from healerd.serving.service import FUTURE_MAX_S, Service

__all__ = ["SWEEP_S", "Gateway"]

SWEEP_S = 3600.0
"""How often old files are removed."""
LABELS_MAX = 100_000
EXTENSIONS = ("binary_tensor_data", "model_repository")
_MODEL = "/v2/models/{model}"
_INFER = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/infer")


class _Label(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    id: str
    label: float | str
    at: datetime | None = None


class _Labels(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    labels: list[_Label]


class _App(Starlette):
    """The application; a question to a model goes past its routes, which would take as long as all the rest."""

    def __init__(self, inference: Inference, **given: Any) -> None:
        super().__init__(**given)
        self._inference = inference

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        straight = scope["type"] == "http" and scope["method"] == "POST" and _INFER.fullmatch(scope["path"])
        await (self._inference if straight else super().__call__)(scope, receive, send)


class Gateway:
    """Serves the models of several registries. `app` is the ASGI application."""

    def __init__(
        self,
        registries: Mapping[str, Registry],
        settings: ServingSettings,
        *,
        folder: Path,
        report: Callable[[str], None],
        sweep_s: float = SWEEP_S,
    ) -> None:
        self._sweep_s = sweep_s
        self._registries, self._settings, self._folder, self._report = registries, settings, folder, report
        self._metrics = Metrics()
        self._services: dict[str, Service] = {}
        self._bodies = Bodies(most=settings.body_bytes, limit_s=settings.timeout)
        self._inference = Inference(self._services, self._bodies, self._metrics)

    def app(self) -> Starlette:
        """Build the ASGI application; its models are loaded when it starts."""
        infer = [f"{_MODEL}/infer", f"{_MODEL}/versions/{{version}}/infer"]
        ready = [f"{_MODEL}/ready", f"{_MODEL}/versions/{{version}}/ready"]
        about = [_MODEL, f"{_MODEL}/versions/{{version}}"]
        return _App(
            self._inference,
            routes=[
                *(Route(path, self._inference, methods=["POST"]) for path in infer),
                *(Route(path, self._model_ready, methods=["GET"]) for path in ready),
                *(Route(path, self._model, methods=["GET"]) for path in about),
                Route("/v2", self._server, methods=["GET"]),
                Route("/v2/health/live", self._live, methods=["GET"]),
                Route("/v2/health/ready", self._ready, methods=["GET"]),
                Route("/v2/repository/index", self._index, methods=["POST"]),
                Route("/v2/repository/models/{model}/load", self._load, methods=["POST"]),
                Route("/v2/repository/models/{model}/unload", self._unload, methods=["POST"]),
                Route("/labels", self._labels, methods=["POST"]),
                Route("/metrics", self._measured, methods=["GET"]),
                Route("/healthz", self._healthz, methods=["GET"]),
                Route("/openapi.json", self._openapi, methods=["GET"]),
            ],
            exception_handlers={HealerdError: _error, HTTPException: _http_error},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._services |= {
            name: Service(
                name,
                registry,
                self._settings,
                folder=self._folder / name,
                metrics=self._metrics,
                report=self._report,
            )
            for name, registry in self._registries.items()
        }
        await asyncio.gather(*(asyncio.to_thread(each.slot.follow) for each in self._services.values()))
        following = [asyncio.create_task(self._keep_following(each)) for each in self._services.values()]
        try:
            yield
        finally:
            for each in following:
                each.cancel()
            for service in self._services.values():
                service.slot.close()
            for service in self._services.values():
                await asyncio.to_thread(service.close)

    async def _keep_following(self, service: Service) -> None:
        """Follow one model's alias: a version that takes long to load holds up no other model's."""
        swept_at = time.monotonic()
        while True:
            await asyncio.sleep(self._settings.poll)
            await asyncio.to_thread(service.slot.follow)
            if time.monotonic() - swept_at >= self._sweep_s:
                swept_at = time.monotonic()
                await self._sweep(service)

    async def _sweep(self, service: Service) -> None:
        """Remove what is old; where that fails it is tried again at the next turn, and the alias is followed on."""
        try:
            await service.sweep()
        except (HealerdError, OSError) as error:
            self._report(f"model `{service.name}`: what is recorded for longer than it is kept stays: {error}")

    async def _body(self, request: Request) -> bytes:
        return await self._bodies.read(headers_of(request.scope), request.receive)

    def _service(self, name: str) -> Service:
        return find_service(self._services, name)

    # about models --------------------------------------------------------------

    async def _server(self, _: Request) -> Response:
        return JSONResponse({"name": "healerd", "version": __version__, "extensions": list(EXTENSIONS)})

    async def _live(self, _: Request) -> Response:
        return JSONResponse({"live": True})

    async def _ready(self, _: Request) -> Response:
        ready = all(
            each.slot.current is not None and not each.hangs for each in self._services.values() if each.slot.wanted
        )
        return JSONResponse({"ready": ready}, status_code=200 if ready else 503)

    async def _model_ready(self, request: Request) -> Response:
        service, version = self._service(request.path_params["model"]), request.path_params.get("version")
        loaded = service.slot.current
        named = loaded is not None and version in {None, loaded.version}
        ready = named and not service.hangs
        status = 200 if ready else 503 if named or loaded is None else 404
        return JSONResponse({"name": service.name, "ready": ready}, status_code=status)

    async def _model(self, request: Request) -> Response:
        service, version = self._service(request.path_params["model"]), request.path_params.get("version")
        loaded = service.slot.current
        if loaded is None:
            raise ServingError(f"model `{service.name}` does not serve: {service.slot.problem}", status=503)
        if version not in {None, loaded.version}:
            raise ServingError(f"version `{version}` does not serve; `{loaded.version}` does", status=404)
        where = {"record": str(service.folder.absolute()), "registry": service.slot.place}
        return JSONResponse({**_described(service.name, loaded), "parameters": where})

    async def _index(self, request: Request) -> Response:
        await self._body(request)
        return JSONResponse([_indexed(each) for each in self._services.values()])

    async def _load(self, request: Request) -> Response:
        await self._body(request)
        await asyncio.to_thread(self._service(request.path_params["model"]).slot.load)
        return JSONResponse({})

    async def _unload(self, request: Request) -> Response:
        await self._body(request)
        await self._service(request.path_params["model"]).unload()
        return JSONResponse({})

    # labels, metrics, health ---------------------------------------------------

    async def _labels(self, request: Request) -> Response:
        given, twice = _read_labels(await self._body(request))
        taken = dict[str, Any](accepted=0, repeated=twice, unknown=[])
        found = set[str]()
        for service in self._services.values():
            own = {name: said for name, said in given.items() if service.know_labels([name])[0]}
            if not own:
                continue
            found |= own.keys()
            result = await service.take_labels(own)
            taken["accepted"] += result.accepted
            taken["repeated"] += result.repeated
        taken["unknown"] = [name for name in given if name not in found]
        return JSONResponse(taken, status_code=200 if found or not given else 404)

    async def _measured(self, _: Request) -> Response:
        models = {name: (each.slot, each.recorder) for name, each in self._services.items()}
        return Response(self._metrics.text(models), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _healthz(self, _: Request) -> Response:
        lost = {name: each.recorder.lost for name, each in self._services.items() if each.recorder.lost}
        failing = any(each.recorder.failing or each.hangs for each in self._services.values())
        return JSONResponse(
            {
                "status": "failing" if failing else "ok",
                "rows_lost": lost,
                "models": [_indexed(s) for s in self._services.values()],
            }
        )

    async def _openapi(self, _: Request) -> Response:
        return JSONResponse(openapi(self._services))


def _read_labels(body: bytes) -> tuple[dict[str, tuple[float | str, datetime | None]], list[str]]:
    """Read labels by id, and name the ids that come again, of which the first counts. Raises ServingError."""
    try:
        given = msgspec.json.decode(body, type=_Labels).labels
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ServingError(
            f"the labels make no sense: {error}; send {{'labels': [{{'id': ..., 'label': ...}}]}}"
        ) from error
    if len(given) > LABELS_MAX:
        raise ServingError(f"{len(given)} labels at once, more than {LABELS_MAX}; send fewer", status=413)
    now = SystemClock().now()
    for each in given:
        at = each.at
        if at is not None and at.tzinfo is None:
            raise ServingError(f"label of `{each.id}`: `at` needs a zone, such as `2026-01-31T12:00:00Z`")
        if at is not None and (at - now).total_seconds() > FUTURE_MAX_S:
            raise ServingError(f"label of `{each.id}`: `at` lies in the future")
    first = dict[str, tuple[float | str, datetime | None]]()
    twice = list[str]()
    for each in given:
        if each.id in first:
            twice.append(each.id)
        first.setdefault(each.id, (each.label, each.at))
    return first, twice


def _described(name: str, loaded: Loaded) -> dict[str, Any]:
    numeric = {"datatype": "FP64", "shape": [-1]}
    text = {"datatype": "BYTES", "shape": [-1]}
    inputs = [
        {"name": each.name, **(text if each.kind == "categorical" else numeric)} for each in loaded.signature.features
    ]
    outputs = [{"name": "output", **(text if loaded.text else numeric)}, {"name": "prediction_id", **text}]
    if loaded.knows_chances:
        outputs.append({"name": "probabilities", "datatype": "FP64", "shape": [-1, -1]})
    return {
        "name": name,
        "versions": [loaded.version],
        "platform": "healerd",
        "inputs": inputs,
        "outputs": outputs,
    }


def _indexed(service: Service) -> dict[str, str]:
    loaded = service.slot.current
    reason = "the model hangs" if service.hangs else service.slot.problem
    said = {"name": service.name, "version": loaded.version if loaded else "", "reason": reason}
    return {**said, "state": "READY" if loaded and not service.hangs else "UNAVAILABLE"}


async def _error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HealerdError)
    return JSONResponse({"error": str(error)}, status_code=status_of(error))


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail.lower()}, status_code=error.status_code, headers=error.headers)
