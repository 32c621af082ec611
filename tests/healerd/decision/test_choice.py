"""What is not known of an incident is read both ways, and no reading that is known can be less sure than that."""

from dataclasses import replace

import numpy as np
import pytest

from healerd.decision import FEATURES, SURE_ENOUGH, Situation
from healerd.decision.choice import Counsel, consult
from healerd.decision.context import CONTEXT, contexts_of
from healerd.decision.view import look
from healerd.model import Layer, Quality
from healerd.policy import Event, learn_all
from tests.healerd.decision.situations import (
    HEALS,
    HOUR,
    NOW,
    a_calm_situation,
    a_line,
    a_situation,
    an_incident,
    costs,
    drift,
    harm,
    rules,
)


def counsel(situation: Situation) -> Counsel:
    found, failure = consult(look(situation, rules()), "retrain")
    assert found is not None, failure
    return found


def learned(rng: np.random.Generator):
    """A policy whose beliefs lean strongly on the context, one way or the other."""
    slopes = {action: rng.normal(0, 1, len(FEATURES)) for action in HEALS}

    def one(number: int) -> Event:
        action = HEALS[number % 3]
        context = (1.0, *(float(rng.random()) for _ in FEATURES[1:]))
        failed = bool(0.3 + slopes[action] @ (np.array(context) - 0.5) > 0.5)
        return Event(number=number, at=NOW, action=action, context=context, failed=failed, cost=5.0)

    return learn_all(costs(), (one(number) for number in range(1, 61)))


def test_s4_hiding_the_context_makes_no_action_sure_enough():
    """Where a blind policy is 80% sure, one that sees is as well: over many histories, errors and alarms."""
    rng = np.random.Generator(np.random.Philox(5))
    sure_blind = 0
    for _ in range(150):
        seen = a_situation(
            learned=learned(rng),
            measurements=(harm(error=float(rng.random())), drift(alarm=bool(rng.random() < 0.5))),
            quality=Quality.GOOD,
        )
        blind = replace(seen, measurements=(), quality=Quality.UNKNOWN)
        for action in HEALS:
            p_blind, p_seen = counsel(blind).confidence(action), counsel(seen).confidence(action)
            assert p_blind is not None
            assert p_seen is not None
            sure_blind += p_blind >= SURE_ENOUGH
            assert p_blind < SURE_ENOUGH or p_seen >= SURE_ENOUGH
    assert sure_blind > 20, "the law is not empty"


def test_what_is_unknown_is_read_both_ways():
    """Each unknown number of the context doubles the readings; the first reads 0."""
    known = contexts_of(a_situation())
    blind = contexts_of(a_situation(measurements=(), quality=Quality.UNKNOWN))
    assert len(known) == 1
    assert len(blind) == 8
    assert blind[0] == (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert len(set(blind)) == 8


@pytest.mark.parametrize(
    ("changes", "feature", "value"),
    [
        ({"measurements": (harm(error=0.2), drift())}, "log_effect", 0.3466),
        ({"measurements": (harm(error=0.05), drift())}, "log_effect", 0.0),
        ({"measurements": (harm(error=1.0), drift())}, "log_effect", 1.0),
        ({"measurements": (harm(), drift(alarm=True))}, "covariates", 1.0),
        ({"quality": Quality.BAD}, "bad_data", 1.0),
        ({"log": (a_line(ended_at=NOW),)}, "recent_heal", 1.0),
        ({"log": (a_line(ended_at=NOW - 4 * HOUR),)}, "recent_heal", 0.5),
        ({"log": (a_line(ended_at=NOW, pipeline="fraud"),)}, "recent_heal", 0.0),
        ({"incident": an_incident(kind=Layer.REGRET)}, "no_harm", 0.0),
        ({"incident": an_incident(kind=Layer.DRIFT), "measurements": (harm(alarm=False), drift())}, "no_harm", 1.0),
    ],
)
def test_the_numbers_of_the_context(changes: dict[str, object], feature: str, value: float):
    """Each number means what it says."""
    found = dict(zip(FEATURES, contexts_of(a_situation(**changes))[0], strict=True))
    assert found[feature] == pytest.approx(value, abs=1e-4)


def test_every_number_of_the_context_is_documented_and_bounded():
    """Each has a meaning, and lies in [0, 1] where it is known."""
    assert all(meaning for meaning, _ in CONTEXT.values())
    for situation in (a_situation(), a_calm_situation(), a_situation(log=(a_line(ended_at=NOW + HOUR),))):
        assert all(0.0 <= value <= 1.0 for context in contexts_of(situation) for value in context)


def test_without_harm_doing_nothing_is_worth_more():
    """The belief about holding is what makes an alarm without harm no reason to act alone."""
    harmful = counsel(a_situation()).confidence("retrain")
    harmless = counsel(
        a_situation(incident=an_incident(kind=Layer.DRIFT), measurements=(harm(alarm=False, error=0.1), drift()))
    ).confidence("retrain")
    assert harmful is not None
    assert harmless is not None
    assert harmless < SURE_ENOUGH <= harmful
