import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from healerd.detectors.harm import ODDS_RATIOS, detect_harm, error_limit, log_e_values
from tests.healerd.detectors.looking import SETTINGS, a_cohort, a_reference, a_yardstick, an_observation, seeded

law = settings(max_examples=60, deadline=None, derandomize=True)
YARDSTICK = a_yardstick({"x": np.arange(9.0)})


def look(*cohorts, state, target=17520.0, **reference):
    seen = an_observation(
        YARDSTICK, {"x": np.zeros(1)}, cohorts=cohorts, target=target, reference=a_reference(**reference)
    )
    (found,), after = detect_harm(seen, state)
    return found, after


@law
@given(st.floats(0.01, 0.9), st.integers(1, 300), st.floats(0, 1), st.floats(0, 0.2))
def test_e_has_mean_at_most_one_below_the_limit(limit, m, part, sd):
    """Exactly, for every true error up to the limit and every design effect: E e <= 1 for each alternative."""
    k = np.arange(m + 1)
    for error in (max(limit * part, 1e-6), limit):
        chance = binom.pmf(k, m, error)
        for cell in range(len(ODDS_RATIOS)):
            log_e = np.array([log_e_values(float(wrong), m, limit, sd)[cell] for wrong in k])
            assert chance @ np.exp(log_e) <= 1 + 1e-9


def test_run_length_on_healthy_labels_is_at_least_the_target():
    """At the healthy error, with the reference's own error drawn too, the mean time to a false alarm is >= A = 20."""
    rng, lengths = seeded(41), []
    for _ in range(60):
        state, n, error = {}, 0, rng.binomial(2000, 0.1) / 2000
        while n < 60 and not state.get("alarm"):
            _, state = look(a_cohort(n, wrong=rng.binomial(200, 0.12)), state=state, target=20.0, error=error)
            n += 1
        lengths.append(n)
    assert np.mean(lengths) >= 20


def test_a_doubled_error_is_found_within_four_cohorts():
    """From 10% to 20%, 200 labels a cohort: four cohorts at a target of a year of half hours, in the median."""
    rng, delays = seeded(42), []
    for _ in range(21):
        state, n = {}, 0
        while not state.get("alarm"):
            _, state = look(a_cohort(n, wrong=rng.binomial(200, 0.2)), state=state)
            n += 1
        delays.append(n)
    assert np.median(delays) <= 4


def test_s12_the_error_is_held_against_the_upper_bound_of_the_reference():
    """Few reference rows, or windows that differ, give a wider limit; many rows come down to error plus tolerance."""
    few = error_limit(a_reference(error_rows=100), SETTINGS)
    many = error_limit(a_reference(error_rows=10_000_000), SETTINGS)
    uneven = error_limit(a_reference(error_rows=10_000_000, error_sd=0.05, error_windows=10), SETTINGS)
    assert many == pytest.approx(0.12, abs=0.001)
    assert few > uneven > many
    assert error_limit(a_reference(error_rows=0), SETTINGS) is None
    assert error_limit(a_reference(error=1.0), SETTINGS) is None
    assert error_limit(a_reference(error=0.0, error_rows=10), SETTINGS) < 1


@pytest.mark.parametrize(("labelled", "known"), [(200, True), (190, True), (189, False), (0, False)])
def test_s12_a_cohort_below_95_percent_coverage_is_unknown(labelled, known):
    """Below the coverage there is no step and the alarm is unknown, however bad the labels that came."""
    found, state = look(a_cohort(labelled=labelled, wrong=labelled), state={})
    assert (found.alarm is not None) == known
    assert (max(state["cells"]) > 0) == known
    assert found.n == (labelled if known else 0)


def test_s12_evidence_is_keyed_by_the_version_that_predicted():
    """Cohorts of another version are no evidence, and a change of the active version starts afresh."""
    _, state = look(*(a_cohort(k, wrong=100) for k in range(3)), state={})
    assert state["alarm"]
    found, _ = look(*(a_cohort(k, wrong=100) for k in range(3)), state=state, version="v2")
    assert found.alarm is None
    assert found.n == 0


def test_one_step_a_cohort_in_order_of_their_windows():
    """Cohorts that mature together count each once, in the order of their windows, as if one by one."""
    a, b = a_cohort(0, wrong=40), a_cohort(1, wrong=20)
    _, first = look(a, state={})
    assert look(b, state=first)[1] == look(b, a, state={})[1]


def test_no_cohort_no_step():
    """Without a mature cohort the state stays, an alarm stands, and otherwise the answer is unknown."""
    _, quiet = look(a_cohort(), state={})
    assert look(state=quiet)[1] == quiet
    assert look(state=quiet)[0].alarm is None
    _, loud = look(a_cohort(wrong=150), state={})
    assert look(state=loud)[0].alarm is True


def test_without_a_reference_error_harm_is_unknown():
    """No held-out error, no null: unknown, never an alarm and never healthy."""
    assert look(a_cohort(wrong=200), state={}, error_rows=0)[0].alarm is None


def test_uneven_windows_need_more_evidence():
    """Where healthy windows differ by .05, cohorts at 16% are no harm though labels are many."""
    state = {}
    for k in range(20):
        found, state = look(
            a_cohort(k, rows=2000, labelled=2000, wrong=320), state=state, error_sd=0.05, error_windows=20
        )
    assert not found.alarm
    assert look(*(a_cohort(k, rows=2000, labelled=2000, wrong=320) for k in range(20)), state={})[0].alarm


def test_state_read_back_from_json_continues_identically():
    """The state through JSON gives the same next measurement bit for bit."""
    _, state = look(a_cohort(0, wrong=30), state={})
    assert look(a_cohort(1, wrong=35), state=json.loads(json.dumps(state))) == look(a_cohort(1, wrong=35), state=state)
