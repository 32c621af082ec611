"""A gateway on models in memory, asked without a network: what the tests of serving share."""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np

from healerd.columns import Column
from healerd.config import ServingSettings
from healerd.errors import ActionError
from healerd.serving.app import SWEEP_S, Gateway


class Sums:
    """Adds up the columns `a` and `b`, and something of its own; counts how often it is asked."""

    columns = ("a", "b")

    def __init__(self, plus: float = 0.0) -> None:
        self.plus, self.calls, self.rows = plus, 0, []

    def predict(self, features: Mapping[str, Column]) -> Column:
        self.calls += 1
        self.rows.append(len(features["a"]))
        return features["a"] + features["b"] + self.plus


class Moody(Sums):
    """Raises for a row whose `a` is negative, and hangs for one whose `a` is beyond 1,000."""

    def __init__(self, plus: float = 0.0) -> None:
        super().__init__(plus)
        self.release, self.hangs = threading.Event(), threading.Event()

    def predict(self, features: Mapping[str, Column]) -> Column:
        if (features["a"] > 1000).any():
            self.hangs.set()
            self.release.wait(30)
        if (features["a"] < 0).any():
            raise ArithmeticError("a is below zero")
        return super().predict(features)


class Shelf:
    """A registry in memory, as far as the gateway reads one."""

    def __init__(self, **models: Any) -> None:
        self.models, self.place = dict(models), "memory"
        self.version: str | None = next(iter(models), None)
        self.generation, self.away = 1, False

    def alias(self) -> Any:
        if self.away:
            raise ActionError("the registry cannot be reached")
        return SimpleNamespace(version=self.version, generation=self.generation)

    def move(self, version: str) -> None:
        self.version, self.generation = version, self.generation + 1

    def load(self, name: str) -> Any:
        found = self.models.get(name)
        if found is None:
            raise ActionError(f"no version `{name}`")
        return found


@asynccontextmanager
async def opened(folder: Path, shelf: Shelf | Mapping[str, Shelf], *, sweep_s: float = SWEEP_S, **settings: Any):
    """Open a gateway on `m`, or on several models; give a client, and the gateway."""
    said = list[str]()
    shelves = shelf if isinstance(shelf, Mapping) else {"m": shelf}
    wanted = {"flush": 0, "poll": 0.01, "timeout": 0.3, **settings}
    gateway = Gateway(shelves, ServingSettings(**wanted), folder=folder, report=said.append, sweep_s=sweep_s)  # type: ignore[arg-type]
    app = gateway.app()
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gate") as client:
            yield SimpleNamespace(client=client, said=said, gateway=gateway, service=gateway._services)


def run(body: Callable[[], Awaitable[None]]) -> None:
    """Run a test's body in a loop of its own."""
    asyncio.run(body())  # type: ignore[arg-type]


def asked(a: list[Any], b: list[Any] | None = None, **more: Any) -> bytes:
    """Write a request for the sums of `a` and `b`."""
    second = [0.0] * len(a) if b is None else b
    inputs = [
        {"name": name, "datatype": "FP64", "shape": [len(data)], "data": data}
        for name, data in (("a", a), ("b", second))
    ]
    return json.dumps({"inputs": inputs, **more}).encode()


async def ask(gate: Any, a: list[Any], b: list[Any] | None = None, *, model: str = "m", **more: Any) -> httpx.Response:
    """Ask a model for its sums."""
    return await gate.client.post(f"/v2/models/{model}/infer", content=asked(a, b, **more))


def outputs(response: httpx.Response) -> list[Any]:
    """The first output of an answer."""
    assert response.status_code == 200, response.text
    return response.json()["outputs"][0]["data"]


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; the test's own deadline is generous, since no law here is about speed."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        await asyncio.sleep(0.005)


def column(*values: float) -> Column:
    """A column of numbers."""
    return np.array(values, np.float64)
