"""Binds the control socket and serves the control API inside the daemon's event loop.

Must never open a socket to the network, nor one that everybody on the machine can write to.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from healerd.daemon.people import Peer, peer_of
from healerd.errors import ConfigError

__all__ = ["Listener", "bind", "unbind"]

SOCKET_MODE = 0o660
FOLDER_MODE = 0o750
CONNECTIONS_MAX = 96
CONNECTIONS_EACH = 32
"""How many of them one user may hold: whoever only looks must not keep others' vetoes out (SAFETY S8)."""
LOOKS_EACH = 24
"""Those that one user opens beyond so many are for changes alone: nor may it keep out their own veto."""
HEAD_S = 10.0
"""How long a connection may stay open without having said what it wants."""
DRAIN_S = 3
"""How long answers under way may take when the daemon stops."""


class PeerProtocol(H11Protocol):
    """HTTP on a Unix socket that remembers, for each connection, whom the kernel says is there (`state.peer`).

    No user holds more than their share of the connections, none without a question, and the last are for changes.
    """

    def __init__(self, *, head_s: float, **given: Any) -> None:
        super().__init__(**given)
        self._head_s = head_s
        self.peer: Peer | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Ask the kernel once, before the first byte is read."""
        super().connection_made(transport)
        self.peer = peer_of(transport.get_extra_info("socket"))
        self.app_state = {**self.app_state, "peer": self.peer}
        held = sum(_uid(each) == _uid(self) for each in self.connections)
        if held > CONNECTIONS_EACH:
            self.connections.discard(self)  # it takes no room from others, and is closed when it says nothing
            self.app = _busy(CONNECTIONS_EACH)
        elif held > LOOKS_EACH:
            self.app = _changes_alone(self.app)
        self._expect_head()

    def on_response_complete(self) -> None:
        """Wait for the next question no longer than for the first."""
        super().on_response_complete()
        self._expect_head()

    def _expect_head(self) -> None:
        self.loop.call_later(self._head_s, self._close_if_silent, self.cycle)

    def _close_if_silent(self, cycle: Any) -> None:
        """Close the connection when no question has come since `cycle`, the last one if any, was answered."""
        answered = cycle is None or cycle.response_complete
        if self.cycle is cycle and answered and not self.transport.is_closing():
            self.transport.close()


def _busy(share: int) -> ASGIApp:
    message = f"more than {share} connections of yours are open: terminal UIs, `healerd watch` and the like; close some"
    error = {"schema": 1, "error": {"kind": "busy", "message": message}}
    return JSONResponse(error, status_code=503, headers={"connection": "close"})


def _changes_alone(app: Any) -> ASGIApp:
    async def changes_alone(scope: Scope, receive: Receive, send: Send) -> None:
        await (app if scope["method"] == "POST" else _busy(LOOKS_EACH))(scope, receive, send)

    return changes_alone


def _uid(protocol: asyncio.Protocol) -> int | None:
    return protocol.peer.uid if isinstance(protocol, PeerProtocol) and protocol.peer else None


class Listener(uvicorn.Server):
    """A uvicorn server that leaves the signals to the daemon."""

    def __init__(self, app: Starlette, *, head_s: float = HEAD_S) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(PeerProtocol, head_s=head_s),  # type: ignore[arg-type]
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
