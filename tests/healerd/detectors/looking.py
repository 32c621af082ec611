"""What the detectors' tests look with: a reference, observations and cohorts, valid by default."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from healerd.detectors import DetectionSettings, Observation, Yardstick, make_yardstick
from healerd.model import Cohort, Layer, Reference, Window
from healerd.profiles import fit, make_reference, profile

START = datetime(2025, 1, 1, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
SETTINGS = DetectionSettings(window_s=1800.0)


def seeded(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def a_window(k: int = 0) -> Window:
    return Window(pipeline="p", start_at=START + k * HALF_HOUR, end_at=START + (k + 1) * HALF_HOUR)


def a_reference(**fields) -> Reference:
    usual = {
        "id": "r",
        "pipeline": "p",
        "version": "v1",
        "at": START,
        "error": 0.1,
        "error_rows": 10_000,
        "rows": 10_000,
        "start_at": START - timedelta(days=1),
        "end_at": START,
    }
    return Reference(**{**usual, **fields})


def a_cohort(k: int = 0, *, wrong: float = 20.0, **fields) -> Cohort:
    usual = {
        "pipeline": "p",
        "version": "v1",
        "window_start_at": START + k * HALF_HOUR,
        "window_end_at": START + (k + 1) * HALF_HOUR,
        "mature_at": START + (k + 2) * HALF_HOUR,
        "rows": 200,
        "labelled": 200,
        "loss_sum": float(wrong),
    }
    return Cohort(**{**usual, **fields})


def a_yardstick(
    columns: Mapping[str, np.ndarray], *, windows: int = 1, scores: tuple[str, ...] = (), settings=SETTINGS
) -> Yardstick:
    maps = fit(columns, scores=scores)
    rows = len(next(iter(columns.values())))
    shards = [
        {name: column[part] for name, column in columns.items()} for part in np.array_split(np.arange(rows), windows)
    ]
    return make_yardstick(make_reference(maps, [profile(one, maps) for one in shards]), settings)


def without_margin(yardstick: Yardstick) -> Yardstick:
    return replace(yardstick, features=tuple(replace(one, margin=0.0) for one in yardstick.features))


def an_observation(
    yardstick: Yardstick, columns: Mapping[str, np.ndarray], *, k: int = 0, target: float = 17520.0, **fields
) -> Observation:
    """Window `k` with these columns; each layer's A is `target`."""
    usual = {
        "window": a_window(k),
        "profile": profile(columns, yardstick.reference.maps),
        "yardstick": yardstick,
        "reference": a_reference(),
        "cohorts": (),
        "rivals": (),
        "stored": frozenset(),
        "duplicates": None,
        "settings": SETTINGS,
        "log_limits": {layer: math.log(target) for layer in Layer},
    }
    return Observation(**{**usual, **fields})
