"""Features with a daily or weekly cycle: held against the same time, they neither alarm nor hide a change."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from healerd.detectors import DetectionSettings, make_yardstick
from healerd.detectors.drift import detect_drift
from healerd.model import Layer, Window
from healerd.profiles import fit, make_reference, profile, reference_from_bytes, reference_to_bytes
from tests.healerd.detectors.looking import an_observation, seeded

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
SETTINGS = DetectionSettings(window_s=3600.0)


def cycle(at: datetime, *, week: bool = False) -> float:
    """A daily cycle of one sd; with `week` another one, and weekends half a sd higher."""
    daily = np.sin(2 * np.pi * at.hour / 24)
    return 1.4 * daily + (1.0 if week and at.weekday() >= 5 else 0.0)


def rows(rng: np.random.Generator, at: datetime, n: int, *, week: bool = False, shift: float = 0.0) -> dict:
    x = cycle(at, week=week) + shift + rng.normal(size=n)
    names = np.where(rng.random(n) < 0.5 + 0.2 * np.sin(2 * np.pi * at.hour / 24), "a", "b").astype(object)
    return {"x": x, "name": names, "plain": rng.normal(size=n) + shift}


def a_reference(rng: np.random.Generator, days: int, *, n: int = 60, week: bool = False, seasonal: bool = True):
    starts = [MONDAY + k * HOUR for k in range(24 * days)]
    windows = [rows(rng, at, n, week=week) for at in starts]
    maps = fit({name: np.concatenate([one[name] for one in windows]) for name in windows[0]})
    counted = [profile(one, maps) for one in windows]
    return make_reference(maps, counted, starts=starts if seasonal else (), window_s=3600.0)


def walked(reference, rng: np.random.Generator, windows: int, *, target: float, n: int = 60, shift: float = 0.0, **law):
    """Whether the layer alarmed at each window, four weeks after the reference began."""
    yardstick, state, told = make_yardstick(reference, SETTINGS), {}, []
    for k in range(windows):
        at = MONDAY + timedelta(days=28) + k * HOUR
        window = Window(pipeline="p", start_at=at, end_at=at + HOUR)
        columns = rows(rng, at, n, shift=shift, **law)
        found, state = detect_drift(an_observation(yardstick, columns, window=window, target=target), state)
        told.append(bool(found[0].alarm))
    return told


def test_the_day_is_found_and_nothing_else() -> None:
    """A feature and a category with a daily cycle have a season of a day; one without has none."""
    seasons = a_reference(seeded(1), 14).seasons
    assert set(seasons.features) == {"x", "name"}
    assert {one.period_s for one in seasons.features.values()} == {86_400.0}
    assert len(seasons.features["x"].slots) == 24


def test_the_week_is_found_when_the_history_allows() -> None:
    """Weekends that differ make the season one of a week, from four weeks of history on; before it is that of a day."""
    assert a_reference(seeded(2), 28, week=True).seasons.features["x"].period_s == 7 * 86_400.0
    assert a_reference(seeded(2), 27, week=True).seasons.features["x"].period_s == 86_400.0


def test_short_histories_and_plain_features_have_no_season() -> None:
    """Three days tell no time of day, and independent rows have no season at all."""
    assert a_reference(seeded(3), 3).seasons is None
    rng = seeded(4)
    starts = [MONDAY + k * HOUR for k in range(24 * 14)]
    windows = [{"plain": rng.normal(size=60)} for _ in starts]
    maps = fit({"plain": np.concatenate([one["plain"] for one in windows])})
    assert make_reference(maps, [profile(one, maps) for one in windows], starts=starts, window_s=3600.0).seasons is None


def test_run_length_with_a_daily_cycle_is_at_least_the_target() -> None:
    """Healthy windows with a daily cycle, at A = 20: the mean time to a false alarm is at least 20."""
    rng, lengths = seeded(5), []
    for _ in range(20):
        told = walked(a_reference(rng, 7), rng, 48, target=20.0)
        lengths.append(told.index(True) + 1 if any(told) else 48)
    assert np.mean(lengths) >= 20


def test_a_change_smaller_than_the_cycle_is_found_sooner() -> None:
    """A shift of half a sd under a cycle of one sd is found within a day; without seasons it takes longer."""
    delays = []
    for seasonal in (True, False):
        rng = seeded(6)
        reference = a_reference(rng, 14, n=200, seasonal=seasonal)
        only_x = _without(reference, "plain")
        told = walked(only_x, rng, 60, target=8766.0, n=200, shift=0.5)
        delays.append(told.index(True) + 1 if any(told) else 61)
    assert delays[0] <= 12
    assert delays[0] < delays[1] / 2


def _without(reference, name: str):
    """The same reference without a feature that would tell by itself."""
    from dataclasses import replace

    maps = replace(reference.maps, features={key: one for key, one in reference.maps.features.items() if key != name})
    whole = replace(reference.whole, features={k: v for k, v in reference.whole.features.items() if k != name})
    return replace(reference, maps=maps, whole=replace(whole, maps_id=maps.id))


def test_a_time_the_reference_never_saw_is_held_against_the_whole() -> None:
    """Where a group has no rows the feature is compared with all of them."""
    reference = a_reference(seeded(7), 14)
    slots = dict(reference.seasons.features["x"].slots)
    del slots[3]
    from dataclasses import replace

    season = replace(reference.seasons.features["x"], slots=slots)
    seasons = replace(reference.seasons, features={"x": season})
    yardstick = make_yardstick(replace(reference, seasons=seasons), SETTINGS)
    whole = yardstick.features[0]
    assert yardstick.at(Layer.DRIFT, MONDAY + 3 * HOUR)[0] is whole
    assert yardstick.at(Layer.DRIFT, MONDAY + 4 * HOUR)[0].n == 14 * 60
    assert yardstick.at(Layer.DRIFT, MONDAY + 4 * HOUR)[0].margin > whole.margin


def test_seasons_are_part_of_the_bytes_and_the_id() -> None:
    """A reference read back has the same seasons, and another id than one without them."""
    one, plain = a_reference(seeded(8), 7), a_reference(seeded(8), 7, seasonal=False)
    read = reference_from_bytes(reference_to_bytes(one))
    assert read.id == one.id != plain.id
    assert reference_to_bytes(read) == reference_to_bytes(one)
    torn = reference_to_bytes(one).replace(b'"period_s"', b'"per_s"', 1)
    with pytest.raises(ValueError, match="not a reference"):
        reference_from_bytes(torn)
