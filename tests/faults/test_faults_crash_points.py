"""The process ends at every point at which it matters, once, twice and three times: nothing is doubled, nothing lost.

A schedule is the set of points at which the process ends. After each end the daemon starts anew with a higher epoch
and steps at once. However often that happens, the heal must end as it does without a crash.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from healerd.model import IntentState
from tests.faults.simulated import SCRIPTS, WITH_REFIT, CrashingRegistry, Run, run

MEMORY = Path("/dev/shm")
EXPECTED = {
    "rollback helps": ({"h1": IntentState.VERIFIED}, "one"),
    "rollback harms": ({"h1": IntentState.UNDONE, "h1-undo": IntentState.VERIFIED}, "zero"),
    "retrain and refit": ({"h1": IntentState.VERIFIED, "h1-promote": IntentState.VERIFIED}, "refit"),
    "fallback and return": ({"h1": IntentState.VERIFIED, "h1-return": IntentState.VERIFIED}, "one"),
    "vetoed": ({"h1": IntentState.VETOED}, "zero"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: these schedules end in kills of the process, not of the machine."""
    made = MEMORY / f"healerd-{os.getpid()}-{tmp_path.name}" if os.access(MEMORY, os.W_OK) else tmp_path / "runs"
    made.mkdir()
    yield made
    shutil.rmtree(made)


def play(folder: Path, name: str, blow_at: tuple[int, ...] = ()) -> Run:
    place = folder / "-".join(map(str, blow_at or ("whole",)))
    place.mkdir()
    try:
        return run(place, SCRIPTS[name], frozenset(blow_at), settings=WITH_REFIT)
    finally:
        shutil.rmtree(place)


def check(found: Run, name: str, blow_at: tuple[int, ...]) -> None:
    states, alias = EXPECTED[name]
    assert found.states == states, (name, blow_at)
    assert found.alias.startswith(alias), (name, blow_at)
    assert max(found.moves.values()) == 1, (name, blow_at, "the alias moved twice for one key")
    assert max(found.carried_out.values(), default=0) <= 1, (name, blow_at, "an effect was carried out again")


def some(schedules: Iterable[tuple[int, ...]], *, most: int) -> list[tuple[int, ...]]:
    """Take all schedules, or a seeded sample of `most`."""
    every = list(schedules)
    draw = np.random.Generator(np.random.Philox(14))
    return [every[index] for index in draw.choice(len(every), size=min(len(every), most), replace=False)]


@pytest.mark.parametrize("name", SCRIPTS)
def test_s14_one_crash_at_any_point_doubles_and_loses_nothing(folder: Path, name: str) -> None:
    """Every single point: before and after each commit, and around each effect."""
    whole = play(folder, name)
    check(whole, name, ())
    assert whole.points >= 2
    for point in range(1, whole.points + 1):
        found = play(folder, name, (point,))
        assert found.crashes == 1
        check(found, name, (point,))


@pytest.mark.parametrize("name", SCRIPTS)
def test_s14_two_crashes_at_any_points_double_and_lose_nothing(folder: Path, name: str) -> None:
    """Pairs of points, every one of the short scripts; the points of the second life count on from the first."""
    for blow_at in some(combinations(range(1, play(folder, name).points + 5), 2), most=250):
        check(play(folder, name, blow_at), name, blow_at)


@pytest.mark.parametrize("name", SCRIPTS)
def test_s14_three_crashes_double_and_lose_nothing(folder: Path, name: str) -> None:
    """A seeded sample of triples."""
    for blow_at in some(combinations(range(1, play(folder, name).points + 7), 3), most=100):
        check(play(folder, name, blow_at), name, blow_at)


def test_s8_a_vetoed_intent_never_starts_whatever_crashes(folder: Path) -> None:
    """No schedule of up to two crashes starts an intent that was vetoed before its deadline."""
    points = play(folder, "vetoed").points
    for blow_at in combinations(range(1, points + 3), 2):
        assert play(folder, "vetoed", blow_at).started == set()


def test_the_harness_sees_a_registry_that_forgets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what `observe` rests on, and some schedule no longer ends as it should: these tests can fail."""
    true_alias = CrashingRegistry.alias

    def forgetful(self):
        alias = true_alias(self)
        return type(alias)(version=alias.version, generation=alias.generation, fence=alias.fence, moves=())

    monkeypatch.setattr(CrashingRegistry, "raise_fence", lambda self, _epoch: forgetful(self))
    points = play(folder, "rollback helps").points
    ends = {play(folder, "rollback helps", (point,)).states["h1"] for point in range(1, points + 1)}
    assert ends != {IntentState.VERIFIED}
