"""The body of a request, within its limits of size and time. Must never hold more of one than is allowed."""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Any

from starlette.types import Receive, Scope

from healerd.errors import ServingError

__all__ = ["Bodies", "headers_of"]

LOOKS = 4
"""How often, within the time that a body may take, one looks whether it took longer."""


class Bodies:
    """Reads bodies of at most `most` bytes that come within `limit_s` and a quarter of it.

    One timer watches over all requests: one for each would take longer than reading most bodies.
    """

    def __init__(self, *, most: int, limit_s: float) -> None:
        self._most, self._limit_s = most, limit_s
        self._began: dict[asyncio.Task[Any], float] = {}
        self._late = set[asyncio.Task[Any]]()
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """Read one body, unpacked. Raises ServingError: it is too large, too slow, cut short or badly packed."""
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._most:
            raise ServingError(f"the body has {int(declared)} bytes, more than {self._most}", status=413)
        body = await self._in_time(receive)
        encoding = headers.get(b"content-encoding")
        return body if encoding is None else _unpacked(body, encoding.decode("latin-1"), self._most)

    async def _in_time(self, receive: Receive) -> bytes:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None, "a request is a task"
        self._began[task] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._limit_s / LOOKS, self._look, loop)
        try:
            return await _whole(receive, self._most)
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            task.uncancel()
            raise ServingError("the body did not come in time", status=408) from None
        finally:
            del self._began[task]
            self._late.discard(task)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake the requests whose body did not come in time; each still waits for it, since this runs."""
        for task, began in self._began.items():
            if loop.time() - began >= self._limit_s and task not in self._late:
                self._late.add(task)
                task.cancel()
        self._timer = loop.call_later(self._limit_s / LOOKS, self._look, loop) if self._began else None


def headers_of(scope: Scope) -> Mapping[bytes, bytes]:
    """Give the headers by their names in small letters; of one that comes again the last counts."""
    return dict(scope["headers"])


async def _whole(receive: Receive, most: int) -> bytes:
    parts, size, more = list[bytes](), 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ServingError("the client left before its body was whole")
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > most:
            raise ServingError(f"the body has more than {most} bytes", status=413)
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _unpacked(body: bytes, encoding: str, most: int) -> bytes:
    encoding = encoding.strip().lower()
    if encoding == "identity":
        return body
    if encoding not in {"gzip", "deflate"}:
        raise ServingError(f"no content encoding `{encoding}`; there are gzip and deflate", status=415)
    unpacker = zlib.decompressobj(31 if encoding == "gzip" else 15)
    try:
        whole = unpacker.decompress(body, most + 1)
    except zlib.error as error:
        raise ServingError(f"the body is no {encoding}: {error}") from error
    if len(whole) > most:
        raise ServingError(f"the body unpacks to more than {most} bytes", status=413)
    if not unpacker.eof:
        raise ServingError(f"the body ends within its {encoding}")
    return whole
