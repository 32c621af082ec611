"""What is learned from outcomes, and that it is learned the same way each time."""

import itertools
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from healerd.policy import KEEP, PSEUDO_INCIDENTS, ActionPrior, begin, learn_all, learn_event
from healerd.policy.belief import DISCREPANCY_SD, believe, forget, learn, predict
from tests.healerd.policy.incidents import FEATURES, a_model, an_event, drawn_events

USUAL = (1.0, 0.0, 0.0)


def test_the_prior_is_the_configured_failure_and_cost():
    """Before any event, the expected failure and the fixed cost are the configured ones."""
    state = begin(a_model())
    belief = state.belief("rollback")
    assert belief is not None
    assert predict(belief, USUAL).location == pytest.approx(0.35)
    assert belief.fixed_cost == pytest.approx(1.0)


def test_the_prior_weighs_as_ten_incidents():
    """Ten plain events without forgetting weigh as much as the prior: the mean is half-way."""
    belief = believe(ActionPrior(action="retrain", failure=0.2), ("one",))
    for _ in range(int(PSEUDO_INCIDENTS)):
        belief = learn(belief, (1.0,), failed=True, cost=0.0)
    assert predict(belief, (1.0,)).location == pytest.approx((0.2 + 1.0) / 2)


def test_the_posterior_is_that_of_the_textbook():
    """With one constant feature the posterior of the mean is the t law of the conjugate normal model."""
    prior = ActionPrior(action="retrain", failure=0.3)
    belief = believe(prior, ("one",))
    outcomes = [1.0, 0.0, 0.0, 1.0, 1.0]
    rate0 = 0.5 * (belief.square - PSEUDO_INCIDENTS * 0.3**2)
    for outcome in outcomes:
        belief = learn(belief, (1.0,), failed=bool(outcome), cost=0.0)
    n, mean = len(outcomes), float(np.mean(outcomes))
    weight = PSEUDO_INCIDENTS + n
    shape = PSEUDO_INCIDENTS / 2 + n / 2
    squares = float(np.sum((np.array(outcomes) - mean) ** 2))
    rate = rate0 + 0.5 * squares + 0.5 * PSEUDO_INCIDENTS * n / weight * (mean - 0.3) ** 2
    law = predict(belief, (1.0,))
    assert law.location == pytest.approx((PSEUDO_INCIDENTS * 0.3 + n * mean) / weight)
    assert law.df == pytest.approx(2 * shape)
    assert law.scale**2 == pytest.approx(rate / shape / weight + DISCREPANCY_SD**2)


def test_failures_make_an_action_look_worse_and_successes_better():
    """The expected failure moves towards what was seen."""
    model = a_model()
    usual = begin(model).belief("retrain")
    failing = learn_all(model, (an_event(n, failed=True) for n in range(1, 6))).belief("retrain")
    helping = learn_all(model, (an_event(n, failed=False) for n in range(1, 6))).belief("retrain")
    assert usual is not None
    assert failing is not None
    assert helping is not None
    assert predict(helping, USUAL).location < predict(usual, USUAL).location < predict(failing, USUAL).location


def test_what_was_learned_fades_towards_the_prior():
    """Forgetting without new evidence brings the belief back to the prior, never beyond it."""
    prior = believe(ActionPrior(action="retrain", failure=0.25), FEATURES)
    belief = prior
    for _ in range(5):
        belief = learn(belief, USUAL, failed=True, cost=100.0)
    distances = []
    for _ in range(400):
        distances.append(predict(belief, USUAL).location - predict(prior, USUAL).location)
        belief = forget(belief, prior, keep=KEEP)
    assert all(later < earlier for earlier, later in itertools.pairwise(distances))
    assert abs(distances[-1]) < 1e-4
    assert belief.fixed_cost == pytest.approx(prior.fixed_cost, abs=1e-2)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_the_same_events_give_the_same_state_bit_for_bit(seed: int, count: int):
    """Learning is deterministic, and the same in one go and one by one."""
    model, rng = a_model(), np.random.Generator(np.random.Philox(seed))
    events = drawn_events(rng, count)
    state = begin(model)
    for event in events:
        state = learn_event(model, state, event)
    assert state == learn_all(model, events)
    assert state.hash == learn_all(model, events).hash


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_posterior_stays_a_proper_law(seed: int):
    """Whatever comes, in any order, scale and degrees of freedom stay positive and finite."""
    model, rng = a_model(), np.random.Generator(np.random.Philox(seed))
    state = learn_all(model, drawn_events(rng, 120))
    for belief in state.beliefs:
        law = predict(belief, (1.0, float(rng.random()), 1.0))
        assert np.isfinite([law.location, law.scale, law.df]).all()
        assert law.scale >= DISCREPANCY_SD
        assert law.df > 2


def test_s11_what_nobody_could_judge_teaches_nothing():
    """An inconclusive event leaves every belief as it was, and is counted."""
    model = a_model()
    before = learn_all(model, (an_event(1, failed=True),))
    after = learn_event(model, before, an_event(2, failed=None, cost=1e6))
    assert after.beliefs == before.beliefs
    assert after.events == 2


def test_an_event_out_of_order_is_refused():
    """Events are taken up in the order of arrival, each once."""
    model = a_model()
    state = learn_all(model, (an_event(1),))
    with pytest.raises(ValueError, match="event 1 does not follow event 1"):
        learn_event(model, state, an_event(1))
    with pytest.raises(ValueError, match="event 3 does not follow"):
        learn_event(model, state, an_event(3))


@pytest.mark.parametrize("context", [(1.0,), (1.0, float("nan"), 0.0), (1.0, float("inf"), 0.0)])
def test_a_context_that_is_no_context_is_refused(context: tuple[float, ...]):
    """Only finite numbers, one for each feature, are learned from."""
    with pytest.raises(ValueError, match="not 3 finite numbers"):
        learn_event(a_model(), begin(a_model()), an_event(1, context=context))


def test_different_histories_have_different_hashes():
    """The hash names the content."""
    model = a_model()
    states = [begin(model), learn_all(model, (an_event(1),)), learn_all(model, (an_event(1, cost=41.0),))]
    assert len({state.hash for state in states}) == 3


def test_the_law_is_scipys_student():
    """A prediction's law is the t law that scipy means by the same numbers."""
    belief = begin(a_model()).belief("retrain")
    assert belief is not None
    law = predict(belief, USUAL)
    assert law.sd == pytest.approx(float(stats.t(law.df, law.location, law.scale).std()))


def test_beliefs_that_fade_by_the_day_fade_with_time_alone():
    """Without lessons a month takes most of what was learned; a clock that runs backwards takes and gives nothing."""
    model, event = a_model(), an_event(1, failed=True)
    fresh = learn_all(model, [event], daily_to=event.at)
    later = learn_all(model, [event], daily_to=event.at + timedelta(days=100))
    start = begin(model)
    for learned, kept in ((fresh, 1.0), (later, 0.97**100)):
        belief, prior = learned.belief("retrain"), start.belief("retrain")
        assert belief is not None
        assert prior is not None
        assert belief.shape - prior.shape == pytest.approx(0.5 * kept)
    assert learn_all(model, [event], daily_to=event.at - timedelta(days=5)) == fresh
