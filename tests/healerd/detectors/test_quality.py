import math

import numpy as np
import pytest

from healerd.detectors.quality import binomial_tail, detect_quality, quality
from healerd.model import Quality
from tests.healerd.detectors.looking import a_yardstick, an_observation, seeded

N = 300


def columns(rng, n=N):
    return {
        "x": rng.lognormal(3, 0.5, n),
        "centred": rng.normal(0, 1, n),
        "route": np.array(["ab", "cd", "ef", "gh"], object)[rng.integers(0, 4, n)],
    }


REFERENCE = columns(seeded(50), 6000)
YARDSTICK = a_yardstick(REFERENCE, windows=20)
USUAL = float(np.sort(REFERENCE["x"])[3000])


def verdict(found, **fields):
    measurements, _ = detect_quality(an_observation(YARDSTICK, found, **fields), {})
    return quality(measurements)


def spoilt(name, spoil, seed=51):
    found = columns(seeded(seed))
    return {**found, name: spoil(found[name])}


def part(share, value):
    def spoil(column):
        out = column.copy()
        out[: int(share * len(column))] = value
        return out

    return spoil


def test_s13_healthy_windows_are_good():
    """200 healthy windows of any usual size are good."""
    rng = seeded(52)
    for k in range(200):
        assert verdict(columns(rng, 150 + 2 * k))[0] == Quality.GOOD


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("x", part(0.5, np.nan), "missing"),
        ("route", part(0.5, None), "missing"),
        ("route", part(0.5, "zz"), "unlike any"),
        ("x", part(0.5, -1e9), "outside"),
        ("x", part(0.8, USUAL), "one and the same"),
        ("x", lambda c: np.full(len(c), USUAL), "one and the same"),
        ("x", lambda c: c * 2.2046, "scaled by about"),
        ("x", lambda c: c / 2.54, "scaled by about 0.4"),
        ("centred", lambda c: c * 10, "scaled by about"),
        ("route", lambda c: np.full(len(c), "ab", object), "one and the same"),
        ("x", lambda c: c.astype(str).astype(object), "wrong type"),
        ("route", lambda c: np.zeros(len(c)), "wrong type"),
    ],
)
def test_s13_each_fault_of_a_feature_is_bad_and_named(name, spoil, said):
    """Missing, unseen, out of range, stuck, scaled or of another type: bad, and the reason names feature and fault."""
    found, reasons = verdict(spoilt(name, spoil))
    assert found == Quality.BAD
    assert any(f"`{name}`" in reason and said in reason for reason in reasons)


def test_finer_steps_and_a_hard_winter_are_not_bad_data():
    """Values between the known ones, and values somewhat beyond the range, are drift at most: they are plausible."""
    rng = seeded(55)
    price = a_yardstick({"x": np.round(rng.gamma(4, 10, 2000), 1)}, windows=20)
    finer, _ = detect_quality(an_observation(price, {"x": rng.gamma(4, 10, N)}), {})
    demand = a_yardstick({"x": rng.uniform(100, 200, 6000)}, windows=20)
    winter, _ = detect_quality(an_observation(demand, {"x": rng.uniform(120, 240, N)}), {})
    assert quality(finer) == quality(winter) == (Quality.GOOD, ())


def test_s13_a_sensor_stuck_just_beyond_the_range_is_bad():
    """What cannot be told from a stuck sensor counts as one: all rows together, near the range but outside it."""
    usual = a_yardstick({"x": seeded(58).uniform(100, 200, 6000)}, windows=20)
    found, _ = detect_quality(an_observation(usual, {"x": np.full(N, 210.0)}), {})
    assert quality(found)[0] == Quality.BAD


def test_a_code_that_nobody_knows_is_bad():
    """A number of which no new value comes is a code, like a name: the hour 27 lies near the range, and is bad."""
    hours = a_yardstick({"x": seeded(56).integers(0, 24, 6000).astype(float)}, windows=20)
    found, _ = detect_quality(an_observation(hours, {"x": np.full(N, 27.0)}), {})
    verdict, reasons = quality(found)
    assert verdict == Quality.BAD
    assert reasons[0] == "`x`: 100% of the values are unlike any in the reference"


def test_a_constant_that_begins_to_move_is_drift_and_not_bad_data():
    """What the reference knows at one value only has no healthy range; that it is missing is bad all the same."""
    still = a_yardstick({"x": np.zeros(6000)}, windows=20)
    moved, _ = detect_quality(an_observation(still, {"x": seeded(54).normal(5, 1, N)}), {})
    gone, _ = detect_quality(an_observation(still, {"x": np.full(N, np.nan)}), {})
    assert quality(moved)[0] == Quality.GOOD
    assert quality(gone)[0] == Quality.BAD


def test_s13_a_lost_column_is_bad():
    """A column that no longer comes is all missing."""
    found = columns(seeded(53))
    del found["x"]
    assert verdict(found) == (Quality.BAD, ("`x`: 100% of the values are missing",))


def test_a_shift_is_not_a_fault():
    """A feature that moves, however clearly, is drift and no fault of the data; so is a name that grows common."""
    assert verdict(spoilt("centred", lambda c: c + 0.7))[0] == Quality.GOOD
    assert verdict(spoilt("route", part(0.3, "ab")))[0] == Quality.GOOD


def test_s13_no_rows_are_unknown_and_so_are_too_few():
    """Without rows, or with fewer than could show a fault, the verdict is unknown."""
    assert verdict(columns(seeded(54), 0)) == (Quality.UNKNOWN, ("no rows",))
    lump = a_yardstick(columns(seeded(54), 1000))
    few = detect_quality(an_observation(lump, columns(seeded(54), 5)), {})[0]
    assert quality(few) == (Quality.UNKNOWN, ("5 rows cannot show whether data is bad, 20 can",))
    assert quality(()) == (Quality.UNKNOWN, ("no rows",))


@pytest.mark.parametrize(
    ("rows", "expected"), [(40, Quality.BAD), (150, Quality.GOOD), (600, Quality.GOOD), (1500, Quality.BAD)]
)
def test_the_row_count_has_a_wide_band(rows, expected):
    """A third of the emptiest to three times the fullest usual window is fine: weekends and holidays are."""
    assert verdict(columns(seeded(55), rows))[0] == expected


def test_duplicates_count_only_if_somebody_counted_them():
    """Half the rows twice is bad; not counted is not held against the data."""
    found = columns(seeded(56))
    assert verdict(found, duplicates=N)[0] == Quality.BAD
    assert verdict(found, duplicates=3)[0] == Quality.GOOD
    assert verdict(found, duplicates=None)[0] == Quality.GOOD


def test_a_clock_and_an_hour_are_healthy():
    """What the reference's windows do themselves, a clock that grows or an hour that stands, is never bad."""
    n = 20 * N
    clock = np.arange(float(2 * n))
    reference = {"clock": clock[:n], "hour": np.repeat(np.arange(20.0), N)}
    yardstick = a_yardstick(reference, windows=20)
    for k in range(20):
        found = {"clock": clock[n + k * N : n + (k + 1) * N], "hour": np.full(N, float(k))}
        measurements, _ = detect_quality(an_observation(yardstick, found), {})
        assert quality(measurements) == (Quality.GOOD, ())


def test_false_verdicts_stay_within_the_budget():
    """At the healthy limit itself, windows are called bad at most once in A = 20."""
    rng, bad = seeded(57), 0
    for _ in range(400):
        found = columns(rng, 150)
        found["x"][rng.random(150) < 0.05] = np.nan
        bad += verdict(found, target=20.0)[0] == Quality.BAD
    assert bad <= 400 / 20


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e308, -0.0])
def test_any_float_has_a_verdict(value):
    """Windows full of any one float are measured without an error, and bad."""
    assert verdict(spoilt("x", lambda c: np.full(len(c), value)))[0] == Quality.BAD


def test_binomial_tail_is_exact():
    """P(X >= k) at the ends and in the middle."""
    assert binomial_tail(0, 10, 0.3) == 1.0
    assert binomial_tail(10, 10, 0.3) == pytest.approx(0.3**10)
    assert binomial_tail(1, 10, 0.3) == pytest.approx(1 - 0.7**10)
    assert binomial_tail(10, 10, 1.2) == 1.0
