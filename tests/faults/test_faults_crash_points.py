"""The process ends at every point at which it matters, once, twice and three times: nothing is doubled, nothing lost.

A schedule is the set of points at which the process ends. After each end the daemon starts anew with a higher epoch
and steps at once. However often that happens, the heal must end as it does without a crash. The long form
(`python -m experiments.faults crashes`) plays every schedule of three crashes, and stories of several heals.
"""

import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from healerd.actions.folder import FolderRegistry
from tests.faults.explored import explore
from tests.faults.simulated import SCRIPTS, WORLD, Run, run, wrongs

MEMORY = Path("/dev/shm")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: these schedules end in kills of the process, not of the machine."""
    logging.getLogger("healerd").setLevel(logging.ERROR)
    made = MEMORY / f"healerd-{os.getpid()}-{tmp_path.name}" if os.access(MEMORY, os.W_OK) else tmp_path / "runs"
    made.mkdir()
    yield made
    shutil.rmtree(made)
    logging.getLogger("healerd").setLevel(logging.NOTSET)


def play(folder: Path, name: str, blow_at: tuple[int, ...] = ()) -> Run:
    """Play a script from its beginning, with a registry of real files."""
    place = folder / "-".join(map(str, blow_at or ("whole",)))
    place.mkdir()
    try:
        return run(place, SCRIPTS[name], frozenset(blow_at), settings=WORLD, files=True)
    finally:
        shutil.rmtree(place)


@pytest.mark.parametrize("name", SCRIPTS)
def test_s14_one_crash_at_any_point_doubles_and_loses_nothing(folder: Path, name: str) -> None:
    """Every single point, with a registry of files: before and after each commit, and around each effect."""
    whole = play(folder, name)
    assert +wrongs(whole, name) == Counter()
    assert whole.points >= 2
    for point in range(1, whole.points + 1):
        found = play(folder, name, (point,))
        assert found.crashes == 1
        assert +wrongs(found, name) == Counter(), (name, point)


@pytest.mark.parametrize("name", SCRIPTS)
def test_s14_two_crashes_at_any_points_double_and_lose_nothing(folder: Path, name: str) -> None:
    """Every pair of points; the points of the second life count on from the first."""
    found = {schedule: wrong for schedule, wrong in explore(folder, name, crashes=2) if +wrong}
    assert found == {}


@pytest.mark.parametrize("name", SCRIPTS)
def test_s8_s14_three_crashes_double_lose_and_ignore_nothing(folder: Path, name: str) -> None:
    """A seeded sample of triples: nothing is doubled or lost, and what was vetoed never starts."""
    draw = np.random.Generator(np.random.Philox(14))
    branches = explore(folder, name, choose=lambda _: draw.random() < 0.35)
    found = {schedule: wrong for schedule, wrong in branches if +wrong}
    assert found == {}


@pytest.mark.parametrize("name", ["rollback harms", "a command"])
def test_a_branch_ends_as_its_schedule_played_from_the_beginning(folder: Path, name: str) -> None:
    """What shares its beginning with other schedules is the same run: replayed alone, it ends alike."""
    for schedule, wrong in explore(folder, name, crashes=1):
        assert +wrongs(play(folder, name, schedule), name) == +wrong


def test_the_harness_sees_a_registry_that_forgets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what `observe` rests on, and some schedule no longer ends as it should: these tests can fail."""
    true_fence = FolderRegistry.raise_fence

    def forgetful(self, epoch):
        alias = true_fence(self, epoch)
        return type(alias)(version=alias.version, generation=alias.generation, fence=alias.fence, moves=())

    monkeypatch.setattr(FolderRegistry, "raise_fence", forgetful)
    assert any(+wrong for _, wrong in explore(folder, "rollback helps", crashes=1))
