import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.profiles import NumberMap, fit, merge, profile
from healerd.profiles.counting import BLOCK

law = settings(max_examples=80, deadline=None, derandomize=True)

ANY = st.lists(st.floats(), min_size=1, max_size=40)


def counted_one_by_one(one, values):
    known = values[~np.isnan(values)]
    return np.bincount(one.cells(known), minlength=one.size).tolist(), len(values) - len(known)


@law
@given(ANY, ANY)
def test_counting_is_the_map_value_by_value(reference, window):
    """Counts are those of each value's own cell, whatever the reference was and whatever comes: also NaN, also inf."""
    maps, values = fit({"x": np.array(reference)}), np.array(window)
    found = profile({"x": values}, maps).features["x"]
    assert (found.cells.tolist(), found.missing) == counted_one_by_one(maps.features["x"], values)


@pytest.mark.parametrize("scale", ["linear", "bits"])
@pytest.mark.parametrize(
    "odd", [(), (np.nan,), (np.inf, -np.inf), (1e300, -1e300), (-0.6, 1.6), (-3.0, 4.0), (2e9, -2e9)]
)
def test_every_place_beside_the_range_is_counted_as_the_map_has_it(scale, odd):
    """Values at the ends, a hair off them, near and far from the range have the same cells alone and in blocks."""
    one = NumberMap(scale=scale, low=0.5, high=1.5)
    ends = [np.nextafter(end, to) for end in (0.5, 1.5) for to in (-9.0, end, 9.0)]
    steps = np.linspace(0.3, 1.7, 70_001)
    values = np.concatenate([steps, ends, odd, one.edges(), np.nextafter(one.edges(), -9.0)])
    maps = fit({"x": np.array([0.5, 1.5])})
    maps = type(maps)(features={"x": one})
    found = profile({"x": values}, maps).features["x"]
    assert len(values) > BLOCK
    assert (found.cells.tolist(), found.missing) == counted_one_by_one(one, values)


@pytest.mark.parametrize("kind", [np.bool_, np.int8, np.int64, np.uint32, np.float32])
def test_a_number_is_counted_alike_in_every_type(kind):
    """Truths, whole numbers and short floats have the cells of the same values as float64."""
    values = np.random.Generator(np.random.Philox(2)).integers(0, 2, 500).astype(kind)
    maps = fit({"x": np.arange(-3.0, 9.0)})
    kept, same = (profile({"x": each}, maps) for each in (values, values.astype(np.float64)))
    assert kept.id == same.id


def test_blocks_are_not_seen_in_the_counts():
    """More rows than a block holds are counted as their halves are, bit for bit, and every row once."""
    rng = np.random.Generator(np.random.Philox(1))
    values = np.where(rng.random(3 * BLOCK + 7) < 0.01, np.nan, rng.standard_cauchy(3 * BLOCK + 7))
    maps = fit({"x": values[:1000]})
    whole = profile({"x": values}, maps)
    assert whole.id == merge(profile({"x": values[: BLOCK + 11]}, maps), profile({"x": values[BLOCK + 11 :]}, maps)).id
    assert whole.features["x"].n + whole.features["x"].missing == len(values)
