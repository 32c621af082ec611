import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.profiles import CELLS, fit, from_bytes, merge, profile, to_bytes

law = settings(max_examples=80, deadline=None, derandomize=True)

RNG = np.random.Generator(np.random.Philox(5))
REFERENCE = {"x": RNG.normal(size=500), "name": np.array(list("abcab"), object)[RNG.integers(0, 5, 500)]}
MAPS = fit(REFERENCE)

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
NAMES = st.sampled_from(["a", "b", "c", "new", "", None])
ROWS = st.lists(st.tuples(NUMBERS, NAMES), max_size=30)


def columns(rows):
    return {
        "x": np.array([x for x, _ in rows], np.float64),
        "name": np.array([name for _, name in rows] + [None], object)[:-1],
    }


@law
@given(ROWS, st.lists(st.integers(0, 2), min_size=30, max_size=30))
def test_counts_of_any_sharding_are_identical(rows, shard):
    """Profiles of shards, merged in any order, are bit for bit the profile of all rows."""
    whole = profile(columns(rows), MAPS)
    parts = [profile(columns([r for r, s in zip(rows, shard, strict=False) if s == k]), MAPS) for k in (0, 1, 2)]
    assert merge(parts[0], merge(parts[1], parts[2])).id == whole.id
    assert merge(merge(parts[2], parts[0]), parts[1]).id == whole.id


@law
@given(ROWS)
def test_every_row_is_counted_once(rows):
    """Cells, missing and wrong type add up to the rows, for every feature and whatever the values."""
    counted = profile(columns(rows), MAPS)
    assert counted.rows == len(rows)
    for one in counted.features.values():
        assert one.n + one.missing + one.wrong_type == len(rows)


@law
@given(ROWS)
def test_bytes_survive(rows):
    """A profile read back from its bytes has the same content."""
    counted = profile(columns(rows), MAPS)
    assert from_bytes(to_bytes(counted)).id == counted.id


@pytest.mark.parametrize("cut", [0, 5, 30, -1])
def test_torn_bytes_are_refused(cut):
    """Bytes that are not a whole profile are an error, never a wrong profile."""
    with pytest.raises(ValueError, match="not a profile"):
        from_bytes(to_bytes(profile(REFERENCE, MAPS))[:cut])


def test_infinities_lie_outside_and_nan_is_missing():
    """-inf is below the range, +inf and 1e308 above, NaN missing, -0.0 within."""
    one = profile({"x": np.array([-np.inf, np.inf, 1e308, np.nan, -0.0])}, MAPS).features["x"]
    assert (one.cells[0], one.cells[CELLS + 3], one.missing, one.n) == (1, 2, 1, 4)


def test_text_among_numbers_is_of_the_wrong_type():
    """A changed type is counted apart, in both directions, and missing values stay missing."""
    counted = profile({"x": np.array([1.0, "1", None, 2], object), "name": np.array([1.0, np.nan, 2.0, 3.0])}, MAPS)
    assert (counted.features["x"].n, counted.features["x"].missing, counted.features["x"].wrong_type) == (2, 1, 1)
    assert (counted.features["name"].missing, counted.features["name"].wrong_type) == (1, 3)


def test_a_column_of_another_kind_is_all_of_the_wrong_type():
    """Times where numbers or names belong have a place too: all rows are of the wrong type."""
    times = np.array(["2020-01-01"] * 3, "datetime64[s]")
    counted = profile({"x": times, "name": times}, MAPS)
    assert [one.wrong_type for one in counted.features.values()] == [3, 3]


def test_a_lost_column_is_all_missing_and_a_new_one_is_named():
    """A column that is gone counts as missing in every row; an unknown one is named and not counted."""
    counted = profile({"x": np.zeros(4), "extra": np.zeros(4)}, MAPS)
    assert counted.lost == ("name",)
    assert counted.features["name"].missing == 4
    assert counted.new == ("extra",)


def test_columns_of_unequal_length_are_refused():
    """Columns that differ in length are an error that names the column."""
    with pytest.raises(ValueError, match="column `name` has 2 rows, the first column 3"):
        profile({"x": np.zeros(3), "name": np.array(["a", "b"], object)}, MAPS)


def test_no_rows_are_a_profile_too():
    """An empty window has a profile of zeros, which adds nothing."""
    empty, whole = profile({"x": np.zeros(0)}, MAPS), profile(REFERENCE, MAPS)
    assert empty.rows == 0
    assert merge(whole, empty).features["x"].n == whole.features["x"].n


def test_profiles_of_different_maps_do_not_add():
    """Counts through different cells are never added."""
    other = fit({"x": np.arange(3.0)})
    with pytest.raises(AssertionError, match="different maps"):
        merge(profile(REFERENCE, MAPS), profile({"x": np.zeros(3)}, other))
