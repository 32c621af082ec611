import json
from inspect import getdoc

import numpy as np

from healerd.detectors import DETECTORS, DetectionSettings, Observation, make_yardstick, measure
from healerd.model import Layer, Quality
from healerd.profiles import merge, profile, reference_from_bytes, reference_to_bytes
from tests.healerd.detectors.looking import (
    SETTINGS,
    a_cohort,
    a_reference,
    a_window,
    a_yardstick,
    an_observation,
    seeded,
)


def columns(rng, n, at=0.0):
    return {
        "x": rng.normal(at, 1, n),
        "y": rng.exponential(size=n),
        "c": np.array(["a", "b"], object)[rng.integers(0, 2, n)],
    }


def a_measurement(k=0, *, found, yardstick, state, **fields):
    usual = {
        "window": a_window(k),
        "profile": profile(found, yardstick.reference.maps),
        "yardstick": yardstick,
        "reference": a_reference(),
        "cohorts": (a_cohort(k),),
        "settings": SETTINGS,
        "state": state,
    }
    return measure(**{**usual, **fields})


YARDSTICK = a_yardstick(columns(seeded(70), 5000), windows=10)


def test_every_detector_is_documented_and_gives_plain_state():
    """Each entry of the table has a docstring, measures an empty window, and keeps JSON values."""
    empty = {name: column[:0] for name, column in columns(seeded(71), 1).items()}
    for name, detect in DETECTORS.items():
        assert getdoc(detect), name
        measurements, state = detect(an_observation(YARDSTICK, empty), {})
        assert not any(one.alarm for one in measurements), name
        json.dumps(state, allow_nan=False)


def test_a_replay_gives_the_same_measurements():
    """The same windows from the same state, through JSON and a reference from bytes, measure identically."""
    rng = seeded(72)
    windows = [columns(rng, 300, at=0.1 * k) for k in range(8)]
    again = make_yardstick(reference_from_bytes(reference_to_bytes(YARDSTICK.reference)), SETTINGS)
    first, second = {}, {}
    for k, found in enumerate(windows):
        one = a_measurement(k, found=found, yardstick=YARDSTICK, state=first)
        two = a_measurement(k, found=found, yardstick=again, state=second)
        assert one == two
        first, second = one.state, json.loads(json.dumps(two.state, allow_nan=False))
    assert any(told.alarm for told in one.measurements if told.layer == Layer.DRIFT)


def test_every_alarm_that_counts_carries_its_evidence_and_assumptions():
    """What may alarm has evidence, a line, a reference and assumptions; what is shown has none."""
    told = a_measurement(found=columns(seeded(73), 300), yardstick=YARDSTICK, state={}).measurements
    for one in told:
        if one.log_limit is None:
            assert one.name in ("ks", "psi", "wasserstein")
            assert one.log_evidence is None
            assert not one.alarm
        else:
            assert one.log_evidence is not None
            assert one.assumptions
        assert one.reference_id


def test_a_healthy_stretch_is_quiet():
    """Sixty healthy windows: good data, no alarm in any layer."""
    rng, state = seeded(74), {}
    for k in range(60):
        found = a_measurement(
            k,
            found=columns(rng, 300),
            yardstick=YARDSTICK,
            state=state,
            cohorts=(a_cohort(k, wrong=rng.binomial(200, 0.1)),),
        )
        state = found.state
        assert found.quality == Quality.GOOD
        assert not any(one.alarm for one in found.measurements)


def test_harm_without_drift_and_drift_without_harm_are_told_apart():
    """Wrong labels on usual inputs alarm harm alone; moved inputs with usual errors alarm drift alone."""
    rng = seeded(75)
    concept = a_measurement(found=columns(rng, 300), yardstick=YARDSTICK, state={}, cohorts=(a_cohort(wrong=150),))
    covariate = a_measurement(found=columns(rng, 300, at=1.0), yardstick=YARDSTICK, state={})
    assert {one.layer for one in concept.measurements if one.alarm} == {Layer.HARM}
    assert {one.layer for one in covariate.measurements if one.alarm} == {Layer.DRIFT}


def test_merged_shards_measure_as_the_whole():
    """A window profiled in two shards and merged gives the very same measurements."""
    found = columns(seeded(76), 400)
    maps = YARDSTICK.reference.maps
    halves = [profile({name: column[part::2] for name, column in found.items()}, maps) for part in (0, 1)]
    whole = a_measurement(found=found, yardstick=YARDSTICK, state={})
    assert a_measurement(found=found, yardstick=YARDSTICK, state={}, profile=merge(*halves)) == whole


def test_one_row_one_feature_is_enough_to_measure():
    """The smallest reference and the smallest window have measurements and an unknown verdict."""
    yardstick = a_yardstick({"x": np.zeros(1)})
    found = a_measurement(found={"x": np.ones(1)}, yardstick=yardstick, state={}, cohorts=())
    assert found.quality == Quality.UNKNOWN
    assert not any(one.alarm for one in found.measurements)


def test_settings_reach_the_line():
    """A larger budget lowers every line; an observation holds what measure was given."""
    loose = DetectionSettings(window_s=1800.0, false_alarms_per_year=100.0)
    strict, lax = (
        a_measurement(found=columns(seeded(77), 300), yardstick=YARDSTICK, state={}, settings=one).measurements
        for one in (SETTINGS, loose)
    )
    assert all(a.log_limit > b.log_limit for a, b in zip(strict, lax, strict=True) if a.log_limit is not None)
    assert isinstance(an_observation(YARDSTICK, columns(seeded(78), 3)), Observation)
