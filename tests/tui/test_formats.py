"""Numbers and times are written short, and never as what they are not."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd_tui.formats import ago, clock, say_count, say_number, say_p, say_share


@settings(max_examples=300, deadline=None)
@given(st.floats(-1e307, 1e307), st.integers(1, 6))
def test_numbers_keep_their_value(value: float, digits: int) -> None:
    """A number read back differs by no more than its digits allow, and is short."""
    written = say_number(value, digits)
    assert len(written) <= digits + 8
    assert float(written) == pytest.approx(value, rel=0.6 * 10.0 ** (1 - digits), abs=1e-320)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "-"),
        (math.nan, "-"),
        (math.inf, "inf"),
        (0.31, "0.31"),
        (48210, "48210"),
        (2e-6, "2e-6"),
        (1e308, "1e308"),
    ],
)
def test_numbers_read_well(value: float | None, written: str) -> None:
    """Common numbers, and what is no number, look as a person expects."""
    assert say_number(value) == written


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1))
def test_shares_are_certain_only_if_they_are(share: float) -> None:
    """A probability is written as 0 or 1 only where it is."""
    assert (say_share(share) == "0.00") is (share == 0)
    assert (say_share(share) == "1.00") is (share == 1)


def test_p_values_and_counts() -> None:
    """P-values and counts have the forms of the tables."""
    assert [say_p(each) for each in (2e-6, 0.003, 0.5, 0, None)] == ["2e-06", "0.003", "0.5", "0", "-"]
    assert [say_count(each) for each in (48210, None)] == ["48,210", "-"]


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (221, "03:41"),
        (3731, "1:02:11"),
        (183600, "2d 03h"),
        (0, "00:00"),
        (0.2, "00:01"),
        (-5, "00:00"),
        (None, "--:--"),
    ],
)
def test_the_clock_says_what_is_left(seconds: float | None, written: str) -> None:
    """Time that is left is rounded up, so that zero means over, and is never invented."""
    assert clock(seconds) == written


def test_how_long_ago() -> None:
    """An age is written in its largest unit."""
    assert [ago(each) for each in (3, 250, 8000, 9e5, None, -1)] == ["3s", "4m", "2h", "10d", "-", "0s"]
