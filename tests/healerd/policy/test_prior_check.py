"""The prior check: quiet while predictions are right, loud when two are swapped (seeded, short)."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.policy import ActionPrior, Deed, check_prior
from healerd.policy.prior_check import TRIP, predicted
from tests.healerd.policy.incidents import NOW, a_model

SITES, OUTCOMES = 400, 100


def a_deed(number: int = 1, **changes: object) -> Deed:
    """A retraining that the rules proposed and that resolved its incident; override a field."""
    held: dict[str, object] = {
        "key": f"i-{number}",
        "at": NOW,
        "action": "retrain",
        "rule_action": "retrain",
        "context": (1.0, 0.0, 0.0),
        "severity": 300.0,
        "failed": False,
        "over": True,
    }
    return Deed(**{**held, **changes})  # type: ignore[arg-type]


def site(seed: int, failures: dict[str, float]) -> list[Deed]:
    rng = np.random.Generator(np.random.Philox(seed))

    def one(number: int) -> Deed:
        action = str(rng.choice(list(failures)))
        failed = bool(rng.random() < failures[action])
        return a_deed(number, action=action, rule_action=action, failed=failed)

    return [one(number) for number in range(OUTCOMES)]


def test_right_predictions_trip_at_most_as_often_as_promised():
    """Over 400 seeded sites whose outcomes follow the configuration, at most 1 in 20 trips, at any of 100 looks."""
    trips = sum(
        check_prior(a_model(), site(seed, {"retrain": 0.25, "rollback": 0.35})).tripped for seed in range(SITES)
    )
    assert trips / SITES <= 1 / TRIP


def test_a_small_misfit_is_let_pass():
    """Predictions that are off by two points trip hardly ever either."""
    trips = sum(check_prior(a_model(), site(seed, {"retrain": 0.27, "rollback": 0.33})).tripped for seed in range(200))
    assert trips / 200 <= 1 / TRIP


def test_grossly_swapped_predictions_are_caught():
    """Two actions whose failures are .15 and .65, configured the other way about, trip nine sites in ten."""
    model = a_model(
        actions=(
            ActionPrior(action="hold", failure=0.9),
            ActionPrior(action="retrain", cost=40.0, failure=0.65),
            ActionPrior(action="rollback", cost=1.0, failure=0.15),
        )
    )
    trips = sum(check_prior(model, site(seed, {"retrain": 0.15, "rollback": 0.65})).tripped for seed in range(100))
    assert trips >= 90


def test_what_has_tripped_stays_tripped():
    """Good outcomes afterwards do not take a refutation back; only other predictions do."""
    bad = [a_deed(number, failed=True) for number in range(40)]
    good = [a_deed(number) for number in range(40, 400)]
    assert check_prior(a_model(), bad).tripped
    assert check_prior(a_model(), [*bad, *good]).tripped
    mended = a_model(actions=(ActionPrior(action="hold", failure=0.9), ActionPrior(action="retrain", failure=0.97)))
    assert not check_prior(mended, bad).tripped


@pytest.mark.parametrize(
    "changes",
    [
        {"rule_action": "rollback"},
        {"wished": True},
        {"failed": None},
        {"action": "fallback", "rule_action": "fallback"},
    ],
)
def test_only_outcomes_of_the_rules_actions_count(changes: dict[str, object]):
    """Deviations, wishes, what nobody could judge and actions without a prediction say nothing."""
    assert check_prior(a_model(), [a_deed(n, **{"failed": True, **changes}) for n in range(50)]).log_highest == 0.0


@given(failures=st.lists(st.booleans(), max_size=40), pending=st.integers(0, 40))
@settings(max_examples=30, deadline=None)
def test_what_comes_after_a_missing_outcome_waits(failures: list[bool], pending: int):
    """The evidence up to the first outcome that is not in is all there is: quick failures do not jump the queue."""
    deeds = [a_deed(n, failed=failed) for n, failed in enumerate(failures)]
    held = [replace(deed, failed=None, over=False) if n == pending else deed for n, deed in enumerate(deeds)]
    assert check_prior(a_model(), held) == check_prior(a_model(), deeds[:pending])


def test_a_prediction_is_the_configured_line_within_reason():
    """P(failure) is the prior's line, kept off 0 and 1."""
    prior = ActionPrior(action="hold", failure=0.9, slopes={"effect": -0.5})
    assert predicted(prior, a_model(), (1.0, 0.4, 0.0)) == pytest.approx(0.7)
    steep = ActionPrior(action="hold", failure=0.3, slopes={"effect": -1.0})
    assert predicted(steep, a_model(), (1.0, 1.0, 0.0)) == pytest.approx(0.02)
    assert math.isfinite(check_prior(a_model(actions=(steep,)), []).log_evidence)
