"""Whether a retraining pays: what it would spare against what it costs."""

from dataclasses import replace

import numpy as np
import pytest

from healerd.decision import facts, payback
from tests.healerd.decision.situations import a_situation, a_stake

STAKE = a_stake()


def test_the_numbers_are_those_of_the_formula():
    """Drawn from the same normal law, the share of excesses above the price and their mean are what is computed."""
    stake = a_stake(recent=((600, 75.0),) * 3, retrain_cost=300.0)
    found = payback(stake)
    assert found is not None
    drawn = np.random.Generator(np.random.Philox(1)).normal(found.excess, found.sd, 400_000)
    loss = stake.window_cost / 0.10 * stake.horizon * drawn
    assert found.p_pays == pytest.approx((loss > found.price).mean(), abs=0.003)
    assert found.expected_loss == pytest.approx(np.maximum(loss, 0).mean(), rel=0.01)
    assert 0.1 < found.p_pays < 0.9, "a case in which both could be"


@pytest.mark.parametrize(
    "changes",
    [{"recent": ()}, {"recent": ((0, 0.0),)}, {"fresh": ()}],
)
def test_what_is_unknown_is_not_guessed(changes):
    """Without errors of the active version or of new fits the answer is unknown."""
    assert payback(replace(STAKE, **changes)) is None
    said = facts(a_situation(stake=replace(STAKE, **changes)))
    assert (said["p_retrain_pays"], said["expected_loss"]) == (None, None)
    assert facts(a_situation(stake=None))["p_retrain_pays"] is None


def test_where_nobody_said_how_often_a_fit_fails_every_other_one_does():
    """An unconfigured failure makes a fit dearer than a configured one of less, and hides nothing."""
    said, unsaid, even = (payback(replace(STAKE, failure=failure)) for failure in (0.2, None, 0.5))
    assert said is not None
    assert unsaid == even
    assert unsaid is not None
    assert unsaid.price > said.price


def test_more_harm_pays_sooner_and_dearer_or_hopeless_fits_later():
    """P(pays) rises with the active version's errors, and falls with the cost, and with every rejected candidate."""
    probabilities = [
        payback(a_stake(recent=((600, wrong),) * 3, retrain_cost=200.0)) for wrong in (40.0, 60.0, 80.0, 120.0)
    ]
    rising = [found.p_pays for found in probabilities if found]
    assert rising == sorted(rising)
    assert rising[0] < 0.35 < 0.6 < rising[-1]
    even = a_stake(recent=((600, 80.0),) * 3, retrain_cost=200.0)
    dearer = [payback(replace(even, retrain_cost=cost)) for cost in (0.0, 200.0, 2000.0)]
    assert sorted((found.p_pays for found in dearer if found), reverse=True) == [f.p_pays for f in dearer if f]
    hopeless = [payback(replace(even, judged=judged, accepted=0)) for judged in (0, 10, 100)]
    assert sorted(found.price for found in hopeless if found) == [found.price for found in hopeless if found]
    assert hopeless[2] is not None
    assert hopeless[0] is not None
    assert hopeless[2].p_pays < hopeless[0].p_pays


def test_fits_that_stopped_helping_lower_what_the_next_is_expected_to_spare():
    """Where the newest fits err as much as the active version there is nothing to spare, whatever older ones did."""
    lately = payback(a_stake(fresh=(0.10, *[0.25] * 12)))
    before = payback(a_stake(fresh=(*[0.25] * 12, 0.10)))
    assert lately is not None
    assert before is not None
    assert lately.excess < before.excess
    assert abs(lately.excess) < 0.03
