"""One false-alarm budget for the whole model: from alarms a year to the line each layer's evidence must cross.

Must never be spent twice: layers share it by weight, and a layer's cells share it by averaging.
"""

import math
from collections.abc import Mapping

from healerd.detectors.settings import DetectionSettings
from healerd.model import Layer

__all__ = ["ASSUMPTIONS", "YEAR_S", "limits", "promise"]

YEAR_S = 365.25 * 86400

ASSUMPTIONS: Mapping[Layer, tuple[str, ...]] = {
    Layer.HARM: (
        "rows within a window err independently, but for the reference's own variance between windows",
        "the reference error was measured on rows like today's that did not train the model",
    ),
    Layer.REGRET: (
        "rows within a window differ independently, but for the reference's own variance between windows",
        "a stored version trained on none of the rows it is compared on",
    ),
    Layer.QUALITY: ("healthy rates stay within the tolerance of what the reference's windows showed",),
    Layer.DRIFT: (
        "rows within a window are independent, but for the reference's own variance between windows",
        "the reference was drawn from the healthy law",
    ),
    Layer.SCORE: (
        "rows within a window are independent, but for the reference's own variance between windows",
        "the reference was drawn from the healthy law",
    ),
}
"""What each layer's promise rests on; every measurement carries its layer's (SAFETY S20)."""


def limits(false_alarms_per_year: float, window_s: float, weights: Mapping[Layer, float]) -> dict[Layer, float]:
    """The logarithm of A for each layer: a mean of at least A windows passes before its first false alarm.

    A = windows a year / (alarms a year * weight). As the weights add up to 1, so do the layers' alarms to the budget:
    E[alarms in n windows] <= n sum(1 / A). Not below e, so that a single unlucky row is no evidence.

    >>> round(limits(1.0, 1800.0, {Layer.HARM: 0.5})[Layer.HARM], 2)
    10.46
    """
    windows = YEAR_S / window_s
    return {layer: max(1.0, math.log(windows / (false_alarms_per_year * weight))) for layer, weight in weights.items()}


def promise(settings: DetectionSettings) -> str:
    """Say in words what the budget promises, with its probability and assumptions (SAFETY S20)."""
    said = sorted({said for layer in settings.weights for said in ASSUMPTIONS[layer]})
    return (
        f"false alarms: on average at most {settings.false_alarms_per_year:g} a year for the whole model, "
        f"with probability {1 - settings.delta:g} over the year's references; assuming that {'; '.join(said)}"
    )
