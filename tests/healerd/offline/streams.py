"""Small streams made in memory, for the parts that need no file."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from healerd.columns import Column
from healerd.offline.stream import Stream
from healerd.offline.windows import DAY_S

START = datetime(2024, 1, 1, tzinfo=UTC)


def a_stream(label: Column, *, per_day: int = 10, first: int = 20, **features: Column) -> Stream:
    """Make a stream of `per_day` rows a day; without features, one that counts the rows."""
    n = len(label)
    at = np.datetime64("2024-01-01", "us") + (np.arange(n) * 86_400_000_000 // per_day).astype("timedelta64[us]")
    known_at = (at.astype("datetime64[D]") + 1).astype("datetime64[us]")
    return Stream(
        name="made",
        path=Path("made.csv"),
        sha256="0" * 64,
        columns=2 + len(features),
        at=at,
        features=features or {"place": np.arange(n, dtype=np.float64)},
        label=label,
        known_at=known_at,
        task="classification",
        window_s=DAY_S,
        first=first,
    )
