"""Run the gateway on an address until it is told to stop. Must never listen before every model was tried once."""

import logging
import socket
from collections.abc import Mapping
from pathlib import Path

import uvicorn

from healerd.actions import Registry
from healerd.config import ServingSettings
from healerd.errors import ConfigError
from healerd.serving.app import Gateway

__all__ = ["serve"]

GRACE_S = 10
"""How long requests in flight may take when the gateway ends."""

_log = logging.getLogger(__name__)


def serve(registries: Mapping[str, Registry], settings: ServingSettings, *, folder: Path) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are answered, and what was served is recorded.

    Raises ConfigError when the address cannot be had.
    """
    gateway = Gateway(registries, settings, folder=folder, report=_log.warning)
    listening = _listen(settings.host, settings.port)
    host, port = listening.getsockname()[:2]
    _log.warning("serving %s on http://%s:%s", ", ".join(registries), host, port)
    server = uvicorn.Server(
        uvicorn.Config(
            gateway.app(),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE_S,
            server_header=False,
            proxy_headers=False,
            ws="none",
            lifespan="on",
        )
    )
    server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, asyncio turns off Nagle's algorithm, which would hold answers back for 40 ms.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        raise ConfigError(f"cannot listen on `{host}:{port}`: {error.strerror}; choose another with --port") from error
    return opened
