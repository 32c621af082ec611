"""A gateway as a process of its own, on a real socket; run as a program, it is that process.

`python -m tests.healerd.serving.live FOLDER SETTINGS` serves one model `m`, whose version stands in FOLDER/alias.
"""

import http.client
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from healerd.config import ServingSettings
from healerd.serving.run import serve
from tests.healerd.serving.gate import Sums, asked


class Slow(Sums):
    """Takes half a second for a row whose `a` is beyond 1,000; of a `b` that is text the length counts."""

    def predict(self, features: Any) -> Any:
        if (features["a"] > 1000).any():
            time.sleep(0.5)
        b = features["b"]
        return super().predict({**features, "b": np.array([len(each) for each in b]) if b.dtype == object else b})


class FileShelf:
    """A registry whose alias is what a file says: version `5` is a model that adds 5."""

    def __init__(self, path: Path) -> None:
        self._path, self.place = path, str(path)

    def alias(self) -> Any:
        version = self._path.read_text(encoding="utf-8")
        return SimpleNamespace(version=version, generation=int(version))

    def load(self, name: str) -> Any:
        return Slow(float(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A running gateway: its process, its port, and the folder of its record and alias."""

    process: "subprocess.Popen[str]"
    port: int
    folder: Path

    def move(self, version: int) -> None:
        """Move the alias."""
        beside = self.folder / "alias.new"
        beside.write_text(str(version), encoding="utf-8")
        beside.replace(self.folder / "alias")

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection to it."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)


def ask(connection: http.client.HTTPConnection, a: float) -> tuple[int, dict[str, Any]]:
    """Ask on a connection that stays open."""
    connection.request("POST", "/v2/models/m/infer", asked([a]))
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@contextmanager
def live(folder: Path, **settings: Any) -> Iterator[Live]:
    """Run a gateway while the block runs; it is killed at the end where it still runs."""
    alias = folder / "alias"
    if not alias.exists():
        alias.write_text("0", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.healerd.serving.live", str(folder), json.dumps({"port": 0, **settings})],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline().rpartition(":")[2])
        there = Live(process=process, port=port, folder=folder)
        _until_live(there)
        yield there
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _until_live(there: Live) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            connection = there.connect()
            connection.request("GET", "/v2/health/live")
            connection.getresponse().read()
            connection.close()
        except ConnectionRefusedError:
            connection.close()
            assert time.monotonic() < deadline, "the gateway never listened"
            time.sleep(0.02)
        else:
            return


if __name__ == "__main__":
    logging.basicConfig(level="WARNING", format="%(message)s", stream=sys.stdout)
    place = Path(sys.argv[1])
    serve({"m": FileShelf(place / "alias")}, ServingSettings(**json.loads(sys.argv[2])), folder=place)  # type: ignore[dict-item]
