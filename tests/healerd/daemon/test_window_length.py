"""What becomes of a pipeline whose windows get another length: no verdict stands for more than was looked at."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from healerd.daemon.beginning import floor
from healerd.model import Quality
from tests.healerd.daemon.loop import HOUR_S, NAME, START, Loop

HALF_HOUR_S = HOUR_S // 2
G, B, U = Quality.GOOD, Quality.BAD, Quality.UNKNOWN


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    """A loop with windows of half an hour."""
    made = Loop(tmp_path, window_s=HALF_HOUR_S)
    yield made
    made.core.close()


def reopened(loop: Loop, window_s: int) -> None:
    loop.window_s = window_s
    loop.reopen()


def verdicts(loop: Loop) -> list[Quality]:
    """What the data of each window since the start is called."""
    pipeline, length = loop.core.pipelines[NAME], timedelta(seconds=loop.window_s)
    return [pipeline.quality(START + length * number) for number in range((loop.clock.now() - START) // length)]


def test_s13_the_verdict_on_half_a_window_is_not_that_of_the_whole(loop: Loop) -> None:
    """No hour of which halves were judged is good, and a bad half is bad; at half hours again, their verdicts stand."""
    halves = [G, G, B, G, G, B]
    for each in halves:
        loop.play(broken=each is B)
    assert verdicts(loop) == halves
    reopened(loop, HOUR_S)
    assert verdicts(loop) == [U, U, B]
    loop.play(2)
    assert verdicts(loop) == [U, U, B, G, G]
    reopened(loop, HALF_HOUR_S)
    assert verdicts(loop) == [*halves, U, U, U, U]


def test_s13_nothing_acts_on_a_good_half_until_a_whole_window_is_judged(loop: Loop) -> None:
    """The newest window's data is unknown after the change, though its last half was good."""
    loop.play(4)
    reopened(loop, HOUR_S)
    assert loop.core.pipelines[NAME].world(loop.clock.now()).quality is U
    loop.play()
    assert loop.core.pipelines[NAME].world(loop.clock.now()).quality is G


def test_s16_nothing_starts_before_the_first_window_of_a_new_length_is_judged(loop: Loop) -> None:
    """Windows of a day go on from the next midnight: until that day is over, no newest window has been judged."""
    loop.play(3)
    reopened(loop, 24 * HOUR_S)
    current = []
    for _ in range(3):
        current.append(loop.core.pipelines[NAME].world(loop.clock.now()).current)
        loop.play()
    assert current == [False, True, True]


@pytest.mark.parametrize("window_s", [0.1, 0.3, 1.1, 11.3, 1800.0, 86_400.0])
def test_windows_that_follow_each_other_stay_where_windows_are_counted(window_s: float) -> None:
    """The end of any window is the start of one, also where the length is no binary fraction: a restart moves none."""
    mark = floor(START, window_s)
    for number in range(1000):
        end = mark + timedelta(seconds=window_s) * number
        assert floor(end, window_s) == end
