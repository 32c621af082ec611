import math
import tracemalloc
from datetime import UTC, datetime

import numpy as np
import pytest

from healerd.profiles import fit, make_reference, profile, reference_from_bytes, reference_to_bytes, slim
from healerd.profiles.reference import stretch


def reference_of(columns, windows):
    maps = fit(columns)
    parts = [{name: np.array_split(c, windows)[k] for name, c in columns.items()} for k in range(windows)]
    return make_reference(maps, [profile(part, maps) for part in parts])


def test_a_reference_is_its_windows_merged():
    """The whole of a reference is bit for bit the profile of all its rows."""
    x = np.random.Generator(np.random.Philox(1)).normal(size=1000)
    assert reference_of({"x": x}, 7).whole.id == profile({"x": x}, fit({"x": x})).id


def test_windows_that_keep_their_filled_cells_alone_give_the_same_reference():
    """A reference of slim windows is bit for bit that of whole ones, seasons and all, in a fraction of the memory."""
    rng, windows, hour = np.random.Generator(np.random.Philox(4)), 24 * 8, 3600
    n = 20 * windows
    day = np.sin(np.arange(n) * 2 * np.pi / (20 * 24))
    columns = {
        "x": day + rng.normal(size=n) / 4,
        "y": rng.normal(size=n),
        "z": rng.choice(["a", "b"], n).astype(object),
    }
    starts = [datetime.fromtimestamp(hour * k, UTC) for k in range(windows)]
    maps = fit(columns)

    def made(keep):
        parts = (slice(20 * k, 20 * k + 20) for k in range(windows))
        tracemalloc.start()
        each = [keep(profile({name: c[part] for name, c in columns.items()}, maps)) for part in parts]
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return reference_to_bytes(make_reference(maps, each, starts=starts, window_s=hour)), size

    (whole, large), (slimmed, small) = made(lambda each: each), made(slim)
    assert b'"seasons"' in whole
    assert slimmed == whole
    assert small < large / 20


def test_a_clock_is_known_to_leave_its_range():
    """A feature that grows within the reference has the habit of being unseen and out of range."""
    habit = reference_of({"clock": np.arange(1000.0)}, 10).habits["clock"]
    assert habit.out_of_range == habit.unseen == 1.0


def test_an_hour_is_known_to_stand_still():
    """A feature that is constant within each window has the habit of being stuck, and a large variance between."""
    hour = np.repeat(np.arange(24.0), 50)
    habit = reference_of({"hour": hour}, 24).habits["hour"]
    assert habit.stuck == 1.0
    assert habit.place_vars[0] == pytest.approx(1 / 12, rel=0.1)


def test_rows_alike_from_window_to_window_have_no_variance_between():
    """Independent rows leave next to no variance between windows."""
    habit = reference_of({"x": np.random.Generator(np.random.Philox(2)).normal(size=20_000)}, 20).habits["x"]
    assert max(habit.place_vars) < 1e-4


@pytest.mark.parametrize(
    ("found", "factor"),
    [((2.0, 4.0, 6.0), 2.0), ((0.5, 1.0, 1.5), 0.5), ((6.0, 7.0, 8.0), 1.0), ((1.0, 2.0, 3.0), 1.0), ((3, 2, 1), 1.0)],
)
def test_stretch_tells_a_scale_from_a_shift(found, factor):
    """A common factor of all quartiles and their range is a stretch; a shift, nothing or nonsense is none."""
    assert stretch((1.0, 2.0, 3.0), found) == pytest.approx(math.log(factor))


def test_stretch_ignores_a_median_near_zero():
    """A feature centred at zero is stretched by its outer quartiles alone."""
    assert stretch((-1.0, 0.01, 1.0), (-1.7, -0.03, 1.6)) == pytest.approx(math.log(1.6))


def test_a_reference_survives_its_bytes():
    """A reference read back from its bytes has the same counts, habits and maps; torn bytes are refused."""
    rng = np.random.Generator(np.random.Philox(3))
    whole = reference_of({"x": rng.normal(size=300), "y": np.array(["a", "b", None] * 100, object)}, 3)
    read = reference_from_bytes(reference_to_bytes(whole))
    assert (read.id, read.habits, read.maps, read.rows_most) == (whole.id, whole.habits, whole.maps, 100)
    with pytest.raises(ValueError, match="not a reference"):
        reference_from_bytes(reference_to_bytes(whole)[:-5])


def test_an_all_missing_feature_has_a_reference():
    """A feature without a value is possible: always missing, everything else unseen."""
    habit = reference_of({"x": np.full(100, np.nan)}, 2).habits["x"]
    assert (habit.missing, habit.unseen) == (1.0, 1.0)


def test_windows_without_the_feature_are_a_habit_too():
    """A feature that is missing all night in the reference may be missing all night."""
    x = np.where(np.repeat([False, True], 100), np.nan, 1.0)
    assert reference_of({"x": x}, 2).habits["x"].missing == 1.0


def test_the_same_rows_cut_otherwise_are_another_reference():
    """The id holds the habits: evidence is never carried over to a reference that measures otherwise."""
    x = np.random.Generator(np.random.Philox(4)).normal(size=1000)
    assert reference_of({"x": x}, 2).id != reference_of({"x": x}, 10).id


def test_a_reference_needs_a_window():
    """No windows are no reference."""
    with pytest.raises(ValueError, match="at least one window"):
        make_reference(fit({"x": np.zeros(1)}), [])
