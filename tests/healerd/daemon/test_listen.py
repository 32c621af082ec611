"""The control socket has room for everybody: who says nothing, or opens too much, keeps nobody else out."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from healerd.daemon.listen import CONNECTIONS_EACH, CONNECTIONS_MAX, Listener, bind

ASKED = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


async def answer(_: Request) -> Response:
    return PlainTextResponse("here")


async def stream(_: Request) -> Response:
    async def lines() -> AsyncIterator[str]:
        for _ in range(4):
            yield "a line\n"
            await asyncio.sleep(0.1)
        yield "the end"

    return StreamingResponse(lines())


@contextmanager
def listening(path: Path, *, head_s: float) -> Iterator[Listener]:
    """Serve on a socket until the test is over."""
    listener = Listener(Starlette(routes=[Route("/", answer), Route("/stream", stream)]), head_s=head_s)
    opened = bind(path)
    thread = threading.Thread(target=lambda: asyncio.run(listener.serve(sockets=[opened])))
    thread.start()
    while not listener.started:
        time.sleep(0.001)
    try:
        yield listener
    finally:
        listener.should_exit = True
        thread.join(10)


def connected(path: Path) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX)
    opened.settimeout(20)
    opened.connect(str(path))
    return opened


def asked(path: Path, words: bytes = ASKED) -> bytes:
    """Ask on a connection of its own, and read until the answer is whole or the other side ends."""
    with connected(path) as each:
        each.sendall(words)
        said = b""
        while more := each.recv(4096):
            said += more
            if said.endswith((b"here", b'some"}}', b"0\r\n\r\n")):
                break
        return said


def test_s8_a_user_holds_no_more_than_their_share(tmp_path: Path) -> None:
    """However many connections somebody opens, those beyond the share take no room from others, and are told so."""
    path = tmp_path / "s"
    with listening(path, head_s=3600) as listener:
        held = [connected(path) for _ in range(CONNECTIONS_MAX)]
        refused = asked(path)
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"of yours" in refused
        assert len(listener.server_state.connections) == CONNECTIONS_EACH
        for each in held:
            each.close()
        while not asked(path).startswith(b"HTTP/1.1 200"):
            pass


def test_who_says_nothing_is_shown_out(tmp_path: Path) -> None:
    """A connection without a question, or with half of one, is closed; one whose answer takes long is not."""
    path = tmp_path / "s"
    with listening(path, head_s=0.05), connected(path) as silent, connected(path) as half:
        half.sendall(b"GET / HTTP")
        assert b"the end" in asked(path, ASKED.replace(b" / ", b" /stream "))
        assert silent.recv(1) == b""
        assert half.recv(1) == b""
