"""A server of jobs on the loopback that does what a test says, and counts what it was asked."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Jobs:
    """What the server knows: `says` answers GET in turn (the last one stays), `begun` counts POSTs by key."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()
        self.bodies: list[dict] = []
        self.says: list[tuple[int, object]] = [(404, {})]
        self.post: tuple[int, object] = (202, {})
        self.begins: list[tuple[int, object]] | None = None
        self.address = ""

    def answer(self) -> tuple[int, object]:
        return self.says.pop(0) if len(self.says) > 1 else self.says[0]

    def settings(self, **changes: object) -> str:
        told = {"url": f"{self.address}/jobs", "status_url": f"{self.address}/jobs/{{key}}", **changes}
        return ", ".join(f"{name} = {json.dumps(value)}" for name, value in told.items())


@contextmanager
def serving(jobs: Jobs) -> Iterator[Jobs]:
    """Serve until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            jobs.begun[self.headers["Idempotency-Key"]] += 1
            jobs.bodies.append(body)
            if jobs.begins is not None:
                jobs.says = jobs.begins
            self._send(*jobs.post)

        def do_GET(self) -> None:
            self._send(*jobs.answer())

        def _send(self, code: int, told: object) -> None:
            content = told.encode() if isinstance(told, str) else json.dumps(told).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    jobs.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield jobs
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
