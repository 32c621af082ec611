"""What is displayed after an alarm is exact: distances, adjusted p-values, areas, and the course of a change."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control, ks_2samp

from healerd.detectors.course import course
from healerd.detectors.diagnosis import Change, adjusted, area, diagnose, shift_kind
from healerd.profiles import profile
from tests.healerd.detectors.looking import a_yardstick, seeded


def test_adjusted_is_benjamini_and_hochberg() -> None:
    """The adjusted p-values are those of scipy, in the order given."""
    for seed in range(20):
        p = seeded(seed).random(1 + seed) ** 2
        assert adjusted(p.tolist()) == pytest.approx(false_discovery_control(p).tolist())
    assert adjusted([]) == []


def test_the_moved_feature_comes_first() -> None:
    """The feature that moved has the largest distance, its exact one, and alone a small adjusted p-value."""
    rng = seeded(1)
    usual = {f"f{k}": rng.normal(size=4000) for k in range(10)}
    now = {f"f{k}": rng.normal(size=500) + (0.5 if k == 3 else 0.0) for k in range(10)}
    yardstick = a_yardstick(usual)
    told = diagnose(yardstick, profile(now, yardstick.reference.maps))
    exact = ks_2samp(usual["f3"], now["f3"]).statistic
    assert told[0].name == "f3"
    assert 0 <= exact - told[0].ks < 0.001
    assert told[0].q_value < 1e-6 < min(one.q_value for one in told[1:])
    assert told[0].usual[1] < told[0].found[1]
    assert told[0].above == np.mean(now["f3"] > usual["f3"].max())


def test_names_tell_what_moved() -> None:
    """Of a category the names whose shares moved most are told, before and after."""
    usual = {"lane": np.array(["left"] * 500 + ["right"] * 300 + ["mid"] * 200, object)}
    now = {"lane": np.array(["left"] * 50 + ["right"] * 30 + ["mid"] * 10 + ["new"] * 10, object)}
    yardstick = a_yardstick(usual)
    (told,) = diagnose(yardstick, profile(now, yardstick.reference.maps))
    assert (told.names[0], told.usual[0], told.found[0]) == ("mid", 0.2, 0.1)
    assert told.unseen == pytest.approx(0.1)
    assert told.wasserstein is None


def test_nothing_known_has_no_distance() -> None:
    """An empty window has no distances, and the adjusted p-values of the others do not count it."""
    yardstick = a_yardstick({"a": np.arange(100.0), "b": np.arange(100.0)})
    told = diagnose(yardstick, profile({"a": np.arange(50.0), "b": np.full(50, np.nan)}, yardstick.reference.maps))
    assert [one.name for one in told] == ["a", "b"]
    assert (told[1].ks, told[1].q_value, told[1].missing) == (None, None, 1.0)
    assert told[0].q_value == told[0].p_value


def test_an_area_holds_the_truth_as_often_as_it_says() -> None:
    """DeLong's interval holds the true area in 92 of 100 samples, and the area is the share of ordered pairs."""
    rng, held = seeded(2), 0
    for _ in range(300):
        one, other = rng.normal(0.5, 1, 150), rng.normal(0, 1, 200)
        found = area(one, other)
        held += found.low <= 0.63816 <= found.high
    assert held >= 276
    one, other = np.array([1.0, 2.0, 2.0]), np.array([0.0, 2.0])
    assert area(one, other).value == np.mean([[a > b, a == b] @ np.array([1, 0.5]) for a in one for b in other])
    with pytest.raises(ValueError, match="two rows"):
        area(np.zeros(1), np.zeros(5))


@pytest.mark.parametrize(
    ("harm", "drift", "kind"),
    [
        (True, False, Change.CONCEPT),
        (True, None, Change.CONCEPT),
        (True, True, Change.BOTH),
        (False, True, Change.COVARIATE),
        (None, True, Change.UNJUDGED),
        (False, False, Change.NONE),
        (None, None, Change.NONE),
    ],
)
def test_the_kinds_of_change(*, harm: bool | None, drift: bool | None, kind: Change) -> None:
    """Harm without drift is a concept shift; drift is only called harmless when harm is known not to be."""
    assert shift_kind(harm=harm, drift=drift) is kind


def test_a_course_is_told_where_it_can_be() -> None:
    """Clear steps are called sudden and clear ramps gradual, never the other way about; weak ramps seldom sudden."""
    rng, said = seeded(3), {"step": [], "ramp": [], "weak": []}
    for _ in range(30):
        noise = rng.normal(0, 1, 60)
        step, ramp = np.arange(60) >= 30, np.clip((np.arange(60) - 20) / 20, 0, 1)
        said["step"].append(course((noise + 5 * step).tolist()).said)
        said["ramp"].append(course((noise + 5 * ramp).tolist()).said)
        said["weak"].append(course((noise + 1.5 * ramp).tolist()).said)
    assert said["step"].count("sudden") >= 24
    assert "gradual" not in said["step"]
    assert said["ramp"].count("gradual") >= 27
    assert "sudden" not in said["ramp"]
    assert said["weak"].count("sudden") <= 3


def test_a_course_begins_where_the_change_did() -> None:
    """The start of a clear step is its window, also when unknown windows lie before it."""
    values = [None, None, *([0.0, 0.1] * 10), *([2.0, 2.1] * 5)]
    found = course(values)
    assert (found.said, found.start) == ("sudden", 22)
    assert course([1.0] * 40).said == "unclear"
    assert course([0.0, 1.0]).p_sudden is None
