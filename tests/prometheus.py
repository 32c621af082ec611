"""A small Prometheus on loopback: answers range queries in the documented form, out of functions of time.

What a query gives is looked up by its text; `down` and `broken` are what goes wrong with a real one.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

Metric = Callable[[float], float | None]


@dataclass
class Prometheus:
    """Query -> series, each a function of time that is None where there is no point."""

    metrics: dict[str, list[Metric]] = field(default_factory=dict)
    down: bool = False
    broken: str = ""
    url: str = ""
    asked: list[Mapping[str, str]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def answer(self, asked: Mapping[str, str]) -> tuple[int, Any]:
        """Answer a range query, as the HTTP API is documented."""
        self.asked.append(asked)
        if self.down:
            return 503, "Service Unavailable"
        if self.broken:
            return 422, {"status": "error", "errorType": "execution", "error": self.broken}
        start, end, step = (float(asked[name]) for name in ("start", "end", "step"))
        result = []
        for number, metric in enumerate(self.metrics.get(asked["query"], [])):
            times = [start + k * step for k in range(int((end - start) / step) + 1)]
            values = [[at, f"{value:g}"] for at in times if (value := metric(at)) is not None]
            if values:
                result.append({"metric": {"job": f"model-{number}"}, "values": values})
        return 200, {"status": "success", "data": {"resultType": "matrix", "result": result}}


@contextmanager
def prometheus() -> Iterator[Prometheus]:
    """Serve one until the block ends."""
    found = Prometheus()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            found.headers.append(dict(self.headers))
            asked = {name: values[0] for name, values in parse_qs(text).items()}
            code, said = found.answer(asked) if self.path == "/api/v1/query_range" else (404, "not found")
            body = (said if isinstance(said, str) else json.dumps(said)).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
