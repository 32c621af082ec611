"""What a window's measurements say of each segment. Must never decide, nor say more than was measured."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from healerd.detectors.segments import VERDICT, named, segment_of
from healerd.model import Layer, Measurement

__all__ = ["SegmentTold", "measurements_of", "segment_alarms", "segment_said", "segments_told"]

SAID = {
    Layer.HARM: "it errs more",
    Layer.QUALITY: "bad data",
    Layer.DRIFT: "the inputs have drifted",
    Layer.SCORE: "the outputs have drifted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentTold:
    """One segment in one window: its rows, its error and by how much that is above its reference, and its alarms.

    `note` says why something could not be measured; `features` are those that alarm alone.
    """

    name: str
    rows: int
    error: float | None
    labelled: int
    rise: float | None
    alarms: tuple[Layer, ...]
    features: tuple[str, ...]
    since_at: datetime | None
    note: str


def segments_told(measurements: Iterable[Measurement]) -> tuple[SegmentTold, ...]:
    """Gather the measurements by segment: those with an alarm first, else in the order in which they were measured."""
    by: dict[str, list[Measurement]] = {}
    for one in [each for each in measurements if each.name[-1:] == "]"]:  # facts ask often, and most name no segment
        name = segment_of(one.name)
        if name is not None:
            by.setdefault(name, []).append(one)
    told = [_told(name, own) for name, own in by.items()]
    return tuple(sorted(told, key=lambda one: not one.alarms))


def measurements_of(trace: Mapping[str, Any]) -> tuple[Measurement, ...]:
    """Read the measurements that a decision's trace holds."""
    return msgspec.convert(trace.get("situation", {}).get("measurements", ()), tuple[Measurement, ...])


def segment_alarms(measurements: Iterable[Measurement]) -> Mapping[Layer, tuple[str, ...]]:
    """Name, for each layer, the segments in which its alarm stands."""
    found: dict[Layer, tuple[str, ...]] = {}
    for one in segments_told(measurements):
        for layer in one.alarms:
            found[layer] = (*found.get(layer, ()), one.name)
    return found


def segment_said(one: SegmentTold) -> str:
    """Say what was found in a segment, in one line."""
    error = "" if one.error is None else f", error {one.error:.1%} of {one.labelled:,} labels"
    rise = "" if one.error is None or one.rise is None else f" ({one.error - one.rise:.1%} on its reference)"
    since = "" if one.since_at is None else f", since {one.since_at:%Y-%m-%d %H:%M}"
    named_ = f": {', '.join(map('`{}`'.format, one.features))}" if one.features else ""
    alarms = ", ".join(SAID.get(layer, layer.value) for layer in one.alarms)
    verdict = f"{alarms}{named_}{since}" if alarms else one.note or "no alarm"
    return f"`{one.name}`: {verdict}; {one.rows:,} rows{error}{rise}"


def _told(name: str, own: Sequence[Measurement]) -> SegmentTold:
    whole = {one.name: one for one in own if one.subject is None}
    verdict, error = whole.get(named(VERDICT, name)), whole.get(named("error", name))
    standing = [one for one in own if one.alarm]
    since = [one.since_at for one in standing if one.since_at is not None]
    return SegmentTold(
        name=name,
        rows=verdict.n if verdict else 0,
        error=error.value if error else None,
        labelled=error.n if error else 0,
        rise=error.effect if error else None,
        alarms=tuple(layer for layer in Layer if any(one.layer is layer for one in standing)),
        features=tuple(dict.fromkeys(one.subject for one in standing if one.subject is not None)),
        since_at=min(since, default=None),
        note="; ".join(verdict.assumptions) if verdict else "",
    )
