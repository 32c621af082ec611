import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from healerd.profiles import fit, ks, ks_p_value, mid_ranks, profile, psi, quantiles, spreads, wasserstein
from healerd.profiles.ranks import cumulative

law = settings(max_examples=80, deadline=None, derandomize=True)

COUNTS = st.lists(st.integers(0, 50), min_size=1, max_size=30).map(lambda c: np.array(c, np.int64))

LAWS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "uniform": lambda rng, n: rng.uniform(size=n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "lognormal": lambda rng, n: np.exp(3 * rng.normal(size=n)),
    "cauchy": lambda rng, n: rng.standard_cauchy(n),
    "mixture": lambda rng, n: np.where(rng.random(n) < 0.3, rng.normal(size=n), rng.normal(1000, 1, n)),
    "whole numbers": lambda rng, n: rng.poisson(20, n).astype(float),
}


def of_one(values, maps):
    return profile({"x": values}, maps).features["x"].cells


CHANGES = {
    "none": lambda window, reference: window,
    "wider": lambda window, reference: window * 1.05,
    "half of it far off": lambda window, reference: np.where(
        np.arange(len(window)) % 2, window, window + 3 * np.ptp(reference)
    ),
    "beyond the range": lambda window, reference: window + 1.001 * np.ptp(reference),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("law", LAWS)
def test_d_of_the_table_is_at_most_d_and_within_a_thousandth(law, change):
    """D from cells never exceeds the exact D, and falls short by under .001, on seven laws, near, far or unchanged."""
    rng = np.random.Generator(np.random.Philox(3))
    reference = LAWS[law](rng, 100_000)
    window = CHANGES[change](LAWS[law](rng, 10_000), reference)
    maps = fit({"x": reference})
    found = ks(np.cumsum(of_one(reference, maps)), np.cumsum(of_one(window, maps)))
    exact = ks_2samp(reference, window).statistic
    assert exact - 0.001 <= found <= exact + 1e-12


@law
@given(COUNTS.filter(lambda c: c.sum() > 0))
def test_places_have_mean_one_half_in_the_reference(cells):
    """Mid-ranks and spreads lie in [0, 1] and average exactly 1/2 over the reference's own rows."""
    for places in (mid_ranks(cells), spreads(cells)):
        assert ((places >= 0) & (places <= 1)).all()
        assert abs(cells @ places / cells.sum() - 0.5) < 1e-12


@law
@given(COUNTS.filter(lambda c: c.sum() > 0))
def test_mid_ranks_rise_and_spreads_fall_then_rise(cells):
    """Mid-ranks are monotone over the filled cells, spreads fall to one lowest cell and rise after it."""
    filled = cells > 0
    assert (np.diff(mid_ranks(cells)) >= -1e-12).all()
    steps = np.diff(spreads(cells)[filled])
    turn = int(np.argmin(spreads(cells)[filled]))
    assert (steps[:turn] <= 1e-12).all()
    assert (steps[turn:] >= -1e-12).all()


def test_without_rows_every_place_is_the_middle():
    """No rows, no rank: every place is 1/2, quantiles are unknown, a p-value is 1."""
    cells = np.zeros(8194, np.int64)
    assert set(mid_ranks(cells)) == set(spreads(cells)) == {0.5}
    assert np.isnan(quantiles(cells, fit({"x": np.arange(2.0)}).features["x"], (0.5,))[0])
    assert ks_p_value(0.5, 0, 10) == 1.0


@pytest.mark.parametrize("law", ["normal", "exponential", "lognormal"])
def test_quantiles_are_those_of_the_rows(law):
    """Quantiles from counts agree with those of the rows to a cell's width."""
    values = LAWS[law](np.random.Generator(np.random.Philox(4)), 20_000)
    maps = fit({"x": values})
    found = quantiles(of_one(values, maps), maps.features["x"], (0.1, 0.5, 0.9))
    exact = np.quantile(values, (0.1, 0.5, 0.9))
    assert np.allclose(found, exact, rtol=0.01, atol=0.002)


def test_displayed_distances_know_no_change_and_a_shift():
    """PSI and Wasserstein are 0 between equal counts; a shift by half an sd moves rows by half an sd."""
    values = np.random.Generator(np.random.Philox(5)).normal(size=50_000)
    maps = fit({"x": np.append(values, 9.0)})
    a, b = of_one(values, maps), of_one(values + 0.5, maps)
    assert psi(a, a) == 0.0
    assert 0.2 < psi(a, b) < 0.35
    edges = maps.features["x"].edges()
    assert wasserstein(cumulative(a), cumulative(a), edges) == 0.0
    assert wasserstein(cumulative(a), cumulative(b), edges) == pytest.approx(0.5, abs=0.01)


def test_the_p_value_is_that_of_scipy():
    """The displayed p-value agrees with scipy's asymptotic one."""
    rng = np.random.Generator(np.random.Philox(6))
    a, b = rng.normal(size=4000), rng.normal(0.05, 1, 3000)
    exact = ks_2samp(a, b, method="asymp")
    assert ks_p_value(exact.statistic, 4000, 3000) == pytest.approx(exact.pvalue, rel=0.15)
