"""From a Parquet file to a profile: rows a second with 20 features, beside plain DuckDB reading of the same columns.

CPU time, interleaved, medians; memory is the peak of a process of its own that counts one part, and all of them. With
`distributed` installed, the same on a Dask cluster of one worker and of two, on loopback.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import duckdb

from healerd.config import SourceSettings, WorkersSettings
from healerd.segments.duck import connection
from healerd.sources import fit_maps, parts_of, profile_parts
from healerd.workers import crew_of

ROWS, FEATURES = 2_000_000, 20
AT_LEAST = 1_000_000
GROWTH_MAX = 1.3
REPETITIONS = 3
START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(seconds=ROWS)
SETTINGS = SourceSettings(path="rows.parquet", id="id")


def main() -> bool:
    """Print one JSON line a claim; True if all held."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder)
        rows = [_speed(folder), _memory(folder), _processes(folder), *_cluster(folder)]
    for row in rows:
        print(json.dumps(row))
    return all(row["held"] is not False for row in rows)


def _write(folder: Path) -> None:
    listed = ", ".join(f"(hash(i * {k + 3}) % 1000003) / 1000003.0 AS f{k}" for k in range(FEATURES))
    sql = f"""SELECT TIMESTAMP '2026-01-01' + INTERVAL (i) SECOND AS time, i AS id, (i % 2)::DOUBLE AS prediction,
            {listed}
        FROM range({ROWS}) r(i)"""
    with duckdb.connect(":memory:") as duck:
        duck.execute(f"COPY ({sql}) TO '{folder / 'rows.parquet'}' (FORMAT parquet)")


def _speed(folder: Path) -> dict[str, object]:
    parts = parts_of(SETTINGS, folder, START, END)
    maps = fit_maps(parts)
    names = ", ".join(f"f{k}" for k in range(FEATURES))
    plain = f"SELECT {names} FROM read_parquet('{folder / 'rows.parquet'}')"
    ours, theirs = [], []
    for _ in range(REPETITIONS):
        ours.append(_cpu_s(lambda: profile_parts(parts, maps)))
        theirs.append(_cpu_s(lambda: connection().execute(plain).fetchnumpy()))
    rate = ROWS / median(ours)
    return {
        "bench": f"source to profile: {ROWS:,} rows x {FEATURES} features from Parquet, one process",
        "peer": "DuckDB reads the same columns into numpy",
        "rows_a_second": round(rate),
        "peer_rows_a_second": round(ROWS / median(theirs)),
        "ratio": round(median(theirs) / median(ours), 2),
        "at_least": AT_LEAST,
        "held": rate >= AT_LEAST,
    }


def _cpu_s(f: Callable[[], object]) -> float:
    began = time.process_time()
    f()
    return time.process_time() - began


def _memory(folder: Path) -> dict[str, object]:
    """The peak of a process that counts everything, against one that counts an eighth."""
    one, all_ = (_peak_mb(folder, share) for share in (8, 1))
    return {
        "bench": "memory from source to profile, an eighth of the rows and all of them",
        "mb": [one, all_],
        "at_most": GROWTH_MAX,
        "held": all_ <= GROWTH_MAX * one,
    }


def _peak_mb(folder: Path, share: int) -> int:
    command = [sys.executable, "-c", f"from experiments.bench.sources import peak; peak({str(folder)!r}, {share})"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout)


def peak(folder: str, share: int) -> None:
    """Count a share of the rows and print the peak of this process's memory, in MB."""
    parts = parts_of(SETTINGS, Path(folder), START, END)
    profile_parts(parts[: len(parts) // share], fit_maps(parts))
    # Not `ru_maxrss`: it begins at the peak of the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    print(next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) // 1024)


def _processes(folder: Path) -> dict[str, object]:
    return _wall(folder, "two processes of this machine", WorkersSettings(processes=2))


def _wall(folder: Path, name: str, settings: WorkersSettings) -> dict[str, object]:
    """Wall time, the workers' start included: an upper bound on a machine that others use too."""
    parts = parts_of(SETTINGS, folder, START, END)
    maps = fit_maps(parts)
    began = time.perf_counter()
    profile_parts(parts, maps, crew_of(settings))
    spent = time.perf_counter() - began
    return {"bench": f"source to profile, {name}, wall time", "rows_a_second": round(ROWS / spent), "held": None}


def _cluster(folder: Path) -> list[dict[str, object]]:
    try:
        from distributed import LocalCluster
    except ImportError:
        print("skipped: the extra `dask` is not installed, and a cluster proves nothing here", file=sys.stderr)
        return []
    found = []
    for count in (1, 2):
        with LocalCluster(count, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
            settings = WorkersSettings(scheduler=cluster.scheduler_address, processes=count)
            _wall(folder, "warm", settings)
            found.append(_wall(folder, f"a Dask cluster of {count}, warm", settings))
    return found
