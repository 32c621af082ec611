"""Binds the control socket and serves the control API inside the daemon's event loop.

Must never open a socket to the network, nor one that everybody on the machine can write to.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from healerd.daemon.people import peer_of
from healerd.errors import ConfigError

__all__ = ["Listener", "bind", "unbind"]

SOCKET_MODE = 0o660
FOLDER_MODE = 0o750
CONNECTIONS_MAX = 64
DRAIN_S = 3
"""How long answers under way may take when the daemon stops."""


class PeerProtocol(H11Protocol):
    """HTTP on a Unix socket that remembers, for each connection, whom the kernel says is there (`state.peer`)."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Ask the kernel once, before the first byte is read."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "peer": peer_of(transport.get_extra_info("socket"))}


class Listener(uvicorn.Server):
    """A uvicorn server that leaves the signals to the daemon."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=PeerProtocol,
                ws="none",
                lifespan="off",
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=CONNECTIONS_MAX,
                timeout_graceful_shutdown=DRAIN_S,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def bind(path: Path) -> socket.socket:
    """Make the control socket: for its owner and group alone, in a folder that others cannot enter.

    The caller holds the state folder's lock, so whatever lies at `path` is left from a daemon that died.
    """
    try:
        _clear(path)
        return _listening(path)
    except OSError as error:
        mend = "name a short path in a folder of your own as `daemon.socket`"
        raise ConfigError(f"the control socket `{path}` cannot be made: {error}; {mend}") from error


def _clear(path: Path) -> None:
    """Make room for the socket: the folder, and nothing at its name."""
    if not path.parent.exists():
        path.parent.mkdir(mode=FOLDER_MODE, parents=True)
    if path.exists() and not path.is_socket():
        raise ConfigError(f"`{path}` is in the way of the control socket; move it, or name another as `daemon.socket`")
    path.unlink(missing_ok=True)


def _listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~SOCKET_MODE)
    try:
        listener.bind(str(path))
        path.chmod(SOCKET_MODE)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


def unbind(path: Path, ours: os.stat_result) -> None:
    """Take the socket's name away, unless a newer daemon has made its own there."""
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(path.stat(), ours):
            path.unlink()
