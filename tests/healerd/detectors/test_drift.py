import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.detectors.drift import LAMBDAS, SIGNS, detect_drift, detect_score_drift
from healerd.profiles import NameMap
from healerd.profiles.places import places
from tests.healerd.detectors.looking import a_yardstick, an_observation, seeded, without_margin

law = settings(max_examples=300, deadline=None, derandomize=True)
COUNTS = st.integers(1, 12).flatmap(
    lambda k: st.tuples(
        st.lists(st.integers(0, 30), min_size=k, max_size=k), st.lists(st.integers(0, 30), min_size=k, max_size=k)
    )
)


def run(yardstick, columns_of, windows, *, target=17520.0, state=None):
    """Look at windows in turn: the layer's measurement at each."""
    state, told = state or {}, []
    for k in range(windows):
        found, state = detect_drift(an_observation(yardstick, columns_of(k), k=k, target=target), state)
        told.append(found)
    return told, state


def first_alarm(told):
    return next((k + 1 for k, found in enumerate(told) if found[0].alarm), None)


@law
@given(COUNTS.filter(lambda pair: sum(pair[0]) > 0 and sum(pair[1]) > 0))
def test_e_of_one_row_has_mean_at_most_one_for_every_law_within_the_margin(pair):
    """Exactly, for any reference and any law F with sup |F - R| = eps: E e <= 1, every place, both signs."""
    cells, law_now = np.array(pair[0]), np.array(pair[1]) / sum(pair[1])
    eps = np.abs(np.cumsum(cells) / cells.sum() - np.cumsum(law_now)).max()
    found = places(NameMap(names=()), cells)
    for k in range(len(found.mean)):
        for sign in SIGNS:
            toward = sign * (found.of[k] - found.mean[k]) - found.variation[k] * eps
            for lam in LAMBDAS:
                assert law_now @ np.exp(lam * toward - lam**2 * found.proxy[k] / 2) <= 1 + 1e-12


@pytest.mark.parametrize("windows_in_reference", [1, 20])
def test_run_length_with_a_finite_reference_is_at_least_the_target(windows_in_reference):
    """Healthy rows against a finite reference: the mean time to a false alarm at A = 20 is at least 20."""
    rng, lengths = seeded(21), []
    for _ in range(40):
        yardstick = a_yardstick(
            {"a": rng.normal(size=2000), "b": rng.poisson(2, 2000) * 1.0}, windows=windows_in_reference
        )
        told, _ = run(yardstick, lambda _: {"a": rng.normal(size=100), "b": rng.poisson(2, 100) * 1.0}, 40, target=20.0)
        lengths.append(first_alarm(told) or 40)
    assert np.mean(lengths) >= 20


def test_run_length_with_a_known_reference_is_at_least_the_target():
    """With the healthy law known and no margin, the mean time to a false alarm at A = 20 is still at least 20."""
    rng, lengths = seeded(22), []
    yardstick = without_margin(a_yardstick({"a": np.linspace(0, 1, 100_000)}))
    for _ in range(60):
        told, _ = run(yardstick, lambda _: {"a": rng.random(50)}, 60, target=20.0)
        lengths.append(first_alarm(told) or 60)
    assert np.mean(lengths) >= 20


def test_the_margin_is_needed():
    """Without it a finite reference's own error is found and taken for a change, soon and surely."""
    rng, lengths = seeded(23), []
    for _ in range(10):
        yardstick = without_margin(a_yardstick({name: rng.normal(size=500) for name in "abcd"}))
        told, _ = run(yardstick, lambda _: {name: rng.normal(size=500) for name in "abcd"}, 60, target=100.0)
        lengths.append(first_alarm(told) or 60)
    assert np.mean(lengths) < 50


@pytest.mark.parametrize(("shift", "at_most"), [(0.25, 8), (0.5, 2), (1.0, 1)])
def test_a_shift_in_five_of_fifty_features_is_found_soon(shift, at_most):
    """200 rows a window, 10k reference rows, target one year of half hours: delay in windows."""
    rng = seeded(24)
    names = [f"x{k}" for k in range(50)]
    yardstick = a_yardstick({name: rng.normal(size=10_000) for name in names})

    def shifted(_):
        return {name: rng.normal(size=200) + (shift if k < 5 else 0) for k, name in enumerate(names)}

    told, _ = run(yardstick, shifted, at_most)
    assert first_alarm(told) is not None
    foremost = max(told[-1][1:], key=lambda one: one.log_evidence)
    assert foremost.subject in names[:5]


@pytest.mark.parametrize(
    "changed",
    [
        lambda rng: rng.normal(0, 2.0, 300),
        lambda rng: rng.normal(0, 0.4, 300),
        lambda rng: rng.normal(-0.6, 1, 300),
        lambda rng: np.full(300, np.inf),
        lambda rng: np.zeros(300),
    ],
    ids=["wider", "narrower", "lower", "infinite", "constant"],
)
def test_each_kind_of_change_is_found(changed):
    """Wider, narrower, lower, infinite or constant: each is found within three windows."""
    rng = seeded(25)
    told, _ = run(a_yardstick({"x": rng.normal(size=5000)}), lambda _: {"x": changed(rng)}, 3)
    assert first_alarm(told) is not None


def names_drawn(rng, n, shares):
    return np.array(list("abcdefghij"), object)[rng.choice(10, n, p=np.array(shares) / sum(shares))]


@pytest.mark.parametrize("surging", range(10))
def test_the_surge_of_any_category_is_found(surging):
    """Whichever of ten equal names quadruples its odds, it is found within two windows of 500 rows."""
    rng = seeded(26)
    usual = [1.0] * 10
    now = [4.0 if k == surging else 1.0 for k in range(10)]
    told, _ = run(a_yardstick({"c": names_drawn(rng, 10_000, usual)}), lambda _: {"c": names_drawn(rng, 500, now)}, 2)
    assert first_alarm(told) is not None


def test_healthy_categories_raise_no_alarm():
    """Names drawn as in the reference, few or many, never alarm in 60 windows at a year's target."""
    rng = seeded(27)
    yardstick = a_yardstick(
        {"c": names_drawn(rng, 3000, range(1, 11)), "d": names_drawn(rng, 3000, [1, 1] + [1e-6] * 8)}
    )
    told, _ = run(
        yardstick,
        lambda _: {"c": names_drawn(rng, 200, range(1, 11)), "d": names_drawn(rng, 200, [1, 1] + [1e-6] * 8)},
        60,
    )
    assert first_alarm(told) is None


def test_what_windows_of_the_reference_do_all_the_time_is_no_drift():
    """A daily cycle of 0.5 sd alarms at once when the reference is one lump, and never when it came in windows."""

    def day(rng, n, k):
        return {"x": rng.normal(0.5 * math.sin(2 * math.pi * k / 48), 1, n)}

    rng = seeded(28)
    columns = {"x": np.concatenate([day(rng, 200, k)["x"] for k in range(96)])}
    lump, cut = a_yardstick(columns), a_yardstick(columns, windows=96)
    assert first_alarm(run(lump, lambda k: day(rng, 200, k), 48)[0]) is not None
    assert first_alarm(run(cut, lambda k: day(rng, 200, k), 192)[0]) is None


def uneven(rng, rows=500, sd=0.05):
    """A window whose mean rank is off by `sd`, as a normal's is that is shifted by 2 sqrt(pi) times that."""
    return {"x": rng.normal(rng.normal(0, sd * 2 * math.sqrt(math.pi)), 1, rows)}


def test_few_windows_of_the_reference_that_differ_keep_the_promise():
    """A year of days that differ as the reference's seven did: at A = 3652 at most a tenth of the runs alarm."""
    alarmed = []
    for seed in range(30):
        rng = seeded(seed)
        yardstick = a_yardstick(joined([uneven(rng) for _ in range(7)]), windows=7)
        told, _ = run(yardstick, lambda _, rng=rng: uneven(rng), 365, target=3652.0)
        alarmed.append(first_alarm(told) is not None)
    assert np.mean(alarmed) <= 0.1


def joined(windows):
    return {name: np.concatenate([one[name] for one in windows]) for name in windows[0]}


def test_the_margin_is_that_of_the_windows_where_they_differ_and_of_the_rows_where_not():
    """Windows alike leave the margin of the rows; those that differ widen it, and less so the more there are."""
    rng = seeded(37)
    alike = [{"x": rng.permutation(np.linspace(-3, 3, 500))} for _ in range(40)]
    differ = [uneven(rng) for _ in range(40)]
    assert margin(alike) == margin(alike, lump=True)
    assert margin(differ[:10], lump=True) < margin(differ) < margin(differ[:10]) < 0.3


def margin(windows, *, lump=False):
    return a_yardstick(joined(windows), windows=1 if lump else len(windows)).features[0].margin


def test_a_name_that_comes_and_goes_widens_the_margin():
    """Where a name's share differs from window to window the margin is wider, though ranks and spreads are alike."""
    windows = [{"c": np.array(list("abcd"), object).repeat([40 + k, 80, 80, 40 - k])} for k in (-30, 30, -30, 30)]
    assert margin(windows) > 1.5 * margin(windows, lump=True)


def test_state_read_back_from_json_continues_identically():
    """Halting after any window and going on from the JSON gives the same measurements bit for bit."""
    rng = seeded(29)
    yardstick = a_yardstick({"x": rng.normal(size=1000)})
    windows = [{"x": rng.normal(0.2, 1, 100)} for _ in range(10)]
    whole, _ = run(yardstick, lambda k: windows[k], 10)
    _, half = run(yardstick, lambda k: windows[k], 5)
    rest, state = [], json.loads(json.dumps(half))
    for k in range(5, 10):
        found, state = detect_drift(an_observation(yardstick, windows[k], k=k), state)
        rest.append(found)
    assert rest == whole[5:]


@pytest.mark.parametrize("column", [np.zeros(0), np.full(50, np.nan)], ids=["no rows", "all missing"])
def test_no_rows_no_step(column):
    """A window without a value of the feature leaves its state untouched, and its alarm unknown."""
    rng = seeded(30)
    yardstick = a_yardstick({"x": rng.normal(size=1000)})
    _, state = run(yardstick, lambda _: {"x": rng.normal(0.1, 1, 100)}, 3)
    found, after = detect_drift(an_observation(yardstick, {"x": column}), state)
    assert after == state
    assert found[0].alarm is None
    assert found[0].value is None


def test_a_new_reference_starts_afresh():
    """Evidence against one reference is never held against another."""
    rng = seeded(31)
    old, new = (a_yardstick({"x": rng.normal(at, 1, 1000)}) for at in (0, 1))
    _, state = run(old, lambda _: {"x": rng.normal(1, 1, 300)}, 2)
    assert state["alarm"]
    found, _ = detect_drift(an_observation(new, {"x": rng.normal(1, 1, 300)}), state)
    assert not found[0].alarm


def test_an_alarm_ends_with_the_change_and_leaves_nothing_behind():
    """After a long change healthy windows end the alarm soon, and the next evidence starts from nothing."""
    rng = seeded(32)
    yardstick = a_yardstick({"x": rng.normal(size=10_000)})
    told, state = run(yardstick, lambda k: {"x": rng.normal(1.0 if k < 50 else 0.0, 1, 300)}, 80)
    alarms = [found[0].alarm for found in told]
    assert alarms[:50] == [True] * 50
    assert not any(alarms[65:])
    assert not state["alarm"]


def test_the_beginning_of_the_evidence_is_told():
    """`since_at` is the start of the window in which the change began, kept while it lasts."""
    rng = seeded(33)
    yardstick = a_yardstick({"x": rng.normal(size=10_000), "y": rng.normal(size=10_000)})
    told, _ = run(yardstick, lambda k: {"x": rng.normal(0.8 * (k >= 7), 1, 300), "y": rng.normal(size=300)}, 12)
    start = an_observation(yardstick, {"x": np.zeros(1), "y": np.zeros(1)}, k=7).window.start_at
    assert told[-1][0].since_at == start
    assert {one.subject: one.since_at for one in told[-1][1:]} == {"x": start, "y": None}


def test_a_practical_tolerance_silences_a_small_shift():
    """A shift of 0.1 sd in 20,000 rows alarms by default, and not with a tolerated KS distance of .05."""
    rng = seeded(34)
    yardstick = a_yardstick({"x": rng.normal(size=100_000)})
    tolerant = replace(yardstick, features=tuple(replace(f, margin=f.margin + 0.05) for f in yardstick.features))
    assert first_alarm(run(yardstick, lambda _: {"x": rng.normal(0.1, 1, 20_000)}, 5)[0]) == 1
    assert first_alarm(run(tolerant, lambda _: {"x": rng.normal(0.1, 1, 20_000)}, 5)[0]) is None


def test_scores_are_a_layer_of_their_own():
    """A score that moves alarms the score layer and leaves the inputs' drift alone."""
    rng = seeded(35)
    yardstick = a_yardstick({"x": rng.normal(size=5000), "confidence": rng.random(5000)}, scores=("confidence",))
    seen = an_observation(yardstick, {"x": rng.normal(size=400), "confidence": rng.random(400) ** 4})
    assert detect_score_drift(seen, {})[0][0].alarm
    assert not detect_drift(seen, {})[0][0].alarm


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, -0.0, 5e-324])
def test_any_float_is_measured(value):
    """One row of any float gives finite evidence."""
    yardstick = a_yardstick({"x": seeded(36).normal(size=1000)})
    for found in detect_drift(an_observation(yardstick, {"x": np.array([value])}), {})[0]:
        assert math.isfinite(found.log_evidence)
