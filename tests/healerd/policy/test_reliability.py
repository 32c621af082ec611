"""Predicted against observed failure: bins that hide nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.policy import POLICIES, Question, begin
from healerd.policy.reliability import interval_of, proportion_interval, reliability
from tests.healerd.policy.incidents import a_model

pairs = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60)


@given(told=pairs)
@settings(max_examples=50, deadline=None)
def test_every_outcome_is_in_one_bin(told: list[tuple[float, bool]]):
    """The counts add up, each mean prediction lies in its bin, each interval holds what was observed."""
    bins = reliability(told)
    assert sum(each.n for each in bins) == len(told)
    assert sum(each.failures for each in bins) == sum(failed for _, failed in told)
    for each in bins:
        assert each.low - 1e-9 <= each.predicted <= each.high + 1e-9
        assert each.observed_low - 1e-9 <= each.observed <= each.observed_high + 1e-9


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5])
def test_the_interval_of_a_proportion_covers_as_it_says(p: float):
    """Over 2,000 seeded samples of 60 it holds the truth in 95% of cases, within 3 points."""
    drawn = np.random.Generator(np.random.Philox(4)).binomial(60, p, size=2000)
    held = [low <= p <= high for low, high in (proportion_interval(int(k), 60) for k in drawn)]
    assert abs(np.mean(held) - 0.95) < 0.03


def test_the_interval_of_a_posterior_is_shown_within_0_and_1():
    """A wide posterior near an end is cut, not shifted."""
    model = a_model()
    question = Question(context=(1.0, 0.0, 0.0), permitted=("hold", "retrain", "rollback"), rule_action="retrain")
    for estimate in POLICIES["bayesian"].advise(question, model=model, state=begin(model)).estimates:
        low, high = interval_of(estimate)
        assert 0.0 <= low <= estimate.p_failure <= high <= 1.0
