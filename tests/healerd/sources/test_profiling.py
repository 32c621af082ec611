import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from healerd.config import SourceSettings, WorkersSettings
from healerd.errors import ConfigError, SourceError
from healerd.profiles import Maps, profile, to_bytes
from healerd.sources import Part, TableSource, fit_maps, parts_of, profile_parts
from healerd.workers import Crew, crew_of, open_workers

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ROWS = 5_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sql = f"""SELECT TIMESTAMP '2026-01-01' + INTERVAL (i * 3) SECOND AS time, (i * 7919 % 1009)::DOUBLE AS a,
        CASE WHEN i % 17 > 0 THEN i / 3.0 END AS b, 'c' || (i % 5) AS c, 1.0 AS prediction FROM range({ROWS}) r(i)"""
    with duckdb.connect(":memory:") as duck:
        duck.execute(f"COPY ({sql}) TO '{tmp_path / 'rows.parquet'}'")
    return tmp_path


def cut(folder: Path, rows: int = 600) -> tuple[list[Part], Maps]:
    parts = list(parts_of(SourceSettings(path="rows.parquet"), folder, START, START + DAY, rows=rows))
    return parts, fit_maps(parts)


def whole(folder: Path, maps: Maps) -> bytes:
    source = TableSource(SourceSettings(path="rows.parquet"), folder, lambda: "v1")
    return to_bytes(profile(source.fetch(START, START + DAY).features, maps))


@pytest.mark.parametrize("rows", [1, 7, 600, 10 * ROWS])
def test_parts_add_up_to_the_whole(folder: Path, rows: int) -> None:
    """However a stretch is cut, its parts' counts are those of all its rows, bit for bit."""
    parts, maps = cut(folder, max(rows, 50))
    assert to_bytes(profile_parts(parts, maps)) == whole(folder, maps)


def test_processes_count_as_one_would(folder: Path) -> None:
    """Two processes of this machine give the profile of one."""
    parts, maps = cut(folder)
    assert to_bytes(profile_parts(parts, maps, crew_of(WorkersSettings(processes=2)))) == whole(folder, maps)


class Killing(ThreadPoolExecutor):
    """Hands tasks to a pool of processes, and kills one of them after some."""

    def __init__(self, pool: ProcessPoolExecutor, after: int) -> None:
        super().__init__(1)
        self.pool, self.left = pool, after

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = self.pool.submit(fn, *args, **kwargs)
        self.left -= 1
        if self.left == 0:
            future.result()
            os.kill(next(iter(self.pool._processes)), signal.SIGKILL)
            while not self.pool._broken:  # else the other one may do what is left before anybody notices
                time.sleep(0.001)
        return future


def test_a_process_that_is_killed_changes_nothing(folder: Path) -> None:
    """A worker killed in the middle breaks its pool; a fresh one does the rest, and the profile is the same."""
    parts, maps = cut(folder)
    opened: list[int] = []

    @contextmanager
    def pool() -> Iterator[Executor]:
        opened.append(1)
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as found:
            yield Killing(found, 3 if len(opened) == 1 else 1000)

    assert to_bytes(profile_parts(parts, maps, Crew(open=pool, size=2))) == whole(folder, maps)
    assert len(opened) == 2


def test_no_more_parts_are_under_way_than_workers_need(folder: Path) -> None:
    """Memory is bounded: at most two parts a worker are submitted and not yet merged."""
    parts, maps = cut(folder, rows=100)
    under_way: list[int] = []

    class Watching(ThreadPoolExecutor):
        waiting = 0

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            self.waiting += 1
            under_way.append(self.waiting)
            future = super().submit(fn, *args, **kwargs)
            read = future.result

            def result(timeout: float | None = None) -> Any:
                self.waiting -= 1
                return read(timeout)

            future.result = result  # type: ignore[method-assign]
            return future

    profile_parts(parts, maps, Crew(open=lambda: Watching(2), size=2))
    assert len(parts) > 40
    assert max(under_way) <= 4


def test_a_part_that_cannot_be_read_is_told(folder: Path) -> None:
    """An error in a worker is the error of the whole, with its words."""
    parts, maps = cut(folder)
    (folder / "rows.parquet").unlink()
    with pytest.raises(SourceError, match=r"rows\.parquet"):
        profile_parts(parts, maps, Crew(open=lambda: ThreadPoolExecutor(2), size=2))


def test_a_stretch_without_rows_is_told(folder: Path) -> None:
    """Where there is nothing to count, the error says where was looked."""
    with pytest.raises(SourceError, match="2025-12-31"):
        parts_of(SourceSettings(path="rows.parquet"), folder, START - DAY, START)


def test_a_scheduler_without_the_extra_is_told(folder: Path) -> None:
    """A cluster that is named where Dask is not installed is an error that names the extra."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigError, match=r"healerd\[dask\]"), open_workers(WorkersSettings(scheduler="tcp://x:1")):
            pass
