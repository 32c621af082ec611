import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.errors import SourceError
from healerd.profiles import CELLS, NameMap, ProfileSettings, fit, maps_from_json, maps_to_json

law = settings(max_examples=80, deadline=None, derandomize=True)

FLOATS = st.lists(st.floats(allow_nan=False), min_size=1, max_size=40)


@law
@given(FLOATS, FLOATS)
def test_a_map_keeps_the_order(reference, window):
    """A larger value never gets a smaller cell, whatever the reference was and whatever comes."""
    one = fit({"x": np.array(reference)}).features["x"]
    cells = one.cells(np.sort(np.array(window)))
    assert (np.diff(cells) >= 0).all()
    assert cells.min() >= 0
    assert cells.max() < one.size


@law
@given(FLOATS, FLOATS)
def test_a_value_has_its_cell_whatever_comes_with_it(reference, window):
    """The cell of a value is the same alone, among others, and beside an infinity."""
    one = fit({"x": np.array(reference)}).features["x"]
    together = one.cells(np.array([*window, math.inf]))[:-1]
    assert one.cells(np.array(window)).tolist() == together.tolist()
    assert [int(one.cells(np.array([value]))[0]) for value in window] == together.tolist()


@law
@given(FLOATS)
def test_the_reference_lies_in_its_own_range(reference):
    """Every finite value of the reference has an inner cell; infinities have the outer ones."""
    values = np.array(reference)
    cells = fit({"x": values}).features["x"].cells(values)
    assert ((cells >= 2) & (cells <= CELLS + 1))[np.isfinite(values)].all()
    assert (cells[values == np.inf] == CELLS + 3).all()
    assert (cells[values == -np.inf] == 0).all()


def test_heavy_tails_get_the_logarithmic_map():
    """A heavy-tailed feature is cut by its float bits, an even one linearly."""
    rng = np.random.Generator(np.random.Philox(1))
    maps = fit({"heavy": np.exp(4 * rng.normal(size=5000)), "even": rng.uniform(size=5000)})
    assert maps.features["heavy"].scale == "bits"
    assert maps.features["even"].scale == "linear"


@pytest.mark.parametrize("value", [5.0, 0.0, -3e300, 1e-310])
def test_a_constant_has_one_cell_and_its_neighbours_lie_outside(value):
    """Beside a constant reference any clearly other value is out of range, below or above."""
    one = fit({"x": np.full(9, value)}).features["x"]
    apart = max(abs(value) * 1e-6, 1e-200)
    below, same, above = one.cells(np.array([value - apart, value, value + apart]))
    assert below < same < above
    assert same == 2
    assert below in (0, 1)
    assert above in (CELLS + 2, CELLS + 3)


def test_far_is_half_the_width_or_a_factor_of_two():
    """Just beyond the range is near it; far is half its width on the linear scale, a factor of two on that of bits."""
    even = fit({"x": np.linspace(10, 20, 99)}).features["x"]
    assert even.cells(np.array([4.9, 5.1, 9.9, 20.1, 24.9, 25.1])).tolist() == [0, 1, 1] + [CELLS + 2] * 2 + [CELLS + 3]
    heavy = fit({"x": np.exp(np.linspace(0, 20, 99))}).features["x"]
    top = np.exp(20.0)
    assert heavy.cells(np.array([0.4, 0.7, 1.5 * top, 3 * top])).tolist() == [0, 1, CELLS + 2, CELLS + 3]


def test_minus_zero_is_zero():
    """-0.0 and 0.0 share a cell under both maps."""
    for values in ([-1.0, 1.0], [-1e30, 1e30, 1e-30]):
        one = fit({"x": np.array(values)}).features["x"]
        assert len(set(one.cells(np.array([-0.0, 0.0])).tolist())) == 1


@law
@given(st.sets(st.text(max_size=3), max_size=9), st.lists(st.text(max_size=3), max_size=20))
def test_names_have_odd_cells_and_gaps_even_ones(names, seen):
    """A known name has an odd cell, an unknown one the even gap where it would stand in order."""
    one = NameMap(names=tuple(sorted(names)))
    cells = one.cells(sorted(seen))
    assert (np.diff(cells) >= 0).all()
    assert [cell % 2 == 1 for cell in cells] == [name in names for name in sorted(seen)]


def test_only_the_commonest_names_are_kept():
    """Beyond the cap the rarest names of the reference have no cell of their own."""
    column = np.array(["a"] * 3 + ["b"] * 2 + ["c"], object)
    assert fit({"x": column}, settings=ProfileSettings(categories_max=2)).features["x"].names == ("a", "b")


def test_maps_survive_json():
    """Maps read back from JSON are the same maps, and a change to them is found."""
    maps = fit({"x": np.arange(9.0), "y": np.array(["b", None, "a"] * 3, object)}, scores=("x",))
    tree = maps_to_json(maps)
    assert maps_from_json(tree) == maps
    tree["features"][0][1]["high"] = 9.5
    with pytest.raises(ValueError, match="were changed"):
        maps_from_json(tree)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (np.array(["2020-01-01"], "datetime64[s]"), "column `x` is of type"),
        (np.array(["a", None, 3], object), "column `x`, row 2: `3` is not text"),
    ],
)
def test_a_reference_column_of_no_one_type_is_refused(column, said):
    """A reference that mixes types or holds neither numbers nor text is refused with the place."""
    with pytest.raises(SourceError, match=said):
        fit({"x": column})
