"""Segments share the budget of the whole, and are named so that their name can be read back."""

import math

import numpy as np
import pytest

from healerd.detectors import DetectionSettings, limits
from healerd.detectors.evidence import advance, ceiling, log_mean
from healerd.detectors.harm import ODDS_RATIOS, log_e_values
from healerd.detectors.segments import WHOLE_SHARE, named, segment_of, share_of
from healerd.model import Layer

SETTINGS = DetectionSettings(window_s=1800.0, false_alarms_per_year=2.0, delta=0.01)


@pytest.mark.parametrize("segments", [1, 7, 63])
def test_the_shares_add_up_to_the_budget(segments: int) -> None:
    """The expected alarms of the whole and of all segments, and their deltas, add up to those of the model."""
    whole = share_of(SETTINGS, WHOLE_SHARE)
    each = share_of(whole, 1 / segments)
    assert math.isclose(whole.false_alarms_per_year + segments * each.false_alarms_per_year, 2.0)
    assert math.isclose(whole.delta + segments * each.delta, 0.01)
    lines = [limits(one.false_alarms_per_year, one.window_s, one.weights)[Layer.HARM] for one in (whole, each)]
    alone = limits(2.0, 1800.0, SETTINGS.weights)[Layer.HARM]
    assert math.isclose(math.exp(-lines[0]) + segments * math.exp(-lines[1]), math.exp(-alone))


def test_run_length_over_all_segments_is_at_least_the_target() -> None:
    """Four segments at the limit of their error: the first alarm of any comes after A windows, on average."""
    rng = np.random.Generator(np.random.Philox(5))
    target, segments, runs, limit = 40.0, 4, 60, 0.1
    line = math.log(target * segments)
    lengths = []
    for _ in range(runs):
        cells = np.zeros((segments, len(ODDS_RATIOS)))
        windows, over = 0, False
        while not over and windows < 400:
            windows += 1
            for k in range(segments):
                log_e = log_e_values(float(rng.binomial(30, limit)), 30, limit, 0.0)
                cells[k] = advance(cells[k], log_e, at_most=ceiling(line, len(ODDS_RATIOS)))
            over = max(log_mean(each) for each in cells) >= line
        lengths.append(windows)
    assert np.mean(lengths) >= target


@pytest.mark.parametrize("segment", ["lane=left", "a=b=c", "s=(other)", "odd=[x]", "odd=]"])
def test_a_name_tells_its_segment(segment: str) -> None:
    """Whatever a value looks like, the segment is read back from the name of a measurement."""
    assert segment_of(named("drift", segment)) == segment
    assert segment_of("drift") is None
