"""Asks a server over HTTP on several connections at once, and tells how long each answer took.

JSON on standard input: `port`, `path`, `headers`, `bodies` (asked in turn), `connections`, `seconds`; on standard
output `asked`, `lost` (answers that are not 200, and connections cut), `seconds`, `p50`, `p99`. Must never wait
between an answer and the next request of its connection.
"""

import asyncio
import json
import sys
import time
from typing import Any


class Connection(asyncio.Protocol):
    """One connection that asks again as soon as it is answered, until `until`."""

    def __init__(self, requests: list[bytes], until: float, took: list[float]) -> None:
        self.requests, self.until, self.took = requests, until, took
        self.turn, self.lost, self.buffer, self.whole = 0, 0, b"", -1
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        """Send the next request."""
        self.turn, self.began = self.turn + 1, time.perf_counter()
        self.transport.write(self.requests[self.turn % len(self.requests)])

    def data_received(self, data: bytes) -> None:
        """Collect an answer, and go on."""
        self.buffer += data
        if self.whole < 0:
            head, end, _ = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self.lost += b" 200 " not in head[:13]
            length = head.lower().rpartition(b"content-length:")[2].partition(b"\r\n")[0]
            self.whole = len(head) + 4 + int(length)
        if len(self.buffer) < self.whole:
            return
        now = time.perf_counter()
        self.took.append(now - self.began)
        self.buffer, self.whole = b"", -1
        if now >= self.until:
            self.transport.close()
        else:
            self.ask()

    def connection_lost(self, problem: Exception | None) -> None:
        """End."""
        self.lost += time.perf_counter() < self.until
        self.done.set_result(None)


async def load(asked: dict[str, Any]) -> dict[str, Any]:
    """Keep the connections busy for the time wanted."""
    heads = "".join(f"{name}: {value}\r\n" for name, value in asked["headers"].items())
    requests = [
        f"POST {asked['path']} HTTP/1.1\r\nHost: bench\r\n{heads}Content-Length: {len(body)}\r\n\r\n{body}".encode()
        for body in asked["bodies"]
    ]
    took: list[float] = []
    began = time.perf_counter()
    loop, until = asyncio.get_running_loop(), began + asked["seconds"]
    opened = [
        (await loop.create_connection(lambda: Connection(requests, until, took), "127.0.0.1", asked["port"]))[1]
        for _ in range(asked["connections"])
    ]
    for each in opened:
        await each.done
    seconds = time.perf_counter() - began
    took.sort()
    place = {"p50": took[len(took) // 2], "p99": took[int(len(took) * 0.99)]} if took else {"p50": 0.0, "p99": 0.0}
    return {"asked": len(took), "lost": sum(each.lost for each in opened), "seconds": seconds, **place}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(load(json.load(sys.stdin)))))
