"""The label detector against an oracle that draws nothing: every path of losses, weighed by its exact chance."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from healerd.detectors.harm import ODDS_RATIOS, detect_harm, error_limit, log_e_values
from tests.healerd.detectors.looking import SETTINGS, a_cohort, a_reference, a_yardstick, an_observation

law = settings(max_examples=60, deadline=None, derandomize=True)
YARDSTICK = a_yardstick({"x": np.arange(9.0)})
LABELS = 4


def step(wrong, state, *, k, target, reference):
    cohort = a_cohort(k, wrong=wrong, rows=LABELS, labelled=LABELS)
    seen = an_observation(YARDSTICK, {"x": np.zeros(1)}, cohorts=(cohort,), target=target, reference=reference)
    (found,), after = detect_harm(seen, state)
    return found, after


def mean_r(state):
    """The mean of R over the cells, from log(1 + R)."""
    return float(np.mean(np.expm1(state["cells"])))


def textbook(counts, labels, limit, target):
    """The number of the cohort at which R <- (R + 1) e, a plain product for each alternative, crosses A on average."""
    found = [0.0] * len(ODDS_RATIOS)
    for number, wrong in enumerate(counts, 1):
        for cell, ratio in enumerate(ODDS_RATIOS):
            odds = ratio * limit / (1 - limit)
            harmful = odds / (1 + odds)
            e = (harmful / limit) ** wrong * ((1 - harmful) / (1 - limit)) ** (labels - wrong)
            found[cell] = (found[cell] + 1) * e
        if sum(found) / len(found) >= target:
            return number
    return None


@pytest.mark.parametrize("error", ["at the limit", "below it"])
@pytest.mark.parametrize("sd", [0.0, 0.05])
def test_r_less_the_number_of_cohorts_is_a_supermartingale(error, sd):
    """From every state that three cohorts can lead to, the mean of the next R is at most R + 1, exactly."""
    reference = a_reference(error_sd=sd, error_windows=20)
    truth = error_limit(reference, SETTINGS) * (1.0 if error == "at the limit" else 0.5)
    chance = binom.pmf(np.arange(LABELS + 1), LABELS, truth)
    states = [{}]
    for k in range(3):
        after = []
        for state in states:
            told = [step(wrong, state, k=k, target=1e9, reference=reference)[1] for wrong in range(LABELS + 1)]
            before = mean_r(state) if state else 0.0
            assert chance @ [mean_r(one) for one in told] <= before + 1 + 1e-9
            after += told
        states = after
    assert len(states) == (LABELS + 1) ** 3


@pytest.mark.parametrize("target", [3.0, 8.0, 20.0])
def test_false_alarms_are_at_most_n_over_a_on_every_path(target):
    """At the limit itself, with resets: E[alarms in n cohorts] <= n/A and P(any) <= n/A, summed over all paths."""
    reference, n = a_reference(), 5
    chance = binom.pmf(np.arange(LABELS + 1), LABELS, error_limit(reference, SETTINGS))
    expected = any_alarm = total = 0.0
    for path in product(range(LABELS + 1), repeat=n):
        weight, state, alarms, stood = math.prod(chance[wrong] for wrong in path), {}, 0, False
        for k, wrong in enumerate(path):
            found, state = step(wrong, state, k=k, target=target, reference=reference)
            alarms, stood = alarms + (found.alarm and not stood), found.alarm
        total, expected, any_alarm = total + weight, expected + weight * alarms, any_alarm + weight * (alarms > 0)
    assert total == pytest.approx(1)
    assert 0 < any_alarm <= expected <= n / target


@law
@given(st.lists(st.integers(0, 60), min_size=1, max_size=12), st.sampled_from([5.0, 100.0, 17532.0]))
def test_the_alarm_comes_where_the_textbook_recursion_crosses(counts, target):
    """Whatever the counts, the first alarm is at the cohort where the plain recursion of five products reaches A."""
    reference, state, first = a_reference(), {}, None
    for k, wrong in enumerate(counts):
        cohort = a_cohort(k, wrong=wrong)
        seen = an_observation(YARDSTICK, {"x": np.zeros(1)}, cohorts=(cohort,), target=target, reference=reference)
        (found,), state = detect_harm(seen, state)
        if found.alarm:
            first = k + 1
            break
    assert first == textbook(counts, 200, error_limit(reference, SETTINGS), target)


@law
@given(
    st.floats(0.02, 0.8),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1)), min_size=1, max_size=6),
    st.floats(0, 0.2),
)
def test_e_has_mean_at_most_one_for_any_bounded_loss(limit, law_of_loss, sd):
    """One row of any loss in [0, 1] whose mean is the limit: E e <= 1 for each alternative, exactly."""
    losses, weights = np.array(law_of_loss).T
    chance = weights / weights.sum()
    mean = float(chance @ losses)
    if mean > limit:
        losses, mean = losses * limit / mean, limit
    for cell in range(len(ODDS_RATIOS)):
        e = [math.exp(log_e_values(float(loss), 1, limit, sd)[cell]) for loss in losses]
        assert chance @ np.array(e) <= 1 + 1e-9
