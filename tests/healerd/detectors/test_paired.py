import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.detectors import p_error_high, paired_gain
from tests.healerd.detectors.looking import seeded

law = settings(max_examples=60, deadline=None, derandomize=True)
LOSSES = st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=0, max_size=60)


def draw(rng, n, better, worse):
    u = rng.random(n)
    return ((u >= better) & (u < better + worse)).astype(float), (u < better).astype(float)


@law
@given(LOSSES, LOSSES)
def test_s11_exchanging_the_versions_turns_the_gain_round(one, other):
    """The gain of a over b is minus that of b over a, interval and probability included."""
    n = min(len(one), len(other))
    a, b = np.array(one[:n]), np.array(other[:n])
    there, back = paired_gain(a, b), paired_gain(b, a)
    assert there.mean == -back.mean
    assert there.low == pytest.approx(-back.high, abs=1e-9)
    assert there.p_better == pytest.approx(1 - back.p_better, abs=1e-9)
    assert -1 <= there.low <= there.high <= 1


@pytest.mark.parametrize(("n", "reach"), [(0, 1.0), (10, 0.15), (200, 0.01)])
def test_s11_a_version_against_itself_is_inconclusive(n, reach):
    """Equal losses give P(better) = 1/2 and an interval around 0 that shrinks with the rows."""
    gain = paired_gain(np.zeros(n), np.zeros(n))
    assert gain.p_better == 0.5
    assert -reach < gain.low < 0 < gain.high < reach


@pytest.mark.parametrize("shares", [(20, 0.1, 0.1), (200, 0.1, 0.05), (200, 0.02, 0.02), (500, 0.3, 0.2)])
def test_s11_the_interval_covers_at_its_level(shares):
    """A 90% interval holds the true gain in about 90% of repetitions, small and large."""
    rng, held = seeded(61), 0
    for _ in range(300):
        gain = paired_gain(*draw(rng, *shares))
        held += gain.low <= shares[1] - shares[2] <= gain.high
    assert held / 300 > 0.85


def test_s11_windows_that_differ_count_as_fewer_rows():
    """Where gains differ by chance from window to window, a false "better" stays rare only with the windows told."""
    rng, claims = seeded(62), {True: 0, False: 0}
    for _ in range(200):
        pairs = [draw(rng, 300, 0.12 + lean, 0.12 - lean) for lean in rng.normal(0, 0.03, 5).clip(-0.1, 0.1)]
        new, old = (np.concatenate(side) for side in zip(*pairs, strict=True))
        for told in claims:
            gain = paired_gain(new, old, groups=np.repeat(np.arange(5), 300) if told else None)
            claims[told] += gain.low > 0
    assert claims[True] / 200 < 0.10
    assert claims[False] / 200 > 0.15


def test_groups_change_nothing_where_windows_agree():
    """Independent rows keep nearly all of their weight."""
    new, old = draw(seeded(63), 2000, 0.2, 0.1)
    told = paired_gain(new, old, groups=np.repeat(np.arange(20), 100))
    assert told.inflation < 1.6
    assert told.p_better > 0.99


def test_rows_without_a_label_are_left_out():
    """Unknown losses count neither way."""
    a, b = np.array([0.0, np.nan, 1.0]), np.array([1.0, 1.0, np.nan])
    assert paired_gain(a, b).n == 1


@law
@given(st.integers(0, 300), st.floats(0, 1), st.floats(0, 1))
def test_the_posterior_of_the_error_falls_with_the_limit(n, part, limit):
    """P(error > limit) is a probability, 1 at 0, 0 at 1, and falls as the limit rises."""
    wrong = round(part * n)
    p = p_error_high(wrong, n, limit)
    assert 0 <= p_error_high(wrong, n, 1.0) <= p <= p_error_high(wrong, n, 0.0) == 1.0
