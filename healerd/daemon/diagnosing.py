"""Look into an incident as it opens and as another alarm joins it: which features, since when, what kind of change.

Must never decide, nor keep a window waiting: rows, windows and features are bounded, and the classifier's library is
loaded here alone. What is found goes into the situation and so into the trace; nothing is found again in a replay.
The part that costs nothing (kind of change, course, best stored version) is brought up to date at each window after.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from healerd.actions.evidence import thin
from healerd.columns import Predictions
from healerd.daemon.apart import tell_apart
from healerd.daemon.pipeline import Pipeline
from healerd.daemon.segmenting import inputs_of
from healerd.daemon.watch import Watched
from healerd.decision import Diagnosis, Moved, Situation, alarms
from healerd.detectors import Yardstick
from healerd.detectors.course import SIDE_MIN, Course, course
from healerd.detectors.diagnosis import FeatureChange, diagnose, shift_kind
from healerd.detectors.laws import law_said
from healerd.detectors.segments import segment_of
from healerd.detectors.yardstick import FeatureYardstick
from healerd.errors import StoreError
from healerd.model import Incident, Layer, Measurement, Reference
from healerd.profiles import ReferenceProfile, ks, profile, reference_from_bytes

__all__ = ["diagnosed"]

log = logging.getLogger("healerd")

WINDOWS_MAX, READ_MAX = 48, 200_000
"""Windows looked back at, since the evidence began and before it; fewer where they hold more rows than this."""
ROWS_MAX = 20_000
"""Rows that are compared feature by feature; of more, so many evenly spread over time."""
FEATURES_TOLD = 8
SERIES_MAX = 60
"""Windows whose course is judged."""
REFERENCES_MAX = 12
"""References of other versions that the inputs are compared with."""
NEARER = 0.8
"""Another reference is called nearer when its distance is at most this much of the present one's."""


def diagnosed(pipeline: Pipeline, watched: Watched, situation: Situation) -> Situation:
    """Give the situation with its diagnosis: anew where an alarm is new to the incident, else brought up to date."""
    incident, before = situation.open_incident, situation.diagnosis
    if incident is None or watched.held is None:
        return replace(situation, diagnosis=None)
    standing = [layer for layer, alarm in alarms(situation).items() if alarm and layer != Layer.OPERATIONS]
    of_this = before is not None and before.incident_id == incident.id
    seen = set(before.layers) if before is not None and of_this else set()
    layers = tuple(layer for layer in Layer if layer in seen or layer in standing)
    fresh = not of_this or len(layers) > len(seen)
    try:
        found = _look_into(pipeline, watched, situation, incident, layers) if fresh else before
    except (StoreError, ImportError, ValueError, ArithmeticError) as error:  # what is for people alone holds no heal up
        log.warning("`%s`: the incident could not be looked into: %s", pipeline.name, error)
        return replace(situation, diagnosis=None)
    assert found is not None, "what is not fresh was there before"
    return replace(situation, diagnosis=_up_to_date(found, pipeline, situation))


def _look_into(
    pipeline: Pipeline, watched: Watched, situation: Situation, incident: Incident, layers: tuple[Layer, ...]
) -> Diagnosis:
    assert watched.held is not None, "the caller looked"
    window, yardstick = watched.window, watched.held.yardstick
    length = window.end_at - window.start_at
    back = length * max(1, min(WINDOWS_MAX, READ_MAX // max(watched.rows, 1)))
    since = _since(situation.measurements, window.start_at, at_least=window.end_at - back)
    rows = pipeline.rows(since, window.end_at, as_of=window.end_at)
    some = thin(rows, ROWS_MAX)
    whole = [one for one in situation.measurements if segment_of(one.name) is None]
    changes = diagnose(yardstick, profile(inputs_of(some), yardstick.reference.maps), whole)
    before = pipeline.rows(since - back, since, as_of=window.end_at)
    apart, why_not = tell_apart(some.features, before.features, _by_ks(yardstick, changes))
    nearest = _nearest(pipeline, some, yardstick, watched.held.reference)
    return Diagnosis(
        incident_id=incident.id,
        layers=layers,
        from_at=since,
        to_at=window.end_at,
        rows=len(rows),
        looked=len(some),
        change=shift_kind(harm=None, drift=None),
        features=tuple(_moved(one) for one in changes[:FEATURES_TOLD]),
        compared=len(changes),
        apart=apart,
        not_apart=why_not,
        nearest=nearest[0] if nearest else None,
        distance=nearest[1] if nearest else None,
        distance_now=nearest[2] if nearest else None,
    )


def _since(measurements: Iterable[Measurement], start_at: datetime, *, at_least: datetime) -> datetime:
    """When the evidence of the alarms that stand began; the window's own start where no alarm says."""
    began = [one.since_at for one in measurements if one.alarm and one.since_at is not None]
    return max(at_least, min(began, default=start_at))


def _by_ks(yardstick: Yardstick, changes: Sequence[FeatureChange]) -> list[FeatureYardstick]:
    own = {one.name: one for one in yardstick.features}
    return [own[one.name] for one in changes if one.name in own]


def _moved(one: FeatureChange) -> Moved:
    return Moved(
        name=one.name,
        layer=one.layer,
        n=one.n,
        ks=one.ks,
        q_value=one.q_value,
        psi=one.psi,
        wasserstein=one.wasserstein,
        since_at=one.since_at,
        law=law_said(one),
    )


def _nearest(
    pipeline: Pipeline, rows: Predictions, yardstick: Yardstick, present: Reference
) -> tuple[str, float, float] | None:
    """The stored version whose reference the inputs resemble most, if clearly more than the present one."""
    stored = pipeline.stored()
    found = pipeline.store.find(Reference, pipeline=pipeline.name, order="-seq", limit=REFERENCES_MAX)
    others = {one.version: one for one in reversed(found) if one.version in stored and one.version != present.version}
    now = _distance(yardstick.reference, rows)
    told = []
    for version, reference in others.items():
        content = pipeline.store.state(pipeline.name, f"reference {reference.id}")
        distance = _distance(reference_from_bytes(content), rows) if content else None
        if distance is not None:
            told.append((distance, version))
    if not told or now is None:
        return None
    distance, version = min(told)
    return (version, distance, now) if distance <= NEARER * now else None


def _distance(reference: ReferenceProfile, rows: Predictions) -> float | None:
    """The mean KS distance over the features that both know."""
    names = [name for name in reference.maps.features if name in rows.features]
    counted = profile({name: rows.features[name] for name in names}, reference.maps).features
    usual = reference.whole.features
    known = [name for name in names if usual[name].n and counted[name].n]
    if not known:
        return None
    return float(np.mean([ks(np.cumsum(usual[name].cells), np.cumsum(counted[name].cells)) for name in known]))


def _up_to_date(found: Diagnosis, pipeline: Pipeline, situation: Situation) -> Diagnosis:
    """What costs nothing: the kind of change, its course, and the best stored version with its gain."""
    seen = alarms(situation)
    harm = True if Layer.HARM in found.layers else seen[Layer.HARM.value]
    drift = True if Layer.DRIFT in found.layers else seen[Layer.DRIFT.value]
    rollback = situation.target("rollback")
    known = {one.name: one.value for one in situation.measurements if one.subject is None}
    told = replace(
        found,
        change=shift_kind(harm=harm, drift=drift),
        expected_high=known.get("estimated_error_high"),
        found_low=known.get("error_posterior_low"),
        stored=rollback.version if rollback else None,
        stored_gain=situation.stored_gain,
        p_stored_better=situation.p_stored_better,
    )
    return told if told.course in ("sudden", "gradual") else _with_course(told, pipeline, situation)


def _with_course(found: Diagnosis, pipeline: Pipeline, situation: Situation) -> Diagnosis:
    """Judge the course of the error where that is the harm, else of the input that moved most."""
    moved = next((one.name for one in found.features if one.layer is Layer.DRIFT), None)
    name, subject = ("error", None) if Layer.HARM in found.layers or moved is None else ("drift", moved)
    ends, values = _series(pipeline, situation, name, subject)
    judged: Course = course(values)
    if judged.start is None or judged.start >= len(values) - SIDE_MIN:
        return found  # a change at the latest place there is may lie later still
    at = ends[judged.start]
    return replace(
        found,
        course=judged.said,
        course_of="the error" if subject is None else f"`{subject}`",
        p_sudden=judged.p_sudden,
        course_at=at - timedelta(seconds=situation.window_s),
        course_windows=judged.takes,
    )


def _series(
    pipeline: Pipeline, situation: Situation, name: str, subject: str | None
) -> tuple[list[datetime], list[float | None]]:
    """The newest values of a measurement, with that of this window, which is not written yet."""
    stored = pipeline.store.series(pipeline.name, name, subject=subject, limit=SERIES_MAX)
    now = next((one for one in situation.measurements if (one.name, one.subject) == (name, subject)), None)
    pairs = [*stored, *([(situation.window.end_at, now)] if now is not None and situation.window is not None else [])]
    return [at for at, _ in pairs], [one.value if subject is None else one.effect for _, one in pairs]
