"""Judge the series detector by the rules of the Numenta Anomaly Benchmark (Lavin and Ahmad, 2015).

    python -m experiments.nab [--profile standard|reward_low_fp|reward_low_fn]

Prints one JSON object: the normalised score at the best single threshold for all files (as the benchmark does), the
score at the detector's own threshold, microseconds of CPU a point, and each file's windows found and false alarms. The
data is taken from $HEALERD_DATA/nab (default: ../shared/data/nab beside the checkout).
"""

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from healerd.detectors.series import SeriesSettings, look_through
from healerd.sources.series import read_series

PROFILES = {"standard": (0.11, 1.0), "reward_low_fp": (0.22, 1.0), "reward_low_fn": (0.11, 2.0)}
"""Cost of a false alarm and of a missed window; a window found in time is worth up to 1."""
PROBATION, PROBATION_POINTS = 0.15, 750
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One file: what an alarm at each point is worth (in a window: what it gains), and the window each lies in."""

    name: str
    scores: Floats
    worth: Floats
    window: npt.NDArray[np.intp]
    windows: int


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--profile", choices=PROFILES, default="standard")
    profile = PROFILES[parser.parse_args().profile]
    folder = Path(os.environ.get("HEALERD_DATA", Path(__file__).parents[2] / "shared" / "data")) / "nab"
    if not folder.is_dir():
        print(f"no benchmark data in `{folder}`: name the folder that holds `nab` with HEALERD_DATA", file=sys.stderr)
        return 1
    spans = json.loads((folder / "windows.json").read_text())
    points = {name: read(folder / name) for name in sorted(spans)}
    began = time.process_time()
    scored = {name: np.array([each.score for each in look_through(found)]) for name, found in points.items()}
    cpu_s = time.process_time() - began
    files = [judge(name, scored[name], times(folder / name), spans[name]) for name in sorted(spans)]
    default = SeriesSettings().threshold
    thresholds = np.unique(np.concatenate([each.scores for each in files]))
    best = max(thresholds.tolist(), key=lambda threshold: normalised(files, threshold, profile))
    found = {
        "score": round(normalised(files, best, profile), 2),
        "best_threshold": round(best, 4),
        "score_at_default": round(normalised(files, default, profile), 2),
        "default_threshold": default,
        "us_a_point": round(1e6 * cpu_s / sum(len(each.scores) for each in files), 1),
        "files": {each.name: told(each, default) for each in files},
    }
    print(json.dumps(found, indent=2))
    return 0


def read(path: Path) -> list[tuple[float, float]]:
    """The points as the detector takes them: seconds since 1970, and values."""
    found = read_series(path)
    return list(zip((found.at.astype("int64") / 1e6).tolist(), found.values.tolist(), strict=True))


def times(path: Path) -> list[str]:
    """The times as the file has them."""
    with path.open(newline="") as file:
        return [row["timestamp"][:19] for row in csv.DictReader(file)]


def judge(name: str, scores: Floats, at: Sequence[str], spans: Sequence[tuple[str, str]]) -> Judged:
    """Lay the windows over a file; the first points are a probation in which nothing counts."""
    place = {moment: index for index, moment in enumerate(at)}
    worth, window = np.full(len(at), -1.0), np.full(len(at), -1, np.intp)
    ends = [(place[first[:19]], place[last[:19]]) for first, last in spans]
    for number, (first, last) in enumerate(ends):
        width = last - first + 1
        inside = np.arange(first, last + 1)
        worth[inside] = sigmoid((inside - last - 1) / width) / sigmoid(np.array(-1.0))
        window[inside] = number
        after = np.arange(last + 1, ends[number + 1][0] if number + 1 < len(ends) else len(at))
        worth[after] = sigmoid((after - last) / max(width - 1, 1))
    begin = int(min(PROBATION * len(at), PROBATION_POINTS))
    return Judged(name=name, scores=scores[begin:], worth=worth[begin:], window=window[begin:], windows=len(spans))


def sigmoid(position: Floats) -> Floats:
    """2 / (1 + exp(5 y)) - 1: near 1 at a window's beginning, 0 at its end, -1 far behind it."""
    return np.where(position > 3, -1.0, 2 / (1 + np.exp(5 * np.minimum(position, 3.0))) - 1)


def normalised(files: Sequence[Judged], threshold: float, profile: tuple[float, float]) -> float:
    """0 for a detector that never alarms, 100 for one that finds every window at its beginning and nothing else."""
    false_alarm, missed = profile
    total = sum(each.windows for each in files)
    raw = 0.0
    for each in files:
        told_at = each.scores >= threshold
        raw += false_alarm * float(each.worth[told_at & (each.window < 0)].sum())
        for number in range(each.windows):
            gains = each.worth[told_at & (each.window == number)]
            raw += float(gains.max()) if len(gains) else -missed
    return 100 * (raw + missed * total) / (total + missed * total)


def told(each: Judged, threshold: float) -> dict[str, int]:
    """How many windows a file has, how many are found, and how many alarms are false, at one threshold."""
    alarms = each.scores >= threshold
    hit = set(each.window[alarms].tolist()) - {-1}
    return {"windows": each.windows, "found": len(hit), "false": int((alarms & (each.window < 0)).sum())}


if __name__ == "__main__":
    sys.exit(main())
