"""Shows metrics and health on a loopback address to whoever scrapes it, and takes alerts from who shows the token.

Must never change anything else, nor leave loopback.

`/metrics` tells numbers; `/healthz` whether the process goes on, which a supervisor may act upon; `/readyz` whether
what it says is current: the last tick ended well, and not long ago.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from healerd.client.views import Json, Reader
from healerd.clock import Clock
from healerd.daemon.listen import Listener
from healerd.daemon.metrics import Metrics
from healerd.daemon.supervised import Progress
from healerd.daemon.threads import OneThread
from healerd.daemon.webhook import Webhook
from healerd.errors import ConfigError
from healerd.listen_settings import parse_address

__all__ = ["Outlook", "bind_loopback", "open_outlook"]

SILENCE_S = 300.0
"""As the service's watchdog: without a tick for so long, the process no longer goes on."""
LATE_TICKS = 3


class Outlook:
    """The listener's answers."""

    def __init__(
        self,
        *,
        metrics: Metrics,
        store: Reader,
        clock: Clock,
        describe: Callable[[], Json],
        progress: Progress,
        webhook: Webhook | None = None,
    ) -> None:
        self._metrics, self._store, self._clock = metrics, store, clock
        self._describe, self._progress, self._webhook = describe, progress, webhook
        self._thread = OneThread("metrics")

    def app(self) -> Starlette:
        """Build the ASGI application: three pages that are only read and, with a token, one that takes alerts."""
        pages: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/metrics": self._show,
            "/healthz": self._alive,
            "/readyz": self._ready,
        }
        routes = [Route(path, page, methods=["GET"]) for path, page in pages.items()]
        if self._webhook is not None and self._webhook.has_token:
            routes.append(Route("/alerts", self._webhook.with_token, methods=["POST"]))
        return Starlette(routes=routes)

    def close(self) -> None:
        """End the thread that reads."""
        self._thread.close()

    async def _show(self, request: Request) -> Response:
        text = await self._thread.call(self._metrics.text, self._store, self._clock.now())
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _alive(self, request: Request) -> Response:
        told = self._describe()
        every_s = float(told.get("tick_every_s") or 0.0)
        goes_on = self._progress.goes_on(self._clock.read().boot_s, watchdog_s=SILENCE_S, every_s=every_s)
        return JSONResponse({"schema": 1, "alive": goes_on}, status_code=200 if goes_on else 503)

    async def _ready(self, request: Request) -> Response:
        why = _not_ready(self._describe(), self._metrics_age_s())
        return JSONResponse({"schema": 1, "ready": not why, "why": why or None}, status_code=503 if why else 200)

    def _metrics_age_s(self) -> float:
        return self._progress.age_s(self._clock.read().boot_s)


def _not_ready(told: Json, age_s: float) -> str:
    if told.get("ticked_at") is None:
        return "no tick has ended yet"
    if told.get("failed"):
        return "the last tick failed; see the log"
    late_s = LATE_TICKS * float(told.get("tick_every_s") or 0.0)
    return f"the last tick ended {age_s:.0f} s ago" if age_s > max(late_s, 1.0) else ""


def bind_loopback(address: str) -> socket.socket:
    """Open the address of `listen.address`. Raises ConfigError when it is taken or not this machine's own."""
    found = parse_address(address)
    assert found is not None, "the configuration checked"
    listener = socket.socket(socket.AF_INET6 if ":" in found[0] else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(found)
    except OSError as error:
        listener.close()
        said = error.strerror or str(error)
        raise ConfigError(f"`listen.address` `{address}` cannot be opened: {said}; name a free one") from error
    return listener


async def open_outlook(stack: AsyncExitStack, outlook: Outlook, address: str) -> None:
    """Serve until the stack closes."""
    opened = bind_loopback(address)
    stack.callback(outlook.close)
    listener = Listener(outlook.app())
    serving = asyncio.create_task(listener.serve(sockets=[opened]))

    async def close() -> None:
        listener.should_exit = True
        await serving

    stack.push_async_callback(close)
