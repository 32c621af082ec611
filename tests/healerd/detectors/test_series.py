"""The detector of odd points in a series: causal, without scale, quiet on noise, awake where something is wrong."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healerd.detectors.series import Series, SeriesSettings, look_through
from tests.healerd.detectors.looking import seeded

STEP_S = 300.0
SMALL = SeriesSettings(history=100, refractory=20)


def looked(values, settings=None, step_s=STEP_S):
    return list(look_through(((step_s * n, float(value)) for n, value in enumerate(values)), settings))


def alarms(values, **settings):
    return [n for n, point in enumerate(looked(values, **settings)) if point.alarm]


def test_a_point_is_judged_by_those_before_it_alone():
    """What comes later changes no score."""
    values = seeded(1).normal(size=600)
    assert looked(values)[:400] == looked(values[:400])


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True) | st.none(), max_size=60))
def test_any_values_have_a_score(values):
    """Missing, infinite and huge values never raise, and a score lies in [0, 1]."""
    points = list(look_through(((60.0 * n, value) for n, value in enumerate(values)), SMALL))
    assert len(points) == len(values)
    assert all(0 <= point.score <= 1 and math.isfinite(point.score) for point in points)


def test_a_missing_value_leaves_no_trace():
    """A point without a value is no alarm, and those after it are judged as if it had not come."""
    values = seeded(2).normal(size=300).tolist()
    times = [STEP_S * n for n in range(300)]
    holes = [(at, value) for at, value in zip(times, values, strict=True)]
    holes.insert(150, (times[150] - 1.0, None))
    points = list(look_through(holes))
    assert not points[150].alarm
    assert points[:150] + points[151:] == looked(values)


@pytest.mark.parametrize("cut", [0, 3, 15, 250])
def test_a_series_goes_on_where_it_was_kept(cut):
    """Kept as JSON and read back, it scores every later point as if it had not been interrupted."""
    values = seeded(3).normal(size=500).tolist()
    series, whole = Series(SMALL), looked(values, SMALL)
    for n in range(cut):
        series.look(STEP_S * n, values[n])
    series = Series.from_json(json.loads(json.dumps(series.to_json())))
    assert [series.look(STEP_S * n, values[n]) for n in range(cut, 500)] == whole[cut:]


@pytest.mark.parametrize("raw", [{}, {"schema": 1}, {"schema": 1, "settings": {"colour": 3}}, {"schema": 2}])
def test_what_is_no_memory_is_refused(raw):
    """Anything else is a ValueError, never half a series."""
    with pytest.raises(ValueError, match="not the memory"):
        Series.from_json(raw)


def test_unit_and_origin_change_nothing():
    """A series in other units has the same scores: no scale is assumed. Powers of two keep the arithmetic exact."""
    values = np.round(seeded(4).normal(size=600) * 2**10)
    assert [p.score for p in looked(values)] == [p.score for p in looked(values * 2.0**20 + 2.0**40)]


@pytest.mark.parametrize("law", ["normal", "exponential", "cauchy"])
def test_noise_of_any_law_is_quiet(law):
    """On 8,000 points of healthy noise, after a day of settling in, at most one alarm in 500 points."""
    values = {
        "normal": seeded(5).normal(size=8000),
        "exponential": seeded(6).exponential(size=8000),
        "cauchy": seeded(7).standard_cauchy(size=8000),
    }[law]
    assert len([n for n in alarms(values) if n > 288]) <= 16


def test_a_constant_is_never_odd():
    """A series that does not move has no alarm."""
    assert alarms(np.full(2000, 3.0)) == []


@pytest.mark.parametrize(
    ("spoil", "within"),
    [
        (lambda v: v.__setitem__(3000, 12.0), 0),
        (lambda v: v.__setitem__(slice(3000, None), v[3000:] + 8.0), 5),
        (lambda v: v.__setitem__(slice(3000, 3100), v[2999]), 40),
    ],
    ids=["a spike", "a step", "stuck"],
)
def test_what_is_wrong_is_found(spoil, within):
    """A spike and a step are told at once, a stuck sensor as soon as the last hour did not move."""
    values = seeded(8).normal(size=3200)
    spoil(values)
    assert any(3000 <= n <= 3000 + within for n in alarms(values))


def test_a_day_unlike_the_days_before_is_found():
    """A usual value at an unusual hour is odd: the daily wave is missing for half a day."""
    hours = np.arange(288 * 12) / 12
    values = 10 * np.sin(2 * np.pi * hours / 24) + seeded(9).normal(0, 0.3, len(hours))
    night = slice(288 * 10 + 144, 288 * 11)
    values[night] = 10 * np.abs(np.sin(2 * np.pi * hours[night] / 24))
    found = [n for n in alarms(values) if n > 288 * 8]
    assert any(night.start <= n < night.stop for n in found)


def test_what_was_told_is_not_told_again_soon():
    """Of a storm only what beats everything of the day before is an alarm."""
    values = seeded(10).normal(size=3400)
    values[3000:3200:10] = 12.0
    assert len([n for n in alarms(values) if n >= 3000]) <= 3
