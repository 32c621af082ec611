"""A real MLflow server on loopback, for a demo and for tests: its own environment, its data in a folder.

The server and what it needs are pinned here, and far lighter than the whole of MLflow. Must never listen to another
machine, nor outlive the block that it was started for.
"""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import httpx

from healerd.errors import ConfigError
from healerd.offline.environments import environment
from healerd.offline.tied import tied

__all__ = ["MLFLOW_SERVER", "mlflow_server", "server_python"]

MLFLOW_SERVER = (
    "mlflow-skinny==3.17.2",
    "aiohttp==3.14.5",
    "alembic==1.20.1",
    "flask==3.1.3",
    "flask-cors==6.0.5",
    "numpy<3",
    "pandas<3",
    "sqlalchemy==2.1.9",
)
"""What `mlflow server` imports to keep models in SQLite: without its pages and without what only evaluation needs."""
START_S, LOOK_S = 180.0, 0.2


def server_python() -> Path:
    """Give the Python that can run a server; makes its environment the first time. Raises ConfigError."""
    python, reason = environment("mlflow-server", MLFLOW_SERVER)
    if python is None:
        raise ConfigError(f"no MLflow server can be had: {reason}; name a running one with `mlflow:http://HOST:PORT`")
    return python


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run a server with its data in `folder`, at the same address each time; gives the address. Raises ConfigError."""
    python = server_python()
    folder.mkdir(parents=True, exist_ok=True)
    port = _port(folder / "port")
    address = f"http://127.0.0.1:{port}"
    if _answers(address):
        raise ConfigError(f"something answers at {address} already; end it, or remove `{folder / 'port'}`")
    with (
        (folder / "server.log").open("ab") as log,
        tied(_command(python, folder, port), log=log, env=_environment()) as own,
    ):
        _wait(own, address, log=folder / "server.log")
        yield address


def _command(python: Path, folder: Path, port: int) -> list[str]:
    place = folder.absolute()
    given = {
        "--backend-store-uri": f"sqlite:///{place / 'mlflow.db'}",
        "--artifacts-destination": str(place / "artifacts"),
        "--host": "127.0.0.1",
        "--port": str(port),
        "--workers": "1",
    }
    return [str(python), "-m", "mlflow", "server", *(word for pair in given.items() for word in pair)]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MLFLOW"))}
    return {**kept, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def _port(file: Path) -> int:
    """Give the port that this folder's server has; a free one the first time."""
    if file.exists():
        return int(file.read_text(encoding="utf-8"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    file.write_text(str(port), encoding="utf-8")
    return port


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health", timeout=5.0, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _wait(server: "subprocess.Popen[bytes]", address: str, *, log: Path) -> None:
    until = monotonic() + START_S
    while not _answers(address):
        if server.poll() is not None or monotonic() > until:
            said = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["nothing"])[-1]
            raise ConfigError(f"the MLflow server did not start: {said[:300]}; see `{log}`")
        sleep(LOOK_S)
