"""Windows suit the rhythm of a table."""

import numpy as np
import pytest

from healerd.offline.windows import DAY_S, choose_window, in_words


def times(rows: int, every_s: float) -> np.ndarray:  # type: ignore[type-arg]
    return np.datetime64("2024-01-01", "us") + (np.arange(rows) * every_s * 1e6).astype("timedelta64[us]")


@pytest.mark.parametrize(
    ("rows", "every_s", "window_s"),
    [
        (48 * 900, 1800.0, DAY_S),
        (2000, 60.0, 3600.0 * 2),
        (569, 60.0, 1800.0),
        (100_000, 1.0, 300.0),
        (3000, DAY_S, 100 * DAY_S),
    ],
)
def test_a_window_holds_enough_rows_and_a_table_enough_windows(rows: int, every_s: float, window_s: float) -> None:
    """A day where days have rows; else the shortest usual length with enough of them."""
    assert choose_window(times(rows, every_s)) == window_s


def test_one_moment_is_no_reason_to_fail() -> None:
    """A table whose rows all have one time still gets a window."""
    assert choose_window(times(500, 0.0)) == 60.0


def test_lengths_are_said_in_the_largest_whole_unit() -> None:
    """People read `2 hours`, not `7200`."""
    assert [in_words(seconds) for seconds in (1.0, 90.0, 7200.0, 86_400.0 * 14)] == [
        "1 second",
        "90 seconds",
        "2 hours",
        "14 days",
    ]
