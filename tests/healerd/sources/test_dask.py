"""A real scheduler and real workers on loopback; skipped where the extra `dask` is not installed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from healerd.config import WorkersSettings
from healerd.errors import SourceError
from healerd.offline.inspection import Columns, InspectOptions, inspect_file
from healerd.offline.inspection.contract import inspection_json
from healerd.profiles import to_bytes
from healerd.sources import profile_parts
from healerd.workers import Crew, crew_of, open_workers
from tests.healerd.offline.inspection.files import served, write
from tests.healerd.sources.test_profiling import cut, folder, whole

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore")
__all__ = ["folder"]

PATIENCE_S = 60.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list["subprocess.Popen[bytes]"]]]:
    """A scheduler and two workers, each a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    place = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    started = [
        subprocess.Popen(
            [*dask, "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(place)],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
    ]
    try:
        until = time.monotonic() + PATIENCE_S
        while not place.exists() and time.monotonic() < until:
            time.sleep(0.1)
        with distributed.Client(scheduler_file=str(place)) as client:
            address = client.scheduler.address
            worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
            worker += ["--no-nanny", "--host", "127.0.0.1", "--local-directory", str(tmp_path / "spill")]
            started += [subprocess.Popen(worker, env=environment, stderr=subprocess.DEVNULL) for _ in range(2)]
            client.wait_for_workers(2, timeout=PATIENCE_S)
        yield address, started[1:]
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_a_cluster_counts_as_one_machine_would_though_a_worker_dies(
    folder: Path, cluster: tuple[str, list["subprocess.Popen[bytes]"]]
) -> None:
    """A worker killed in the middle: its parts are counted elsewhere, and the profile is that of one process."""
    address, workers = cluster
    parts, maps = cut(folder, rows=50)
    crew = crew_of(WorkersSettings(scheduler=address, processes=2))
    assert to_bytes(profile_parts(parts, maps, crew)) == whole(folder, maps)
    killed = threading.Timer(0.3, lambda: workers[0].send_signal(signal.SIGKILL))
    killed.start()
    found: Any = profile_parts(parts * 6, maps, crew)
    assert not killed.is_alive(), "it died in the middle"
    assert workers[0].wait(PATIENCE_S) == -signal.SIGKILL
    assert to_bytes(found) == to_bytes(profile_parts(parts * 6, maps))


def test_a_report_is_that_of_one_process_though_a_worker_dies(
    tmp_path: Path, cluster: tuple[str, list["subprocess.Popen[bytes]"]]
) -> None:
    """Windows counted and segments walked on a cluster, of which a worker is killed in the middle: the same report."""
    address, workers = cluster
    usual = write(tmp_path / "usual.csv", served(20, seed=1))
    file = write(tmp_path / "found.csv", served(20, start=30, seed=2, shift=4.0, flips=0.2))
    names = Columns(label="label", prediction="prediction", score="score", time="time")
    options = InspectOptions(file=file, reference=usual, columns=names, segment="lane", window_s=21_600.0)
    crew, killed = crew_of(WorkersSettings(scheduler=address, processes=2)), threading.Event()

    @contextmanager
    def opened() -> Iterator[Any]:
        assert crew.open is not None
        with crew.open() as executor:
            submit = executor.submit

            def submit_and_kill(*given: Any, **named: Any) -> Any:
                if not killed.is_set() and len(calls) == 2:
                    killed.set()
                    workers[0].send_signal(signal.SIGKILL)
                calls.append(1)
                return submit(*given, **named)

            executor.submit = submit_and_kill
            yield executor

    calls: list[int] = []
    found = inspection_json(inspect_file(options, Crew(open=opened, size=2)))
    assert workers[0].wait(PATIENCE_S) == -signal.SIGKILL
    assert json.dumps(found) == json.dumps(inspection_json(inspect_file(options)))


def test_a_scheduler_that_is_away_is_told() -> None:
    """An address where no scheduler answers is an error that names it, after some seconds."""
    settings = WorkersSettings(scheduler="tcp://127.0.0.1:9")
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:9"), open_workers(settings):
        pass
