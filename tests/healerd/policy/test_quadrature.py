"""Comparing posteriors by quadrature agrees with brute force, and depends on nothing but the posteriors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from healerd.policy.quadrature import Student, p_least, p_less

laws = st.builds(Student, location=st.floats(-2, 2), scale=st.floats(0.05, 2), df=st.floats(8, 200))


def brute_force(a: Student, b: Student) -> float:
    """P(a < b) as the mean of P(a < x) over 20,000 evenly spread quantiles x of b."""
    law_a, law_b = stats.t(a.df, a.location, a.scale), stats.t(b.df, b.location, b.scale)
    return float(np.mean(law_a.cdf(law_b.ppf((np.arange(20_000) + 0.5) / 20_000))))


@given(a=laws, b=laws)
@settings(max_examples=40, deadline=None)
def test_p_less_is_the_integral(a: Student, b: Student):
    """The 64-node rule agrees with a sum over 20,000 points to a thousandth."""
    assert p_less(a, b) == pytest.approx(brute_force(a, b), abs=1e-3)


@given(a=laws, b=laws)
@settings(max_examples=100, deadline=None)
def test_one_of_two_is_the_lesser(a: Student, b: Student):
    """P(a < b) and P(b < a) add up to one, and equal laws are even."""
    assert p_less(a, b) + p_less(b, a) == pytest.approx(1.0, abs=1e-3)
    assert p_less(a, a) == pytest.approx(0.5, abs=1e-12)


@given(a=laws, b=laws, more=st.floats(0.01, 1))
@settings(max_examples=100, deadline=None)
def test_a_dearer_action_is_less_likely_the_cheaper(a: Student, b: Student, more: float):
    """Moving a cost up never raises the probability that it is the lower one."""
    dearer = Student(location=a.location + more, scale=a.scale, df=a.df)
    assert p_less(dearer, b) <= p_less(a, b) + 1e-12


def test_p_least_agrees_with_sampling():
    """The chance of being the least of three agrees with a million seeded draws, and adds up to one."""
    three = (
        Student(location=0.0, scale=1.0, df=10),
        Student(location=0.3, scale=0.5, df=20),
        Student(location=1.0, scale=2.0, df=12),
    )
    rng = np.random.Generator(np.random.Philox(7))
    draws = np.stack([law.location + law.scale * rng.standard_t(law.df, 300_000) for law in three])
    drawn = np.bincount(draws.argmin(axis=0), minlength=3) / 300_000
    assert sum(p_least(three)) == pytest.approx(1.0)
    assert p_least(three) == pytest.approx(drawn.tolist(), abs=5e-3)
    assert p_least(three[:1]) == (1.0,)
