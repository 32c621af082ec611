"""What a detector is given at one window, and the shape all detectors share. Must never hold what a detector kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from healerd.detectors.settings import DetectionSettings
from healerd.detectors.yardstick import Yardstick
from healerd.model import Cohort, Layer, Measurement, Reference, Rival, Window
from healerd.profiles.counts import Profile

__all__ = ["Detector", "Observation", "State"]

State: TypeAlias = Mapping[str, Any]
"""What a detector keeps between windows: plain JSON values, empty at the start."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observation:
    """One window: its profile, the cohorts of labels that matured in it, and what both are held against.

    `rivals` are the `stored` versions as they did, in shadow, on those cohorts. `duplicates` counts rows of the window
    that came more than once; None when nobody counted.
    """

    window: Window
    profile: Profile
    yardstick: Yardstick
    reference: Reference
    cohorts: tuple[Cohort, ...]
    rivals: tuple[Rival, ...]
    stored: frozenset[str]
    duplicates: int | None
    settings: DetectionSettings
    log_limits: Mapping[Layer, float]


Detector: TypeAlias = Callable[[Observation, State], tuple[tuple[Measurement, ...], State]]
