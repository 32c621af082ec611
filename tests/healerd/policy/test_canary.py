"""The canary's verdict: right at all times at once, and deaf to everything that no coin decided."""

from dataclasses import replace

import numpy as np
import pytest

from healerd.policy import Canary, Deed, coin, judge_canary
from tests.healerd.policy.test_prior_check import a_deed


def played(seed: int, n: int, *, policy: float, rule: float) -> list[Deed]:
    """Coin decisions whose two sides fail with the given probabilities."""
    rng = np.random.Generator(np.random.Philox(seed))

    def one(number: int) -> Deed:
        action = "rollback" if rng.random() < 0.5 else "retrain"
        failed = bool(rng.random() < (policy if action == "rollback" else rule))
        return a_deed(number, action=action, failed=failed, coin=True)

    return [one(number) for number in range(n)]


def test_without_a_difference_no_verdict_at_any_time():
    """Over 60 seeded canaries of equal sides, at most 1 in 20 is ever called better or worse, at 12 looks each."""
    wrong = sum(
        any(judge_canary(deeds[:n]).verdict != "not proven" for n in range(25, 301, 25))
        for deeds in (played(seed, 300, policy=0.3, rule=0.3) for seed in range(60))
    )
    assert wrong / 60 <= 0.05


@pytest.mark.parametrize(("policy", "rule", "verdict"), [(0.05, 0.6, "better"), (0.6, 0.05, "worse")])
def test_a_large_difference_is_found(policy: float, rule: float, verdict: str):
    """Where one side fails twelve times as often, 300 coin decisions prove it."""
    assert judge_canary(played(1, 300, policy=policy, rule=rule)).verdict == verdict


def test_nothing_is_proven_by_nothing():
    """Without coin decisions the interval is everything."""
    assert judge_canary([a_deed(n, failed=True) for n in range(500)]) == Canary()
    assert Canary().verdict == "not proven"


def test_s11_a_missing_outcome_counts_as_failed_and_only_once_it_is_over():
    """What is over without a verdict has failed; what is open holds back all that comes after it."""
    deeds = played(2, 20, policy=0.5, rule=0.5)
    late = [replace(deed, failed=None, over=True) for deed in deeds]
    found = judge_canary(late)
    assert (found.policy_failures, found.rule_failures) == (found.policy_outcomes, found.rule_outcomes)
    waiting = [*deeds[:5], replace(deeds[5], failed=None, over=False), *deeds[6:]]
    held = judge_canary(waiting)
    assert held.policy_outcomes + held.rule_outcomes == 5
    assert held.pending == 15


def test_the_coin_is_fair_and_the_same_for_the_same_decision():
    """Of 4,000 decisions about half come up each way, and each comes up the same again."""
    tossed = [coin(f"decision-{n}") for n in range(4000)]
    assert tossed == [coin(f"decision-{n}") for n in range(4000)]
    assert abs(sum(tossed) - 2000) < 4 * 32
