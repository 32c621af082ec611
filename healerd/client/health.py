"""How the process, its jobs and its store do. Must never call something well that was not looked at."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from shutil import disk_usage
from typing import Any

from healerd.client.asked import Asked
from healerd.client.views import Json, Reader, plain
from healerd.store import Epoch, Watermark
from healerd.store.library import DATABASE, sqlite

__all__ = ["health", "jobs_of"]

LATE_BEATS = 3
"""Ticks that may be missed before the job is called late."""


def health(reader: Reader, names: Sequence[str], at: datetime, asked: Asked) -> Json:
    """The look at the store, at who writes it, and at how far each pipeline was judged."""
    epochs = reader.find(Epoch, order="-number", limit=1)
    marks = {mark.pipeline: mark.end_at for mark in reader.find(Watermark)}
    return {
        "schema": 1,
        "at": plain(at),
        "daemon": {"state": "away"},
        "jobs": [],
        "store": _store(reader),
        "writer": {
            "epoch": epochs[0].number if epochs else None,
            "since": plain(epochs[0].at) if epochs else None,
            "pid": epochs[0].process if epochs else None,
        },
        "pipelines": [
            {"name": name, "window_end_at": plain(marks.get(name)), "behind_s": _behind_s(marks.get(name), at)}
            for name in names
        ],
        "findings": [],
        "log": [],
    }


def _behind_s(mark: datetime | None, at: datetime) -> float | None:
    """How long ago the newest judged window ended; less than a window and the ticks' distance is as it should be."""
    return None if mark is None else (at - mark).total_seconds()


def _store(reader: Reader) -> Json:
    path = reader.folder / DATABASE
    first = reader.leaves(limit=1)
    return {
        "path": str(path),
        "bytes": _size(path),
        "wal_bytes": _size(path.with_name(f"{DATABASE}-wal")),
        "free_bytes": disk_usage(reader.folder).free,
        "leaves": reader.head()[0],
        "head": reader.head()[1],
        "oldest_at": plain(first[0].at) if first else None,
        "sqlite": sqlite.sqlite_version,
    }


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


def jobs_of(daemon: Mapping[str, Any], at: datetime) -> list[Json]:
    """Say how the daemon's one job does, out of what it says about itself."""
    ticked, every_s = daemon.get("ticked_at"), daemon.get("tick_every_s")
    if every_s is None:
        return []
    since_s = None if ticked is None else (at - datetime.fromisoformat(ticked)).total_seconds()
    late = since_s is not None and since_s > LATE_BEATS * every_s
    running = daemon.get("ticking_since") is not None
    return [
        {
            "name": "tick",
            "every_s": every_s,
            "last_at": ticked,
            "next_at": daemon.get("next_tick_at"),
            "took_s": daemon.get("tick_s"),
            "lag_s": daemon.get("lag_s"),
            "state": "running" if running else ("failed" if daemon.get("failed") else ("late" if late else "ok")),
            "said": daemon.get("failed") or "",
        }
    ]
