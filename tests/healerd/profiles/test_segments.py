"""Which segment a row belongs to: each row to exactly one, told from the reference alone."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.profiles.segments import OTHER, ROWS_MIN, VALUES_MAX, Segmentation, segment_codes, segmentation

VALUES = st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "", "(other)", "x=y"]), st.text(max_size=3)))
NUMBERS = st.lists(st.floats(allow_nan=True, allow_infinity=True))


@given(VALUES, VALUES)
@settings(max_examples=100)
def test_every_row_belongs_to_one_segment(reference: list[str | None], rows: list[str | None]) -> None:
    """Whatever a column holds, each row has a segment, and those of a named one hold its value and no other."""
    by = segmentation("s", np.array([*(reference * 1), *["a"] * ROWS_MIN], object))
    codes = segment_codes(by, np.array(rows, object), len(rows))
    assert ((codes >= 0) & (codes < len(by.names))).all()
    for code, row in zip(codes.tolist(), rows, strict=True):
        assert (row in by.values) == (code < len(by.values))
        assert code == len(by.values) or by.values[code] == row


@given(NUMBERS)
@settings(max_examples=100)
def test_numbers_of_any_size_have_a_segment(rows: list[float]) -> None:
    """NaN, infinities, 1e308 and -0.0 belong somewhere: NaN to the others, -0.0 where 0.0 does."""
    by = Segmentation(column="s", values=("0", "3", "inf", "1e+308"))
    codes = segment_codes(by, np.array([*rows, -0.0, 0.0, np.nan, np.inf, 1e308, 3.0], np.float64), len(rows) + 6)
    assert codes.tolist()[-6:] == [0, 0, 4, 2, 3, 1]


def test_few_values_are_named_the_commonest_first() -> None:
    """At most VALUES_MAX values with ROWS_MIN rows each have a segment; how many have none is known."""
    many = [f"v{k:02}" for k in range(VALUES_MAX + 5) for _ in range(ROWS_MIN + k)] + ["rare"]
    by = segmentation("s", np.array(many, object))
    assert len(by.values) == VALUES_MAX
    assert by.values[0] == f"v{VALUES_MAX + 4:02}"
    assert by.others == 6
    assert by.names[-1] == f"s={OTHER}"


def test_a_value_named_as_the_rest_is_among_it() -> None:
    """However many rows are called `(other)`, they have no segment that shares its name with that of the rest."""
    by = segmentation("s", np.array([OTHER] * ROWS_MIN + ["a"] * ROWS_MIN + ["b"], object))
    assert by.names == ("s=a", f"s={OTHER}")
    assert by.others == 2
    assert segment_codes(by, np.array([OTHER, "a", "b"], object), 3).tolist() == [1, 0, 1]


def test_a_lost_column_is_all_others() -> None:
    """Where the column is gone, no row is lost with it."""
    assert segment_codes(Segmentation(column="s", values=("a",)), None, 3).tolist() == [1, 1, 1]
