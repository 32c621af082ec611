"""The files that reports are tested on: a small served model, with whatever is to be wrong with it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

START = np.datetime64("2026-01-01T00:00:00")
COLUMNS = ("time", "speed", "lane", "score", "prediction", "label")


def seeded(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def served(
    days: int, *, start: int = 0, rows: int = 200, seed: int = 1, shift: float = 0.0, flips: float = 0.0
) -> dict[str, np.ndarray]:
    """Rows of some days; from the middle on speeds are shifted, and labels flipped with a probability."""
    rng, n = seeded(seed), days * rows
    late = np.arange(n) >= n // 2
    speed = np.round(rng.normal(90, 10, n) + shift * late, 3)
    lane = rng.choice(np.array(["left", "mid", "right"], object), n, p=[0.5, 0.2, 0.3])
    p = 1 / (1 + np.exp(-(speed - 90) / 5 - (lane == "left")))
    label = (rng.random(n) < p).astype(int)
    flip = late & (rng.random(n) < flips)
    at = START + np.timedelta64(start, "D") + (np.arange(n) * (86_400 / rows)).astype("timedelta64[s]")
    return {
        "time": np.array([f"{each}Z" for each in at], object),
        "speed": speed,
        "lane": lane,
        "score": np.round(p, 4),
        "prediction": (p >= 0.5).astype(int),
        "label": np.where(flip, 1 - label, label),
    }


def write(path: Path, columns: Mapping[str, np.ndarray]) -> Path:
    names = list(columns)
    lines = (
        ",".join("" if v is None or v != v else str(v) for v in row) for row in zip(*columns.values(), strict=True)
    )
    path.write_text(",".join(names) + "\n" + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def changed(columns: Mapping[str, np.ndarray], name: str, change: Callable[[np.ndarray], np.ndarray]) -> dict:
    return {**columns, name: change(columns[name].astype(object))}
