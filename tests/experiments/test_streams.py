"""The experiments on Elec2 and on the control, in the parts that need no other library."""

import os
from pathlib import Path

import numpy as np
import pytest

from experiments.control import WINDOWS_A_YEAR, Year, look_through, told
from experiments.detection.looking import seeded
from experiments.elec2_detectors import DAY, REFERENCE_DAYS, ByDrift, ByHarm, EverySoOften, previous_label, read

ELEC2 = Path(os.environ.get("HEALERD_DATA", Path(__file__).parents[3] / "shared" / "data")) / "elec2.csv.gz"


def first_alarm(resetter, rng, *, change, days=90):
    """The day, from the change on, at which the resetter alarms; None if it never does, below 0 if before."""
    for k in range(days):
        changed = change is not None and k >= change
        wrong = (rng.random(DAY) < (0.5 if changed else 0.15)).astype(float)
        if resetter.look(rng.normal(1.0 if changed else 0.0, 1, size=(DAY, 3)), wrong, k):
            return k - (change or 0)
    return None


@pytest.mark.parametrize("make", [ByHarm, ByDrift])
def test_a_resetter_is_quiet_until_something_changes(make):
    """Healthy days raise nothing; errors that triple, or features that move by a sd, are found within five days."""
    assert first_alarm(make(1.0), seeded(1), change=None) is None
    found = first_alarm(make(1.0), seeded(2), change=REFERENCE_DAYS + 20)
    assert found is not None
    assert 0 <= found <= 5


def test_after_a_reset_a_new_reference_is_learnt():
    """What was a change before the reset is the reference after it."""
    resetter = ByDrift(1.0)
    assert first_alarm(resetter, seeded(3), change=REFERENCE_DAYS) is not None
    resetter.reset()
    assert first_alarm(resetter, seeded(4), change=0) is None


def test_a_plain_period_counts_from_the_last_reset():
    """Every third day, and afresh after each."""
    period, told_at = EverySoOften(3), []
    for k in range(9):
        if period.look(np.zeros((1, 1)), np.zeros(1), k):
            told_at.append(k)
            period.reset()
    assert told_at == [2, 5, 8]


@pytest.mark.skipif(not ELEC2.is_file(), reason="no elec2.csv.gz: name its folder with HEALERD_DATA")
def test_the_previous_label_is_right_in_85_of_100_rows_of_elec2():
    """The plain baseline has the value that the literature prints, so the rows are in their order."""
    stream = read(ELEC2)
    assert len(stream.label) == 45_312
    assert previous_label(stream).accuracy == pytest.approx(0.853, abs=0.001)
    assert previous_label(stream.shuffled(1)).accuracy < 0.6


def a_year(rng, *, error=0.17, rows=WINDOWS_A_YEAR * 200):
    features = {"age": rng.normal(40, 10, rows), "predicted_probability": rng.random(rows)}
    return Year(features=features, wrong=(rng.random(rows) < error).astype(float))


def test_the_control_counts_what_calls_for_a_heal():
    """A healthy year calls for none; one with errors of 40% calls for one in nearly every window."""
    rng = seeded(5)
    healthy = told(look_through([a_year(rng), a_year(rng)]))
    assert healthy["windows"] == WINDOWS_A_YEAR
    assert healthy["heals_called_for"] == 0
    harmed = told(look_through([a_year(rng), a_year(rng, error=0.4)]))
    assert harmed["windows_in_alarm"]["harm"] >= WINDOWS_A_YEAR - 3
