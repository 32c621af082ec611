"""The gateway against MLServer and against a bare starlette application, all with one model, over real sockets.

Each server is a process; the load comes from another (`peers/load.py`). The servers take turns, round after round, and
medians over the rounds are compared, since a busy machine is slow for everybody at once. Must never count a peer that
cannot be had as beaten, nor leave the recording out of the gateway.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from experiments.environments import MLSERVER, ask, environment
from healerd.actions import Draft, FolderRegistry
from healerd.actions.model_files import MatrixModel
from healerd.model import VersionKind
from healerd.offline.tied import tied

PEERS = Path(__file__).parent / "peers"
FEATURES, ROUNDS, SECONDS = 10, 5, 2.0
CONNECTIONS, BATCHES = (1, 8, 64), (1, 32, 1000)
AT = datetime(2026, 1, 1, tzinfo=UTC)
Figures = Mapping[str, Any]

MLSERVER_SETTINGS = {"parallel_workers": 0, "debug": False, "metrics_port": 0, "host": "127.0.0.1"}
"""Its model in its own process: with a worker beside it, a request of one row takes it longer."""
FIT = """
import json, sys, joblib, numpy as np
from sklearn.linear_model import LogisticRegression
asked = json.load(sys.stdin)
model = LogisticRegression().fit(np.array(asked["x"]), np.array(asked["y"]))
joblib.dump(model, asked["path"])
print(json.dumps({"coefficients": model.coef_.tolist()}))
"""


def main() -> bool:
    """Print one JSON line a claim; True if none that could be measured failed."""
    held = []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        for row in _claims(Path(folder), stack):
            print(json.dumps(row), flush=True)
            held.append(row["held"] is not False)
    return all(held)


def _claims(folder: Path, stack: contextlib.ExitStack) -> Iterator[dict[str, Any]]:
    registry, x, y = _models(folder / "registry" / "m")
    ports = {"healerd": _free_port(), "bare": _free_port()}
    stack.enter_context(_running(_gateway(folder, ports["healerd"]), ports["healerd"], "/v2/health/ready"))
    bare = [sys.executable, str(PEERS / "bare.py"), str(folder / "registry" / "m"), str(ports["bare"])]
    stack.enter_context(_running(bare, ports["bare"], "/"))
    reason = _with_mlserver(folder, stack, ports, x, y)
    found = {key: _rounds(ports, *key) for key in _settings()}
    for (connections, batch), servers in found.items():
        yield from _lines(connections, batch, servers, reason)
    yield from _swaps(registry, ports["healerd"])


def _settings() -> list[tuple[int, int]]:
    return [*((connections, 1) for connections in CONNECTIONS), *((8, batch) for batch in BATCHES if batch > 1)]


def _lines(connections: int, batch: int, servers: Figures, reason: str) -> Iterator[dict[str, Any]]:
    """Compare one setting: the rate with MLServer's, the median time with the bare application's."""
    base = {"bench": "serving", "connections": connections, "batch": batch}
    ours = servers["healerd"]
    for name, found in servers.items():
        yield {**base, "server": name, **{key: round(value, 3) for key, value in found.items()}, "held": None}
    if "mlserver" in servers:
        ratio = ours["rows_per_s"] / servers["mlserver"]["rows_per_s"]
        bar = 2.0 if batch == 1 else None
        held = None if bar is None else ratio >= bar
        yield {**base, "claim": "rate over MLServer's", "ratio": round(ratio, 2), "bar": bar, "held": held}
    else:
        yield {**base, "claim": "rate over MLServer's", "skipped": reason, "held": None}
    overhead = ours["p50_ms"] / servers["bare"]["p50_ms"] - 1
    bar = 0.15 if (connections, batch) == (1, 1) else None
    held = None if bar is None else overhead <= bar
    yield {**base, "claim": "p50 over the bare app's", "overhead": round(overhead, 3), "bar": bar, "held": held}


def _rounds(ports: Mapping[str, int], connections: int, batch: int) -> dict[str, Figures]:
    """Load the servers in turn; the medians of each."""
    found: dict[str, list[Figures]] = {name: [] for name in ports}
    for _ in range(ROUNDS):
        for name, port in ports.items():
            found[name].append(_load(port, connections=connections, batch=batch))
    return {
        name: {key: median(each[key] for each in rounds) for key in ("rows_per_s", "p50_ms", "p99_ms")}
        | {"lost": sum(each["lost"] for each in rounds)}
        for name, rounds in found.items()
    }


def _load(port: int, *, connections: int, batch: int, seconds: float = SECONDS) -> dict[str, Any]:
    rng = np.random.default_rng(batch)  # noqa: TID251
    bodies = [_body(rng.normal(size=(batch, FEATURES))) for _ in range(16)]
    asked = {
        "port": port,
        "path": "/v2/models/m/infer",
        "headers": {"Content-Type": "application/json"},
        "bodies": bodies,
        "connections": connections,
        "seconds": seconds,
    }
    found, reason = ask(Path(sys.executable), PEERS / "load.py", asked)
    assert found is not None, reason
    return {
        "rows_per_s": found["asked"] * batch / found["seconds"],
        "p50_ms": found["p50"] * 1e3,
        "p99_ms": found["p99"] * 1e3,
        "lost": found["lost"],
        "asked": found["asked"],
    }


def _body(x: Any) -> str:
    tensor = {"name": "x", "datatype": "FP64", "shape": list(x.shape), "data": x.ravel().tolist()}
    return json.dumps({"inputs": [tensor]})


def _swaps(registry: FolderRegistry, port: int) -> Iterator[dict[str, Any]]:
    """Move the alias twice a second under load; compare with the same load at rest."""
    at_rest = [_load(port, connections=8, batch=1, seconds=4.0) for _ in range(3)]
    swapped = []
    for turn in range(3):
        ends = threading.Event()
        moving = threading.Thread(target=_move, args=(registry, ends, turn))
        moving.start()
        swapped.append(_load(port, connections=8, batch=1, seconds=4.0))
        ends.set()
        moving.join()
    lost = sum(each["lost"] for each in swapped)
    added = median(each["p99_ms"] for each in swapped) - median(each["p99_ms"] for each in at_rest)
    base = {"bench": "serving", "claim": "swap under load", "asked": sum(each["asked"] for each in swapped)}
    yield {**base, "lost": lost, "added_p99_ms": round(added, 2), "bar_ms": 20, "held": lost == 0 and added < 20}


def _move(registry: FolderRegistry, ends: threading.Event, turn: int) -> None:
    count = 0
    while not ends.wait(0.5):
        active = registry.alias().version
        target = "two" if active == "one" else "one"
        registry.set_alias(target, if_current=active, key=f"{turn}-{count}", epoch=0, by="bench", at=AT)
        count += 1


def _models(folder: Path) -> tuple[FolderRegistry, Any, Any]:
    """Store one model twice, so that a swap changes the version and not the work."""
    rng = np.random.default_rng(7)  # noqa: TID251
    x = rng.normal(size=(2000, FEATURES))
    y = (x.sum(axis=1) + rng.normal(size=2000) > 0).astype(int)
    registry = FolderRegistry(folder, "m")
    for name in ("one", "two"):
        model = MatrixModel(LogisticRegression().fit(x, y), tuple(f"x{index}" for index in range(FEATURES)))
        registry.add(model, Draft(name=name, kind=VersionKind.MODEL, created_at=AT))
    registry.set_alias("one", if_current=None, key="first", epoch=0, by="bench", at=AT)
    return registry, x, y


def _gateway(folder: Path, port: int) -> list[str]:
    call = "from healerd.cli import main; main()"
    where = ["--registry", str(folder / "registry"), "--record", str(folder / "served"), "--port", str(port)]
    return [sys.executable, "-c", call, "serve", *where]


def _with_mlserver(folder: Path, stack: contextlib.ExitStack, ports: dict[str, int], x: Any, y: Any) -> str:
    """Start MLServer and put its port beside the others; give the reason where it cannot be had."""
    python, reason = environment("mlserver", MLSERVER)
    if python is None:
        return reason
    place, port = folder / "mlserver", _free_port()
    place.mkdir()
    (place / "fit.py").write_text(FIT)
    fitted, reason = ask(python, place / "fit.py", {"x": x.tolist(), "y": y.tolist(), "path": str(place / "m.joblib")})
    if fitted is None:
        return reason
    settings = {**MLSERVER_SETTINGS, "http_port": port, "grpc_port": _free_port(), "metrics_port": _free_port()}
    (place / "settings.json").write_text(json.dumps(settings))
    model = {"name": "m", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "./m.joblib"}}
    (place / "model-settings.json").write_text(json.dumps(model))
    try:
        command = [str(python.parent / "mlserver"), "start", str(place)]
        stack.enter_context(_running(command, port, "/v2/models/m/ready"))
    except RuntimeError as error:
        return str(error)
    ports["mlserver"] = port
    return ""


@contextlib.contextmanager
def _running(command: list[str], port: int, path: str) -> Iterator[None]:
    """Run a server until the block ends; begin once it answers. Raises RuntimeError when it does not."""
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    own = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} if command[0] == sys.executable else {}
    env = {**os.environ, **alone, **own}
    with tempfile.TemporaryFile() as log, tied(command, log=log, env=env) as server:
        _wait(server, port, path, log)
        yield


def _wait(server: "subprocess.Popen[bytes]", port: int, path: str, log: Any) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()
            except urllib.request.HTTPError as error:
                error.close()
                if error.code == 503:
                    raise
            return
        time.sleep(0.1)
    log.seek(0)
    raise RuntimeError(f"it did not come up: {log.read()[-500:].decode(errors='replace')}")


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


if __name__ == "__main__":
    sys.exit(not main())
