"""Profiles and label cohorts -> measurements, alarms and a verdict on the data, within one false-alarm budget.

Pure: state in, state out. Must never act, wait, read a clock or draw a random number.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from healerd.detectors.budget import limits, promise
from healerd.detectors.distances import show_distances
from healerd.detectors.drift import detect_drift, detect_score_drift
from healerd.detectors.harm import detect_harm, error_limit, is_known, usual_error
from healerd.detectors.observation import Detector, Observation, State
from healerd.detectors.paired import Gain, p_error_high, paired_gain
from healerd.detectors.quality import detect_quality, quality
from healerd.detectors.regret import detect_regret
from healerd.detectors.settings import DetectionSettings
from healerd.detectors.yardstick import Yardstick, make_yardstick
from healerd.model import Cohort, Measurement, Quality, Reference, Rival, Window
from healerd.profiles import Profile

__all__ = [
    "DETECTORS",
    "DetectionSettings",
    "Detector",
    "Gain",
    "Measured",
    "Observation",
    "State",
    "Yardstick",
    "error_limit",
    "is_known",
    "limits",
    "make_yardstick",
    "measure",
    "p_error_high",
    "paired_gain",
    "promise",
    "quality",
    "resets",
    "usual_error",
]

DETECTORS: Mapping[str, Detector] = {
    "harm": detect_harm,
    "regret": detect_regret,
    "quality": detect_quality,
    "drift": detect_drift,
    "score": detect_score_drift,
    "distances": show_distances,
}
"""Every detector by the name its state is kept under."""


KEPT_UNDER: Mapping[str, str] = {"harm": "key", "regret": "key", "drift": "reference", "score": "reference"}
"""Where a detector's state says what its evidence is kept under: a version and its error, or a reference."""


FRESH: Mapping[str, str] = {
    "key": "another version serves, or it is held against another error",
    "reference": "another reference is in force",
}


def resets(before: State, after: State) -> dict[str, str]:
    """Name the detectors whose evidence began afresh, and why: what it is kept under has changed, or the alarm ended.

    An alarm that ends lets go of its evidence, so that the next one pays its own way.
    """
    found = {}
    for name, key in KEPT_UNDER.items():
        old, new = before.get(name) or {}, after.get(name) or {}
        if not old or not new:
            continue
        if old.get(key) != new.get(key):
            found[name] = FRESH[key]
        elif old.get("alarm") and not new.get("alarm"):
            found[name] = "its alarm ended"
    return found


class Measured(NamedTuple):
    """What one window amounted to, and what the detectors keep for the next."""

    measurements: tuple[Measurement, ...]
    quality: Quality
    reasons: tuple[str, ...]
    state: State


def measure(
    *,
    window: Window,
    profile: Profile,
    yardstick: Yardstick,
    reference: Reference,
    cohorts: Sequence[Cohort],
    rivals: Sequence[Rival] = (),
    stored: Collection[str] = (),
    settings: DetectionSettings,
    state: State,
    duplicates: int | None = None,
    detectors: Mapping[str, Detector] = DETECTORS,
) -> Measured:
    """Run every detector on one window, once; `state` is what the last window left, `{}` at first.

    `reference` is that of the version now active; `cohorts` are those that matured in this window, each given once, and
    `rivals` how the `stored` versions did on them.
    """
    assert profile.maps_id == yardstick.reference.maps.id, "a profile and a reference of different cell maps"
    seen = Observation(
        window=window,
        profile=profile,
        yardstick=yardstick,
        reference=reference,
        cohorts=tuple(cohorts),
        rivals=tuple(rivals),
        stored=frozenset(stored),
        duplicates=duplicates,
        settings=settings,
        log_limits=limits(settings.false_alarms_per_year, settings.window_s, settings.weights),
    )
    told = {name: detect(seen, state.get(name, {})) for name, detect in detectors.items()}
    measurements = tuple(one for found, _ in told.values() for one in found)
    verdict, reasons = quality(measurements, rows_min=settings.rows_min)
    return Measured(measurements, verdict, reasons, {name: dict(kept) for name, (_, kept) in told.items()})
