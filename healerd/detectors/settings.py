"""What the detectors may be told, each number with its unit and its reason. Must never hold anything that changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from healerd.model import Layer

__all__ = ["WEIGHTS", "DetectionSettings"]

WEIGHTS: Mapping[Layer, float] = {
    Layer.HARM: 0.3,
    Layer.REGRET: 0.3,
    Layer.QUALITY: 0.2,
    Layer.DRIFT: 0.1,
    Layer.SCORE: 0.1,
}
"""Shares of the false-alarm budget; most goes to the two layers that judge by labels. They add up to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionSettings:
    """How changes are told from chance. The first two come from the daemon and the pipeline, the rest have defaults."""

    window_s: float
    """Length of a window in seconds: how often the detectors look."""
    false_alarms_per_year: float = 1.0
    """Mean number of false alarms a year for the whole model, all layers together."""
    weights: Mapping[Layer, float] = field(default_factory=lambda: WEIGHTS)
    """Each layer's share of that budget."""
    tolerance: float = 0.02
    """Rise of the error, in points of share, that is not worth acting on."""
    drift_tolerance: float = 0.0
    """KS distance of a feature's law from its healthy law that is not worth a warning."""
    delta: float = 0.01
    """Probability per year that the finite reference misleads; split over features and references."""
    references_per_year: int = 12
    """References that delta is split over: each promoted version brings one, and promotions are a monthly matter."""
    label_coverage: float = 0.95
    """Share of a cohort that must be labelled at maturity for its error to be known (SAFETY S12)."""
    rate_tolerance: float = 0.05
    """Points of share by which a rate of bad values may exceed what healthy windows showed; new routes, new names."""
    scale_tolerance: float = 1.25
    """Factor of all quartiles that healthy windows do not reach beyond their habit; units differ by more."""
    rows_tolerance: float = 3.0
    """Factor below the emptiest and above the fullest healthy window: weekends and holidays lie well within."""
    rows_min: int = 20
    """Fewest rows that can show data to be bad; of a smaller window the quality is unknown."""

    def __post_init__(self) -> None:
        assert self.window_s > 0
        assert self.false_alarms_per_year > 0
        assert 0 < self.delta < 1
        assert self.references_per_year >= 1
        assert self.scale_tolerance > 1
        assert self.rows_tolerance > 1
        assert all(self.weights.get(layer, 0) > 0 for layer in WEIGHTS), "each layer has a share"
        assert abs(sum(self.weights.values()) - 1) < 1e-9, "the layers share one budget"
