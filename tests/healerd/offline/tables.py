"""Small tables for the tests of `try`: written as CSV, seeded, and drifting where a test wants it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

START = datetime(2024, 1, 1, tzinfo=UTC)


def drifting(path: Path, *, days: int = 40, rows: int = 60, turn: int | None = None, seed: int = 7) -> Path:
    """Write `days` days of `rows` rows; from the day `turn` on, the label is the opposite of what it was."""
    rng = np.random.Generator(np.random.PCG64(seed))
    lines = ["time,size,colour,wins"]
    for n in range(days * rows):
        day, place = divmod(n, rows)
        at = START + timedelta(days=day, seconds=86_000 * place / rows)
        size, colour = rng.normal(), rng.choice(["red", "green", "blue"])
        truth = (size + (colour == "red") > 0.3) ^ (rng.random() < 0.05) ^ (turn is not None and day >= turn)
        lines.append(f"{at:%Y-%m-%dT%H:%M:%S},{size:.4f},{colour},{'yes' if truth else 'no'}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def table(path: Path, head: str, *lines: str) -> Path:
    """Write a CSV of these lines."""
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path
