"""The same evidence for one segment of the rows alone, within the model's one false-alarm budget.

Must never spend beyond that budget: the whole keeps WHOLE_SHARE of it, the segments share the rest evenly. Each segment
then has lines of its own, A_k = A / share_k, and E[alarms in n windows] <= n sum(1 / A_k) = n / A. The mean of the
segments' R by these shares is an e-detector too, and any segment at its own line has brought that mean to A: lines of
their own alarm no sooner, and say which segment it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from healerd.detectors.drift import detect_drift, detect_score_drift
from healerd.detectors.harm import detect_harm
from healerd.detectors.observation import Detector
from healerd.detectors.quality import detect_quality
from healerd.detectors.settings import DetectionSettings
from healerd.detectors.yardstick import Yardstick
from healerd.model import Layer, Measurement, Quality, Reference

__all__ = [
    "DETECTORS_OF_SEGMENTS",
    "VERDICT",
    "WHOLE_SHARE",
    "SegmentYardstick",
    "named",
    "segment_of",
    "share_of",
    "told_of_segment",
    "unmeasured_segment",
]

WHOLE_SHARE = 0.5
"""What of the false-alarm budget, and of delta, stays with the whole model when segments are watched too."""
VERDICT = "data_quality"
"""The measurement that holds the verdict on the data: alarm True is bad, None unknown."""
SUBJECTS_TOLD = 3
"""Features of a segment that are named in an alarm, those with the most evidence."""

DETECTORS_OF_SEGMENTS: Mapping[str, Detector] = {
    "harm": detect_harm,
    "quality": detect_quality,
    "drift": detect_drift,
    "score": detect_score_drift,
}
"""What is looked for in a segment; stored versions are compared, and distances shown, for the whole alone."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentYardstick:
    """What a segment is held against; `yardstick` is None where the reference has too few rows of it."""

    name: str
    reference: Reference
    yardstick: Yardstick | None


def share_of(settings: DetectionSettings, share: float) -> DetectionSettings:
    """The settings with a part of the budget and of delta, which then hold for that part alone.

    >>> share_of(DetectionSettings(window_s=1800.0, delta=0.01), 0.5).delta
    0.005
    """
    return replace(settings, false_alarms_per_year=settings.false_alarms_per_year * share, delta=settings.delta * share)


def named(name: str, segment: str) -> str:
    """Name what was measured in a segment.

    >>> named("drift", "lane=left")
    'drift[lane=left]'
    """
    return f"{name}[{segment}]"


def segment_of(name: str) -> str | None:
    """Tell the segment that a measurement is about; None when it is about the whole."""
    return name[name.index("[") + 1 : -1] if name.endswith("]") and "[" in name else None


def told_of_segment(
    segment: str, measurements: Sequence[Measurement], quality: Quality, rows: int, *, rows_min: int
) -> Iterator[Measurement]:
    """Keep of a segment's measurements one a layer, the verdict on its data, and the features that alarm alone."""
    alarm = {Quality.GOOD: False, Quality.BAD: True, Quality.UNKNOWN: None}[quality]
    said = (f"too few rows: {rows} of {rows_min}",) if rows < rows_min and alarm is None else ()
    yield _verdict(segment, alarm, rows, said)
    for one in measurements:
        if one.subject is None and one.layer is not Layer.QUALITY:
            yield replace(one, name=named(one.name, segment))
    alone = [one for one in measurements if one.alarm and (one.subject is not None or one.layer is Layer.QUALITY)]
    for layer in (Layer.QUALITY, Layer.DRIFT, Layer.SCORE):
        own = sorted((one for one in alone if one.layer is layer), key=lambda one: -(one.log_evidence or 0.0))
        yield from (replace(one, name=named(one.name, segment)) for one in own[:SUBJECTS_TOLD])


def unmeasured_segment(segment: str, rows: int, said: str) -> Measurement:
    """Say that a segment could not be measured, and why."""
    return _verdict(segment, None, rows, (said,))


def _verdict(segment: str, alarm: bool | None, rows: int, said: tuple[str, ...]) -> Measurement:  # noqa: FBT001 - a value
    return Measurement(
        name=named(VERDICT, segment),
        layer=Layer.QUALITY,
        value=None if alarm is None else float(alarm),
        n=rows,
        alarm=alarm,
        assumptions=said,
    )
