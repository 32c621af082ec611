"""Estimates without labels hold the truth as often as they say, while their assumption holds."""

import json

import numpy as np
import pytest

from healerd.detectors.estimates import (
    Steps,
    calibrate,
    calibration_from_json,
    calibration_to_json,
    error_posterior,
    estimate_error,
)
from healerd.detectors.paired import p_error_high
from tests.healerd.detectors.looking import seeded


def scored(rng: np.random.Generator, n: int, *, easy: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores that overstate themselves, predictions of two classes, and whether each is wrong."""
    truth = rng.beta(easy, 1.0, n)
    output = (truth >= 0.5).astype(float)
    wrong = rng.random(n) < np.where(output == 1, 1 - truth, truth)
    return truth**3 / (truth**3 + (1 - truth) ** 3), output, wrong.astype(float)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Over many references and windows with other scores, the 95% interval holds the error at least in 90%."""
    rng, held = seeded(1), 0
    for _ in range(200):
        score, output, wrong = scored(rng, 2000)
        calibration = calibrate(score, wrong, output=output)
        new, said, truth = scored(rng, 500, easy=2.0)
        found = estimate_error(calibration, new, output=said)
        held += found.low <= truth.mean() <= found.high
    assert held >= 180


def test_calibration_mends_scores_that_overstate() -> None:
    """A model that is surer than it is right is not believed: the estimate is that of its errors."""
    rng = seeded(2)
    score, output, wrong = scored(rng, 20_000)
    new, said, truth = scored(rng, 20_000, easy=3.0)
    claimed = float(np.minimum(new, 1 - new).mean())
    found = estimate_error(calibrate(score, wrong, output=output), new, output=said)
    assert abs(found.value - truth.mean()) < 0.01 < abs(claimed - truth.mean())


def test_each_class_has_its_own_direction() -> None:
    """The probability of class 1 falls with the error of a 1 and rises with that of a 0."""
    score, output, wrong = scored(seeded(3), 20_000)
    steps = calibrate(score, wrong, output=output).steps
    assert list(steps["=1.0"].mean) == sorted(steps["=1.0"].mean, reverse=True)
    assert list(steps["=0.0"].mean) == sorted(steps["=0.0"].mean)
    assert sum(steps["=1.0"].rows) == np.count_nonzero(output)


def test_a_change_of_concept_is_invisible() -> None:
    """Where labels flip and scores do not, the estimate stays: it says so in its assumption."""
    rng = seeded(4)
    score, output, wrong = scored(rng, 5000)
    calibration = calibrate(score, wrong, output=output)
    new, said, truth = scored(rng, 5000)
    found = estimate_error(calibration, new, output=said, limit=0.3)
    assert found.high < np.mean(1 - truth)
    assert "no concept shift" in found.assumptions[0]


def test_few_labels_calibrate_nothing() -> None:
    """Below fifty labelled rows there is no calibration, and rows without scores have no estimate."""
    score, output, wrong = scored(seeded(5), 60)
    wrong[:20] = np.nan
    assert calibrate(score, wrong, output=output) is None
    whole = calibrate(np.tile(score, 2), np.zeros(120))
    assert estimate_error(whole, np.array([np.nan])) is None


def test_constant_scores_give_the_reference_error() -> None:
    """A score that never varies says what the reference said."""
    wrong = np.repeat([0.0, 1.0], [800, 200])
    found = estimate_error(calibrate(np.ones(1000), wrong), np.ones(300))
    assert found.value == pytest.approx(0.2, abs=0.001)
    assert len(calibrate(np.ones(1000), wrong).steps[""].rows) == 1


def test_quantities_have_no_upper_end() -> None:
    """A loss that is not 0 or 1 is estimated in its own unit, not below zero."""
    rng = seeded(6)
    guess = rng.uniform(0, 10, 5000)
    calibration = calibrate(guess, guess * rng.exponential(size=5000))
    found = estimate_error(calibration, np.full(400, 8.0), limit=5.0)
    assert found.low < 8.0 < found.high
    assert found.p_high > 0.99


def test_windows_that_differ_widen_the_interval() -> None:
    """The variance between the reference's windows is part of the interval, less so over many windows."""
    score, output, wrong = scored(seeded(7), 2000)
    narrow, wide = (calibrate(score, wrong, output=output, sd=sd) for sd in (0.0, 0.05))
    width = [
        found.high - found.low
        for found in (
            estimate_error(narrow, score, output=output),
            estimate_error(wide, score, output=output, windows=30),
            estimate_error(wide, score, output=output),
        )
    ]
    assert width == sorted(width)
    assert width[2] > 0.15


def test_a_calibration_is_kept_exactly() -> None:
    """JSON gives back the same calibration; anything else is refused."""
    score, output, wrong = scored(seeded(8), 2000)
    made = calibrate(score, wrong, output=output)
    assert calibration_from_json(json.loads(json.dumps(calibration_to_json(made)))) == made
    with pytest.raises(ValueError, match="not a calibration"):
        calibration_from_json({"steps": {"": {"edges": []}}, "bounded": True, "sd": 0.0, "rows": 3})
    assert isinstance(made.steps[""], Steps)


def test_the_posterior_is_that_of_the_rules() -> None:
    """P(error > limit) is the number that rules read as `p_error_high`; windows that differ make it less sure."""
    found = error_posterior(30, 100, limit=0.2)
    assert found.p_high == p_error_high(30, 100, 0.2)
    assert found.low < 0.3 < found.high
    assert error_posterior(30, 100, limit=0.2, sd=0.1).p_high < found.p_high
